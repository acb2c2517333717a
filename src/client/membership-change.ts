// One change of one membership: what the `m.room.member` event says beside it, and the sending of it.
//
// The authorisation rules have the last word. What they leave to the server is done here: what the user is
// called, and whose power lets a user into a restricted room.
//
// Source: client-server API, "Room membership", "Restricted rooms"; rooms/v8.

import { isDeepStrictEqual } from 'node:util';
import { type EventId, parseUserId, type RoomId, serverOf, type UserId } from '../event/ids.js';
import { isArray, isObject, type JsonObject, own } from '../event/json.js';
import { creatorsOf, levelMap, powerLevelsOf } from '../room/auth/power-levels.js';
import type { StateView } from '../reader/state-view.js';
import { shownContent } from './client-event.js';
import { badJson, forbidden, MatrixError } from './errors.js';
import type { Homeserver } from './homeserver.js';
import { userIdOf } from './request-fields.js';
import type { Requester } from './route.js';
import { asked } from './remote-rooms.js';
import { committed, sendEvent } from './send.js';
import { clientRoom, stateEvent } from './visibility.js';

/** A change of one membership. */
export interface MembershipChange {
  readonly target: UserId;
  readonly membership: 'join' | 'leave' | 'invite' | 'ban' | 'knock';
  /** What the event says beside that: a reason, or a profile of the user's own making. */
  readonly extra?: JsonObject;
}

/** The rules would let the user in, but nobody of this server may: another server has to. */
export class NobodyLetsInError extends MatrixError {
  constructor() {
    super(403, 'M_FORBIDDEN', 'Nobody of this server in the room can let you in.');
  }
}

/** Sends a membership event; one that would say again what holds is not sent. @throws as `sendEvent` */
export async function changeMembership(
  home: Homeserver,
  requester: Requester,
  roomId: RoomId,
  { target, membership, extra = {} }: MembershipChange,
): Promise<{ readonly event_id: EventId }> {
  const { engine } = home;
  const view = engine.currentState(roomId);
  const content: JsonObject = {
    ...profileOf(home, requester.userId, target, membership),
    ...without(extra, 'join_authorised_via_users_server'),
    membership,
    ...(membership === 'join' ? authorisedJoin(home, view, target) : {}),
  };
  const currentId = view.get('m.room.member', target);
  const current = currentId === undefined ? undefined : engine.reader.events.get(currentId);
  if (
    current?.pdu.sender === requester.userId &&
    isDeepStrictEqual(await shownContent(home, current), content)
  ) {
    return { event_id: current.pdu.eventId };
  }
  if (membership === 'invite' && serverOf(target) !== home.options.serverName) {
    return inviteElsewhere(home, requester, roomId, target, content);
  }
  return sendEvent(home, requester, roomId, { type: 'm.room.member', stateKey: target, content });
}

/** Invites a user of another server, which has to agree first. @throws MatrixError */
async function inviteElsewhere(
  { federation }: Homeserver,
  { userId: sender }: Requester,
  roomId: RoomId,
  target: UserId,
  content: JsonObject,
): Promise<{ readonly event_id: EventId }> {
  if (federation === undefined) {
    throw forbidden(
      `Users of ${serverOf(target)} cannot be invited: this server reaches its own users only.`,
    );
  }
  const invite = { roomId, sender, target, content };
  const { eventId } = await committed(() => asked(() => federation.membership.invite(invite)));
  return { event_id: eventId };
}

/** A member event that a client writes itself, by `PUT .../state/m.room.member/...`. @throws MatrixError */
export function writtenMembership(
  home: Homeserver,
  requester: Requester,
  roomId: RoomId,
  stateKey: string,
  content: JsonObject,
): Promise<{ readonly event_id: EventId }> {
  const membership = own(content, 'membership');
  const isKnown =
    membership === 'join' ||
    membership === 'leave' ||
    membership === 'invite' ||
    membership === 'ban' ||
    membership === 'knock';
  if (!isKnown) throw badJson('membership is one of join, leave, invite, ban, knock.');
  const target = userIdOf(stateKey, 'The state key of a member event');
  return changeMembership(home, requester, roomId, { target, membership, extra: content });
}

