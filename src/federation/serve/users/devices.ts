// The devices and keys of our users, for servers whose users share rooms with them.
//
// Source: server-server API, "Device Management", "End-to-End Encryption".

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { KeyUsage } from '../../../account/cross-signing.js';
import type { KeyWanted } from '../../../account/one-time-keys.js';
import { keysByDevice, shownDevices } from '../../../account/shown-keys.js';
import type { UserId } from '../../../event/ids.js';
import { isArray, isObject, type JsonObject, type JsonValue } from '../../../event/json.js';
import { badJson, missingParam, notFound } from '../../errors.js';
import type { Federation } from '../../federation.js';
import type { FederationRequest, FederationRoute } from '../../route.js';
import { bodyObject, localUser, param } from '../request-fields.js';

/** Users who are looked up in one turn; others get theirs between. */
const USERS_IN_TURN = 100;
/** Keys that are claimed in one commit group. */
const CLAIMS_IN_GROUP = 500;
const BODY_BYTES_MAX = 1024 * 1024;
const ALL: ReadonlySet<string> = new Set();
/** A user's signatures of other users' keys are theirs alone. */
const SHOWN_USAGES: readonly KeyUsage[] = ['master', 'self_signing'];

function devices(request: FederationRequest, { parts }: Federation): JsonObject {
  const { accounts, serverName } = parts;
  const userId = localUser(param(request, 'userId'), serverName);
  if (!accounts.users.isActive(userId)) throw notFound('There is no such user.');
  const keys = SHOWN_USAGES.flatMap((usage) => {
    const key = accounts.crossSigning.shown(userId, usage, undefined);
    return key === undefined ? [] : [[`${usage}_key`, key] as const];
  });
  return {
    user_id: userId,
    stream_id: accounts.deviceLists.streamId(userId),
    devices: shownDevices(accounts, userId, ALL, undefined).map((device) => ({
      device_id: device.deviceId,
      keys: device.keys,
      ...(device.displayName === undefined ? {} : { device_display_name: device.displayName }),
    })),
    ...Object.fromEntries(keys),
  };
}

async function query({ body }: FederationRequest, { parts }: Federation): Promise<JsonObject> {
  const { accounts, serverName } = parts;
  const found = {
    device: new Map<string, JsonObject>(),
    master: new Map<string, JsonObject>(),
    self_signing: new Map<string, JsonObject>(),
  };
  let users = 0;
  for (const [text, deviceIds] of Object.entries(required(body, 'device_keys'))) {
    const userId = localUser(text, serverName);
    if (++users % USERS_IN_TURN === 0) await nextTurn();
    const wanted = deviceIdsOf(deviceIds);
    if (!accounts.users.isActive(userId)) continue;
    found.device.set(userId, keysByDevice(shownDevices(accounts, userId, wanted, undefined)));
    for (const usage of ['master', 'self_signing'] as const) {
      const key = accounts.crossSigning.shown(userId, usage, undefined);
      if (key !== undefined) found[usage].set(userId, key);
    }
  }
  return {
    device_keys: Object.fromEntries(found.device),
    master_keys: Object.fromEntries(found.master),
    self_signing_keys: Object.fromEntries(found.self_signing),
  };
}

async function claim({ body }: FederationRequest, { parts }: Federation): Promise<JsonObject> {
  const { accounts, serverName } = parts;
  const wanted: KeyWanted[] = [];
  let users = 0;
  for (const [text, asked] of Object.entries(required(body, 'one_time_keys'))) {
    const userId = localUser(text, serverName);
    if (++users % USERS_IN_TURN === 0) await nextTurn();
    if (!isObject(asked)) throw badJson('one_time_keys holds an object for each user.');
    const isActive = accounts.users.isActive(userId);
    for (const [deviceId, algorithm] of Object.entries(asked)) {
      if (typeof algorithm !== 'string') throw badJson('one_time_keys names an algorithm for each device.');
      if (isActive) wanted.push({ userId, deviceId, algorithm });
    }
  }
  const given = new Map<UserId, Map<string, JsonObject>>();
  for (let at = 0; at < wanted.length; at += CLAIMS_IN_GROUP) {
    for (const one of await accounts.oneTimeKeys.claim(wanted.slice(at, at + CLAIMS_IN_GROUP))) {
      const ofUser = given.get(one.userId) ?? new Map<string, JsonObject>();
      given.set(one.userId, ofUser.set(one.deviceId, Object.fromEntries([[one.name, one.key]])));
    }
  }
  const keys = Array.from(given, ([userId, ofUser]) => [userId, Object.fromEntries(ofUser)] as const);
  return { one_time_keys: Object.fromEntries(keys) };
}

/** The devices that are asked for; none means all. */
function deviceIdsOf(value: JsonValue): ReadonlySet<string> {
  if (!isArray(value)) throw badJson('device_keys holds a list of device ids for each user.');
  const deviceIds = value.filter((deviceId) => typeof deviceId === 'string');
  if (deviceIds.length < value.length) throw badJson('A device id is a string.');
  return new Set(deviceIds);
}

function required(body: JsonObject, name: string): JsonObject {
  const value = bodyObject(body, name);
  if (value === undefined) throw missingParam(`${name} is missing.`);
  return value;
}

const V1 = '/_matrix/federation/v1';

export const deviceRoutes: readonly FederationRoute[] = [
  { method: 'GET', path: `${V1}/user/devices/:userId`, auth: 'server', handler: devices },
  {
    method: 'POST',
    path: `${V1}/user/keys/query`,
    auth: 'server',
    bodyBytesMax: BODY_BYTES_MAX,
    handler: query,
  },
  {
    method: 'POST',
    path: `${V1}/user/keys/claim`,
    auth: 'server',
    bodyBytesMax: BODY_BYTES_MAX,
    handler: claim,
  },
];
