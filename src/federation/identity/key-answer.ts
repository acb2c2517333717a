// What a server says of its keys, read and checked: the form, the name, its own signature over it.
//
// Source: server-server API, "Retrieving server keys"; data/api/server-server/definitions/keys.yaml.

import type { ServerName } from '../../event/ids.js';
import { isObject, JsonNumber, type JsonObject, type JsonValue, own } from '../../event/json.js';
import { verifyJsonSignature } from '../../event/verify.js';
import { fromBase64 } from '../../lib/base64.js';
import { StateroomError } from '../../lib/errors.js';

/** A key as its server tells of it. */
export interface ToldKey {
  readonly keyId: string;
  readonly publicKey: Uint8Array;
  /** Present for one that signs no more: when it signed last. */
  readonly expiredTs: number | undefined;
}

export interface KeyAnswer {
  readonly serverName: ServerName;
  readonly keys: readonly ToldKey[];
  /** As it stands in the answer: up to the reader to bound. */
  readonly validUntilTs: number;
  readonly json: JsonObject;
}

/** Keys of one server that are taken note of, newest kind first: one signs, a few did before. */
const KEYS_MAX = 64;
const KEY_ID = /^ed25519:[A-Za-z0-9_]{1,200}$/;

/**
 * The answer, where it is one of that server and signed by one of the keys that it says are its own.
 * @returns else why it is not, in words
 */
export function readKeyAnswer(json: JsonObject, serverName: ServerName): KeyAnswer | string {
  if (own(json, 'server_name') !== serverName) return 'it speaks of another server';
  const validUntilTs = timeOf(own(json, 'valid_until_ts'));
  if (validUntilTs === undefined) return 'valid_until_ts is missing';
  const current = keysOf(own(json, 'verify_keys'), () => undefined);
  if (current.length === 0) return 'verify_keys holds no Ed25519 key';
  const own_ = new Map(current.map(({ keyId, publicKey }) => [keyId, publicKey]));
  if (!isSignedBy(json, serverName, own_)) return 'it is not signed by the keys that it tells of';
  const old = keysOf(own(json, 'old_verify_keys'), (key) => timeOf(own(key, 'expired_ts')) ?? 0);
  const keys = [...current, ...old.filter(({ keyId }) => !own_.has(keyId))].slice(0, KEYS_MAX);
  return { serverName, keys, validUntilTs, json };
}

/** Has a server signed the object with one of these keys, and with none of them wrongly? */
export function isSignedBy(
  json: JsonObject,
  server: ServerName,
  keys: ReadonlyMap<string, Uint8Array>,
): boolean {
  try {
    return verifyJsonSignature(json, server, (_, keyId) => keys.get(keyId)).ok;
  } catch (error) {
    // It has no canonical form, so nobody can have signed it.
    if (error instanceof StateroomError) return false;
    throw error;
  }
}

function keysOf(
  value: JsonValue | undefined,
  expiredTsOf: (key: JsonObject) => number | undefined,
): ToldKey[] {
  if (!isObject(value)) return [];
  const told: ToldKey[] = [];
  for (const [keyId, key] of Object.entries(value)) {
    if (told.length >= KEYS_MAX) break;
    if (!KEY_ID.test(keyId) || !isObject(key)) continue;
    const text = own(key, 'key');
    const publicKey = typeof text === 'string' && text.length <= 64 ? fromBase64(text) : undefined;
    if (publicKey?.length === 32) told.push({ keyId, publicKey, expiredTs: expiredTsOf(key) });
  }
  return told;
}

/** Milliseconds since 1970, also beyond what an integer holds: some servers say that a key is good for ever. */
function timeOf(value: JsonValue | undefined): number | undefined {
  const time = value instanceof JsonNumber ? value.value : value;
  return typeof time === 'number' && Number.isFinite(time) && time >= 0 ? time : undefined;
}
