// Requests that only servers of our make answer (state-parts.ts), and the memory of who does not: whoever knows no
// such path is left alone with them for a while.

import type { EventId, RoomId, ServerName } from '../event/ids.js';
import { isArray, isObject, type JsonObject, own } from '../event/json.js';
import { ClockCache } from '../lib/clock-cache.js';
import { RefusedError } from './errors.js';
import { badAnswer, path, type RequestLimits, type Requester } from './requester.js';
import {
  decodeStateDifference,
  decodeStateNodes,
  EVENTS_PATH,
  STATE_DIFFERENCE_PATH,
  STATE_NODES_PATH,
  type StateDifference,
  type StateNodes,
} from './state-parts.js';

/** How long a server that does not answer them is asked nothing of the kind. */
const SILENCE_MS = 3_600_000;
const SERVERS_KEPT = 4_096;

/** How servers, and what stands before them, answer on paths that they do not know. */
const UNKNOWN_PATH_STATUS: ReadonlySet<number> = new Set([400, 404, 405]);
const UNKNOWN_PATH_ERRCODE: ReadonlySet<string> = new Set(['M_UNRECOGNIZED', 'M_UNKNOWN']);

export class StateroomRequests {
  readonly #requester: Pick<Requester, 'bytes' | 'post'>;
  readonly #now: () => number;
  /** Until when a server is not asked. */
  readonly #silentUntil = new ClockCache<ServerName, number>(SERVERS_KEPT);

  constructor(requester: Pick<Requester, 'bytes' | 'post'>, now: () => number) {
    this.#requester = requester;
    this.#now = now;
  }

  /** Is it worth asking the server? */
  mayAsk(server: ServerName): boolean {
    return (this.#silentUntil.get(server) ?? 0) <= this.#now();
  }

  /** What the server says is of no use: it is left alone for a while. */
  leaveAlone(server: ServerName): void {
    this.#silentUntil.set(server, this.#now() + SILENCE_MS, 1);
  }

  /**
   * How the state before an event differs from one of those after events that are named.
   * @param from roots in hex by event ids
   * @returns undefined from a server that has no such endpoint, or does not know the event
   * @throws as `get`
   */
  stateDifference(
    destination: ServerName,
    roomId: RoomId,
    eventId: EventId,
    from: ReadonlyMap<EventId, string>,
    limits?: RequestLimits,
  ): Promise<StateDifference | undefined> {
    const uri = `${STATE_DIFFERENCE_PATH}${path`/${roomId}`}`;
    const body = { event_id: eventId, from: Object.fromEntries(from) };
    return this.#octets({ destination, uri, body }, limits, decodeStateDifference);
  }

  /**
   * Nodes of the state before an event, by their paths.
   * @returns undefined from a server that has no such endpoint, or does not know the event
   * @throws as `get`
   */
  stateNodes(
    destination: ServerName,
    roomId: RoomId,
    eventId: EventId,
    paths: readonly string[],
    limits?: RequestLimits,
  ): Promise<StateNodes | undefined> {
    const uri = `${STATE_NODES_PATH}${path`/${roomId}`}`;
    const body = { event_id: eventId, paths };
    return this.#octets({ destination, uri, body }, limits, (bytes) => decodeStateNodes(bytes, paths.length));
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

  async #octets<T>(
    request: { readonly destination: ServerName; readonly uri: string; readonly body: JsonObject },
    limits: RequestLimits | undefined,
    decode: (bytes: Uint8Array) => T | undefined,
  ): Promise<T | undefined> {
    const { destination } = request;
    const bytes = await this.#spoken(destination, () =>
      this.#requester.bytes({ method: 'POST', ...request }, limits),
    );
    if (bytes === undefined) return undefined;
    const answer = decode(bytes);
    // Some servers answer anything with a page.
    if (answer === undefined) this.leaveAlone(destination);
    return answer;
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
