// Account data of clients, global and by room.
//
// Source: client-server API, "Client Config".

import type { RoomId, UserId } from '../event/ids.js';
import type { JsonObject } from '../event/json.js';
import { MatrixError, notFound } from './errors.js';
import type { Homeserver } from './homeserver.js';
import { ownUserId, pathRoomId } from './own-data.js';
import { param } from './request-fields.js';
import type { AuthenticatedRequest, Route } from './route.js';
import { storable, storableName } from './stored-json.js';

const PUSH_RULES = 'm.push_rules';
/** Types that this server keeps itself and changes by other endpoints. */
const CONTROLLED: readonly string[] = ['m.fully_read', PUSH_RULES];

function getGlobal(request: AuthenticatedRequest, home: Homeserver): JsonObject {
  return read(home, ownUserId(request), undefined, param(request, 'type'));
}

function getOfRoom(request: AuthenticatedRequest, home: Homeserver): JsonObject {
  return read(home, ownUserId(request), pathRoomId(request), param(request, 'type'));
}

function read(home: Homeserver, userId: UserId, roomId: RoomId | undefined, type: string): JsonObject {
  const { accountData, pushRules } = home.accounts;
  if (roomId === undefined && type === PUSH_RULES) return pushRules.content(userId);
  const content = accountData.get(userId, roomId, type);
  if (content === undefined) throw notFound('There is no account data of this type.');
  return content;
}

async function putGlobal(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  return write(request, home, ownUserId(request), undefined);
}

async function putOfRoom(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  return write(request, home, ownUserId(request), pathRoomId(request));
}

async function write(
  request: AuthenticatedRequest,
  home: Homeserver,
  userId: UserId,
  roomId: RoomId | undefined,
): Promise<JsonObject> {
  const type = storableName(param(request, 'type'), 'A type of account data');
  if (CONTROLLED.includes(type)) {
    throw new MatrixError(405, 'M_BAD_JSON', `${type} is not set through this endpoint.`);
  }
  await home.accounts.accountData.set(userId, roomId, type, storable(request.body));
  return {};
}

const GLOBAL = '/_matrix/client/v3/user/:userId/account_data/:type';
const OF_ROOM = '/_matrix/client/v3/user/:userId/rooms/:roomId/account_data/:type';

export const accountDataRoutes: readonly Route[] = [
  { method: 'GET', path: GLOBAL, auth: 'user', rateLimit: 'other', handler: getGlobal },
  { method: 'PUT', path: GLOBAL, auth: 'user', rateLimit: 'other', handler: putGlobal },
  { method: 'GET', path: OF_ROOM, auth: 'user', rateLimit: 'other', handler: getOfRoom },
  { method: 'PUT', path: OF_ROOM, auth: 'user', rateLimit: 'other', handler: putOfRoom },
];
