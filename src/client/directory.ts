// The public room directory: which rooms are listed, and the list.
//
// Source: client-server API, "Published room directory".

import {
  PAGE_MAX as LIMIT_MAX,
  publishedRooms,
  type RoomSearch,
  startOfPage,
} from '../account/published-rooms.js';
import { type JsonObject, own } from '../event/json.js';
import { mayNameRoom } from './aliases.js';
import { badJson, forbidden, invalidParam, notFound } from './errors.js';
import type { Homeserver } from './homeserver.js';
import { bodyArray, bodyObject, bodyText, param, queryInteger, queryText } from './request-fields.js';
import type { AuthenticatedRequest, ClientRequest, Route } from './route.js';
import { clientRoom } from './visibility.js';

const LIMIT_DEFAULT = 100;

function visibility(request: ClientRequest, home: Homeserver): JsonObject {
  const room = clientRoom(home.engine, param(request, 'roomId'));
  if (room === undefined) throw notFound('There is no such room on this server.');
  return { visibility: home.accounts.directory.isPublished(room.roomId) ? 'public' : 'private' };
}

async function setVisibility(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const room = clientRoom(home.engine, param(request, 'roomId'));
  if (room === undefined) throw notFound('There is no such room on this server.');
  const wished = bodyText(request.body, 'visibility') ?? 'public';
  if (wished !== 'public' && wished !== 'private') throw invalidParam('visibility is public or private.');
  if (!request.user.isAdmin && !mayNameRoom(home, room.roomId, request.user.userId)) {
    throw forbidden('Only who may set the canonical alias of a room decides whether it is listed.');
  }
  await home.accounts.directory.setPublished(room.roomId, wished === 'public');
  return {};
}

function list(request: ClientRequest, home: Homeserver): JsonObject {
  assertOurs(request, home);
  const limit = queryInteger(request, 'limit', { max: LIMIT_MAX }) ?? LIMIT_DEFAULT;
  return page(home, { limit, start: startOf(queryText(request, 'since')), term: '', types: undefined });
}

function search(request: AuthenticatedRequest, home: Homeserver): JsonObject {
  assertOurs(request, home);
  const { body } = request;
  const limit = own(body, 'limit') ?? LIMIT_DEFAULT;
  if (typeof limit !== 'number' || !Number.isSafeInteger(limit) || limit < 0)
    throw badJson('limit is a count.');
  const filter = bodyObject(body, 'filter') ?? {};
  return page(home, {
    limit: Math.min(limit, LIMIT_MAX),
    start: startOf(bodyText(body, 'since')),
    term: bodyText(filter, 'generic_search_term') ?? '',
    types: bodyArray(filter, 'room_types'),
  });
}

function assertOurs(request: ClientRequest, home: Homeserver): void {
  const server = queryText(request, 'server');
  if (server !== undefined && server !== home.options.serverName) {
    throw notFound(`The directory of ${server} cannot be reached from here.`);
  }
}

function page({ engine, accounts }: Homeserver, asked: RoomSearch): JsonObject {
  return publishedRooms({ engine, directory: accounts.directory }, asked);
}

function startOf(since: string | undefined): number {
  const start = since === undefined ? 0 : startOfPage(since);
  if (start === undefined) throw invalidParam('since is no token of this list.');
  return start;
}

const LISTED = '/_matrix/client/v3/directory/list/room/:roomId';
const PUBLIC_ROOMS = '/_matrix/client/v3/publicRooms';

export const directoryRoutes: readonly Route[] = [
  { method: 'GET', path: LISTED, auth: 'none', rateLimit: 'other', handler: visibility },
  { method: 'PUT', path: LISTED, auth: 'user', rateLimit: 'other', handler: setVisibility },
  { method: 'GET', path: PUBLIC_ROOMS, auth: 'none', rateLimit: 'other', handler: list },
  { method: 'POST', path: PUBLIC_ROOMS, auth: 'user', rateLimit: 'other', handler: search },
];