/** A user is called what they call themselves, where they come in; never by who throws them out. */
function profileOf(home: Homeserver, sender: UserId, target: UserId, membership: string): JsonObject {
  const isEntering = membership === 'join' || membership === 'knock' || membership === 'invite';
  const isLocal = serverOf(target) === home.options.serverName;
  if (!isEntering || !isLocal || (membership !== 'invite' && sender !== target)) return {};
  return { ...home.accounts.profiles.memberFields(target) };
}

function without(json: JsonObject, key: string): JsonObject {
  return Object.fromEntries(Object.entries(json).filter(([name]) => name !== key));
}

/**
 * What a join of a restricted room says: whose power to invite lets the user in.
 * @throws MatrixError 403 when the user is in none of the rooms that allow it, or nobody here can let them in
 */
function authorisedJoin(home: Homeserver, view: StateView, userId: UserId): JsonObject {
  const { engine } = home;
  const membership = view.membership(userId);
  if (membership === 'join' || membership === 'invite' || membership === 'ban') return {};
  const rules = stateEvent(engine, view, 'm.room.join_rules');
  if (rules === undefined || allowedRooms(view, rules.content) === undefined) return {};
  if (!isAllowedBy(home, view, rules.content, userId)) {
    throw forbidden('You are in none of the rooms whose members may join this one.');
  }
  const authorising = localInviter(home, view);
  if (authorising === undefined) throw new NobodyLetsInError();
  return { join_authorised_via_users_server: authorising };
}

const ALLOWED_ROOMS_MAX = 1_000;

/** The rooms whose members may join a restricted room; undefined for a room that is not restricted. */
export function allowedRooms(view: StateView, joinRules: JsonObject): readonly string[] | undefined {
  const rule = own(joinRules, 'join_rule');
  const { allowsRestricted, allowsKnockRestricted } = view.rules.authorisation;
  const isRestricted =
    (rule === 'restricted' && allowsRestricted) || (rule === 'knock_restricted' && allowsKnockRestricted);
  if (!isRestricted) return undefined;
  const allow = own(joinRules, 'allow');
  if (!isArray(allow)) return [];
  return allow.slice(0, ALLOWED_ROOMS_MAX).flatMap((entry) => {
    if (!isObject(entry) || own(entry, 'type') !== 'm.room_membership') return [];
    const roomId = own(entry, 'room_id');
    return typeof roomId === 'string' ? [roomId] : [];
  });
}

/** Is the user joined to one of the rooms that the join rules name, as far as they are known here? */
export function isAllowedBy(
  { engine }: Homeserver,
  view: StateView,
  joinRules: JsonObject,
  userId: UserId,
): boolean {
  return (allowedRooms(view, joinRules) ?? []).some(
    (roomId) =>
      clientRoom(engine, roomId) !== undefined && engine.currentState(roomId).membership(userId) === 'join',
  );
}

/** A joined user of this server who may invite: those with a level of their own first, else anyone at all. */
function localInviter({ engine, options }: Homeserver, view: StateView): UserId | undefined {
  const create = stateEvent(engine, view, 'm.room.create');
  const powerLevels = stateEvent(engine, view, 'm.room.power_levels');
  const levels = powerLevelsOf(create, powerLevels);
  const mayInvite = (userId: string): boolean =>
    parseUserId(userId) !== undefined &&
    serverOf(userId as UserId) === options.serverName &&
    view.membership(userId) === 'join' &&
    levels.user(userId) >= levels.named('invite');

  const listed = Object.keys(levelMap(own(powerLevels?.content ?? {}, 'users')) ?? {});
  const creators = create === undefined ? [] : [...creatorsOf(create)];
  const known = [...creators, ...listed].find(mayInvite);
  if (known !== undefined) return known as UserId;
  if (!(levels.named('users_default') >= levels.named('invite'))) return undefined;
  for (const { userId } of view.members({ membership: 'join' })) {
    if (mayInvite(userId)) return userId as UserId;
  }
  return undefined;
}
