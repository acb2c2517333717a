// Mainline ordering: what power order leaves, by how old the power levels are that an event rests on.
//
// Source: rooms/v2, "Mainline ordering". The mainline is read only as far down as a position asks for it:
// order falls along it, so an event newer than where we stand and not met is not on it. An event with no
// ancestor on the mainline goes before all that have one; that is not the same as resting on its oldest
// event.

import type { EventId } from '../../event/ids.js';
import { compareCodePoints } from '../../lib/bytes.js';
import type { EventReader, StateEvent } from './event-reader.js';
import type { OrderedEvent } from './iterative-auth.js';

/** What places an event in the mainline order. */
interface MainlineRank {
  /** 0 is the newest on the mainline; infinite when no ancestor is on it. */
  readonly position: number;
  readonly originServerTs: number;
  readonly eventId: EventId;
}

/** Negative when `a` goes first: greater position, earlier timestamp, smaller id by code point. */
export function compareMainlineRanks(a: MainlineRank, b: MainlineRank): number {
  if (a.position !== b.position) return a.position > b.position ? -1 : 1;
  if (a.originServerTs !== b.originServerTs) return a.originServerTs < b.originServerTs ? -1 : 1;
  return compareCodePoints(a.eventId, b.eventId);
}

/** The power levels from the given ones back to the first, each cited by the one before it. */
export class Mainline {
  readonly #events: EventReader;
  readonly #positions = new Map<EventId, number>();
  readonly #ancestors = new Map<EventId, number>();
  #oldestRead: StateEvent | undefined;
  #next: StateEvent | undefined;

  constructor(events: EventReader, newest: EventId | undefined) {
    this.#events = events;
    this.#next = newest === undefined ? undefined : events.get(newest);
  }

  /** What has been read of it, newest first. */
  get read(): EventId[] {
    return [...this.#positions.keys()];
  }

  /** The place of the first power levels on the mainline that the event rests on, or Infinity. */
  positionOf(event: StateEvent): number {
    const passed: EventId[] = [];
    const met = new Set<EventId>();
    let position = Infinity;
    let at = this.#events.citedPowerLevels(event);
    while (at !== undefined && !met.has(at.eventId)) {
      const known = this.#placeOf(at.eventId) ?? this.#ancestors.get(at.eventId);
      if (known !== undefined) {
        position = known;
        break;
      }
      met.add(at.eventId);
      passed.push(at.eventId);
      at = this.#events.citedPowerLevels(at);
    }
    for (const id of passed) this.#ancestors.set(id, position);
    return position;
  }

  /** The place of power levels on the mainline, undefined when they are not on it. */
  #placeOf(id: EventId): number | undefined {
    const order = this.#events.order(id);
    while (this.#next !== undefined) {
      if (this.#oldestRead !== undefined && this.#events.order(this.#oldestRead.eventId) <= order) break;
      const { eventId } = this.#next;
      if (this.#positions.has(eventId)) break;
      this.#positions.set(eventId, this.#positions.size);
      this.#oldestRead = this.#next;
      this.#next = this.#events.citedPowerLevels(this.#next);
    }
    return this.#positions.get(id);
  }
}

/** The events in the order in which they are tried. */
export function mainlineOrder(
  ids: Iterable<EventId>,
  mainline: Mainline,
  events: EventReader,
): OrderedEvent[] {
  const ranked: MainlineRank[] = [];
  for (const eventId of ids) {
    const event = events.get(eventId);
    ranked.push({ position: mainline.positionOf(event), originServerTs: event.originServerTs, eventId });
  }
  ranked.sort(compareMainlineRanks);
  return ranked.map(({ position, originServerTs, eventId }) => {
    const placed = position === Infinity ? {} : { mainlinePosition: position };
    return { event: events.get(eventId), order: { ...placed, originServerTs } };
  });
}
