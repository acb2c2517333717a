// Gaps: events that refer to others which are not here. They wait in the engine's horizon, durably; this sees to
// it that what they wait for is fetched, one filling at a time in a room, for all of its events together.
//
//   noticed ─ a little patience ─▶ filling ─┬▶ filled
//                                           └▶ tried again later: longer each time, at once when a server that
//                                              could help is heard again, and after a restart

import type { Engine } from '../../engine/engine.js';
import type { EventId, RoomId, ServerName } from '../../event/ids.js';
import { toError } from '../../lib/errors.js';
import { Gate } from '../../lib/gate.js';
import type { Destinations } from '../destinations.js';
import type { KeyRing } from '../identity/key-ring.js';
import type { FederationParts } from '../parts.js';
import type { RemoteServers } from '../requests.js';
import { type Backfilled, backfill } from './backfill.js';
import { Effort } from './effort.js';
import { Filler } from './filler.js';
import { GAP_OPTIONS, type GapOptions } from './options.js';
import { WaitingEvents } from './waiting-events.js';

export interface GapParts extends Pick<FederationParts, 'serverName' | 'now' | 'random' | 'after' | 'log'> {
  readonly engine: Engine;
  readonly remote: RemoteServers;
  readonly keyRing: Pick<KeyRing, 'fetchFor'>;
  readonly destinations: Pick<Destinations, 'isBackingOff' | 'onRecovered'>;
  /** Servers with somebody in the room. */
  readonly serversOf: (roomId: RoomId) => Iterable<ServerName>;
  /** Is the event one that must not be taken in again, whoever gives it? */
  readonly isGivenUp: (eventId: EventId) => boolean;
  readonly gapOptions?: Partial<GapOptions>;
}

interface RoomGaps {
  readonly waiting: WaitingEvents;
  filling: Promise<void> | undefined;
  /** Ends the waiting for the next filling. */
  cancel: () => void;
}

export class Gaps {
  readonly #parts: GapParts;
  readonly #options: GapOptions;
  readonly #rooms = new Map<RoomId, RoomGaps>();
  readonly #backfills = new Map<RoomId, Promise<Backfilled>>();
  readonly #gate: Gate;
  readonly #ending = new AbortController();
  readonly #stopListening: () => void;

  private constructor(parts: GapParts) {
    this.#parts = parts;
    this.#options = { ...GAP_OPTIONS, ...parts.gapOptions };
    this.#gate = new Gate(this.#options.roomsAtOnce);
    this.#stopListening = parts.destinations.onRecovered((server) => this.#recovered(server));
  }

  /** Takes up the gaps that were left before a restart. */
  static async open(parts: GapParts): Promise<Gaps> {
    const gaps = new Gaps(parts);
    for (const { roomId, eventId, receivedFrom } of parts.engine.waiting()) {
      gaps.noticed({ roomId, eventId, from: receivedFrom as ServerName });
    }
    return gaps;
  }

