// What every drawing of a graph shares: the few words beside an event, and what sort of event it is.

import type { GraphNode } from '../graph.js';

/** How an event is marked; what went wrong counts for more than what it is. */
export type Sort = 'rejected' | 'soft_failed' | 'outlier' | 'state' | 'message';

export function sortOf({ verdict, outlier, state_key }: GraphNode): Sort {
  if (verdict !== 'accepted') return verdict;
  if (outlier) return 'outlier';
  return state_key === undefined ? 'message' : 'state';
}

/** What the marks mean, in the order of a legend. */
export const SORTS: ReadonlyArray<readonly [sort: Sort, meaning: string]> = [
  ['state', 'state event'],
  ['message', 'other event'],
  ['soft_failed', 'soft failed'],
  ['rejected', 'rejected'],
  ['outlier', 'outlier'],
];

const ID_CHARS = 10;
const TEXT_CHARS_MAX = 64;
/** Controls, halves of characters, line separators, and marks that turn the direction of text. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;

/** An id's beginning: enough to tell events of one room apart. */
export function shortId(id: string): string {
  return id.length <= ID_CHARS + 1 ? id : `${id.slice(0, ID_CHARS)}…`;
}

/** `member @bob:example.org: "join"`. */
export function titleOf({ type, state_key, says }: GraphNode): string {
  const name = type.replace(/^m\.room\./, '').replace(/^m\./, '');
  const key = state_key === undefined || state_key === '' ? '' : ` ${state_key}`;
  return bounded(`${name}${key}${says === null ? '' : ` “${says}”`}`);
}

/** Text of a stranger: nothing unprintable, and not too long. */
export function bounded(text: string): string {
  const points = [...text.replace(UNPRINTABLE, '\ufffd')];
  return points.length <= TEXT_CHARS_MAX ? points.join('') : `${points.slice(0, TEXT_CHARS_MAX).join('')}…`;
}
