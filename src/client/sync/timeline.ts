// The timeline of one room in an answer: the newest events since a point that the user may see and wants.
//
// `limited` is about the gap, not about filters: it is true exactly when there are more such events between the
// point and the first one given (or when so many were looked at in vain that the search was given up). Then
// `prev_batch` is where `/messages` goes on, and nothing lies between.
//
// Source: client-server API, "Syncing".

import type { StateView } from '../../reader/state-view.js';
import type { KnownEvent } from '../../room/graph/known-events.js';
import type { RoomRow } from '../../store/records.js';
import { EMPTY_ROOT } from '../../tree/tree.js';
import { type RoomViewer, stateAfter } from '../visibility.js';
import type { RoomMoments } from './room-moments.js';

/** Events looked at at most: those that a filter or the history visibility holds back count too. */
const LOOKED_AT_MAX = 2_000;

export interface TimelineRequest {
  readonly room: RoomRow;
  readonly viewer: RoomViewer;
  /** Events after this seq; undefined for all there are. */
  readonly since: number | undefined;
  /** Events up to this seq. */
  readonly to: number;
  readonly limit: number;
  readonly wants: (event: KnownEvent) => boolean;
}

export interface Timeline {
  /** Oldest first. */
  readonly events: readonly KnownEvent[];
  readonly isLimited: boolean;
  /** The order behind which `/messages` goes on, backwards. */
  readonly place: number;
  /** The state before the first event; undefined where there are no events. */
  readonly start: StateView | undefined;
}

/** O(events looked at): what came before the first one given is not read. */
export async function readTimeline(moments: RoomMoments, request: TimelineRequest): Promise<Timeline> {
  const { room, viewer, since, to, limit, wants } = request;
  const found: Array<{ readonly order: number; readonly event: KnownEvent }> = [];
  const range = { to: to + 1, ...(since === undefined ? {} : { from: since + 1 }) };
  let isLimited = false;
  let place = since ?? 0;
  let lookedAt = 0;
  for await (const [order, seq] of moments.newestFirst(room, range)) {
    if (lookedAt++ >= LOOKED_AT_MAX) {
      isLimited = true;
      place = order;
      break;
    }
    const event = moments.at(seq);
    if (event === undefined || !viewer.canSee(event, order) || !wants(event)) continue;
    if (found.length === limit) {
      isLimited = true;
      place = order;
      break;
    }
    found.push({ order, event });
  }
  found.reverse();
  const [first] = found;
  if (first === undefined) return { events: [], isLimited, place, start: undefined };
  return {
    events: found.map(({ event }) => event),
    isLimited,
    place: first.order - 1,
    start: await stateBefore(moments, room, viewer.view, first),
  };
}

/** The room's state when the event came: after the one before it here, which may be on another branch. */
async function stateBefore(
  moments: RoomMoments,
  room: RoomRow,
  view: StateView,
  { order, event }: { readonly order: number; readonly event: KnownEvent },
): Promise<StateView> {
  // What was fetched later from before the room's beginning here knows nothing of what this server saw.
  if (order >= 0) {
    for await (const [, seq] of moments.newestFirst(room, { from: 0, to: order })) {
      const previous = moments.at(seq);
      if (previous?.verdict === 'accepted') return stateAfter(view, previous);
    }
  }
  return view.at(event.roots?.before ?? EMPTY_ROOT);
}
