// What a room is, for who may not be in it yet: its name and size before one joins.
//
// Only rooms that are held here are told of. Others are not asked for: whoever is invited has the stripped state.
//
// Source: client-server API, GET /room_summary/{roomIdOrAlias}; MSC3266 (the path that js-sdk still asks).

import type { UserId } from '../event/ids.js';
import { type JsonObject, own } from '../event/json.js';
import { roomSummary } from '../reader/room-summary.js';
import type { StateView } from '../reader/state-view.js';
import { notFound } from './errors.js';
import type { Homeserver } from './homeserver.js';
import { allowedRooms, isAllowedBy } from './membership-change.js';
import { namedRoom } from './remote-rooms.js';
import { param } from './request-fields.js';
import type { AuthenticatedRequest, Route } from './route.js';
import { clientRoom, historyVisibility, stateEvent } from './visibility.js';

async function summary(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const { userId } = request.user;
  const { roomId } = await namedRoom(home, request, param(request, 'roomIdOrAlias'));
  const room = clientRoom(home.engine, roomId);
  const view = room && home.engine.currentState(roomId);
  if (view === undefined || !isShown(home, view, userId)) {
    throw notFound('The room is not known here, or you could not join it.');
  }
  const membership = view.membership(userId);
  const joinRules = stateEvent(home.engine, view, 'm.room.join_rules')?.content ?? {};
  const allowed = allowedRooms(view, joinRules);
  return {
    ...roomSummary(home.engine.reader, view),
    ...(allowed === undefined ? {} : { allowed_room_ids: [...allowed] }),
    membership: membership === undefined || membership === 'none' ? 'leave' : membership,
  };
}

/** Could the user join the room, knock at it, or read it? */
function isShown(home: Homeserver, view: StateView, userId: UserId): boolean {
  const membership = view.membership(userId);
  if (membership === 'join' || membership === 'invite' || membership === 'knock') return true;
  const joinRules = stateEvent(home.engine, view, 'm.room.join_rules')?.content ?? {};
  const rule = own(joinRules, 'join_rule');
  const { allowsKnock, allowsKnockRestricted } = view.rules.authorisation;
  if (rule === 'public' || (rule === 'knock' && allowsKnock)) return true;
  if (rule === 'knock_restricted' && allowsKnockRestricted) return true;
  if (historyVisibility(home.engine, view) === 'world_readable') return true;
  return isAllowedBy(home, view, joinRules, userId);
}

export const roomSummaryRoutes: readonly Route[] = [
  '/_matrix/client/v1/room_summary/:roomIdOrAlias',
  '/_matrix/client/unstable/im.nheko.summary/summary/:roomIdOrAlias',
].map((path) => ({ method: 'GET', path, auth: 'user', rateLimit: 'other', handler: summary }));
