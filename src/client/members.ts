// The members of a room, now or at a place in its timeline.
//
// Memberships come from the state tree; only the events that are asked for are read. All members are needed, so that
// a room whose state is known in part is waited for.
//
// Source: client-server API, GET /rooms/{roomId}/members, GET /rooms/{roomId}/joined_members.

import { type JsonObject, own } from '../event/json.js';
import type { StateView } from '../reader/state-view.js';
import { forbidden } from './errors.js';
import type { Homeserver } from './homeserver.js';
import { placeOfToken } from './pagination.js';
import { inWholeRoom } from './partial-rooms.js';
import { param, queryText, queryWord } from './request-fields.js';
import type { AuthenticatedRequest, Route } from './route.js';
import { toClientState } from './state-listing.js';
import { joinedRoom, readableRoom, type RoomAccess, stateAfter } from './visibility.js';

const MEMBERSHIPS = ['join', 'invite', 'knock', 'leave', 'ban'] as const;

async function members(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const only = queryWord(request, 'membership', MEMBERSHIPS);
  const not = queryWord(request, 'not_membership', MEMBERSHIPS);
  const at = queryText(request, 'at');
  const access = await inWholeRoom(home, request, () =>
    readableRoom(home, param(request, 'roomId'), request.user.userId),
  );
  const view = at === undefined ? access.view : await viewAt(home, access, placeOfToken(at));
  // The two together are an "or".
  const isWanted = (membership: string): boolean =>
    (only === undefined && not === undefined) ||
    (only !== undefined && membership === only) ||
    (not !== undefined && membership !== not);
  const ids = [...view.members()]
    .filter(({ membership }) => isWanted(membership))
    .map(({ eventId }) => eventId);
  return {
    chunk: await toClientState(home, view.roomId, ids, { requester: request.user, viewer: access.viewer }),
  };
}

/** The state at a place of the timeline that the user may see. @throws MatrixError 403 */
async function viewAt(home: Homeserver, access: RoomAccess, place: number): Promise<StateView> {
  const { engine } = home;
  const { room, viewer, view, until } = access;
  const newest = { to: Math.min(place, until) + 1, reverse: true };
  for await (const [order, seq] of engine.store.timeline(room.number, newest)) {
    const event = engine.reader.events.at(seq);
    if (event === undefined || !viewer.canSee(event, order)) break;
    return stateAfter(view, event);
  }
  throw forbidden('You may not see the room at this point.');
}

async function joinedMembers(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const { view, viewer } = await inWholeRoom(home, request, () =>
    joinedRoom(home, param(request, 'roomId'), request.user.userId),
  );
  const ids = [...view.members({ membership: 'join' })].map(({ eventId }) => eventId);
  const events = await toClientState(home, view.roomId, ids, { requester: request.user, viewer });
  const joined = events.flatMap((event) => {
    const userId = event['state_key'];
    return typeof userId === 'string' ? [[userId, memberOf(event)] as const] : [];
  });
  return { joined: Object.fromEntries(joined) };
}

function memberOf(event: JsonObject): JsonObject {
  const content = event['content'] as JsonObject;
  const name = own(content, 'displayname');
  const avatar = own(content, 'avatar_url');
  return {
    ...(typeof name === 'string' ? { display_name: name } : {}),
    ...(typeof avatar === 'string' ? { avatar_url: avatar } : {}),
  };
}

export const memberRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/_matrix/client/v3/rooms/:roomId/members',
    auth: 'user',
    rateLimit: 'other',
    handler: members,
  },
  {
    method: 'GET',
    path: '/_matrix/client/v3/rooms/:roomId/joined_members',
    auth: 'user',
    rateLimit: 'other',
    handler: joinedMembers,
  },
];
