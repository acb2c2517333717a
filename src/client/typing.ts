// Who is typing. Source: client-server API, "Typing Notifications".

import type { JsonObject } from '../event/json.js';
import { invalidParam, missingParam } from './errors.js';
import type { Homeserver } from './homeserver.js';
import { ownUserId, pathRoomId } from './own-data.js';
import { bodyFlag } from './request-fields.js';
import type { AuthenticatedRequest, Route } from './route.js';
import { joinedRoom } from './visibility.js';

const TYPING_MS_DEFAULT = 30_000;

function setTyping(request: AuthenticatedRequest, home: Homeserver): JsonObject {
  const userId = ownUserId(request);
  const roomId = pathRoomId(request);
  joinedRoom(home, roomId, userId);
  const isTyping = bodyFlag(request.body, 'typing');
  if (isTyping === undefined) throw missingParam('typing is missing.');
  home.ephemeral.active(userId);
  home.ephemeral.setTyping(roomId, userId, isTyping ? timeoutOf(request.body) : 0);
  // Who types on is told of again, for other servers forget; who stops is a change, told of like every other.
  if (isTyping) home.federation?.sender.sendTyping(roomId, userId, true);
  return {};
}

function timeoutOf(body: JsonObject): number {
  const timeout = Object.hasOwn(body, 'timeout') ? body['timeout'] : undefined;
  if (timeout === undefined || timeout === null) return TYPING_MS_DEFAULT;
  if (typeof timeout !== 'number' || !Number.isSafeInteger(timeout) || timeout < 0) {
    throw invalidParam('timeout is a number of milliseconds.');
  }
  return timeout;
}

export const typingRoutes: readonly Route[] = [
  {
    method: 'PUT',
    path: '/_matrix/client/v3/rooms/:roomId/typing/:userId',
    auth: 'user',
    rateLimit: 'other',
    handler: setTyping,
  },
];
