// The public room directory: which rooms are listed, and the list.
//
// Source: client-server API, "Published room directory".

import type { RoomId } from '../event/ids.js';
import { type JsonObject, type JsonValue, own } from '../event/json.js';
import { compareCodePoints } from '../lib/bytes.js';
import type { StateView } from '../reader/state-view.js';
import { mayNameRoom } from './aliases.js';
import { badJson, forbidden, invalidParam, notFound } from './errors.js';
import type { Homeserver } from './homeserver.js';
import { bodyArray, bodyObject, bodyText, param, queryInteger, queryText } from './request-fields.js';
import type { AuthenticatedRequest, ClientRequest, Route } from './route.js';
import { clientRoom, historyVisibility, stateEvent } from './visibility.js';

const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 500;

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

/** Which page of the list, of which rooms. */
interface Search {
  readonly limit: number;
  readonly since: string | undefined;
  /** Lower case; empty matches all. */
  readonly term: string;
  /** Types wanted, `null` for rooms without one; undefined for all. */
  readonly types: readonly JsonValue[] | undefined;
}

function list(request: ClientRequest, home: Homeserver): JsonObject {
  assertOurs(request, home);
  const limit = queryInteger(request, 'limit', { max: LIMIT_MAX }) ?? LIMIT_DEFAULT;
  return page(home, { limit, since: queryText(request, 'since'), term: '', types: undefined });
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
    since: bodyText(body, 'since'),
    term: (bodyText(filter, 'generic_search_term') ?? '').toLowerCase(),
    types: bodyArray(filter, 'room_types'),
  });
}

function assertOurs(request: ClientRequest, home: Homeserver): void {
  const server = queryText(request, 'server');
  if (server !== undefined && server !== home.options.serverName) {
    throw notFound(`The directory of ${server} cannot be reached from here.`);
  }
}

/** One listed room. */
interface Listed {
  readonly roomId: RoomId;
  readonly joined: number;
  readonly shown: JsonObject;
}

/** The largest rooms first. A token says how many rooms come before its page. */
function page(home: Homeserver, { limit, since, term, types }: Search): JsonObject {
  const start = since === undefined ? 0 : startOfToken(since);
  const rooms = home.accounts.directory
    .list()
    .filter((roomId) => clientRoom(home.engine, roomId) !== undefined)
    .map((roomId) => describe(home, roomId))
    .filter(({ shown }) => matches(shown, term, types))
    .sort((a, b) => b.joined - a.joined || compareCodePoints(a.roomId, b.roomId));
  const end = start + limit;
  return {
    chunk: rooms.slice(start, end).map(({ shown }) => shown),
    total_room_count_estimate: rooms.length,
    ...(end < rooms.length && limit > 0 ? { next_batch: `p${end}` } : {}),
    ...(start > 0 ? { prev_batch: `p${Math.max(0, start - limit)}` } : {}),
  };
}

function startOfToken(token: string): number {
  const match = /^p([0-9]{1,9})$/.exec(token);
  if (match?.[1] === undefined) throw invalidParam('since is no token of this list.');
  return Number(match[1]);
}

function matches(room: JsonObject, term: string, types: readonly JsonValue[] | undefined): boolean {
  if (types !== undefined && !types.includes(own(room, 'room_type') ?? null)) return false;
  const texts = ['name', 'topic', 'canonical_alias'].map((key) => own(room, key));
  const isFound = (text: JsonValue | undefined) =>
    typeof text === 'string' && text.toLowerCase().includes(term);
  return term === '' || texts.some(isFound);
}

/** A room as the list shows it. A handful of point queries. */
function describe(home: Homeserver, roomId: RoomId): Listed {
  const { engine } = home;
  const view = engine.currentState(roomId);
  const optional = (key: string, value: string | undefined): JsonObject =>
    value === undefined ? {} : { [key]: value };
  const shown = {
    room_id: roomId,
    num_joined_members: view.joined,
    world_readable: historyVisibility(engine, view) === 'world_readable',
    guest_can_join: text(home, view, 'm.room.guest_access', 'guest_access') === 'can_join',
    join_rule: text(home, view, 'm.room.join_rules', 'join_rule') ?? 'invite',
    ...optional('name', text(home, view, 'm.room.name', 'name')),
    ...optional('topic', text(home, view, 'm.room.topic', 'topic')),
    ...optional('canonical_alias', text(home, view, 'm.room.canonical_alias', 'alias')),
    ...optional('avatar_url', text(home, view, 'm.room.avatar', 'url')),
    ...optional('room_type', text(home, view, 'm.room.create', 'type')),
  };
  return { roomId, joined: view.joined, shown };
}

function text(home: Homeserver, view: StateView, type: string, key: string): string | undefined {
  const content = stateEvent(home.engine, view, type)?.content;
  const value = content === undefined ? undefined : own(content, key);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

const LISTED = '/_matrix/client/v3/directory/list/room/:roomId';
const PUBLIC_ROOMS = '/_matrix/client/v3/publicRooms';

export const directoryRoutes: readonly Route[] = [
  { method: 'GET', path: LISTED, auth: 'none', rateLimit: 'other', handler: visibility },
  { method: 'PUT', path: LISTED, auth: 'user', rateLimit: 'other', handler: setVisibility },
  { method: 'GET', path: PUBLIC_ROOMS, auth: 'none', rateLimit: 'other', handler: list },
  { method: 'POST', path: PUBLIC_ROOMS, auth: 'user', rateLimit: 'other', handler: search },
];
