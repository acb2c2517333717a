// Keys for end-to-end encryption: devices publish theirs, ask for those of others, and claim one-time keys.
//
// Source: client-server API, "End-to-end encryption", "Key management API".

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Accounts } from '../account/accounts.js';
import { KEY_USAGES } from '../account/cross-signing.js';
import type { KeyWanted } from '../account/one-time-keys.js';
import { serverOf, type UserId } from '../event/ids.js';
import { isArray, isObject, type JsonObject, type JsonValue, own } from '../event/json.js';
import type { RemoteDevice } from '../federation/users/key-answers.js';
import type { ClaimedKeys, QueriedKeys, ServerFailures } from '../federation/users/remote-keys.js';
import { badJson, missingParam } from './errors.js';
import type { Homeserver } from './homeserver.js';
import { refusing } from './key-refusals.js';
import { bodyObject, queryText, userIdOf } from './request-fields.js';
import type { AuthenticatedRequest, Route } from './route.js';
import { parseToken } from './sync/token.js';

/** Users who are looked up in one turn; others get theirs between. */
const USERS_IN_TURN = 100;
/** Keys that are claimed in one commit group. */
const CLAIMS_IN_GROUP = 500;

async function upload(
  { user, body }: AuthenticatedRequest,
  { engine, accounts }: Homeserver,
): Promise<JsonObject> {
  const { userId, deviceId } = user;
  const deviceKeys = bodyObject(body, 'device_keys');
  const oneTimeKeys = bodyObject(body, 'one_time_keys') ?? {};
  const fallbackKeys = bodyObject(body, 'fallback_keys') ?? {};
  await refusing(async () => {
    // Identity keys first: when they are refused, no one-time key is taken.
    const identity =
      deviceKeys === undefined ? [] : accounts.deviceKeys.uploadRecords(userId, deviceId, deviceKeys);
    const records = [
      ...identity,
      ...accounts.oneTimeKeys.uploadRecords(userId, deviceId, oneTimeKeys, fallbackKeys),
    ];
    if (records.length > 0) await engine.internal.write(records);
  });
  return { one_time_key_counts: accounts.oneTimeKeys.counts(userId, deviceId) };
}

async function query({ user, body }: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const asked = requiredObject(body, 'device_keys');
  const found = { device: new Map<string, JsonObject>(), ...keysByUsage() };
  const elsewhere = new Map<UserId, ReadonlySet<string>>();
  let users = 0;
  for (const [text, deviceIds] of Object.entries(asked)) {
    const userId = userIdOf(text);
    if (++users % USERS_IN_TURN === 0) await nextTurn();
    if (!isHere(home, userId)) elsewhere.set(userId, deviceIdsOf(deviceIds));
    else if (home.accounts.users.isActive(userId)) {
      found.device.set(userId, devicesOf(home.accounts, userId, deviceIdsOf(deviceIds), user.userId));
      for (const usage of KEY_USAGES) {
        const key = home.accounts.crossSigning.shown(userId, usage, user.userId);
        if (key !== undefined) found[usage].set(userId, key);
      }
    }
  }
  const { users: remote, failures } = await queryElsewhere(home, elsewhere);
  for (const [userId, { devices, master, selfSigning }] of remote) {
    found.device.set(userId, remoteDevices(devices, elsewhere.get(userId) ?? new Set()));
    const { crossSigning } = home.accounts;
    if (master !== undefined) found.master.set(userId, crossSigning.shownRemote(userId, master, user.userId));
    if (selfSigning !== undefined) found.self_signing.set(userId, selfSigning);
  }
  return {
    device_keys: Object.fromEntries(found.device),
    failures: Object.fromEntries(failures),
    master_keys: Object.fromEntries(found.master),
    self_signing_keys: Object.fromEntries(found.self_signing),
    user_signing_keys: Object.fromEntries(found.user_signing),
  };
}

/** Of users of other servers; none can be asked where there is no federation. */
async function queryElsewhere(
  { federation }: Homeserver,
  asked: ReadonlyMap<UserId, ReadonlySet<string>>,
): Promise<QueriedKeys> {
  if (asked.size === 0) return { users: new Map(), failures: new Map() };
  if (federation === undefined) return { users: new Map(), failures: unreachable(asked.keys()) };
  return federation.users.queryKeys(asked.keys());
}

function remoteDevices(
  devices: ReadonlyMap<string, RemoteDevice>,
  deviceIds: ReadonlySet<string>,
): JsonObject {
  const wanted = [...devices].filter(([deviceId]) => deviceIds.size === 0 || deviceIds.has(deviceId));
  return Object.fromEntries(
    wanted.map(([deviceId, { keys, displayName: name }]): [string, JsonObject] => [
      deviceId,
      { ...keys, unsigned: name === undefined ? {} : { device_display_name: name } },
    ]),
  );
}

