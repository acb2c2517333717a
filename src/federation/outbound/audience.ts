// The servers of a room, which hear the same events, and the events that wait for some of them: one list for all.
//
//   events   7 ─ 8 ─ 9 ─ 12        alpha   up to date: it is told of the next
//                ▲                 beta    waits, from 8 on
//              beta                gamma   behind: it knows that it missed something, and waits for nothing
//
// An event takes one place, and costs a step for each server that is up to date. Who waits already, or is behind,
// costs nothing, and those are the servers that do not answer: a room may have thousands of them.

import type { RoomId, ServerName } from '../../event/ids.js';
import type { EventItem } from './items.js';

/** So many events are added before it is looked again at who waits for too many. */
const LOOKED_AT_EVERY = 64;

export class Audience {
  readonly servers: ReadonlySet<ServerName>;
  readonly #upToDate: Set<ServerName>;
  /** The place from which on a server waits. */
  readonly #waiting = new Map<ServerName, number>();
  #events: EventItem[] = [];
  /** Places before the first of the list. */
  #dropped = 0;
  #newest: EventItem | undefined;

  constructor(servers: ReadonlySet<ServerName>) {
    this.servers = servers;
    this.#upToDate = new Set(servers);
  }

  /** The last that was added. */
  get newest(): EventItem | undefined {
    return this.#newest;
  }

  /** Nobody waits, and nobody is behind. */
  get isQuiet(): boolean {
    return this.#upToDate.size === this.servers.size;
  }

  /**
   * Takes the next event.
   * @returns who is up to date but for it, to be said of each whether it waits; who does not is told of the next
   */
  add(event: EventItem): Iterable<ServerName> {
    this.#newest = event;
    this.#events.push(event);
    return this.#upToDate;
  }

  /** The server waits from the newest event on. */
  wait(server: ServerName): void {
    this.#upToDate.delete(server);
    this.#waiting.set(server, this.#dropped + this.#events.length - 1);
  }

  /** The server is behind. */
  miss(server: ServerName): void {
    this.#upToDate.delete(server);
  }

  /** The server is behind no more. */
  caughtUp(server: ServerName): void {
    if (this.servers.has(server) && !this.#waiting.has(server)) this.#upToDate.add(server);
  }

  /** How many events wait for a server. */
  count(server: ServerName): number {
    const place = this.#waiting.get(server);
    return place === undefined ? 0 : this.#dropped + this.#events.length - place;
  }

  /** The first that waits for a server. */
  first(server: ServerName): EventItem | undefined {
    const place = this.#waiting.get(server);
    return place === undefined ? undefined : this.#events[place - this.#dropped];
  }

  /** Takes over what waits for a server: it is up to date with that. */
  take(server: ServerName): EventItem[] {
    const place = this.#waiting.get(server);
    if (place === undefined) return [];
    const taken = this.#events.slice(place - this.#dropped);
    this.#waiting.delete(server);
    this.#upToDate.add(server);
    this.tidy();
    return taken;
  }

  /** The server falls behind. @returns the first and the last of what waited for it */
  giveUp(server: ServerName): EventItem[] {
    const first = this.first(server);
    if (first === undefined) return [];
    this.#waiting.delete(server);
    return this.#newest === undefined || this.#newest === first ? [first] : [first, this.#newest];
  }

  /** Whoever may wait for too much: now and then all who wait, else nobody. */
  suspects(): ServerName[] {
    return (this.#dropped + this.#events.length) % LOOKED_AT_EVERY === 0 ? [...this.#waiting.keys()] : [];
  }

  /** Forgets the events for which nobody waits. */
  tidy(): void {
    if (this.#waiting.size > 0 && this.#events.length < LOOKED_AT_EVERY) return;
    const end = this.#dropped + this.#events.length;
    if (this.#waiting.size > 0 && end % LOOKED_AT_EVERY > 0) return;
    let first = end;
    for (const place of this.#waiting.values()) first = Math.min(first, place);
    this.#events = this.#events.slice(first - this.#dropped);
    this.#dropped = first;
  }
}

/** Rooms are forgotten in which all is told, once there are so many. */
const KEPT_MIN = 1_000;

/** The audiences of rooms to which something was said lately, or in which somebody has not heard it. */
export class Audiences {
  readonly #ofRoom = new Map<RoomId, Audience>();
  #sweepAt = KEPT_MIN;

  /** Those whom the events of a room go to: another audience whenever they are others. */
  of(roomId: RoomId, servers: ReadonlySet<ServerName>): Audience {
    const known = this.#ofRoom.get(roomId);
    if (known?.servers === servers) return known;
    const audience = new Audience(servers);
    this.#ofRoom.set(roomId, audience);
    if (this.#ofRoom.size > this.#sweepAt) this.#sweep(audience);
    return audience;
  }

  #sweep(except: Audience): void {
    for (const [roomId, audience] of this.#ofRoom) {
      if (audience.isQuiet && audience !== except) this.#ofRoom.delete(roomId);
    }
    this.#sweepAt = Math.max(KEPT_MIN, 2 * this.#ofRoom.size);
  }
}
