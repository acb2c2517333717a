// Room aliases: names of this server for rooms.
//
// Source: client-server API, "Room aliases"; "m.room.canonical_alias".

import { isRoomAlias, type RoomId, type UserId } from '../event/ids.js';
import { isArray, type JsonObject, type JsonValue, own } from '../event/json.js';
import { AliasTakenError } from '../account/errors.js';
import type { StateView } from '../reader/state-view.js';
import { badJson, forbidden, invalidParam, MatrixError, notFound } from './errors.js';
import type { Homeserver } from './homeserver.js';
import { aliasedRoom } from './remote-rooms.js';
import { bodyText, param } from './request-fields.js';
import type { AuthenticatedRequest, Route } from './route.js';
import {
  clientRoom,
  historyVisibility,
  joinedRoom,
  powerLevelsAt,
  readableRoom,
  stateEvent,
} from './visibility.js';

function aliasOf(request: AuthenticatedRequest): string {
  const alias = param(request, 'roomAlias');
  if (!isRoomAlias(alias)) throw invalidParam('The room alias is none: #name:server.');
  return alias;
}

/** Whether an alias is one that this server gives out. @throws MatrixError 400 */
function assertOurs(home: Homeserver, alias: string): void {
  if (alias.slice(alias.indexOf(':') + 1) !== home.options.serverName) {
    throw invalidParam(`Aliases of this server end in :${home.options.serverName}.`);
  }
}

/** Names a room. @returns false when the alias is taken */
export async function addAlias(
  { accounts }: Homeserver,
  alias: string,
  roomId: RoomId,
  creator: UserId,
): Promise<boolean> {
  try {
    await accounts.aliases.add(alias, roomId, creator);
    return true;
  } catch (error) {
    if (error instanceof AliasTakenError) return false;
    throw error;
  }
}

/**
 * Checks the aliases that a canonical alias event adds to what the room's state says already.
 * @throws MatrixError 400: M_INVALID_PARAM for what is no alias, M_BAD_ALIAS for one of another room
 */
export function checkCanonicalAlias(home: Homeserver, view: StateView, content: JsonObject): void {
  const known = new Set(aliasesIn(stateEvent(home.engine, view, 'm.room.canonical_alias')?.content ?? {}));
  for (const alias of aliasesIn(content)) {
    if (typeof alias !== 'string') throw invalidParam('An alias is a string.');
    if (known.has(alias)) continue;
    if (!isRoomAlias(alias)) throw invalidParam(`${alias} is no room alias.`);
    if (home.accounts.aliases.get(alias)?.roomId !== view.roomId) {
      throw new MatrixError(400, 'M_BAD_ALIAS', `The alias ${alias} does not point to this room.`);
    }
  }
}

const CANONICAL_ALIASES_MAX = 1_000;

function aliasesIn(content: JsonObject): readonly JsonValue[] {
  const alias = own(content, 'alias');
  const others = own(content, 'alt_aliases') ?? [];
  if (!isArray(others)) throw badJson('alt_aliases is a list.');
  if (others.length > CANONICAL_ALIASES_MAX) throw badJson('There are too many alt_aliases.');
  return alias === undefined || alias === null || alias === '' ? others : [alias, ...others];
}

async function put(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const alias = aliasOf(request);
  assertOurs(home, alias);
  const roomId = bodyText(request.body, 'room_id');
  if (roomId === undefined) throw badJson('room_id is missing.');
  const { room } = joinedRoom(home, roomId, request.user.userId);
  if (!(await addAlias(home, alias, room.roomId, request.user.userId))) {
    throw new MatrixError(409, 'M_UNKNOWN', `The alias ${alias} is taken.`);
  }
  return {};
}

async function get(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const { roomId, via } = await aliasedRoom(home, aliasOf(request));
  return { room_id: roomId, servers: [...new Set(via)] };
}

async function remove(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const name = aliasOf(request);
  const alias = home.accounts.aliases.get(name);
  if (alias === undefined) throw notFound(`There is no room ${name}.`);
  const { userId, isAdmin } = request.user;
  if (alias.creator !== userId && !isAdmin && !mayNameRoom(home, alias.roomId, userId)) {
    throw forbidden('Only who made an alias, or who may set the canonical alias, takes it away.');
  }
  await home.accounts.aliases.remove(name);
  return {};
}

/** May the user, joined to the room, say what it is called and where it is listed? */
export function mayNameRoom({ engine }: Homeserver, roomId: string, userId: string): boolean {
  if (clientRoom(engine, roomId) === undefined) return false;
  const view = engine.currentState(roomId);
  if (view.membership(userId) !== 'join') return false;
  const levels = powerLevelsAt(engine, view);
  return levels.user(userId) >= levels.toSend('m.room.canonical_alias', true);
}

function ofRoom(request: AuthenticatedRequest, home: Homeserver): JsonObject {
  const { room, viewer } = readableRoom(home, param(request, 'roomId'), request.user.userId);
  const isOpen = historyVisibility(home.engine, viewer.view) === 'world_readable';
  if (!viewer.isJoined && !isOpen) throw forbidden('You are not in the room any more.');
  return { aliases: home.accounts.aliases.ofRoom(room.roomId) };
}

const DIRECTORY = '/_matrix/client/v3/directory/room/:roomAlias';

export const aliasRoutes: readonly Route[] = [
  { method: 'PUT', path: DIRECTORY, auth: 'user', rateLimit: 'other', handler: put },
  { method: 'GET', path: DIRECTORY, auth: 'none', rateLimit: 'other', handler: get },
  { method: 'DELETE', path: DIRECTORY, auth: 'user', rateLimit: 'other', handler: remove },
  {
    method: 'GET',
    path: '/_matrix/client/v3/rooms/:roomId/aliases',
    auth: 'user',
    rateLimit: 'other',
    handler: ofRoom,
  },
];
