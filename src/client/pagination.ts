// Places in a room's timeline, and pages of it as a user may see them.
//
// A place lies after the events up to an order: `t12` is behind order 12. Going back from it gives 12, 11, ...;
// going forward 13, 14, .... A `/sync` token's first number is a seq and so a place in every room: it is taken
// where a place is. The order is that of commit, in which no event comes before those it builds on, whatever
// forks there are; so a place means the same for ever.
//
// Source: client-server API, "Pagination", GET /rooms/{roomId}/messages.

import type { Engine } from '../engine/engine.js';
import type { KnownEvent } from '../room/graph/known-events.js';
import { invalidParam } from './errors.js';
import type { RoomViewer } from './visibility.js';

const PLACE = /^[st](-?[0-9]{1,15})(?:_[A-Za-z0-9_.~-]*)?$/;

/** Events of a timeline looked at for one page at most, also when hardly any may be shown. */
const LOOKED_AT_MAX = 2_000;

/** Orders lie within this, either side of 0. */
const ORDER_MAX = 2 ** 47 - 2;

/** The place before everything. */
export const BEGINNING = -ORDER_MAX;

/** The token of the place behind an order. */
export function placeToken(order: number): string {
  return `t${order}`;
}

/** The order behind which a token's place lies. @throws MatrixError 400 */
export function placeOfToken(token: string): number {
  const match = PLACE.exec(token);
  if (match?.[1] === undefined) throw invalidParam('The pagination token is none of this server.');
  return Math.max(-ORDER_MAX, Math.min(Number(match[1]), ORDER_MAX));
}

/** Which part of a timeline, and what of it. */
export interface PageRequest {
  readonly roomNumber: number;
  readonly direction: 'b' | 'f';
  /** The place to start from; without one the timeline's end, or its beginning. */
  readonly from?: number | undefined;
  /** The place to stop at. */
  readonly to?: number | undefined;
  readonly limit: number;
  /** What the page holds, of what may be seen. */
  readonly wants: (event: KnownEvent) => boolean;
}

export interface Page {
  readonly events: readonly KnownEvent[];
  /** Where the next page starts; undefined when there is nothing more. */
  readonly next: number | undefined;
}

/** The next events in a direction that a user may see. O(events looked at), which is bounded. */
export async function readPage(engine: Engine, viewer: RoomViewer, request: PageRequest): Promise<Page> {
  const { roomNumber, direction, from, to, limit, wants } = request;
  const isBack = direction === 'b';
  const events: KnownEvent[] = [];
  let lookedAt = 0;
  let place: number | undefined;
  for await (const [order, seq] of engine.store.timeline(roomNumber, rangeOf(isBack, from, to))) {
    // The first order beyond the page proves that there is more.
    if (events.length >= limit || lookedAt >= LOOKED_AT_MAX) return { events, next: place ?? from };
    lookedAt++;
    place = isBack ? order - 1 : order;
    const event = engine.reader.events.at(seq);
    if (event !== undefined && viewer.canSee(event, order) && wants(event)) events.push(event);
  }
  return { events, next: undefined };
}

function rangeOf(isBack: boolean, from: number | undefined, to: number | undefined) {
  const [low, high] = isBack ? [to, from] : [from, to];
  return {
    ...(low === undefined ? {} : { from: low + 1 }),
    ...(high === undefined ? {} : { to: high + 1 }),
    reverse: isBack,
  };
}
