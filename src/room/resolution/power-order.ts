// Reverse topological power ordering: events that can take rights away, none before an event it rests on,
// and among those free to go the sender with more power first.
//
// Source: rooms/v2, "Power events", "Reverse topological power ordering", algorithm step 1. Two things are as
// other servers do them, since rooms must agree: power levels, join rules and the create event count with an
// empty state key only, and the walk from a power event goes through the full conflicted set, never around
// it.

import type { EventId } from '../../event/ids.js';
import { own } from '../../event/json.js';
import { compareCodePoints } from '../../lib/bytes.js';
import { compareLevels, type PowerLevel } from '../auth/levels.js';
import { powerLevelsOf } from '../auth/power-levels.js';
import type { TraceStep } from './contract.js';
import { isSingleton, type EventReader, type StateEvent } from './event-reader.js';
import { Heap } from './heap.js';
import type { OrderedEvent } from './iterative-auth.js';

/** What places an event in the power order. */
interface PowerRank {
  /** As the event's own auth events have it; infinite for a creator of version 12. */
  readonly senderLevel: PowerLevel;
  readonly originServerTs: number;
  readonly eventId: EventId;
}

/** Negative when `a` goes first: greater level of the sender, earlier timestamp, smaller id by code point. */
export function comparePowerRanks(a: PowerRank, b: PowerRank): number {
  const byLevel = compareLevels(b.senderLevel, a.senderLevel);
  if (byLevel !== 0) return byLevel;
  if (a.originServerTs !== b.originServerTs) return a.originServerTs < b.originServerTs ? -1 : 1;
  return compareCodePoints(a.eventId, b.eventId);
}

/** Might the event take away what someone may do? */
function isPowerEvent(event: StateEvent): boolean {
  if (event.type === 'm.room.member') {
    const membership = own(event.content, 'membership');
    return (membership === 'leave' || membership === 'ban') && event.sender !== event.stateKey;
  }
  return POWER_TYPES.some((type) => isSingleton(event, type));
}

const POWER_TYPES = ['m.room.power_levels', 'm.room.join_rules', 'm.room.create'];

/** The power events of the full conflicted set and what they rest on in it, in the order of trying. */
export function powerOrder(fullConflictedSet: ReadonlySet<EventId>, events: EventReader): OrderedEvent[] {
  const picked = pickPowerEvents(fullConflictedSet, events);
  const ranks = new Map<EventId, PowerRank>();
  const waitsFor = new Map<EventId, number>();
  const frees = new Map<EventId, EventId[]>();
  for (const [id, event] of picked) {
    const cited = new Set(events.authEventsOf(event).filter((auth) => picked.has(auth)));
    for (const auth of cited) push(frees, auth, id);
    waitsFor.set(id, cited.size);
    const senderLevel = levelOfSender(event, events);
    ranks.set(id, { senderLevel, originServerTs: event.originServerTs, eventId: id });
  }

  const free = new Heap<PowerRank>(comparePowerRanks);
  for (const [id, rank] of ranks) if (waitsFor.get(id) === 0) free.push(rank);
  const sorted: OrderedEvent[] = [];
  for (let rank = free.pop(); rank !== undefined; rank = free.pop()) {
    sorted.push({ event: events.get(rank.eventId), order: shownRank(rank) });
    for (const id of frees.get(rank.eventId) ?? []) {
      const left = (waitsFor.get(id) ?? 0) - 1;
      waitsFor.set(id, left);
      const next = ranks.get(id);
      if (left === 0 && next !== undefined) free.push(next);
    }
  }
  return sorted;
}

/** The sender's level "when looking at their respective auth_events". */
function levelOfSender(event: StateEvent, events: EventReader): PowerLevel {
  const create = events.citedSingleton(event, 'm.room.create');
  return powerLevelsOf(create, events.citedPowerLevels(event)).user(event.sender);
}

/** The rank as a trace holds it, in plain JSON: a level is left out when no number says it. */
function shownRank({ senderLevel, originServerTs }: PowerRank): TraceStep['order'] {
  if (senderLevel === Infinity) return { senderIsCreator: true, originServerTs };
  const level = Number(senderLevel);
  return Number.isFinite(level) ? { senderLevel: level, originServerTs } : { originServerTs };
}

function pickPowerEvents(
  fullConflictedSet: ReadonlySet<EventId>,
  events: EventReader,
): Map<EventId, StateEvent> {
  const picked = new Map<EventId, StateEvent>();
  const waiting: StateEvent[] = [];
  for (const id of fullConflictedSet) {
    const event = events.get(id);
    if (isPowerEvent(event)) waiting.push(event);
  }
  for (let event = waiting.pop(); event !== undefined; event = waiting.pop()) {
    if (picked.has(event.eventId)) continue;
    picked.set(event.eventId, event);
    for (const id of events.authEventsOf(event)) {
      if (fullConflictedSet.has(id)) waiting.push(events.get(id));
    }
  }
  return picked;
}

function push(lists: Map<EventId, EventId[]>, key: EventId, value: EventId): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}
