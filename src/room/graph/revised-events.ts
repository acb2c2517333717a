// Known events as they will be known once a state is completed: those revised so far, over all others as they are.
//
// What is revised here is seen by nobody else until it is committed as a whole.

import type { EventId } from '../../event/ids.js';
import type { Pdu } from '../../event/pdu.js';
import type { EventLookup, KnownEvent, KnownEvents } from './known-events.js';

export class RevisedEvents implements EventLookup {
  readonly #known: KnownEvents;
  readonly #revised = new Map<EventId, KnownEvent>();

  constructor(known: KnownEvents) {
    this.#known = known;
  }

  /** Those revised so far, in their order. */
  get all(): Iterable<KnownEvent> {
    return this.#revised.values();
  }

  /** From now on the event is what this says of it. */
  set(event: KnownEvent): void {
    this.#revised.set(event.pdu.eventId, event);
  }

  get(eventId: EventId): KnownEvent | undefined {
    return this.#revised.get(eventId) ?? this.#known.get(eventId);
  }

  has(eventId: EventId): boolean {
    return this.#known.has(eventId);
  }

  pdu(eventId: EventId): Pdu | undefined {
    return this.get(eventId)?.pdu;
  }

  event(eventId: EventId): Pdu | undefined {
    return this.pdu(eventId);
  }

  isRejected(eventId: EventId): boolean {
    return this.get(eventId)?.verdict === 'rejected';
  }

  order(eventId: EventId): number {
    return this.#known.order(eventId);
  }

  *citedBy(eventId: EventId): Generator<EventId> {
    for (const { pdu } of this.#known.citers(eventId)) {
      if (!this.isRejected(pdu.eventId)) yield pdu.eventId;
    }
    // Those that could not be cited before are in no chain yet.
    for (const { pdu, verdict, revisions } of this.#revised.values()) {
      const isNew = verdict !== 'rejected' && revisions.length > 0;
      if (isNew && pdu.stateKey !== undefined && pdu.authEvents.includes(eventId)) yield pdu.eventId;
    }
  }
}
