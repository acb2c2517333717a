// Who is in a room: join, leave, forget, invite, kick, ban, unban, knock.
//
// Each is one `m.room.member` event. What an endpoint promises beyond the authorisation rules is asked here: that
// a kick lifts no ban, that who was invited already is not invited again.
//
// Source: client-server API, "Room membership".

import type { RoomId } from '../event/ids.js';
import { type JsonObject, own } from '../event/json.js';
import type { Membership } from '../room/state/value.js';
import { forbidden, MatrixError, notFound } from './errors.js';
import type { Homeserver } from './homeserver.js';
import { joinRoom } from './join-room.js';
import { changeMembership } from './membership-change.js';
import { asked, namedRoom, outsidePlace, reachedBy } from './remote-rooms.js';
import { bodyText, param, userIdOf } from './request-fields.js';
import type { AuthenticatedRequest, Route } from './route.js';
import { clientRoom, joinedRoom, NOT_IN_ROOM, type RoomViewer, viewerOf } from './visibility.js';

function reasonOf(request: AuthenticatedRequest): JsonObject {
  const reason = bodyText(request.body, 'reason');
  return reason === undefined ? {} : { reason };
}

async function joinByName(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  return joinRoom(
    home,
    request.user,
    await namedRoom(home, request, param(request, 'roomIdOrAlias')),
    reasonOf(request),
  );
}

async function joinById(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const roomId = param(request, 'roomId');
  if (!roomId.startsWith('!')) throw notFound('There is no such room on this server.');
  return joinRoom(home, request.user, await namedRoom(home, request, roomId), reasonOf(request));
}

async function knock(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const room = await namedRoom(home, request, param(request, 'roomIdOrAlias'));
  const { userId } = request.user;
  const extra = reasonOf(request);
  const federation = await reachedBy(home, room.roomId);
  if (federation === undefined) {
    await changeMembership(home, request.user, room.roomId, { target: userId, membership: 'knock', extra });
  } else {
    const content = { ...home.accounts.profiles.memberFields(userId), ...extra };
    await asked(() => federation.membership.knock({ ...room, userId, content }));
  }
  return { room_id: room.roomId };
}

/** The requester's eyes on a room that knows them. @throws MatrixError 403 */
function knownTo(request: AuthenticatedRequest, home: Homeserver): RoomViewer {
  const viewer = viewerOf(home, param(request, 'roomId'), request.user.userId);
  if (viewer?.membership === undefined) throw forbidden(NOT_IN_ROOM);
  return viewer;
}

async function leave(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const place = outsidePlace(home, request.user.userId, param(request, 'roomId'));
  if (place !== undefined) {
    if (place.membership === 'leave') return {};
    const { userId } = request.user;
    const hasLeft = await home.federation?.membership.leave(userId, place, reasonOf(request));
    if (hasLeft !== false) return {};
  }
  const { membership, view } = knownTo(request, home);
  if (membership === 'leave') return {};
  await changeMembership(home, request.user, view.roomId, {
    target: request.user.userId,
    membership: 'leave',
    extra: reasonOf(request),
  });
  return {};
}

async function forget(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const { userId } = request.user;
  const place = outsidePlace(home, userId, param(request, 'roomId'));
  if (place?.membership === 'leave') {
    await home.accounts.outside.remove(userId, place.event.roomId);
    if (clientRoom(home.engine, place.event.roomId) === undefined) return {};
  }
  const { membership, view } = knownTo(request, home);
  if (membership !== 'leave' && membership !== 'ban') {
    throw new MatrixError(400, 'M_UNKNOWN', 'You have to leave the room before you can forget it.');
  }
  await home.accounts.memberships.forget(request.user.userId, view.roomId);
  return {};
}

/** The room of a request about another user, who is named in its body. */
function about(request: AuthenticatedRequest, home: Homeserver) {
  const { view } = joinedRoom(home, param(request, 'roomId'), request.user.userId);
  const target = userIdOf(bodyText(request.body, 'user_id'));
  return { view, target, membership: view.membership(target), extra: reasonOf(request) };
}

/** Does the room not say what a user is in it, as its state is not all known? Then the rules decide once it is. */
function isUntold({ engine }: Homeserver, roomId: RoomId, membership: Membership | undefined): boolean {
  return membership === undefined && engine.partial.isPartial(roomId);
}

async function invite(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  if (own(request.body, 'user_id') === undefined && own(request.body, 'medium') !== undefined) {
    throw new MatrixError(403, 'M_THREEPID_DENIED', 'This server invites by user id only.');
  }
  const { view, target, membership, extra } = about(request, home);
  if (membership === 'invite') return {};
  if (membership === 'join') throw forbidden(`${target} is in the room already.`);
  await changeMembership(home, request.user, view.roomId, { target, membership: 'invite', extra });
  return {};
}

async function kick(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const { view, target, membership, extra } = about(request, home);
  const isThere = membership === 'join' || membership === 'invite' || membership === 'knock';
  // Of a banned user it would lift the ban.
  if (!isThere && !isUntold(home, view.roomId, membership)) {
    throw forbidden(`${target} is not in the room.`);
  }
  await changeMembership(home, request.user, view.roomId, { target, membership: 'leave', extra });
  return {};
}

async function ban(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const { view, target, extra } = about(request, home);
  await changeMembership(home, request.user, view.roomId, { target, membership: 'ban', extra });
  return {};
}

async function unban(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const { view, target, membership, extra } = about(request, home);
  if (membership !== 'ban' && !isUntold(home, view.roomId, membership)) {
    throw new MatrixError(403, 'M_BAD_STATE', `${target} is not banned.`);
  }
  await changeMembership(home, request.user, view.roomId, { target, membership: 'leave', extra });
  return {};
}

type Handler = Route['handler'];

function post(path: string, rateLimit: Route['rateLimit'], handler: Handler): Route {
  return { method: 'POST', path: `/_matrix/client/v3/${path}`, auth: 'user', rateLimit, handler };
}

export const membershipRoutes: readonly Route[] = [
  post('join/:roomIdOrAlias', 'join', joinByName),
  post('rooms/:roomId/join', 'join', joinById),
  post('knock/:roomIdOrAlias', 'join', knock),
  post('rooms/:roomId/leave', 'other', leave),
  post('rooms/:roomId/forget', 'other', forget),
  post('rooms/:roomId/invite', 'other', invite),
  post('rooms/:roomId/kick', 'other', kick),
  post('rooms/:roomId/ban', 'other', ban),
  post('rooms/:roomId/unban', 'other', unban),
];
