// A room's state: one key, or all of it; and setting a key.
//
// Who is joined asks the current state, who has left that of when they left. One key costs one point query. All of it,
// and members that are not known, are waited for where the state is known in part.
//
// Source: client-server API, GET and PUT /rooms/{roomId}/state.

import { isDeepStrictEqual } from 'node:util';
import type { JsonObject } from '../event/json.js';
import { MEMBER_TYPE } from '../room/state/key.js';
import type { KnownEvent } from '../room/graph/known-events.js';
import { checkCanonicalAlias } from './aliases.js';
import { shownContent, toClientEvent } from './client-event.js';
import { forbidden, notFound } from './errors.js';
import type { Homeserver } from './homeserver.js';
import { writtenMembership } from './membership-change.js';
import { inWholeRoom, memberOf } from './partial-rooms.js';
import { param, queryWord } from './request-fields.js';
import { type AuthenticatedRequest, Reply, type Route } from './route.js';
import { sendEvent } from './send.js';
import { toClientState } from './state-listing.js';
import { clientRoom, joinedRoom, NOT_IN_ROOM, readableRoom, type RoomAccess } from './visibility.js';

async function get(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const format = queryWord(request, 'format', ['content', 'event'] as const);
  const { access, event } = await eventAt(request, home);
  const { viewer } = access;
  if (event === undefined) throw notFound('The room has no such state.');
  return format === 'event'
    ? toClientEvent(home, event, { requester: request.user, viewer, detail: 'state' })
    : shownContent(home, event, viewer);
}

async function eventAt(
  request: AuthenticatedRequest,
  home: Homeserver,
): Promise<{ readonly access: RoomAccess; readonly event: KnownEvent | undefined }> {
  const look = (): RoomAccess => readableRoom(home, param(request, 'roomId'), request.user.userId);
  const type = param(request, 'eventType');
  const stateKey = stateKeyOf(request);
  if (type === MEMBER_TYPE) {
    const { access, member } = await memberOf(home, request, look, stateKey);
    return { access, event: member };
  }
  const access = look();
  const id = access.view.get(type, stateKey);
  return { access, event: id === undefined ? undefined : home.engine.reader.events.get(id) };
}

async function getAll(request: AuthenticatedRequest, home: Homeserver): Promise<Reply> {
  const { view, viewer } = await inWholeRoom(home, request, () =>
    readableRoom(home, param(request, 'roomId'), request.user.userId),
  );
  const ids = view.sorted().map(({ eventId }) => eventId);
  const events = await toClientState(home, view.roomId, ids, { requester: request.user, viewer });
  return new Reply(200, JSON.stringify(events), { 'content-type': 'application/json' });
}

async function put(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const { user, body: content } = request;
  const type = param(request, 'eventType');
  const stateKey = stateKeyOf(request);
  const roomId = param(request, 'roomId');
  if (type === MEMBER_TYPE) {
    // Whoever is not in the room may come in by this too: the rules decide.
    const room = clientRoom(home.engine, roomId);
    if (room === undefined) throw forbidden(NOT_IN_ROOM);
    return writtenMembership(home, user, room.roomId, stateKey, content);
  }
  const { view } = joinedRoom(home, roomId, user.userId);
  if (type === 'm.room.canonical_alias' && stateKey === '') checkCanonicalAlias(home, view, content);
  const currentId = view.get(type, stateKey);
  const current = currentId === undefined ? undefined : home.engine.reader.events.get(currentId);
  // What was redacted does not say it any more.
  if (current?.pdu.sender === user.userId && isDeepStrictEqual(await shownContent(home, current), content)) {
    return { event_id: current.pdu.eventId };
  }
  return sendEvent(home, user, roomId, { type, stateKey, content });
}

/** The state key of the path; a path that ends before it means the empty one. */
function stateKeyOf(request: AuthenticatedRequest): string {
  return Object.hasOwn(request.params, 'stateKey') ? param(request, 'stateKey') : '';
}

const STATE = '/_matrix/client/v3/rooms/:roomId/state';
const FORMS = [`${STATE}/:eventType`, `${STATE}/:eventType/`, `${STATE}/:eventType/:stateKey`];

export const stateRoutes: readonly Route[] = [
  { method: 'GET', path: STATE, auth: 'user', rateLimit: 'other', handler: getAll },
  ...FORMS.flatMap((path): Route[] => [
    { method: 'GET', path, auth: 'user', rateLimit: 'other', handler: get },
    { method: 'PUT', path, auth: 'user', rateLimit: 'message', handler: put },
  ]),
];
