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
  readonly isRedacted: boolean;
  readonly receivedFrom: string;
  readonly receivedAt: number;
  readonly asOutlier: boolean;
  readonly givenState: readonly EventId[] | undefined;
  readonly bytes: Uint8Array;
}

export interface HorizonLimits {
  readonly eventsMax: number;
  readonly bytesMax: number;
}

const DEFAULT_HORIZON_LIMITS: HorizonLimits = { eventsMax: 100_000, bytesMax: 512 * 1024 * 1024 };

interface Waiting {
  readonly eventId: EventId;
  readonly roomId: RoomId;
  readonly missing: Set<EventId>;
  readonly bytes: number;
}

export class Horizon {
  readonly #limits: HorizonLimits;
  readonly #waiting = new Map<number, Waiting>();
  readonly #positions = new Map<EventId, number>();
  readonly #waiters = new Map<EventId, Set<number>>();
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

  /** How many events of a room wait. Costs the horizon's size. */
  sizeOf(roomId: RoomId): number {
    let count = 0;
    for (const waiting of this.#waiting.values()) if (waiting.roomId === roomId) count++;
    return count;
  }

  has(eventId: EventId): boolean {
    return this.#positions.has(eventId);
  }

  /** The ids that are waited for and are not waiting themselves: what a server would be asked for. */
  *missing(): Generator<EventId> {
    for (const id of this.#waiters.keys()) if (!this.#positions.has(id)) yield id;
  }

  /** Puts an event aside; undefined when the horizon is full. */
  add(position: number, row: HorizonRow): QueueChange | undefined {
    const full =
      this.#waiting.size >= this.#limits.eventsMax || this.#bytes + row.bytes.length > this.#limits.bytesMax;
    if (full) return undefined;
    this.#note(position, row);
    return { queue: HORIZON_QUEUE, position, value: row };
  }

  #note(position: number, row: HorizonRow): void {
    const { eventId, roomId, bytes } = row;
    this.#waiting.set(position, { eventId, roomId, missing: new Set(row.missing), bytes: bytes.length });
    this.#positions.set(eventId, position);
    this.#bytes += bytes.length;
    for (const id of row.missing) {
      const waiters = this.#waiters.get(id);
      if (waiters === undefined) this.#waiters.set(id, new Set([position]));
      else waiters.add(position);
    }
  }

  /** An id is known now: gives the positions of those that wait for nothing more. */
  arrived(eventId: EventId): number[] {
    const waiters = this.#waiters.get(eventId);
    if (waiters === undefined) return [];
    this.#waiters.delete(eventId);
    const ready: number[] = [];
    for (const position of waiters) {
      const waiting = this.#waiting.get(position);
      if (waiting === undefined) continue;
      waiting.missing.delete(eventId);
      if (waiting.missing.size === 0) ready.push(position);
    }
    return ready;
  }

  /** After a start: those whose missing events are all known by now. */
  settle(
    isKnown: (eventId: EventId) => boolean,
  ): Array<{ readonly position: number; readonly roomId: RoomId }> {
    for (const id of this.#waiters.keys()) if (isKnown(id)) this.arrived(id);
    return [...this.#waiting]
      .filter(([, { missing }]) => missing.size === 0)
      .map(([position, { roomId }]) => ({ position, roomId }));
  }

  /** Takes an event out; its row goes with the commit of what became of it. */
  take(position: number): QueueChange {
    const waiting = this.#waiting.get(position);
    if (waiting !== undefined) {
      this.#waiting.delete(position);
      this.#positions.delete(waiting.eventId);
      this.#bytes -= waiting.bytes;
      for (const id of waiting.missing) {
        const waiters = this.#waiters.get(id);
        waiters?.delete(position);
        if (waiters?.size === 0) this.#waiters.delete(id);
      }
    }
    return { queue: HORIZON_QUEUE, position, value: undefined };
  }
}
