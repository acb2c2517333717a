// Requests that only servers of our make answer (state-nodes.ts), and the memory of who does not: whoever knows no
// such path is left alone with them for a while.

import type { EventId, RoomId, ServerName } from '../event/ids.js';
import { isArray, isObject, type JsonObject, own } from '../event/json.js';
import { ClockCache } from '../lib/clock-cache.js';
import { RefusedError } from './errors.js';
import { badAnswer, path, type RequestLimits, type Requester } from './requester.js';
import { decodeStateNodes, EVENTS_PATH, type StateNodes, STATE_NODES_PATH } from './state-nodes.js';

/** How long a server that does not answer them is asked nothing of the kind. */
const SILENCE_MS = 3_600_000;
const SERVERS_KEPT = 4_096;

/** How servers, and what stands before them, answer on paths that they do not know. */
const UNKNOWN_PATH_STATUS: ReadonlySet<number> = new Set([400, 404, 405]);
const UNKNOWN_PATH_ERRCODE: ReadonlySet<string> = new Set(['M_UNRECOGNIZED', 'M_UNKNOWN']);

export class StateroomRequests {
  readonly #requester: Pick<Requester, 'bytes' | 'post'>;
  readonly #now: () => number;
  /** Until when a server is not asked; 0 for one that answers. */
  readonly #silentUntil = new ClockCache<ServerName, number>(SERVERS_KEPT);

  constructor(requester: Pick<Requester, 'bytes' | 'post'>, now: () => number) {
    this.#requester = requester;
    this.#now = now;
  }

  /** Is it worth asking the server? */
  mayAsk(server: ServerName): boolean {
    return (this.#silentUntil.get(server) ?? 0) <= this.#now();
  }

  /** Is it known to answer? */
  isSpokenBy(server: ServerName): boolean {
    return this.#silentUntil.get(server) === 0;
  }

  /** What the server says is of no use: it is left alone for a while. */
  leaveAlone(server: ServerName): void {
    this.#silentUntil.set(server, this.#now() + SILENCE_MS, 1);
  }

  /**
   * Nodes of the state before an event, by their paths.
   * @returns undefined from a server that has no such endpoint, or does not know the event
   * @throws as `get`
   */
  async stateNodes(
    destination: ServerName,
    roomId: RoomId,
    eventId: EventId,
    paths: readonly string[],
    limits?: RequestLimits,
  ): Promise<StateNodes | undefined> {
    const uri = `${STATE_NODES_PATH}${path`/${roomId}`}`;
    const body = { event_id: eventId, paths };
    const bytes = await this.#spoken(destination, () =>
      this.#requester.bytes({ destination, method: 'POST', uri, body }, limits),
    );
    if (bytes === undefined) return undefined;
    const answer = decodeStateNodes(bytes, paths.length);
    // Some servers answer anything with a page.
    if (answer === undefined) this.leaveAlone(destination);
    else this.#silentUntil.set(destination, 0, 1);
    return answer;
  }

  /**
   * Events of a room by their ids, in any order; those that the server does not give are left out, and those for
   * which there was no room.
   * @returns undefined from a server that has no such endpoint
   * @throws as `get`
   */
  async events(
    destination: ServerName,
    roomId: RoomId,
    eventIds: readonly EventId[],
    limits?: RequestLimits,
  ): Promise<readonly JsonObject[] | undefined> {
    const uri = `${EVENTS_PATH}${path`/${roomId}`}`;
    const answer = await this.#spoken(destination, () =>
      this.#requester.post(destination, uri, { event_ids: eventIds }, {}, limits),
    );
    if (answer === undefined) return undefined;
    const pdus = own(answer, 'pdus');
    if (!isArray(pdus)) throw badAnswer(destination, 'pdus is no list');
    return pdus.slice(0, eventIds.length).filter(isObject);
  }

  async #spoken<T>(server: ServerName, ask: () => Promise<T>): Promise<T | undefined> {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof RefusedError) || !isUnknownPath(error)) throw error;
      // What is not found may be the event.
      if (error.errcode !== 'M_NOT_FOUND') this.leaveAlone(server);
      return undefined;
    }
  }
}

function isUnknownPath({ status, errcode }: RefusedError): boolean {
  return UNKNOWN_PATH_STATUS.has(status) || (status < 500 && UNKNOWN_PATH_ERRCODE.has(errcode));
}
