// Devices with keys: what clients sign and upload.

import * as assert from 'uvu/assert';
import type { Route } from '../../src/client/route.js';
import type { JsonObject } from '../../src/event/json.js';
import { createSigningKey, signedJsonText } from '../../src/event/signing.js';
import { toBase64 } from '../../src/lib/base64.js';
import { utf8 } from '../../src/lib/bytes.js';
import { type Harness, type Json, type TestUser } from './harness.js';

export type Who = Pick<TestUser, 'userId' | 'deviceId' | 'accessToken'>;

/** A key pair made of a number. */
export class TestKey {
  readonly publicKey: string;
  readonly #key;

  constructor(seed: number) {
    const bytes = new Uint8Array(32).fill(seed & 0xff);
    bytes[0] = seed >> 8;
    this.#key = createSigningKey('ed25519:0', bytes);
    this.publicKey = toBase64(this.#key.publicKey);
  }

  /** The object with a signature under this name. */
  sign(json: JsonObject, userId: string, keyId: string): JsonObject {
    const signature = toBase64(this.#key.sign(utf8(signedJsonText(json))));
    const all = (json['signatures'] ?? {}) as Record<string, JsonObject>;
    return { ...json, signatures: { ...all, [userId]: { ...all[userId], [keyId]: signature } } };
  }
}

/** The identity keys of a device, signed by itself. */
export function deviceKeys({ userId, deviceId }: Who, key: TestKey, more: JsonObject = {}): JsonObject {
  const json = {
    user_id: userId,
    device_id: deviceId,
    algorithms: ['m.olm.v1.curve25519-aes-sha2', 'm.megolm.v1.aes-sha2'],
    keys: { [`ed25519:${deviceId}`]: key.publicKey, [`curve25519:${deviceId}`]: key.publicKey },
    ...more,
  };
  return key.sign(json, userId, `ed25519:${deviceId}`);
}

/** One-time keys with these ids. */
export function oneTimeKeys(...ids: readonly string[]): JsonObject {
  return Object.fromEntries(
    ids.map((id) => [`signed_curve25519:${id}`, { key: `key of ${id}`, signatures: {} }]),
  );
}

/** A cross-signing key, signed by a master key unless it is one. */
export function crossSigningKey(userId: string, usage: string, key: TestKey, master?: TestKey): JsonObject {
  const json = { user_id: userId, usage: [usage], keys: { [`ed25519:${key.publicKey}`]: key.publicKey } };
  return master === undefined ? json : master.sign(json, userId, `ed25519:${master.publicKey}`);
}

/** All three keys of a user, made of numbers from `seed` on. */
export function crossSigning(userId: string, seed: number) {
  const [master, selfSigning, userSigning] = [
    new TestKey(seed),
    new TestKey(seed + 1),
    new TestKey(seed + 2),
  ];
  return {
    master,
    selfSigning,
    userSigning,
    body: {
      master_key: crossSigningKey(userId, 'master', master),
      self_signing_key: crossSigningKey(userId, 'self_signing', selfSigning, master),
      user_signing_key: crossSigningKey(userId, 'user_signing', userSigning, master),
    },
  };
}

/** A request that must succeed. */
export async function ask(
  server: Harness,
  who: Who,
  method: Route['method'],
  path: string,
  body: unknown = {},
): Promise<Json> {
  const answer = await server.call(who, method, path, body);
  assert.is(answer.status, 200, `${method} ${path}: ${JSON.stringify(answer.body)}`);
  return answer.body;
}

/** A request that must be refused with this status and code. */
export async function refused(
  server: Harness,
  expected: readonly [status: number, errcode: string],
  who: Who,
  method: Route['method'],
  path: string,
  body: unknown = {},
): Promise<Json> {
  const answer = await server.call(who, method, path, body);
  const found = [answer.status, answer.body['errcode']];
  assert.equal(found, expected, JSON.stringify(answer.body));
  return answer.body;
}

/** The names of the keys that were claimed of a device. */
export async function claim(server: Harness, who: Who, of: Who): Promise<string[]> {
  const wanted = { [of.userId]: { [of.deviceId]: 'signed_curve25519' } };
  const answer = await ask(server, who, 'POST', '/v3/keys/claim', { one_time_keys: wanted });
  return Object.keys(answer['one_time_keys']?.[of.userId]?.[of.deviceId] ?? {});
}

export async function sync(server: Harness, who: Who, since?: string): Promise<Json> {
  return ask(
    server,
    who,
    'GET',
    `/v3/sync${since === undefined ? '' : `?since=${encodeURIComponent(since)}`}`,
  );
}
