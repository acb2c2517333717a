// The horizon: events that wait for others they refer to, and who waits for what.
//
// The rows lie in a durable queue, so that what waits survives a restart; in memory is only who waits for
// which id. It is bounded in events and bytes: beyond that an event is turned away, not half-kept.

import type { EventId, RoomId } from '../../event/ids.js';
import type { RoomVersion } from '../../event/rules.js';
import type { QueueChange } from '../../store/commit-group.js';
import type { Store } from '../../store/store.js';

export const HORIZON_QUEUE = 'horizon';

/** A waiting event as it lies in the queue. It has passed the checks of form and signatures. */
export interface HorizonRow {
  readonly roomId: RoomId;
  readonly roomVersion: RoomVersion;
  readonly eventId: EventId;
  readonly missing: readonly EventId[];
  /** Those of them that must get a place: to be known as outliers is not enough. */
  readonly missingPlaces?: readonly EventId[];
  readonly isRedacted: boolean;
  readonly receivedFrom: string;
  readonly receivedAt: number;
  readonly asOutlier: boolean;
  readonly givenState: readonly EventId[] | undefined;
  readonly backfilled?: boolean;
  readonly rewrites?: boolean;
  readonly isPartial?: boolean;
  readonly bytes: Uint8Array;
}

/** An event that waits, as it is told to whoever may bring what is missing. */
export interface WaitingEvent {
  readonly roomId: RoomId;
  readonly eventId: EventId;
  readonly missing: readonly EventId[];
  readonly receivedFrom: string;
}

export interface HorizonLimits {
  readonly eventsMax: number;
  readonly bytesMax: number;
  /** Events of one room; without it, as many as there may be at all. */
  readonly eventsOfRoomMax?: number;
}

const DEFAULT_HORIZON_LIMITS: HorizonLimits = { eventsMax: 100_000, bytesMax: 512 * 1024 * 1024 };

interface Waiting {
  readonly eventId: EventId;
  readonly roomId: RoomId;
  readonly missing: Set<EventId>;
  readonly places: ReadonlySet<EventId>;
  readonly asOutlier: boolean;
  readonly receivedFrom: string;
  readonly bytes: number;
}

const NONE: ReadonlySet<EventId> = new Set();

export class Horizon {
  readonly #limits: HorizonLimits;
  readonly #waiting = new Map<number, Waiting>();
  /** An event may wait for its place and, so that it can be known before that, to be an outlier. */
  readonly #places = new Map<EventId, number>();
  readonly #outliers = new Map<EventId, number>();
  readonly #waiters = new Map<EventId, Set<number>>();
  readonly #countOfRoom = new Map<RoomId, number>();
  #bytes = 0;

  constructor(limits: HorizonLimits = DEFAULT_HORIZON_LIMITS) {
    this.#limits = limits;
  }

  /** Reads who waits for what from the queue, after a start. */
  async load(store: Store): Promise<void> {
    for await (const [position, row] of store.queue<HorizonRow>(HORIZON_QUEUE)) this.#note(position, row);
  }

  /** How many events wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /** How many events of a room wait. */
  sizeOf(roomId: RoomId): number {
    return this.#countOfRoom.get(roomId) ?? 0;
  }

  /** Does it wait, for its place or to be an outlier? */
  has(eventId: EventId): boolean {
    return this.#places.has(eventId) || this.#outliers.has(eventId);
  }

