// The edges of what is known of a room's graph: forward extremities, which new events follow, and backward
// extremities, where history is missing.
//
//   … ○ ← B ← ● ← ● ← F      ● has a place    ○ has none, and is followed    B backward, F forward extremity
//
// An event that gets its place after one that follows it (history that is fetched later) closes a gap: it was a
// backward extremity, and is no forward one.

import type { EventId } from '../../event/ids.js';
import type { Pdu } from '../../event/pdu.js';
import type { StoredVerdict } from '../../store/records.js';

/** Soft-failed and rejected events between an event and the extremities it follows: walked so far at most. */
const HIDDEN_WALK_MAX = 10_000;

/** What is asked of an event that has a place. */
export interface PlacedEvent {
  readonly pdu: Pdu;
  readonly verdict: StoredVerdict;
  /** It replaces all forward extremities. */
  readonly rewrites: boolean;
  /** It belongs to history that was fetched later. */
  readonly isBackfilled: boolean;
}

/** What is asked of an event that another follows; undefined for one without a place. */
export type FindPlaced = (id: EventId) => Pick<PlacedEvent, 'pdu' | 'verdict'> | undefined;

/** What an event does to the edges. */
export interface ExtremitiesChange {
  /** The same set when they stay as they were. */
  readonly forward: ReadonlySet<EventId>;
  /** Backward extremities that come, and the one that goes. */
  readonly backwardNew: readonly EventId[];
  readonly backwardGone: EventId | undefined;
}

/**
 * What becomes of the edges when an event gets its place. Only an accepted one can be a forward extremity.
 * @param find looks up events that have a place by then
 */
export function extremitiesAfter(
  event: PlacedEvent,
  forward: ReadonlySet<EventId>,
  backward: ReadonlySet<EventId>,
  find: FindPlaced,
): ExtremitiesChange {
  const { eventId, type, prevEvents, rules } = event.pdu;
  // This server's own records follow one another; what the first of them followed may have been collected.
  if (rules.isInternal) return { forward: new Set([eventId]), backwardNew: [], backwardGone: undefined };
  const closesGap = backward.has(eventId);
  const backwardGone = closesGap ? eventId : undefined;
  const isAccepted = event.verdict === 'accepted';
  if (!isAccepted && !closesGap) return { forward, backwardNew: [], backwardGone };

  const { followed, missing } = followedBy(prevEvents, forward, find);
  const backwardNew = missing.filter((id) => !backward.has(id));
  if (event.isBackfilled) return { forward, backwardNew, backwardGone };
  const staying = event.rewrites && isAccepted ? [] : [...forward].filter((id) => !followed.has(id));
  // A gap was closed: what follows it is accepted. Every event of a room follows its create event.
  const isFollowed = (closesGap || type === 'm.room.create') && staying.length > 0;
  if (isFollowed && staying.length === forward.size) return { forward, backwardNew, backwardGone };
  return { forward: new Set(isFollowed ? staying : [...staying, eventId]), backwardNew, backwardGone };
}

/**
 * The events that one with these predecessors follows, seen through soft-failed and rejected ones, which are no
 * extremities; and those among them that have no place.
 */
function followedBy(
  prevEvents: readonly EventId[],
  forward: ReadonlySet<EventId>,
  find: FindPlaced,
): { readonly followed: ReadonlySet<EventId>; readonly missing: readonly EventId[] } {
  const followed = new Set<EventId>(prevEvents);
  const missing: EventId[] = [];
  for (const id of followed) {
    if (followed.size > HIDDEN_WALK_MAX) break;
    if (forward.has(id)) continue;
    const found = find(id);
    if (found === undefined) missing.push(id);
    else if (found.verdict !== 'accepted') for (const prev of found.pdu.prevEvents) followed.add(prev);
  }
  return { followed, missing };
}
