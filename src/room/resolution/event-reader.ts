// The events of one resolution: each read once, counted, and never more than the limit.

import type { EventId } from '../../event/ids.js';
import type { Pdu } from '../../event/pdu.js';
import { ResolutionEventUnknownError, ResolutionTooLargeError } from './errors.js';
import type { EventGraph } from './contract.js';

/** A state event: resolution knows no others. */
export type StateEvent = Pdu & { readonly stateKey: string };

/** Is the event of this type, with an empty state key? */
export function isSingleton(event: StateEvent, type: string): boolean {
  return event.type === type && event.stateKey === '';
}

/** Reads state events through a cache. Message events count as unknown: no state or auth chain holds one. */
export class EventReader {
  readonly #graph: EventGraph;
  readonly #eventsMax: number;
  readonly #events = new Map<EventId, StateEvent | undefined>();
  readonly #powerLevels = new Map<EventId, StateEvent | undefined>();

  constructor(graph: EventGraph, eventsMax: number) {
    this.#graph = graph;
    this.#eventsMax = eventsMax;
  }

  /** How many distinct events were read. */
  get eventsRead(): number {
    return this.#events.size;
  }

  /**
   * The state event, or undefined when it is not known.
   * @throws ROOM_RESOLUTION_TOO_LARGE when the limit of events is reached
   */
  find(id: EventId): StateEvent | undefined {
    const cached = this.#events.get(id);
    if (cached !== undefined || this.#events.has(id)) return cached;
    if (this.#events.size >= this.#eventsMax) {
      throw new ResolutionTooLargeError(`state resolution needs more than ${this.#eventsMax} events`, {
        eventsMax: this.#eventsMax,
        eventId: id,
      });
    }
    const event = this.#graph.event(id);
    const found = event !== undefined && isStateEvent(event) ? event : undefined;
    this.#events.set(id, found);
    return found;
  }

  /** The state event. @throws ROOM_RESOLUTION_EVENT_UNKNOWN when it is not known */
  get(id: EventId): StateEvent {
    const event = this.find(id);
    if (event === undefined) {
      throw new ResolutionEventUnknownError(
        `a state to be resolved names ${id}, which is no known state event`,
        {
          eventId: id,
        },
      );
    }
    return event;
  }

  /** What an event rests on. In version 12 the room id implies the create event: all count as citing it. */
  authEventsOf(event: StateEvent): readonly EventId[] {
    if (!event.rules.authorisation.createIsImplied || isSingleton(event, 'm.room.create'))
      return event.authEvents;
    return [...event.authEvents, `$${event.roomId.slice(1)}` as EventId];
  }

  /** The event's auth event of this type with an empty state key, when it cites a known one. */
  citedSingleton(event: StateEvent, type: string): StateEvent | undefined {
    for (const id of this.authEventsOf(event)) {
      const cited = this.find(id);
      if (cited !== undefined && isSingleton(cited, type)) return cited;
    }
    return undefined;
  }

  /** The power levels among the event's auth events: one step along a mainline. */
  citedPowerLevels(event: StateEvent): StateEvent | undefined {
    const { eventId } = event;
    if (!this.#powerLevels.has(eventId)) {
      this.#powerLevels.set(eventId, this.citedSingleton(event, 'm.room.power_levels'));
    }
    return this.#powerLevels.get(eventId);
  }

  /** May the event be used to authorise others? Rejected ones never are (rooms/v2, "Rejected events"). */
  isRejected(id: EventId): boolean {
    return this.#graph.isRejected(id);
  }

  order(id: EventId): number {
    return this.#graph.order(id);
  }

  citedBy(id: EventId): Iterable<EventId> {
    return this.#graph.citedBy(id);
  }
}

function isStateEvent(event: Pdu): event is StateEvent {
  return event.stateKey !== undefined;
}