  /** Where an event lies in the queue that waits for its place, or to be an outlier. */
  positionOf(eventId: EventId, asOutlier: boolean): number | undefined {
    return (asOutlier ? this.#outliers : this.#places).get(eventId);
  }

  /** Does an event wait at this position? */
  holds(position: number): boolean {
    return this.#waiting.has(position);
  }

  /** What the event at a position waits for. */
  missingAt(position: number): readonly EventId[] {
    return [...(this.#waiting.get(position)?.missing ?? NONE)];
  }

  /** All that wait, in the order in which they came. */
  *waiting(): Generator<WaitingEvent> {
    for (const { roomId, eventId, missing, receivedFrom } of this.#waiting.values()) {
      yield { roomId, eventId, missing: [...missing], receivedFrom };
    }
  }

  /** The ids that are waited for and are not waiting themselves: what a server would be asked for. */
  *missing(): Generator<EventId> {
    for (const id of this.#waiters.keys()) if (!this.has(id)) yield id;
  }

  /** Puts an event aside; undefined when the horizon is full, or the part of it that a room may have. */
  add(position: number, row: HorizonRow): QueueChange | undefined {
    const { eventsMax, bytesMax, eventsOfRoomMax = eventsMax } = this.#limits;
    const full =
      this.#waiting.size >= eventsMax ||
      this.#bytes + row.bytes.length > bytesMax ||
      this.sizeOf(row.roomId) >= eventsOfRoomMax;
    if (full) return undefined;
    this.#note(position, row);
    return { queue: HORIZON_QUEUE, position, value: row };
  }

  #note(position: number, row: HorizonRow): void {
    const { eventId, roomId, asOutlier, receivedFrom, bytes } = row;
    const missing = new Set(row.missing);
    const places = row.missingPlaces === undefined ? NONE : new Set(row.missingPlaces);
    this.#waiting.set(position, {
      eventId,
      roomId,
      missing,
      places,
      asOutlier,
      receivedFrom,
      bytes: bytes.length,
    });
    (asOutlier ? this.#outliers : this.#places).set(eventId, position);
    this.#bytes += bytes.length;
    this.#countOfRoom.set(roomId, this.sizeOf(roomId) + 1);
    for (const id of row.missing) {
      const waiters = this.#waiters.get(id);
      if (waiters === undefined) this.#waiters.set(id, new Set([position]));
      else waiters.add(position);
    }
  }

  /** An id is known now, with a place or without: gives the positions of those that wait for nothing more. */
  arrived(eventId: EventId, hasPlace: boolean): number[] {
    const waiters = this.#waiters.get(eventId);
    if (waiters === undefined) return [];
    const ready: number[] = [];
    for (const position of waiters) {
      const waiting = this.#waiting.get(position);
      if (waiting?.places.has(eventId) === true && !hasPlace) continue;
      waiters.delete(position);
      waiting?.missing.delete(eventId);
      if (waiting?.missing.size === 0) ready.push(position);
    }
    if (waiters.size === 0) this.#waiters.delete(eventId);
    return ready;
  }

  /** After a start: those whose missing events are all known by now. */
  settle(
    find: (eventId: EventId) => { readonly isOutlier: boolean } | undefined,
  ): Array<{ readonly position: number; readonly roomId: RoomId }> {
    for (const id of this.#waiters.keys()) {
      const known = find(id);
      if (known !== undefined) this.arrived(id, !known.isOutlier);
    }
    return [...this.#waiting]
      .filter(([, { missing }]) => missing.size === 0)
      .map(([position, { roomId }]) => ({ position, roomId }));
  }

  /** Takes an event out; its row goes with the commit of what became of it. */
  take(position: number): QueueChange {
    const waiting = this.#waiting.get(position);
    if (waiting !== undefined) {
      this.#waiting.delete(position);
      (waiting.asOutlier ? this.#outliers : this.#places).delete(waiting.eventId);
      this.#bytes -= waiting.bytes;
      const left = this.sizeOf(waiting.roomId) - 1;
      if (left > 0) this.#countOfRoom.set(waiting.roomId, left);
      else this.#countOfRoom.delete(waiting.roomId);
      for (const id of waiting.missing) {
        const waiters = this.#waiters.get(id);
        waiters?.delete(position);
        if (waiters?.size === 0) this.#waiters.delete(id);
      }
    }
    return { queue: HORIZON_QUEUE, position, value: undefined };
  }
}
