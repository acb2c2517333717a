// Positions: 16 bytes, read as 32 nibbles from the top. The tree is sorted by position, then by key.

import { compareBytes } from '../lib/bytes.js';
import { POSITION_BYTES, type TreeEntry } from './types.js';

/** Nibbles in a position. */
export const NIBBLES = POSITION_BYTES * 2;

/** The nibble at `depth`. */
export function nibbleAt(position: Uint8Array, depth: number): number {
  const byte = position[depth >> 1] as number;
  return (depth & 1) === 0 ? byte >> 4 : byte & 15;
}

/** How many nibbles two positions share from the top; 32 when they are equal. */
export function sharedNibbles(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < POSITION_BYTES; i++) {
    const difference = (a[i] as number) ^ (b[i] as number);
    if (difference !== 0) return difference < 16 ? i * 2 + 1 : i * 2;
  }
  return NIBBLES;
}

/** Order of two places in the tree: by position, then by key. */
export function comparePlaces(
  aPosition: Uint8Array,
  aKey: Uint8Array,
  bPosition: Uint8Array,
  bKey: Uint8Array,
): number {
  for (let i = 0; i < POSITION_BYTES; i++) {
    const difference = (aPosition[i] as number) - (bPosition[i] as number);
    if (difference !== 0) return difference;
  }
  return compareBytes(aKey, bKey);
}

/** Order of two entries in the tree. */
export function compareEntries(a: TreeEntry, b: TreeEntry): number {
  return comparePlaces(a.position, a.key, b.position, b.key);
}
