// The events of one room held in memory, given in any order: a graph that needs no store.
//
// It is the `EventGraph` that resolution walks, and knows the order in which states can be computed: no event
// before one that it follows or cites.

import { createIdOfRoom, type EventId } from '../../event/ids.js';
import type { Pdu } from '../../event/pdu.js';
import type { EventGraph } from '../resolution/contract.js';
import { GraphCycleError, GraphMixedRoomsError, GraphReferenceError } from './errors.js';

export class EventSet implements EventGraph {
  /** In topological order, otherwise as given. */
  readonly events: readonly Pdu[];
  readonly #byId = new Map<EventId, Pdu>();
  readonly #orders = new Map<EventId, number>();
  readonly #citers = new Map<EventId, EventId[]>();
  readonly #rejected = new Set<EventId>();

  /**
   * @param events of one room, each once
   * @throws ROOM_GRAPH_MIXED_ROOMS, ROOM_GRAPH_CYCLE
   */
  constructor(events: Iterable<Pdu>) {
    for (const event of events) this.#byId.set(event.eventId, event);
    this.#requireOneRoom();
    this.events = this.#sorted();
    this.events.forEach((event, i) => this.#orders.set(event.eventId, i + 1));
    for (const event of this.events) {
      if (event.stateKey === undefined) continue;
      for (const id of event.authEvents) append(this.#citers, id, event.eventId);
    }
  }

  event(id: EventId): Pdu | undefined {
    return this.#byId.get(id);
  }

  /** The same as `event`, as the checks on receipt ask for it. */
  pdu(id: EventId): Pdu | undefined {
    return this.#byId.get(id);
  }

  isRejected(id: EventId): boolean {
    return this.#rejected.has(id);
  }

  order(id: EventId): number {
    return this.#orders.get(id) ?? 0;
  }

  *citedBy(id: EventId): Generator<EventId> {
    for (const citer of this.#citers.get(id) ?? []) if (!this.#rejected.has(citer)) yield citer;
  }

  /** Marks an event as rejected: it takes no key and authorises nothing. */
  reject(id: EventId): void {
    this.#rejected.add(id);
  }

  /** The forward extremities: events that are not rejected and that no such event follows. */
  extremities(): Pdu[] {
    const followed = new Set<EventId>();
    for (const { eventId, prevEvents } of this.events.toReversed()) {
      if (this.#rejected.has(eventId) && !followed.has(eventId)) continue;
      for (const prev of prevEvents) followed.add(prev);
    }
    return this.events.filter(({ eventId }) => !this.#rejected.has(eventId) && !followed.has(eventId));
  }

  /** Everything that state events cite must be there. @throws ROOM_GRAPH_REFERENCE_UNKNOWN */
  requireAuthEvents(): void {
    for (const event of this.events) {
      if (event.stateKey === undefined) continue;
      for (const id of authEventsOf(event)) this.#require(event, id, 'auth_events');
    }
  }

  /** Everything that events follow must be there. @throws ROOM_GRAPH_REFERENCE_UNKNOWN */
  requirePrevEvents(): void {
    for (const event of this.events) {
      for (const id of event.prevEvents) this.#require(event, id, 'prev_events');
      if (event.prevEvents.length > 0 || event.type === 'm.room.create') continue;
      throw new GraphReferenceError(`${event.eventId} names no prev_events and does not create the room`, {
        event_id: event.eventId,
      });
    }
  }

  #require({ eventId }: Pdu, id: EventId, field: string): void {
    if (this.#byId.has(id)) return;
    const message = `${eventId} names ${id} in its ${field}, which is not among the events`;
    throw new GraphReferenceError(message, { event_id: eventId, missing: id, field });
  }

  #requireOneRoom(): void {
    let first: Pdu | undefined;
    for (const event of this.#byId.values()) {
      first ??= event;
      if (event.roomId === first.roomId) continue;
      const message = `${first.eventId} is of ${first.roomId}, ${event.eventId} of ${event.roomId}`;
      throw new GraphMixedRoomsError(message, { room_id: first.roomId, other_room_id: event.roomId });
    }
  }

  #sorted(): Pdu[] {
    const waitsFor = new Map<EventId, number>();
    const frees = new Map<EventId, EventId[]>();
    const sorted: Pdu[] = [];
    for (const event of this.#byId.values()) {
      const referred = new Set(
        [...event.prevEvents, ...authEventsOf(event)].filter((id) => this.#byId.has(id)),
      );
      for (const id of referred) append(frees, id, event.eventId);
      waitsFor.set(event.eventId, referred.size);
      if (referred.size === 0) sorted.push(event);
    }
    for (const { eventId } of sorted) {
      for (const id of frees.get(eventId) ?? []) {
        const left = (waitsFor.get(id) ?? 0) - 1;
        waitsFor.set(id, left);
        const event = this.#byId.get(id);
        if (left === 0 && event !== undefined) sorted.push(event);
      }
    }
    if (sorted.length === this.#byId.size) return sorted;
    const [stuck] = [...waitsFor].find(([, left]) => left > 0) ?? [];
    throw new GraphCycleError(`${stuck} refers to itself, directly or through others`, { event_id: stuck });
  }
}

/** What an event cites; from version 12 its room's create event too. */
function authEventsOf(event: Pdu): readonly EventId[] {
  if (!event.rules.authorisation.createIsImplied || event.type === 'm.room.create') return event.authEvents;
  return [...event.authEvents, createIdOfRoom(event.roomId)];
}

function append(lists: Map<EventId, EventId[]>, key: EventId, value: EventId): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}
