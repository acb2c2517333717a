// Events in an order in which none comes before one that it cites; those that have no such order are named.

import type { EventId } from '../event/ids.js';

/** What is asked of an event. */
export interface Citing {
  readonly eventId: EventId;
  /** All that it cites; in room versions where the create event is implied, that too. */
  readonly authEvents: readonly EventId[];
}

export interface AuthOrder<Event> {
  readonly sorted: readonly Event[];
  /** Those that cite what is nowhere, directly or through others, and what that is. */
  readonly missing: ReadonlyArray<{ readonly event: Event; readonly cited: EventId }>;
  /** Those that cite themselves, directly or through others, and those that cite such. */
  readonly circular: readonly Event[];
}

/**
 * Sorts events by what they cite, otherwise as given. Linear in events and citations.
 * @param isKnown are events that are not among the given ones known?
 */
export function authOrder<Event extends Citing>(
  events: ReadonlyMap<EventId, Event>,
  isKnown: (id: EventId) => boolean,
): AuthOrder<Event> {
  const waitsFor = new Map<EventId, number>();
  const citers = new Map<EventId, Event[]>();
  const missing = new Map<EventId, { event: Event; cited: EventId }>();
  const sorted: Event[] = [];
  for (const event of events.values()) {
    let count = 0;
    for (const cited of new Set(event.authEvents)) {
      if (events.has(cited)) {
        count++;
        const list = citers.get(cited);
        if (list === undefined) citers.set(cited, [event]);
        else list.push(event);
      } else if (!isKnown(cited) && !missing.has(event.eventId)) {
        missing.set(event.eventId, { event, cited });
      }
    }
    waitsFor.set(event.eventId, count);
    if (count === 0 && !missing.has(event.eventId)) sorted.push(event);
  }
  // What cites a missing event is missing to its citers: the map grows while it is walked.
  for (const { event } of missing.values()) {
    for (const citer of citers.get(event.eventId) ?? []) {
      if (!missing.has(citer.eventId)) missing.set(citer.eventId, { event: citer, cited: event.eventId });
    }
  }
  for (const { eventId } of sorted) {
    for (const citer of citers.get(eventId) ?? []) {
      const left = (waitsFor.get(citer.eventId) ?? 0) - 1;
      waitsFor.set(citer.eventId, left);
      if (left === 0 && !missing.has(citer.eventId)) sorted.push(citer);
    }
  }
  const placed = new Set(sorted);
  const circular = [...events.values()].filter((event) => !placed.has(event) && !missing.has(event.eventId));
  return { sorted, missing: [...missing.values()], circular };
}
