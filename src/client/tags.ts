// Tags that a user puts on rooms. Source: client-server API, "Room Tagging".

import { type JsonObject, own } from '../event/json.js';
import { numberOf } from '../account/parts.js';
import { badJson, invalidParam } from './errors.js';
import type { Homeserver } from './homeserver.js';
import { ownUserId, pathRoomId } from './own-data.js';
import { param } from './request-fields.js';
import type { AuthenticatedRequest, Route } from './route.js';
import { storable, storableName } from './stored-json.js';

const TAG_BYTES_MAX = 4_096;
const TAGS_PER_ROOM_MAX = 100;

function list(request: AuthenticatedRequest, home: Homeserver): JsonObject {
  return { tags: home.accounts.accountData.tags(ownUserId(request), pathRoomId(request)) };
}

async function put(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const { accountData } = home.accounts;
  const userId = ownUserId(request);
  const roomId = pathRoomId(request);
  const tag = storableName(param(request, 'tag'), 'A tag');
  const content = storable(request.body, TAG_BYTES_MAX);
  const order = numberOf(content, 'order');
  if (own(content, 'order') !== undefined && (order === undefined || order < 0 || order > 1)) {
    throw badJson('order is a number from 0 to 1.');
  }
  const tags = accountData.tags(userId, roomId);
  if (own(tags, tag) === undefined && Object.keys(tags).length >= TAGS_PER_ROOM_MAX) {
    throw invalidParam(`A room has at most ${TAGS_PER_ROOM_MAX} tags.`);
  }
  await accountData.setTag(userId, roomId, tag, content);
  return {};
}

async function remove(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const { accountData } = home.accounts;
  const userId = ownUserId(request);
  const roomId = pathRoomId(request);
  const tag = param(request, 'tag');
  if (own(accountData.tags(userId, roomId), tag) !== undefined) {
    await accountData.setTag(userId, roomId, tag, undefined);
  }
  return {};
}

const TAGS = '/_matrix/client/v3/user/:userId/rooms/:roomId/tags';
const TAG = `${TAGS}/:tag`;

export const tagRoutes: readonly Route[] = [
  { method: 'GET', path: TAGS, auth: 'user', rateLimit: 'other', handler: list },
  { method: 'PUT', path: TAG, auth: 'user', rateLimit: 'other', handler: put },
  { method: 'DELETE', path: TAG, auth: 'user', rateLimit: 'other', handler: remove },
];
