// Backups of room keys, kept for the user, who alone can read them.
//
// Source: client-server API, "Server-side key backups".

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { BackedUpKey, Backup, KeyRange } from '../account/key-backup.js';
import { isObject, type JsonObject, type JsonValue, own } from '../event/json.js';
import { numberOf } from '../account/parts.js';
import { badJson, invalidParam, missingParam, notFound } from './errors.js';
import type { Homeserver } from './homeserver.js';
import { refusing } from './key-refusals.js';
import { bodyObject, bodyText, param, queryText } from './request-fields.js';
import type { AuthenticatedRequest, Route } from './route.js';
import { storable, storableName } from './stored-json.js';

const AUTH_DATA_BYTES_MAX = 64 * 1024;
const KEY_BYTES_MAX = 64 * 1024;
const BODY_BYTES_MAX = 4 * 1024 * 1024;
/** Keys that are read in one turn; others get theirs between. */
const KEYS_IN_TURN = 500;

async function createVersion(
  { user, body }: AuthenticatedRequest,
  { accounts }: Homeserver,
): Promise<JsonObject> {
  const { algorithm, authData } = backupOf(body);
  return { version: await accounts.keyBackup.create(user.userId, algorithm, authData) };
}

async function currentVersion({ user }: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const backup = home.accounts.keyBackup.current(user.userId);
  if (backup === undefined) throw notFound('There is no key backup.');
  return describe(home, user.userId, backup);
}

async function getVersion(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const { userId } = request.user;
  return refusing(() =>
    describe(home, userId, home.accounts.keyBackup.get(userId, param(request, 'version'))),
  );
}

async function putVersion(request: AuthenticatedRequest, { accounts }: Homeserver): Promise<JsonObject> {
  const { userId } = request.user;
  const version = param(request, 'version');
  const { algorithm, authData } = backupOf(request.body);
  await refusing(async () => {
    const stored = accounts.keyBackup.get(userId, version);
    if ((bodyText(request.body, 'version') ?? version) !== version) {
      throw invalidParam('The version of the body is not that of the path.');
    }
    if (stored.algorithm !== algorithm) throw invalidParam('The algorithm of a backup cannot be changed.');
    await accounts.keyBackup.update(userId, version, authData);
  });
  return {};
}

async function deleteVersion(request: AuthenticatedRequest, { accounts }: Homeserver): Promise<JsonObject> {
  await refusing(() => accounts.keyBackup.delete(request.user.userId, param(request, 'version')));
  return {};
}

async function putKeys(request: AuthenticatedRequest, { accounts }: Homeserver): Promise<JsonObject> {
  const { userId } = request.user;
  const version = versionOf(request);
  const keys = keysOf(request);
  return refusing(async () => {
    await accounts.keyBackup.put(userId, version, keys);
    return { ...accounts.keyBackup.state(userId, version) };
  });
}

async function getKeys(request: AuthenticatedRequest, { accounts }: Homeserver): Promise<JsonObject> {
  const { roomId, sessionId } = rangeOf(request);
  const rooms = new Map<string, Map<string, JsonObject>>();
  const found = accounts.keyBackup.keys(request.user.userId, versionOf(request), rangeOf(request));
  let keys = 0;
  await refusing(async () => {
    for (const one of found) {
      if (++keys % KEYS_IN_TURN === 0) await nextTurn();
      const sessions = rooms.get(one.roomId) ?? new Map<string, JsonObject>();
      rooms.set(one.roomId, sessions.set(one.sessionId, one.key));
    }
  });
  if (roomId !== undefined && sessionId !== undefined) {
    const key = rooms.get(roomId)?.get(sessionId);
    if (key === undefined) throw notFound('The backup has no key of this session.');
    return key;
  }
  if (roomId !== undefined) return { sessions: Object.fromEntries(rooms.get(roomId) ?? []) };
  return {
    rooms: Object.fromEntries(
      [...rooms].map(([id, sessions]) => [id, { sessions: Object.fromEntries(sessions) }]),
    ),
  };
}

async function deleteKeys(request: AuthenticatedRequest, { accounts }: Homeserver): Promise<JsonObject> {
  const { userId } = request.user;
  const version = versionOf(request);
  return refusing(async () => {
    await accounts.keyBackup.remove(userId, version, rangeOf(request));
    return { ...accounts.keyBackup.state(userId, version) };
  });
}

function backupOf(body: JsonObject) {
  const algorithm = bodyText(body, 'algorithm');
  const authData = bodyObject(body, 'auth_data');
  if (algorithm === undefined) throw missingParam('algorithm is missing.');
  if (authData === undefined) throw missingParam('auth_data is missing.');
  return {
    algorithm: storableName(algorithm, 'An algorithm'),
    authData: storable(authData, AUTH_DATA_BYTES_MAX),
  };
}

