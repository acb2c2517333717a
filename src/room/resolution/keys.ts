// A state key pair as one string, for maps, and the order in which pairs are shown.

import { compareCodePoints } from '../../lib/bytes.js';

/** One string for a pair, different for different pairs: both parts come from strangers. */
export function keyOf(type: string, stateKey: string): string {
  return `${type.length}:${type}${stateKey}`;
}

/** By type, then by state key, both by code point. */
export function compareKeys(
  a: { readonly type: string; readonly stateKey: string },
  b: { readonly type: string; readonly stateKey: string },
): number {
  return compareCodePoints(a.type, b.type) || compareCodePoints(a.stateKey, b.stateKey);
}
