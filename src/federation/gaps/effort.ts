// What one filling of a room's gaps may still cost, and whom it may ask: all of it runs out, whatever servers say.

import type { RoomId, ServerName } from '../../event/ids.js';
import { StateroomError } from '../../lib/errors.js';
import { isRemoteFailure } from '../errors.js';
import type { Destinations } from '../destinations.js';
import type { FederationParts } from '../parts.js';
import type { RequestLimits } from '../requests.js';
import type { FetchObserver } from './fetch-observer.js';
import type { GapOptions } from './options.js';

export interface EffortParts extends Pick<FederationParts, 'now' | 'random' | 'serverName' | 'log'> {
  readonly destinations: Pick<Destinations, 'isBackingOff'>;
  /** Servers with somebody in the room. */
  readonly serversOf: (roomId: RoomId) => Iterable<ServerName>;
  readonly options: GapOptions;
  readonly observer?: Pick<FetchObserver, 'failed'>;
}

export class Effort {
  readonly roomId: RoomId;
  readonly #parts: EffortParts;
  readonly #until: number;
  readonly #signal: AbortSignal;
  #requests = 0;
  #events = 0;
  #singles = 0;
  /** Servers that failed in this effort are not asked again in it. */
  readonly #failed = new Set<ServerName>();

  constructor(parts: EffortParts, roomId: RoomId, signal: AbortSignal, timeoutMs: number) {
    this.#parts = parts;
    this.roomId = roomId;
    this.#signal = signal;
    this.#until = parts.now() + timeoutMs;
  }

  /** May anything more be asked? */
  get isSpent(): boolean {
    const { options, now } = this.#parts;
    return (
      this.#signal.aborted ||
      this.#requests >= options.requestsMax ||
      this.#events >= options.eventsMax ||
      now() >= this.#until
    );
  }

  /** Requests so far. */
  get requests(): number {
    return this.#requests;
  }

  /** Did the server fail in this effort, or is it left alone since before? */
  hasFailed(server: ServerName): boolean {
    return this.#failed.has(server) || this.#parts.destinations.isBackingOff(server);
  }

  /** Counts events that are taken in; how many of so many there is room for. */
  takeEvents(wanted: number): number {
    const granted = Math.max(0, Math.min(wanted, this.#parts.options.eventsMax - this.#events));
    this.#events += granted;
    return granted;
  }

  /** Counts events that are asked for one by one; how many of so many may be. */
  takeSingles(wanted: number): number {
    const granted = Math.max(0, Math.min(wanted, this.#parts.options.singleEventsMax - this.#singles));
    this.#singles += granted;
    return granted;
  }

  /**
   * The servers to ask, one after the other: those named, then others of the room in random order; never
   * ourselves, never one that is left alone.
   */
  servers(first: Iterable<ServerName | undefined>): ServerName[] {
    const { serverName, serversOf, random, options, destinations } = this.#parts;
    const others = [...serversOf(this.roomId)];
    for (let i = others.length - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      [others[i], others[j]] = [others[j] as ServerName, others[i] as ServerName];
    }
    const servers = new Set<ServerName>();
    for (const server of [...first, ...others]) {
      if (servers.size >= options.serversMax) break;
      if (server === undefined || server === '' || server === serverName) continue;
      if (this.#failed.has(server) || destinations.isBackingOff(server)) continue;
      servers.add(server);
    }
    return [...servers];
  }

  /**
   * Asks servers in turn until one gives something of use.
   * @param ask gives undefined for an answer that is of no use
   */
  async inTurn<T>(
    servers: readonly ServerName[],
    ask: (server: ServerName, limits: RequestLimits) => Promise<T | undefined>,
  ): Promise<T | undefined> {
    for (const server of servers) {
      if (this.isSpent) return undefined;
      const answer = await this.once(server, (limits) => ask(server, limits));
      if (answer !== undefined) return answer;
    }
    return undefined;
  }

  /** One request, counted and bounded in time; undefined when it fails in one of the ways of servers. */
  async once<T>(
    server: ServerName,
    ask: (limits: RequestLimits) => Promise<T | undefined>,
  ): Promise<T | undefined> {
    if (this.isSpent || this.#failed.has(server)) return undefined;
    this.#requests++;
    const { options, now, log } = this.#parts;
    const timeoutMs = Math.max(1, Math.min(options.requestTimeoutMs, this.#until - now()));
    try {
      return await ask({ timeoutMs, bytesMax: options.eventsBytesMax, signal: this.#signal });
    } catch (error) {
      if (!(error instanceof StateroomError) || !isRemoteFailure(error)) throw error;
      // A refusal is about this question; no answer is about the server.
      if (error.code !== 'FEDERATION_REFUSED') this.#failed.add(server);
      this.#parts.observer?.failed(server, error);
      log.debug(
        { room: this.roomId, server, code: error.code, reason: error.message },
        'a gap was not filled',
      );
      return undefined;
    }
  }
}
