// Profiles: what a user shows of themselves. A new name or picture goes into every room the user is joined to.
//
// Source: client-server API, "Profiles".

import { fitsBytes, MAX_ID_BYTES, type RoomId, serverOf, type UserId } from '../event/ids.js';
import { type JsonObject, type JsonValue, own } from '../event/json.js';
import { isRemoteFailure } from '../federation/errors.js';
import { StateroomError } from '../lib/errors.js';
import { badJson, forbidden, invalidParam, MatrixError, missingParam, notFound } from './errors.js';
import type { Homeserver } from './homeserver.js';
import { param, userIdOf } from './request-fields.js';
import type { AuthenticatedRequest, Route } from './route.js';
import { storable } from './stored-json.js';

const FIELD = /^(?:avatar_url|displayname|[a-z][a-z0-9_-]*(?:\.[a-z0-9_-]+)+)$/;
const DISPLAY_NAME_BYTES_MAX = 1_024;
const AVATAR = /^mxc:\/\/[^/\s]+\/[A-Za-z0-9_-]+$/;
/** The fields that member events repeat. */
const IN_MEMBER_EVENTS: readonly string[] = ['displayname', 'avatar_url'];
/** Rooms that are told of a new name side by side. */
const ROOMS_AT_ONCE = 16;

async function getAll(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const userId = userIdOf(param(request, 'userId'));
  if (serverOf(userId) !== home.options.serverName) return remoteProfile(home, userId);
  return home.accounts.profiles.all(knownUser(userId, home));
}

async function getOne(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const userId = userIdOf(param(request, 'userId'));
  const field = param(request, 'keyName');
  const value =
    serverOf(userId) === home.options.serverName
      ? home.accounts.profiles.get(knownUser(userId, home), field)
      : own(await remoteProfile(home, userId), field);
  if (value === undefined) throw notFound('The profile has no such field.');
  return Object.fromEntries([[field, value]]);
}

/** @throws MatrixError 404 */
function knownUser(userId: UserId, home: Homeserver): UserId {
  if (!home.accounts.users.isActive(userId)) throw notFound('There is no such user.');
  return userId;
}

/** What the user's server says. @throws MatrixError 404, 502 */
async function remoteProfile({ federation }: Homeserver, userId: UserId): Promise<JsonObject> {
  if (federation === undefined) throw notFound('There is no such user.');
  let profile: JsonObject | undefined;
  try {
    profile = await federation.users.profile(userId);
  } catch (error) {
    if (!isRemoteFailure(error)) throw error;
    throw new MatrixError(502, 'M_UNKNOWN', `${serverOf(userId)} did not tell the profile.`);
  }
  if (profile === undefined) throw notFound('There is no such user.');
  return profile;
}

async function put(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const field = ownField(request);
  const value = own(request.body, field);
  if (value === undefined) throw missingParam(`${field} is missing.`);
  await set(home, request.user.userId, field, checkedValue(field, value));
  return {};
}

async function remove(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  await set(home, request.user.userId, ownField(request), undefined);
  return {};
}

/** The field of the path, of the profile of who asks. @throws MatrixError 403, 400 */
function ownField(request: AuthenticatedRequest): string {
  if (param(request, 'userId') !== request.user.userId)
    throw forbidden('Only your own profile can be changed.');
  const field = param(request, 'keyName');
  if (!fitsBytes(field, MAX_ID_BYTES)) {
    throw new MatrixError(
      400,
      'M_KEY_TOO_LARGE',
      `A profile field's name has at most ${MAX_ID_BYTES} bytes.`,
    );
  }
  if (!FIELD.test(field)) throw invalidParam('That is no name of a profile field.');
  return field;
}

/** What to keep; undefined, where an empty text says that there shall be none. */
function checkedValue(field: string, value: JsonValue): JsonValue | undefined {
  if (!IN_MEMBER_EVENTS.includes(field)) return storable(value);
  if (typeof value !== 'string') throw badJson(`${field} is a string.`);
  if (value === '') return undefined;
  if (field === 'avatar_url' && !(AVATAR.test(value) && fitsBytes(value, DISPLAY_NAME_BYTES_MAX))) {
    throw invalidParam('avatar_url is an MXC URI.');
  }
  if (!fitsBytes(value, DISPLAY_NAME_BYTES_MAX)) {
    throw invalidParam(`${field} has at most ${DISPLAY_NAME_BYTES_MAX} bytes.`);
  }
  return storable(value);
}

async function set(
  home: Homeserver,
  userId: UserId,
  field: string,
  value: JsonValue | undefined,
): Promise<void> {
  try {
    await home.accounts.profiles.set(userId, field, value);
  } catch (error) {
    if (!(error instanceof StateroomError) || error.code !== 'ACCOUNT_PROFILE_TOO_LARGE') throw error;
    throw new MatrixError(400, 'M_PROFILE_TOO_LARGE', 'The profile would take 64 KiB or more.');
  }
  if (IN_MEMBER_EVENTS.includes(field)) await propagate(home, userId);
}

/** Brings the user's member events in line with the profile, where they are not. */
async function propagate(home: Homeserver, userId: UserId): Promise<void> {
  const rooms = await home.accounts.memberships.rooms(userId, 'join');
  for (let at = 0; at < rooms.length; at += ROOMS_AT_ONCE) {
    await Promise.all(rooms.slice(at, at + ROOMS_AT_ONCE).map((roomId) => tellRoom(home, userId, roomId)));
  }
}

async function tellRoom(home: Homeserver, userId: UserId, roomId: RoomId): Promise<void> {
  const state = home.engine.currentState(roomId);
  const current = state.get('m.room.member', userId);
  if (current === undefined || state.membership(userId) !== 'join') return;
  const fields = home.accounts.profiles.memberFields(userId);
  const { content } = home.engine.reader.event(current).pdu;
  if (own(content, 'displayname') === fields.displayname && own(content, 'avatar_url') === fields.avatar_url)
    return;
  try {
    await home.engine.send(roomId, {
      type: 'm.room.member',
      sender: userId,
      stateKey: userId,
      content: { membership: 'join', ...fields },
    });
  } catch (error) {
    // Thrown out in the same moment: the room needs no name of theirs.
    if (!(error instanceof StateroomError) || error.code !== 'ENGINE_FORBIDDEN') throw error;
  }
}

const ALL = '/_matrix/client/v3/profile/:userId';
const ONE = `${ALL}/:keyName`;

export const profileRoutes: readonly Route[] = [
  { method: 'GET', path: ALL, auth: 'none', rateLimit: 'other', handler: getAll },
  { method: 'GET', path: ONE, auth: 'none', rateLimit: 'other', handler: getOne },
  { method: 'PUT', path: ONE, auth: 'user', rateLimit: 'other', handler: put },
  { method: 'DELETE', path: ONE, auth: 'user', rateLimit: 'other', handler: remove },
];