  /** Rooms with gaps, and events that wait in them. */
  get depths(): { readonly rooms: number; readonly events: number; readonly filling: number } {
    let events = 0;
    let filling = 0;
    for (const room of this.#rooms.values()) {
      events += room.waiting.size;
      if (room.filling !== undefined) filling++;
    }
    return { rooms: this.#rooms.size, events, filling };
  }

  /** An event waits for others that may have to be fetched. */
  noticed({
    roomId,
    eventId,
    from,
  }: {
    readonly roomId: RoomId;
    readonly eventId: EventId;
    readonly from: ServerName;
  }): void {
    if (this.#ending.signal.aborted) return;
    const room = this.#room(roomId);
    room.waiting.add(eventId, from, this.#parts.now() + this.#options.patienceMs);
    if (room.filling === undefined) this.#schedule(room);
  }

  /** Fills a room's gaps now, or joins the filling that is under way; resolves when it has ended. */
  async fill(roomId: RoomId): Promise<void> {
    const room = this.#rooms.get(roomId);
    if (room === undefined || this.#ending.signal.aborted) return;
    room.waiting.hasten(this.#parts.now());
    await this.#fill(room);
  }

  /**
   * Fetches what came before the oldest events of a room that are known. One at a time in a room; who asks
   * meanwhile waits for the same.
   * @param limit events at most
   */
  backfill(roomId: RoomId, limit: number): Promise<Backfilled> {
    const underWay = this.#backfills.get(roomId);
    if (underWay !== undefined) return underWay;
    const { backfillTimeoutMs, backfillEventsMax } = this.#options;
    const effort = new Effort(this.#effortParts(), roomId, this.#ending.signal, backfillTimeoutMs);
    const filling = backfill(
      { ...this.#parts, options: this.#options },
      effort,
      Math.min(limit, backfillEventsMax),
    ).finally(() => this.#backfills.delete(roomId));
    this.#backfills.set(roomId, filling);
    return filling;
  }

  /** Resolves when nothing is being fetched. */
  async idle(): Promise<void> {
    for (;;) {
      const underWay = [
        ...[...this.#rooms.values()].flatMap(({ filling }) => filling ?? []),
        ...this.#backfills.values(),
      ];
      if (underWay.length === 0) return;
      await Promise.allSettled(underWay);
    }
  }

  /** Ends what is under way; what waits stays in the horizon. */
  async close(): Promise<void> {
    this.#ending.abort();
    this.#stopListening();
    for (const { cancel } of this.#rooms.values()) cancel();
    await this.idle();
  }

  #room(roomId: RoomId): RoomGaps {
    const existing = this.#rooms.get(roomId);
    if (existing !== undefined) return existing;
    const waiting = new WaitingEvents(this.#parts.engine, roomId);
    const room: RoomGaps = { waiting, filling: undefined, cancel: () => undefined };
    this.#rooms.set(roomId, room);
    return room;
  }

  /** The next filling, when the first of the events is due; none for a room in which nothing waits. */
  #schedule(room: RoomGaps): void {
    room.cancel();
    const { dueAt } = room.waiting;
    if (dueAt === undefined) {
      this.#rooms.delete(room.waiting.roomId);
      return;
    }
    if (this.#ending.signal.aborted) return;
    const delayMs = Math.max(0, dueAt - this.#parts.now());
    room.cancel = this.#parts.after(delayMs, () => void this.#fill(room));
  }

  #fill(room: RoomGaps): Promise<void> {
    room.filling ??= this.#fillRoom(room).finally(() => {
      room.filling = undefined;
      this.#schedule(room);
    });
    return room.filling;
  }

  async #fillRoom({ waiting, cancel }: RoomGaps): Promise<void> {
    cancel();
    await this.#gate.enter(1);
    const { now, log } = this.#parts;
    const { roomId } = waiting;
    const effort = new Effort(this.#effortParts(), roomId, this.#ending.signal, this.#options.fillTimeoutMs);
    try {
      const filler = new Filler({ ...this.#parts, options: this.#options }, effort, waiting);
      const stuck = await filler.fill();
      waiting.prune();
      waiting.postpone(stuck, now(), (tries) => this.#delayMs(tries));
      log.debug({ room: roomId, requests: effort.requests, waiting: waiting.size }, 'gaps were filled');
    } catch (cause) {
      waiting.postpone([], now(), (tries) => this.#delayMs(tries));
      if (!this.#ending.signal.aborted)
        log.warn({ room: roomId, err: toError(cause) }, 'gaps were not filled');
    } finally {
      this.#gate.leave(1);
    }
  }

  #delayMs(tries: number): number {
    const { retryMs, retryMsMax } = this.#options;
    return Math.min(retryMsMax, retryMs * 2 ** Math.min(tries, 30)) * (0.8 + 0.4 * this.#parts.random());
  }

  /** A server that failed is heard again: rooms that it may help with are tried at once. */
  #recovered(server: ServerName): void {
    const now = this.#parts.now();
    for (const room of this.#rooms.values()) {
      if (room.filling !== undefined || !this.#mayHelp(server, room)) continue;
      room.waiting.hasten(now);
      this.#schedule(room);
    }
  }

  #mayHelp(server: ServerName, { waiting }: RoomGaps): boolean {
    for (const source of waiting.sources()) if (source === server) return true;
    for (const other of this.#parts.serversOf(waiting.roomId)) if (other === server) return true;
    return false;
  }

  #effortParts() {
    return { ...this.#parts, options: this.#options };
  }
}
