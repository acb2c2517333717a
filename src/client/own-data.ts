// Paths that name a user (`/user/:userId/...`) are for that user alone.

import { parseHashRoomId, parseRoomId, type RoomId, type UserId } from '../event/ids.js';
import { forbidden, invalidParam } from './errors.js';
import { param } from './request-fields.js';
import type { AuthenticatedRequest } from './route.js';

/** The user of the path, who must be the one asking. @throws MatrixError 403 */
export function ownUserId(request: AuthenticatedRequest): UserId {
  if (param(request, 'userId') !== request.user.userId) throw forbidden('That is for the user alone.');
  return request.user.userId;
}

/** The room of the path, which need not exist. @throws MatrixError 400 M_INVALID_PARAM */
export function pathRoomId(request: AuthenticatedRequest): RoomId {
  const text = param(request, 'roomId');
  const roomId = parseRoomId(text) ?? parseHashRoomId(text);
  if (roomId === undefined) throw invalidParam('That is no room id.');
  return roomId;
}