async function claim({ body }: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const wanted: KeyWanted[] = [];
  const elsewhere: KeyWanted[] = [];
  let users = 0;
  for (const [text, devices] of Object.entries(requiredObject(body, 'one_time_keys'))) {
    const userId = userIdOf(text);
    if (++users % USERS_IN_TURN === 0) await nextTurn();
    if (!isObject(devices)) throw badJson('one_time_keys holds an object for each user.');
    const isActive = home.accounts.users.isActive(userId);
    for (const [deviceId, algorithm] of Object.entries(devices)) {
      if (typeof algorithm !== 'string') throw badJson('one_time_keys names an algorithm for each device.');
      if (isActive) wanted.push({ userId, deviceId, algorithm });
      else if (!isHere(home, userId)) elsewhere.push({ userId, deviceId, algorithm });
    }
  }
  const given = new Map<UserId, Map<string, JsonObject>>();
  for (let at = 0; at < wanted.length; at += CLAIMS_IN_GROUP) {
    for (const one of await home.accounts.oneTimeKeys.claim(wanted.slice(at, at + CLAIMS_IN_GROUP))) {
      const ofUser = given.get(one.userId) ?? new Map<string, JsonObject>();
      given.set(one.userId, ofUser.set(one.deviceId, Object.fromEntries([[one.name, one.key]])));
    }
  }
  const { keys: remote, failures } = await claimElsewhere(home, elsewhere);
  for (const [userId, keys] of remote) given.set(userId, new Map(keys));
  return {
    one_time_keys: Object.fromEntries([...given].map(([userId, keys]) => [userId, Object.fromEntries(keys)])),
    failures: Object.fromEntries(failures),
  };
}

async function claimElsewhere(
  { federation }: Homeserver,
  wanted: readonly KeyWanted[],
): Promise<ClaimedKeys> {
  if (wanted.length === 0) return { keys: new Map(), failures: new Map() };
  if (federation !== undefined) return federation.users.claimKeys(wanted);
  return { keys: new Map(), failures: unreachable(wanted.map(({ userId }) => userId)) };
}

async function changes(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const [from, to] = (['from', 'to'] as const).map((name) => {
    const text = queryText(request, name);
    if (text === undefined) throw missingParam(`${name} is missing.`);
    return parseToken(text, home.engine.watermark);
  });
  // `to` is a hint: whatever came after it the client is told once more by its next sync.
  const { changed, left } = await home.accounts.deviceLists.changedSince(
    request.user.userId,
    from?.seq ?? 0,
    Math.max(from?.seq ?? 0, to?.seq ?? 0),
  );
  return { changed: [...changed], left: [...left] };
}

/** What is told of servers whose users' keys this one cannot ask for. */
function unreachable(users: Iterable<UserId>): ServerFailures {
  const told: JsonObject = { status: 503, message: 'This server does not reach it.' };
  return new Map(Array.from(users, (userId) => [serverOf(userId), told]));
}

function isHere({ options }: Homeserver, userId: UserId): boolean {
  return serverOf(userId) === options.serverName;
}

function devicesOf(
  accounts: Accounts,
  userId: UserId,
  deviceIds: ReadonlySet<string>,
  viewer: UserId,
): JsonObject {
  const shown: [string, JsonObject][] = [];
  // Through those that are there, not through those that are asked for: these can be any number.
  for (const [deviceId] of accounts.deviceKeys.list(userId)) {
    if (deviceIds.size > 0 && !deviceIds.has(deviceId)) continue;
    const keys = accounts.deviceKeys.shown(userId, deviceId, viewer);
    if (keys === undefined) continue;
    const name = accounts.devices.get(userId, deviceId)?.displayName;
    shown.push([deviceId, { ...keys, unsigned: name === undefined ? {} : { device_display_name: name } }]);
  }
  return Object.fromEntries(shown);
}

/** The devices that are asked for; none means all. */
function deviceIdsOf(value: JsonValue): ReadonlySet<string> {
  if (!isArray(value)) throw badJson('device_keys holds a list of device ids for each user.');
  const deviceIds = value.filter((deviceId) => typeof deviceId === 'string');
  if (deviceIds.length < value.length) throw badJson('A device id is a string.');
  return new Set(deviceIds);
}

function keysByUsage() {
  return {
    master: new Map<string, JsonObject>(),
    self_signing: new Map<string, JsonObject>(),
    user_signing: new Map<string, JsonObject>(),
  };
}

function requiredObject(body: JsonObject, name: string): JsonObject {
  if (own(body, name) === undefined) throw missingParam(`${name} is missing.`);
  return bodyObject(body, name) ?? {};
}

const BODY_BYTES_MAX = 1024 * 1024;

export const keyRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: '/_matrix/client/v3/keys/upload',
    auth: 'user',
    rateLimit: 'other',
    bodyBytesMax: BODY_BYTES_MAX,
    handler: upload,
  },
  {
    method: 'POST',
    path: '/_matrix/client/v3/keys/query',
    auth: 'user',
    rateLimit: 'other',
    bodyBytesMax: BODY_BYTES_MAX,
    handler: query,
  },
  {
    method: 'POST',
    path: '/_matrix/client/v3/keys/claim',
    auth: 'user',
    rateLimit: 'other',
    bodyBytesMax: BODY_BYTES_MAX,
    handler: claim,
  },
  {
    method: 'GET',
    path: '/_matrix/client/v3/keys/changes',
    auth: 'user',
    rateLimit: 'other',
    handler: changes,
  },
];
