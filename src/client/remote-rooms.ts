// Rooms of other servers, as the room endpoints need them: where a room is, by which servers it is reached, and
// what a client is told when those servers refuse or do not answer.

import type { OutsideMembership } from '../account/outside.js';
import { isRoomAlias, type RoomId, type ServerName, type UserId } from '../event/ids.js';
import type { JsonObject } from '../event/json.js';
import { isRemoteFailure, RefusedError } from '../federation/errors.js';
import type { Federation } from '../federation/federation.js';
import { invalidParam, MatrixError, notFound } from './errors.js';
import type { Homeserver } from './homeserver.js';
import type { AuthenticatedRequest } from './route.js';
import { clientRoom } from './visibility.js';

/** A room as a client names it, and servers that may be in it. */
export interface NamedRoom {
  readonly roomId: RoomId;
  readonly via: readonly string[];
}

const NO_SUCH_ROOM = 'There is no such room on this server.';
/** Servers that a client or an alias names, at most. */
const VIA_MAX = 50;

/** The room that a client names by id or alias; an alias of elsewhere is asked for there. @throws MatrixError */
export async function namedRoom(
  home: Homeserver,
  request: Pick<AuthenticatedRequest, 'query'>,
  name: string,
): Promise<NamedRoom> {
  const via = ['server_name', 'via'].flatMap((key) => {
    const given = Object.hasOwn(request.query, key) ? request.query[key] : undefined;
    return given === undefined ? [] : typeof given === 'string' ? [given] : given;
  });
  if (!name.startsWith('#')) return { roomId: roomIdOf(name), via: via.slice(0, VIA_MAX) };
  const found = await aliasedRoom(home, name);
  return { ...found, via: [...via, ...found.via].slice(0, VIA_MAX) };
}

function roomIdOf(name: string): RoomId {
  // Whether it is well-formed the servers that are asked, or our own rooms, will tell.
  if (!/^![^\s\0]{1,254}$/.test(name)) throw notFound(NO_SUCH_ROOM);
  return name as RoomId;
}

/** The room of an alias, of this server or another. @throws MatrixError 400, 404, 502 */
export async function aliasedRoom(home: Homeserver, alias: string): Promise<NamedRoom> {
  if (!isRoomAlias(alias)) throw invalidParam(`${alias} is no room alias.`);
  const server = alias.slice(alias.indexOf(':') + 1) as ServerName;
  const { federation, options, accounts } = home;
  if (server === options.serverName || federation === undefined) {
    const roomId = accounts.aliases.get(alias)?.roomId;
    if (roomId === undefined) throw notFound(`There is no room ${alias}.`);
    return { roomId, via: [options.serverName, ...(federation?.roomServers.serversOf(roomId) ?? [])] };
  }
  const { roomId, servers } = await asked(() => federation.remote.queryDirectory(server, alias));
  return { roomId: roomIdOf(roomId), via: [server, ...servers].slice(0, VIA_MAX) };
}

/**
 * The federation by which a room has to be reached; undefined where this server can speak for the room itself:
 * it is in it, or nobody is.
 * @throws MatrixError 404 for a room unknown here where there is no federation
 */
export async function reachedBy(home: Homeserver, roomId: RoomId): Promise<Federation | undefined> {
  const { accounts, engine, federation } = home;
  const room = clientRoom(engine, roomId);
  if (federation === undefined) {
    if (room === undefined) throw notFound(NO_SUCH_ROOM);
    return undefined;
  }
  if (room === undefined) return federation;
  await accounts.memberships.caughtUp();
  if (accounts.memberships.isServerIn(roomId)) return undefined;
  // What is known of a room that all of us left is old; if it was ours alone it is all there is.
  const isEmpty = engine.currentState(roomId).joined === 0 && !room.isPartial;
  return isEmpty && accounts.outside.usersOf(roomId).size === 0 ? undefined : federation;
}

/** What a user has to do with a room that this server is not in. */
export function outsidePlace(
  home: Homeserver,
  userId: UserId,
  roomId: string,
): OutsideMembership | undefined {
  return home.accounts.outside.get(userId, roomId);
}

/** Asks other servers; what they refuse is told in their words. @throws MatrixError */
export async function asked<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask();
  } catch (error) {
    throw toldToClient(error);
  }
}

/** Statuses of refusals that mean the client's wish, and not our way of asking. */
const PASSED_ON: ReadonlySet<number> = new Set([400, 403, 404]);

function toldToClient(error: unknown): unknown {
  if (error instanceof RefusedError && PASSED_ON.has(error.status)) {
    const body: JsonObject = error.roomVersion === undefined ? {} : { room_version: error.roomVersion };
    return new MatrixError(error.status, error.errcode, error.says, body);
  }
  if (!isRemoteFailure(error)) return error;
  if (error.code === 'FEDERATION_NO_SERVER') return notFound(error.message);
  return new MatrixError(502, 'M_UNKNOWN', `Other servers could not be asked: ${error.message}`);
}
