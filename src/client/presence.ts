// Presence. Source: client-server API, "Presence".

import { IDLE_AFTER_MS, type Presence } from './ephemeral.js';
import type { JsonObject } from '../event/json.js';
import { fitsBytes, type RoomId, serverOf, type UserId } from '../event/ids.js';
import { forbidden, invalidParam, notFound } from './errors.js';
import type { Homeserver } from './homeserver.js';
import { ownUserId } from './own-data.js';
import { bodyText, param, userIdOf } from './request-fields.js';
import type { AuthenticatedRequest, Route } from './route.js';

const STATUS_BYTES_MAX = 1_024;

/** Presence as clients read it. */
export function presenceJson(now: number, { state, statusMessage, lastActiveAt }: Presence): JsonObject {
  const idleMs = Math.max(0, now - lastActiveAt);
  return {
    presence: state,
    last_active_ago: idleMs,
    ...(state === 'online' ? { currently_active: idleMs < IDLE_AFTER_MS } : {}),
    ...(statusMessage === undefined ? {} : { status_msg: statusMessage }),
  };
}

function put(request: AuthenticatedRequest, home: Homeserver): JsonObject {
  const userId = ownUserId(request);
  const state = bodyText(request.body, 'presence');
  if (state !== 'online' && state !== 'offline' && state !== 'unavailable') {
    throw invalidParam('presence is online, offline or unavailable.');
  }
  const message = bodyText(request.body, 'status_msg');
  if (message !== undefined && !fitsBytes(message, STATUS_BYTES_MAX)) {
    throw invalidParam(`status_msg has ${STATUS_BYTES_MAX} bytes at most.`);
  }
  home.ephemeral.setPresence(userId, state, message);
  return {};
}

async function get(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const userId = userIdOf(param(request, 'userId'), 'userId');
  if (!(await sharesRoom(home, request.user.userId, userId))) {
    throw forbidden('Only those who share a room with them see their presence.');
  }
  const presence = home.ephemeral.presence(userId);
  if (presence === undefined) throw notFound('Nothing is known of their presence.');
  return presenceJson(home.now(), presence);
}

async function sharesRoom(home: Homeserver, userId: UserId, other: UserId): Promise<boolean> {
  if (userId === other) return true;
  const rooms = await home.accounts.memberships.rooms(userId, 'join');
  return rooms.some((roomId) => isJoined(home, roomId, other));
}

/** Is somebody, of this server or another, joined to the room, or may be for all that is known? */
export function isJoined(home: Homeserver, roomId: RoomId, userId: UserId): boolean {
  const { accounts, engine, options, federation } = home;
  if (serverOf(userId) === options.serverName) {
    return accounts.memberships.ofRoom(roomId).get(userId)?.membership === 'join';
  }
  if (engine.store.room(roomId) === undefined) return false;
  if (engine.currentState(roomId).membership(userId) === 'join') return true;
  return federation?.roomServers.isMaybeIn(userId, roomId) === true;
}

export const presenceRoutes: readonly Route[] = [
  {
    method: 'PUT',
    path: '/_matrix/client/v3/presence/:userId/status',
    auth: 'user',
    rateLimit: 'other',
    handler: put,
  },
  {
    method: 'GET',
    path: '/_matrix/client/v3/presence/:userId/status',
    auth: 'user',
    rateLimit: 'other',
    handler: get,
  },
];
