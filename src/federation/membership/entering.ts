// Brings a room here by a join: the completed event goes to a resident, what it answers to the engine.
//
//   send_join ─┬▶ members left out ─▶ a room whose state is not all known, with a record of whom to ask for the rest
//              └▶ all of it         ─▶ a room
//
// Members are left out where the resident can and will do that; the rest is fetched in the background. An answer of
// this kind that cannot be used is asked for again in full, of the same server and of all that come after it.
//
// Source: server-server API, PUT /v2/send_join/{roomId}/{eventId}; MSC3706.

import { parseServerName, type ServerName } from '../../event/ids.js';
import { isObject, type JsonObject, own } from '../../event/json.js';
import { parsePdu } from '../../event/parse.js';
import type { Pdu } from '../../event/pdu.js';
import type { RoomVersionRules } from '../../event/rules.js';
import { StateroomError } from '../../lib/errors.js';
import { BadAnswerError } from '../errors.js';
import type { KeyRing } from '../identity/key-ring.js';
import type { FederationParts } from '../parts.js';
import type { JoinAnswer, RemoteServers } from '../requests.js';
import type { CompletedEvent } from './handshake.js';

export interface EnteringParts extends Pick<FederationParts, 'engine' | 'serverName' | 'log' | 'now'> {
  readonly remote: Pick<RemoteServers, 'sendJoin'>;
  readonly keyRing: Pick<KeyRing, 'fetchFor'>;
}

/** The join as all signed it, and what the resident says of the room. */
interface Sent {
  readonly event: JsonObject;
  readonly answer: JoinAnswer;
}

/** Servers of a room that are kept of an answer, and the bytes of their names. */
const SERVERS_MAX = 20_000;
const SERVERS_BYTES_MAX = 512 * 1024;
/** Faults of an answer, and not of the wish or the way. */
const ANSWER_FAULTS: ReadonlySet<string> = new Set(['FEDERATION_BAD_ANSWER', 'CORE_JOIN_REFUSED']);

/** Joins one room by one server after the other. */
export class Entering {
  readonly #parts: EnteringParts;
  /** Are the residents asked to leave members out? */
  #omitsMembers: boolean;

  /** @param omitsMembers may members be left out at first? */
  constructor(parts: EnteringParts, omitsMembers: boolean) {
    this.#parts = parts;
    this.#omitsMembers = omitsMembers;
  }

  /**
   * Sends the join to a resident and takes the room from its answer.
   * @param isIn is this server in the room already, so that nothing counts of the answer but its signature?
   * @param granted takes the signed join then
   * @returns whether the room was brought here by it
   * @throws FEDERATION_BAD_ANSWER, FEDERATION_REFUSED, FEDERATION_UNREACHABLE and what `receiveJoin` throws
   */
  async by(
    server: ServerName,
    join: CompletedEvent,
    isIn: () => boolean,
    granted: (event: JsonObject) => Promise<void>,
  ): Promise<boolean> {
    const omitsMembers = this.#omitsMembers;
    try {
      return await this.#try(server, join, isIn, granted);
    } catch (error) {
      if (!omitsMembers || !(error instanceof StateroomError) || !ANSWER_FAULTS.has(error.code)) throw error;
      this.#omitsMembers = false;
      const { code, message: reason } = error;
      const { roomId: room } = join.pdu;
      this.#parts.log.info({ room, server, code, reason }, 'a join without members failed: asked for all');
      return this.#try(server, join, isIn, granted);
    }
  }

  async #try(
    server: ServerName,
    join: CompletedEvent,
    isIn: () => boolean,
    granted: (event: JsonObject) => Promise<void>,
  ): Promise<boolean> {
    const { pdu, rules } = join;
    const answer = await this.#parts.remote.sendJoin(server, pdu.roomId, pdu.eventId, pdu.json, {
      omitMembers: this.#omitsMembers,
    });
    const event = withSignatures(pdu, answer.event, rules);
    if (isIn()) {
      await granted(event);
      return false;
    }
    await this.#take(server, join, { event, answer });
    return true;
  }

  async #take(server: ServerName, { pdu, rules }: CompletedEvent, { event, answer }: Sent): Promise<void> {
    const { engine, keyRing, log } = this.#parts;
    const { state, authChain, membersOmitted: isPartial } = answer;
    if (isPartial && !this.#omitsMembers) {
      throw new BadAnswerError(`${server} left members out and was not asked to`, { destination: server });
    }
    const servers = isPartial ? this.#serversOf(server, answer) : [];
    await keyRing.fetchFor([event, ...state, ...authChain], rules);
    const outcome = await engine.receiveJoin({
      roomVersion: rules.version,
      event,
      state,
      authChain,
      from: server,
      ...(isPartial ? { isPartial, servers } : {}),
    });
    for (const { eventId, code, reason } of outcome.dropped) {
      log.warn({ room: pdu.roomId, event: eventId, code, from: server, reason }, 'dropped from a join');
    }
  }

  /** The other servers in the room, each once, that are names at all; no more than are of use. */
  #serversOf(server: ServerName, { serversInRoom }: JoinAnswer): ServerName[] {
    const { serverName } = this.#parts;
    const servers = new Set<ServerName>();
    let bytes = 0;
    for (const text of serversInRoom) {
      const name = parseServerName(text);
      if (name === undefined || name === serverName || servers.has(name)) continue;
      bytes += name.length;
      if (servers.size >= SERVERS_MAX || bytes > SERVERS_BYTES_MAX) break;
      servers.add(name);
    }
    if (servers.size > 0) return [...servers];
    throw new BadAnswerError(`${server} left members out and names no server of the room`, {
      destination: server,
    });
  }
}

/** Our event with the signatures that a server added to it; what else it changed does not matter. */
export function withSignatures(
  pdu: Pdu,
  answered: JsonObject | undefined,
  rules: RoomVersionRules,
): JsonObject {
  const { json } = pdu;
  const added = answered === undefined ? undefined : own(answered, 'signatures');
  const ours = own(json, 'signatures');
  if (answered === undefined || !isObject(added) || !isObject(ours)) return json;
  let isSame: boolean;
  try {
    isSame = parsePdu(answered, rules).eventId === pdu.eventId;
  } catch {
    isSame = false;
  }
  if (!isSame)
    throw new BadAnswerError('the server signed another event than ours', { event_id: pdu.eventId });
  return { ...json, signatures: { ...added, ...ours } };
}
