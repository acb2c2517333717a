// One incomplete state, and the rounds in which servers are asked for the rest of it.
//
//   a server ─ which events it is ─ those that are not here ─ the engine ─┬▶ whole
//     ▲                                                                   └▶ not all of it, or none of the room
//     └─────────────── the next server ◀───────────────────────────────────┘
//
// Who gave the room is asked first, then those that were in it as it was joined, and those that are now: the ones
// first that were not asked for longest. Only what is missing is fetched, and what one server gave is there when the
// next is asked.
//
// Left out is what a full join leaves out: events that are bad, and those whose keys nobody has. The key of a server
// that is gone may never be had again; its events would keep a room incomplete for ever. An event that nobody gave
// is another matter: without it the state stays incomplete, for who has it may be heard again. So that no server's
// events are left out because it did not answer for a moment, it is asked for its keys even where it is left alone.
//
// Source: MSC3902, "Resynchronisation"; server-server API, GET /state_ids, /state, /event.

import type { CompletionOutcome } from '../../core/completions.js';
import type { PartialState } from '../../core/partial-states.js';
import type { EventId, ServerName } from '../../event/ids.js';
import type { JsonObject } from '../../event/json.js';
import type { RoomVersionRules } from '../../event/rules.js';
import { StateroomError, toError } from '../../lib/errors.js';
import type { Destinations } from '../destinations.js';
import { type EdgeParts, stateBefore } from '../gaps/edge-state.js';
import { Effort } from '../gaps/effort.js';
import type { FetchObserver } from '../gaps/fetch-observer.js';
import type { FederationParts } from '../parts.js';
import type { RoomServers } from '../outbound/room-servers.js';
import { knownStates } from './known-states.js';
import type { ResyncOptions } from './options.js';

export interface ResyncParts
  extends Pick<FederationParts, 'engine' | 'serverName' | 'now' | 'random' | 'log'>,
    Pick<EdgeParts, 'remote' | 'keyRing' | 'isGivenUp'> {
  readonly destinations: Pick<Destinations, 'isBackingOff'>;
  readonly roomServers: Pick<RoomServers, 'serversOf' | 'isIn'>;
  readonly options: ResyncOptions;
}

/** Between rounds; asking which events the state has; fetching them; putting them in. */
export type ResyncPhase = 'waiting' | 'asking' | 'fetching' | 'completing';

/** Ways in which a state that was fetched does not do. */
const NOT_THE_STATE: ReadonlySet<string> = new Set([
  'CORE_STATE_INCOMPLETE',
  'CORE_STATE_REFUSED',
  'ROOM_RESOLUTION_TOO_LARGE',
]);

export class Resync {
  readonly base: PartialState;
  readonly #parts: ResyncParts;
  /** The servers that were in the room as it was joined. */
  readonly #then: ReadonlySet<ServerName>;
  /** When each server was asked last, as the number of the round. */
  readonly #askedIn = new Map<ServerName, number>();
  phase: ResyncPhase = 'waiting';
  /** Who is asked, or was asked last. */
  server: ServerName | undefined;
  /** Events of the state and what it rests on, as the server says, and how many of them are here. */
  needed = 0;
  known = 0;
  /** Rounds so far. */
  attempts = 0;
  /** Events that all rounds brought. */
  fetched = 0;
  lastError: string | undefined;

  constructor(parts: ResyncParts, base: PartialState) {
    this.#parts = parts;
    this.base = base;
    this.#then = new Set(base.servers);
  }

  /** May the server be asked, in one round or another? */
  isCandidate(server: ServerName): boolean {
    const { roomServers, serverName } = this.#parts;
    const { from, roomId } = this.base;
    if (server === serverName) return false;
    return server === from || this.#then.has(server) || roomServers.isIn(server, roomId);
  }

