// The events of one room that wait for others: which of them stand at the edge of what is known, what they lack,
// and when each is tried again.

import type { Engine } from '../../engine/engine.js';
import { type EventId, type RoomId, serverOf, type ServerName } from '../../event/ids.js';
import type { Pdu } from '../../event/pdu.js';
import { citedBy } from './outliers.js';

/** What is kept of a waiting event; the event itself lies in the horizon. */
interface Waiting {
  readonly from: ServerName;
  /** Fillings that did not help it. */
  tries: number;
  /** It is not tried before, milliseconds since 1970. */
  dueAt: number;
}

/** A waiting event that lacks something that is not waiting itself. */
export interface EdgeEvent {
  readonly pdu: Pdu;
  /** Who gave it. */
  readonly from: ServerName;
  /** Whose user sent it. */
  readonly senderServer: ServerName;
  readonly bytes: Uint8Array;
  /** Fillings that did not help it. */
  readonly tries: number;
  readonly missingPrevs: readonly EventId[];
  readonly missingAuth: readonly EventId[];
  /** It is history: nothing that is new follows from it. */
  readonly isHistory: boolean;
  /** Some of what it follows has its place. */
  readonly isMixed: boolean;
}

export class WaitingEvents {
  readonly roomId: RoomId;
  readonly #engine: Engine;
  readonly #waiting = new Map<EventId, Waiting>();

  constructor(engine: Engine, roomId: RoomId) {
    this.#engine = engine;
    this.roomId = roomId;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** The earliest time at which one of them is due; undefined when none waits. */
  get dueAt(): number | undefined {
    let earliest: number | undefined;
    for (const { dueAt } of this.#waiting.values()) {
      if (earliest === undefined || dueAt < earliest) earliest = dueAt;
    }
    return earliest;
  }

  add(eventId: EventId, from: ServerName, dueAt: number): void {
    if (!this.#waiting.has(eventId)) this.#waiting.set(eventId, { from, tries: 0, dueAt });
  }

  /** All are due now: something changed. */
  hasten(now: number): void {
    for (const waiting of this.#waiting.values()) waiting.dueAt = Math.min(waiting.dueAt, now);
  }

  /** Forgets those that wait no more. */
  prune(): void {
    const { graph } = this.#engine;
    for (const eventId of this.#waiting.keys()) {
      if (!graph.waitsForPlace(eventId)) this.#waiting.delete(eventId);
    }
  }

  /** Those at the edge that are due, oldest first, at most so many. */
  edge(now: number, max: number, isExcluded: (eventId: EventId) => boolean): EdgeEvent[] {
    const edge: EdgeEvent[] = [];
    for (const [eventId, waiting] of this.#waiting) {
      if (edge.length >= max) break;
      if (waiting.dueAt > now || isExcluded(eventId)) continue;
      const event = this.#edgeEvent(eventId, waiting);
      if (event !== undefined) edge.push(event);
    }
    return edge.sort((a, b) => a.pdu.depth - b.pdu.depth);
  }

  /** The events were tried in vain. @param delayMs until the next time, after so many */
  postpone(eventIds: Iterable<EventId>, now: number, delayMs: (tries: number) => number): void {
    for (const eventId of eventIds) {
      const waiting = this.#waiting.get(eventId);
      if (waiting !== undefined) waiting.dueAt = now + delayMs(waiting.tries++);
    }
    // Those that wait for others of them are looked at with these.
    for (const waiting of this.#waiting.values()) {
      if (waiting.dueAt <= now) waiting.dueAt = now + delayMs(waiting.tries++);
    }
  }

  /** Who gave the events that wait, and whose users sent them: worth asking again when heard again. */
  *sources(): Generator<ServerName> {
    for (const { from } of this.#waiting.values()) yield from;
  }

  #edgeEvent(eventId: EventId, { from, tries }: Waiting): EdgeEvent | undefined {
    const { graph } = this.#engine;
    const event = graph.waitingForPlace(eventId);
    if (event === undefined) return undefined;
    const { pdu, bytes, isHistory } = event;
    const missingPrevs = pdu.prevEvents.filter((id) => !graph.isPlaced(id) && !graph.waitsForPlace(id));
    const missingAuth = citedBy(pdu).filter((id) => !graph.isKnown(id) && !graph.isWaiting(id));
    if (missingPrevs.length === 0 && missingAuth.length === 0) return undefined;
    return {
      pdu,
      from,
      senderServer: serverOf(pdu.sender),
      bytes,
      tries,
      missingPrevs,
      missingAuth,
      isHistory,
      isMixed: pdu.prevEvents.some((id) => graph.isPlaced(id)),
    };
  }
}
