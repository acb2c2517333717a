// One room in memory: what its row says, kept in step with the events decided but not yet committed.
//
// The current state is the resolution of the states after the forward extremities, never of the state before
// and the newest event: what arrived first must not matter.

import type { EventId, RoomId } from '../../event/ids.js';
import type { Pdu } from '../../event/pdu.js';
import type { RoomVersionRules } from '../../event/rules.js';
import { compareCodePoints } from '../../lib/bytes.js';
import { assert } from '../../lib/errors.js';
import type { RoomRow, StoredVerdict } from '../../store/records.js';
import { EMPTY_ROOT } from '../../tree/tree.js';
import type { RootRef } from '../../tree/types.js';
import type { ResolvedState, StateResolver } from './state-resolver.js';
import type { RoomStates } from '../state/room-states.js';
import { type ExtremitiesChange, extremitiesAfter } from './extremities.js';
import { type EventLookup, isBackfilled, type KnownEvent } from './known-events.js';

export class Room {
  readonly roomId: RoomId;
  readonly number: number;
  readonly rules: RoomVersionRules;
  readonly createEventId: EventId;
  readonly states: RoomStates;
  readonly #resolver: StateResolver;
  readonly #known: EventLookup;
  #extremities: ReadonlySet<EventId>;
  readonly #backward: Set<EventId>;
  #current: ResolvedState;
  readonly #row: { -readonly [Name in keyof RoomRow]: RoomRow[Name] };

  constructor(
    row: RoomRow,
    rules: RoomVersionRules,
    states: RoomStates,
    known: EventLookup,
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
    this.#backward = new Set(row.backwardExtremities);
    this.#current = { root: row.root, traceId: row.traceId };
  }

  /** Forward extremities: accepted events that no accepted event follows. */
  get forwardExtremities(): ReadonlySet<EventId> {
    return this.#extremities;
  }

  /** Backward extremities: events without a place that events with one follow. */
  get backwardExtremities(): ReadonlySet<EventId> {
    return this.#backward;
  }

  /** Where in the timeline history that was fetched later begins; 0 while there is none. */
  get timelineFirst(): number {
    return this.#row.timelineFirst;
  }

  /** The greatest depth of an accepted event. */
  get depth(): number {
    return this.#row.depth;
  }

  /** The current state is not all known: a forward extremity rests on an incomplete one. */
  get isPartial(): boolean {
    return this.#row.isPartial;
  }

  /** The current state. */
  current(): ResolvedState {
    return this.#current;
  }

  /**
   * Takes a decided event into account: extremities, current state, depth, counts. When it throws, nothing
   * has changed.
   * @param outlier what was known of it until now, if it was an outlier
   * @throws ROOM_RESOLUTION_TOO_LARGE when the new current state would take too much work
   */
  add(event: KnownEvent, outlier?: KnownEvent): void {
    if (!event.isOutlier) this.#place(event);
    const { pdu, verdict } = event;
    const row = this.#row;
    if (outlier === undefined) {
      row.events++;
      if (pdu.stateKey !== undefined) row.stateEvents++;
    }
    row.rejected += Number(verdict === 'rejected') - Number(outlier?.verdict === 'rejected');
    if (verdict === 'soft_failed') row.softFailed++;
  }

  /** An event with a place: an accepted one becomes an extremity instead of all that it follows. */
  #place(event: KnownEvent): void {
    const { pdu, verdict, rewrites } = event;
    const placed = { pdu, verdict, rewrites, isBackfilled: isBackfilled(event) };
    const change = extremitiesAfter(placed, this.#extremities, this.#backward, (id) => {
      const known = this.#known.get(id);
      // A copy that is rewound knows events as well that have their place only later.
      return known?.isOutlier === false && known.seq < event.seq ? known : undefined;
    });
    if (change.forward !== this.#extremities) this.#extend(change.forward);
    this.#bound(change);
    if (verdict === 'accepted' && !isBackfilled(event))
      this.#row.depth = Math.max(this.#row.depth, pdu.depth);
    this.#row.timelineFirst = Math.min(this.#row.timelineFirst, event.timelineOrder ?? 0);
  }

  #extend(forward: ReadonlySet<EventId>): void {
    const extremities = [...forward].map((id) => this.#extremity(id));
    this.#current = this.#resolver.after(this, extremities, this.#current.root);
    this.#extremities = forward;
    this.#row.isPartial = extremities.some((event) => event.isPartial);
  }

  #bound({ backwardNew, backwardGone }: ExtremitiesChange): void {
    if (backwardGone !== undefined) this.#backward.delete(backwardGone);
    for (const id of backwardNew) this.#backward.add(id);
  }

  #extremity(id: EventId): KnownEvent {
    const event = this.#known.get(id);
    assert(event !== undefined, `forward extremity ${id} is known`);
    return event;
  }

  /**
   * The room before the first event that is known of it by way of a join: for going through what followed once more,
   * on other events and states. Counts, depth and backward extremities of the copy mean nothing.
   */
  rewound(known: EventLookup, resolver: StateResolver): Room {
    const row = {
      ...this.toRow(),
      forwardExtremities: [],
      root: EMPTY_ROOT,
      traceId: undefined,
      isPartial: false,
    };
    return new Room(row, this.rules, this.states, known, resolver);
  }

  /** Takes over what another one, which went through the same events, says of extremities and current state. */
  adopt(revised: Room): void {
    this.#extremities = revised.#extremities;
    this.#current = revised.#current;
    this.#row.isPartial = revised.#row.isPartial;
  }

  /** Notes that a verdict was revised. */
  revise(was: StoredVerdict, { verdict, pdu, timelineOrder }: KnownEvent): void {
    const row = this.#row;
    if (was === 'rejected') row.rejected--;
    if (was === 'soft_failed') row.softFailed--;
    if (verdict === 'rejected') row.rejected++;
    if (verdict === 'soft_failed') row.softFailed++;
    if (verdict === 'accepted' && (timelineOrder ?? 0) >= 0) row.depth = Math.max(row.depth, pdu.depth);
    row.timelineFirst = Math.min(row.timelineFirst, timelineOrder ?? 0);
  }

  /** A record of an internal room whose place in the history was collected: it still has its key. */
  settle(root: RootRef): void {
    this.#current = { root, traceId: undefined };
  }

  /** Events of the room were collected. */
  forget(events: number, stateEvents: number): void {
    this.#row.events -= events;
    this.#row.stateEvents -= stateEvents;
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
      backwardExtremities: [...this.#backward].sort(compareCodePoints),
      root,
      traceId,
    };
  }
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
    backwardExtremities: [],
    timelineFirst: 0,
  };
}