  /**
   * Asks some servers, until one gives all of the state.
   * @returns what came of it; undefined when nobody did
   * @throws CORE_CLOSED, STORE_WRITE_FAILED
   */
  async round(signal: AbortSignal): Promise<CompletionOutcome | undefined> {
    this.attempts++;
    const { now, options } = this.#parts;
    const endsAt = now() + options.roundTimeoutMs;
    try {
      const servers = this.#servers();
      if (servers.length === 0) this.lastError = 'no server of the room can be asked now';
      for (const server of servers) {
        if (signal.aborted || now() >= endsAt) return undefined;
        const outcome = await this.#by(server, signal);
        if (outcome !== undefined) return outcome;
      }
      return undefined;
    } finally {
      this.phase = 'waiting';
    }
  }

  async #by(server: ServerName, signal: AbortSignal): Promise<CompletionOutcome | undefined> {
    const { eventId, roomId } = this.base;
    this.server = server;
    this.phase = 'asking';
    this.#askedIn.set(server, this.attempts);
    let failure: string | undefined;
    const onFailure = (error: StateroomError): void => {
      failure = error.message;
    };
    const ids = await this.#stateOf(server, signal, onFailure).catch((error: unknown) => {
      if (!signal.aborted) throw error;
      return undefined;
    });
    if (signal.aborted) return undefined;
    if (ids === undefined) {
      this.lastError = failure ?? `${server} gave no whole state of the room`;
      return undefined;
    }
    this.phase = 'completing';
    try {
      return await this.#parts.engine.completeState(eventId, ids);
    } catch (error) {
      if (!(error instanceof StateroomError) || !NOT_THE_STATE.has(error.code)) throw error;
      this.lastError = `the state of ${server}: ${error.message}`;
      this.#parts.log.warn(
        { room: roomId, event: eventId, server, code: error.code, reason: error.message },
        'a state that another server gave does not do',
      );
      return undefined;
    }
  }

  async #stateOf(
    server: ServerName,
    signal: AbortSignal,
    onFailure: (error: StateroomError) => void,
  ): Promise<readonly EventId[] | undefined> {
    const { engine, keyRing, options } = this.#parts;
    const { eventId, roomId } = this.base;
    const event = engine.graph.event(eventId)?.pdu;
    if (event === undefined) return undefined;
    const observer: FetchObserver = {
      claimed: (needed, known) => {
        this.phase = 'fetching';
        this.needed = needed;
        this.known = known;
      },
      taken: (events) => {
        this.known += events;
        this.fetched += events;
      },
      failed: (_, error) => onFailure(error),
    };
    const parts = {
      ...this.#parts,
      options: options.fetching,
      observer,
      keyRing: {
        fetchFor: (events: readonly JsonObject[], rules: RoomVersionRules) =>
          unlessAborted(keyRing.fetchFor(events, rules, { evenBackingOff: true }), signal),
      },
    };
    const effort = new Effort({ ...parts, serversOf: () => [] }, roomId, signal, options.serverTimeoutMs);
    const known = await knownStates(engine, this.base);
    const state = await stateBefore(parts, effort, event, [server], known);
    return state?.ids;
  }

  /** Whom to ask in this round, never one that is left alone. */
  #servers(): ServerName[] {
    const { destinations, random, options } = this.#parts;
    const { from } = this.base;
    const ranked = [...this.#candidates()]
      .filter((server) => !destinations.isBackingOff(server))
      .map((server) => ({
        server,
        rank: server === from ? -1 : (this.#askedIn.get(server) ?? 0),
        lot: random(),
      }));
    return ranked
      .sort((a, b) => a.rank - b.rank || a.lot - b.lot)
      .slice(0, options.serversMax)
      .map(({ server }) => server);
  }

  #candidates(): Set<ServerName> {
    const { roomServers, serverName } = this.#parts;
    const { from, roomId } = this.base;
    const candidates = new Set([
      ...(from === undefined ? [] : [from]),
      ...this.#then,
      ...roomServers.serversOf(roomId),
    ]);
    candidates.delete(serverName);
    return candidates;
  }
}

/** Gives up waiting when nobody waits any more: the keys of many servers that are gone take their time. */
function unlessAborted<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(toError(signal.reason));
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
