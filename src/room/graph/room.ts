// One room in memory: what its row says, kept in step with the events decided but not yet committed.
//
// The current state is the resolution of the states after the forward extremities, never of the state before
// and the newest event: what arrived first must not matter.

import type { EventId, RoomId } from '../../event/ids.js';
import type { Pdu } from '../../event/pdu.js';
import type { RoomVersionRules } from '../../event/rules.js';
import { compareCodePoints } from '../../lib/bytes.js';
import { assert } from '../../lib/errors.js';
import type { RoomRow } from '../../store/records.js';
import { EMPTY_ROOT } from '../../tree/tree.js';
import type { ResolvedState, StateResolver } from './state-resolver.js';
import type { RoomStates } from '../state/room-states.js';
import type { KnownEvent, KnownEvents } from './known-events.js';

/** Soft-failed and rejected events between an event and the extremities it follows: walked so far at most. */
const HIDDEN_WALK_MAX = 10_000;

export class Room {
  readonly roomId: RoomId;
  readonly number: number;
  readonly rules: RoomVersionRules;
  readonly createEventId: EventId;
  readonly states: RoomStates;
  readonly #resolver: StateResolver;
  readonly #known: KnownEvents;
  #extremities: Set<EventId>;
  #current: ResolvedState;
  readonly #row: { -readonly [Name in keyof RoomRow]: RoomRow[Name] };

  constructor(
    row: RoomRow,
    rules: RoomVersionRules,
    states: RoomStates,
    known: KnownEvents,
    resolver: StateResolver,
  ) {
    this.roomId = row.roomId;
    this.number = row.number;
    this.rules = rules;
    this.createEventId = row.createEventId;
    this.states = states;
    this.#known = known;
    this.#resolver = resolver;
    this.#row = { ...row };
    this.#extremities = new Set(row.forwardExtremities);
    this.#current = { root: row.root, traceId: row.traceId };
  }

  /** Forward extremities: accepted events that no accepted event follows. */
  get forwardExtremities(): ReadonlySet<EventId> {
    return this.#extremities;
  }

  /** The greatest depth of an accepted event. */
  get depth(): number {
    return this.#row.depth;
  }

  /** The current state. */
  current(): ResolvedState {
    return this.#current;
  }

  /**
   * Takes a decided event into account: extremities, current state, depth, counts. When it throws, nothing
   * has changed.
   * @throws ROOM_RESOLUTION_TOO_LARGE when the new current state would take too much work
   */
  add(event: KnownEvent): void {
    if (event.verdict === 'accepted' && !event.isOutlier) this.#extend(event);
    const { pdu, verdict } = event;
    const row = this.#row;
    row.events++;
    if (pdu.stateKey !== undefined) row.stateEvents++;
    if (verdict === 'rejected') row.rejected++;
    if (verdict === 'soft_failed') row.softFailed++;
    if (event.isPartial) row.isPartial = true;
  }

  #extend(event: KnownEvent): void {
    const extremities = this.#extremitiesAfter(event);
    this.#current = this.#resolver.after(this, extremities);
    this.#extremities = new Set(extremities.map(({ pdu: { eventId } }) => eventId));
    this.#row.depth = Math.max(this.#row.depth, event.pdu.depth);
  }

  /** The event becomes an extremity in place of all that it follows, directly or through hidden events. */
  #extremitiesAfter(event: KnownEvent): KnownEvent[] {
    const followed = followedBy(event.pdu.prevEvents, this.#extremities, (id) => this.#known.get(id));
    const staying = [...this.#extremities].filter((id) => !followed.has(id));
    return [...staying.map((id) => this.#extremity(id)), event];
  }

  #extremity(id: EventId): KnownEvent {
    const event = this.#known.get(id);
    assert(event !== undefined, `forward extremity ${id} is known`);
    return event;
  }

  /** Notes state resets that a merge brought about. */
  addStateResets(count: number): void {
    this.#row.stateResets += count;
  }

  /** The room as it is to be stored. */
  toRow(): RoomRow {
    const { root, traceId } = this.#current;
    return {
      ...this.#row,
      forwardExtremities: [...this.#extremities].sort(compareCodePoints),
      root,
      traceId,
    };
  }
}

/**
 * The events that one with these predecessors follows, seen through soft-failed and rejected ones, which are no
 * extremities.
 */
export function followedBy(
  prevEvents: readonly EventId[],
  extremities: ReadonlySet<EventId>,
  find: (id: EventId) => Pick<KnownEvent, 'verdict' | 'pdu'> | undefined,
): Set<EventId> {
  const followed = new Set<EventId>(prevEvents);
  for (const id of followed) {
    if (followed.size > HIDDEN_WALK_MAX) break;
    const known = extremities.has(id) ? undefined : find(id);
    if (known === undefined || known.verdict === 'accepted') continue;
    for (const prev of known.pdu.prevEvents) followed.add(prev);
  }
  return followed;
}

/** The row of a room that its create event begins. */
export function newRoomRow(pdu: Pdu, number: number): RoomRow {
  return {
    roomId: pdu.roomId,
    number,
    version: pdu.rules.version,
    createEventId: pdu.eventId,
    forwardExtremities: [],
    root: EMPTY_ROOT,
    traceId: undefined,
    depth: 0,
    events: 0,
    stateEvents: 0,
    rejected: 0,
    softFailed: 0,
    stateResets: 0,
    isPartial: false,
  };
}
