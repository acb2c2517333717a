// Joins of restricted rooms: does the user meet a condition, and who of ours can vouch for it?
//
// Source: server-server API, "Restricted rooms"; client-server API, "Restricted rooms"; rooms/v8.

import { parseHashRoomId, parseRoomId, type UserId } from '../../../event/ids.js';
import { isArray, isObject, type JsonValue, own } from '../../../event/json.js';
import { powerLevelsAt, stateEventAt } from '../../../reader/room-facts.js';
import { FederationError, forbidden } from '../../errors.js';
import type { Federation } from '../../federation.js';
import { namedRoom, type ServedRoom } from '../rooms.js';
import { servingOf } from '../serving.js';

/** Conditions that are looked at. */
const CONDITIONS_MAX = 200;

/**
 * The user of ours who is to stand in the join event; undefined where none is needed: the room is not
 * restricted, or the user is invited or joined already.
 * @throws FederationError 403 where the user meets no condition; 400 M_UNABLE_TO_AUTHORISE_JOIN where that
 *   cannot be told here, M_UNABLE_TO_GRANT_JOIN where nobody here may invite
 */
export function authorisingUser(
  federation: Federation,
  room: ServedRoom,
  userId: UserId,
): UserId | undefined {
  const conditions = conditionsOf(federation, room);
  const membership = room.view.membership(userId);
  if (conditions === undefined || membership === 'join' || membership === 'invite') return undefined;
  // The rules refuse a banned user; nothing else is to be said of the room to them.
  if (membership === 'ban') return undefined;
  const verdict = judge(federation, conditions, userId);
  if (verdict === 'unknown') {
    throw new FederationError(
      400,
      'M_UNABLE_TO_AUTHORISE_JOIN',
      'This server is not in the rooms that the join depends on.',
    );
  }
  if (verdict === 'failed') throw forbidden('The user is in none of the rooms that this one is open to.');
  const inviter = inviterOfOurs(federation, room);
  if (inviter !== undefined) return inviter;
  throw new FederationError(400, 'M_UNABLE_TO_GRANT_JOIN', 'Nobody of this server may invite to the room.');
}

/** The conditions of a restricted room; undefined for another. */
export function conditionsOf(
  { parts: { engine } }: Federation,
  { view }: Pick<ServedRoom, 'view'>,
): readonly JsonValue[] | undefined {
  const content = stateEventAt(engine.reader, view, 'm.room.join_rules')?.content;
  const rule = content === undefined ? undefined : own(content, 'join_rule');
  const { allowsRestricted, allowsKnockRestricted } = view.rules.authorisation;
  const isRestricted =
    (rule === 'restricted' && allowsRestricted) || (rule === 'knock_restricted' && allowsKnockRestricted);
  if (content === undefined || !isRestricted) return undefined;
  const allow = own(content, 'allow');
  return isArray(allow) ? allow.slice(0, CONDITIONS_MAX) : [];
}

/** Room ids that conditions name. */
export function allowedRooms(conditions: readonly JsonValue[]): string[] {
  return conditions.flatMap((condition) => {
    if (!isObject(condition) || own(condition, 'type') !== 'm.room_membership') return [];
    const roomId = own(condition, 'room_id');
    if (typeof roomId !== 'string') return [];
    return parseRoomId(roomId) ?? parseHashRoomId(roomId) ?? [];
  });
}

function judge(
  { parts: { engine, serverName } }: Federation,
  conditions: readonly JsonValue[],
  userId: UserId,
): 'met' | 'failed' | 'unknown' {
  let verdict: 'failed' | 'unknown' = 'failed';
  for (const roomId of allowedRooms(conditions)) {
    const row = namedRoom(engine, roomId);
    const view = row === undefined ? undefined : engine.currentState(row.roomId);
    // What is known of a room that this server left, or knows in part, says nothing of now.
    const isKnown = view !== undefined && row?.isPartial === false;
    if (!isKnown || !servingOf(engine).members.of(view).has(serverName)) verdict = 'unknown';
    else if (view.membership(userId) === 'join') return 'met';
  }
  return verdict;
}

function inviterOfOurs(
  { parts: { engine, serverName } }: Federation,
  { view }: ServedRoom,
): UserId | undefined {
  const levels = powerLevelsAt(engine.reader, view);
  const needed = levels.named('invite');
  for (const userId of servingOf(engine).members.of(view).users(serverName)) {
    if (view.membership(userId) === 'join' && levels.user(userId) >= needed) return userId;
  }
  return undefined;
}
