// Cross-signing keys and the signatures made with them.
//
// Source: client-server API, "Cross-signing".

import { type CrossSigningKeys, KEY_USAGES } from '../account/cross-signing.js';
import type { InternalRecord } from '../core/internal.js';
import { isObject, type JsonObject } from '../event/json.js';
import { badJson, MatrixError } from './errors.js';
import type { Homeserver } from './homeserver.js';
import { keyRefusal, refusing } from './key-refusals.js';
import { bodyObject, userIdOf } from './request-fields.js';
import type { AuthenticatedRequest, Route } from './route.js';
import { interactively, PASSWORD_FLOWS } from './uia.js';

/** Keys that are signed by one request; each signature costs its verification. */
const SIGNED_AT_ONCE_MAX = 1_000;

async function uploadKeys(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const { userId } = request.user;
  const { crossSigning } = home.accounts;
  const keys: CrossSigningKeys = {};
  for (const usage of KEY_USAGES) {
    const key = bodyObject(request.body, `${usage}_key`);
    if (key !== undefined) keys[usage] = key;
  }
  const change = await refusing(() => crossSigning.changeBy(userId, keys));
  if (change === 'replaces') {
    const purpose = JSON.stringify(['replace cross-signing keys', userId, keys]);
    await interactively(home, request, { flows: PASSWORD_FLOWS, purpose, userId });
  }
  // Of two first uploads at once, the second replaces what the first stored: it would need the password.
  const isStillFirst = change !== 'first' || crossSigning.get(userId, 'master') === undefined;
  if (!isStillFirst) return uploadKeys(request, home);
  await refusing(() => crossSigning.upload(userId, keys));
  return {};
}

async function uploadSignatures({ user, body }: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const { crossSigning } = home.accounts;
  const failures = new Map<string, Map<string, JsonObject>>();
  const records: InternalRecord[] = [];
  for (const { owner, key, signed } of signedKeys(body)) {
    try {
      records.push(...crossSigning.signatureRecords(user.userId, owner, key, signed));
    } catch (error) {
      const refusal = keyRefusal(error);
      if (!(refusal instanceof MatrixError)) throw refusal;
      const ofOwner = failures.get(owner) ?? new Map<string, JsonObject>();
      failures.set(owner, ofOwner.set(key, { errcode: refusal.errcode, error: refusal.message }));
    }
  }
  if (records.length > 0) await home.engine.internal.write(records);
  return {
    failures: Object.fromEntries([...failures].map(([owner, keys]) => [owner, Object.fromEntries(keys)])),
  };
}

function signedKeys(body: JsonObject) {
  const all = Object.entries(body).flatMap(([text, keys]) => {
    const owner = userIdOf(text);
    if (!isObject(keys)) throw badJson('There is an object of signed keys for each user.');
    return Object.entries(keys).map(([key, signed]) => {
      if (!isObject(signed)) throw badJson('A signed key is an object.');
      return { owner, key, signed };
    });
  });
  if (all.length > SIGNED_AT_ONCE_MAX) {
    throw new MatrixError(413, 'M_TOO_LARGE', `At most ${SIGNED_AT_ONCE_MAX} keys are signed at once.`);
  }
  return all;
}

export const crossSigningRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: '/_matrix/client/v3/keys/device_signing/upload',
    auth: 'user',
    rateLimit: 'login',
    handler: uploadKeys,
  },
  {
    method: 'POST',
    path: '/_matrix/client/v3/keys/signatures/upload',
    auth: 'user',
    rateLimit: 'other',
    handler: uploadSignatures,
  },
];