function describe(
  { accounts }: Homeserver,
  userId: Parameters<typeof accounts.keyBackup.get>[0],
  backup: Backup,
) {
  const { version, algorithm, authData } = backup;
  return { version, algorithm, auth_data: authData, ...accounts.keyBackup.state(userId, version) };
}

function versionOf(request: AuthenticatedRequest): string {
  const version = queryText(request, 'version');
  if (version === undefined) throw missingParam('version is missing.');
  return version;
}

/** The keys that the path means. */
function rangeOf(request: AuthenticatedRequest): KeyRange {
  if (!Object.hasOwn(request.params, 'roomId')) return {};
  const roomId = roomIdOf(param(request, 'roomId'));
  if (!Object.hasOwn(request.params, 'sessionId')) return { roomId };
  return { roomId, sessionId: storableName(param(request, 'sessionId'), 'A session id') };
}

/** The keys of a body, which is as deep as the path leaves open. */
function keysOf(request: AuthenticatedRequest): BackedUpKey[] {
  const { roomId, sessionId } = rangeOf(request);
  const { body } = request;
  if (roomId === undefined) {
    return entriesOf(body, 'rooms').flatMap(([room, value]) => {
      if (!isObject(value)) throw badJson('rooms holds an object for each room.');
      return sessionsOf(roomIdOf(room), value);
    });
  }
  return sessionId === undefined ? sessionsOf(roomId, body) : [{ roomId, sessionId, key: keyOf(body) }];
}

function sessionsOf(roomId: string, room: JsonObject): BackedUpKey[] {
  return entriesOf(room, 'sessions').map(([session, value]) => ({
    roomId,
    sessionId: storableName(session, 'A session id'),
    key: keyOf(value),
  }));
}

function entriesOf(body: JsonObject, name: string): [string, JsonValue][] {
  const value = bodyObject(body, name);
  if (value === undefined) throw missingParam(`${name} is missing.`);
  return Object.entries(value);
}

/** The key as it is kept. @throws MatrixError 400, 413 */
function keyOf(value: JsonValue): JsonObject {
  if (!isObject(value)) throw badJson('A key is an object.');
  const isVerified = own(value, 'is_verified');
  const sessionData = own(value, 'session_data');
  if (typeof isVerified !== 'boolean') throw badJson('is_verified is true or false.');
  if (!isObject(sessionData)) throw badJson('session_data is an object.');
  return storable(
    {
      first_message_index: countOf(value, 'first_message_index'),
      forwarded_count: countOf(value, 'forwarded_count'),
      is_verified: isVerified,
      session_data: sessionData,
    },
    KEY_BYTES_MAX,
  );
}

function countOf(key: JsonObject, name: string): number {
  const count = numberOf(key, name);
  if (count === undefined || !Number.isSafeInteger(count) || count < 0) {
    throw badJson(`${name} is a whole number, 0 or more.`);
  }
  return count;
}

/** Internal rooms hold a type for each room: only what may be a room id becomes one. */
function roomIdOf(text: string): string {
  if (!text.startsWith('!')) throw invalidParam('A room id begins with an exclamation mark.');
  return storableName(text, 'A room id');
}

const VERSIONS = '/_matrix/client/v3/room_keys/version';
const KEYS = '/_matrix/client/v3/room_keys/keys';

export const keyBackupRoutes: readonly Route[] = [
  { method: 'POST', path: VERSIONS, auth: 'user', rateLimit: 'other', handler: createVersion },
  { method: 'GET', path: VERSIONS, auth: 'user', rateLimit: 'other', handler: currentVersion },
  { method: 'GET', path: `${VERSIONS}/:version`, auth: 'user', rateLimit: 'other', handler: getVersion },
  { method: 'PUT', path: `${VERSIONS}/:version`, auth: 'user', rateLimit: 'other', handler: putVersion },
  {
    method: 'DELETE',
    path: `${VERSIONS}/:version`,
    auth: 'user',
    rateLimit: 'other',
    handler: deleteVersion,
  },
  ...[KEYS, `${KEYS}/:roomId`, `${KEYS}/:roomId/:sessionId`].flatMap((path): Route[] => [
    { method: 'GET', path, auth: 'user', rateLimit: 'other', handler: getKeys },
    { method: 'PUT', path, auth: 'user', rateLimit: 'other', bodyBytesMax: BODY_BYTES_MAX, handler: putKeys },
    { method: 'DELETE', path, auth: 'user', rateLimit: 'other', handler: deleteKeys },
  ]),
];
