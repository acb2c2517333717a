// What other servers say of their users' keys, read: what is not of the right form, or not theirs, is left out.
//
// Signatures are the clients' to check: a server could show other keys anyhow.
//
// Source: server-server API, "Device Management", "End-to-End Encryption".

import { canonicalJson } from '../../event/canonical.js';
import { fitsBytes, MAX_ID_BYTES, type UserId } from '../../event/ids.js';
import { isArray, isObject, type JsonObject, type JsonValue, own } from '../../event/json.js';
import { StateroomError } from '../../lib/errors.js';

/** A device of a user of another server. */
export interface RemoteDevice {
  readonly keys: JsonObject;
  readonly displayName: string | undefined;
}

/** What is known of the keys of one. */
export interface RemoteUserKeys {
  /** By device id. */
  readonly devices: ReadonlyMap<string, RemoteDevice>;
  readonly master: JsonObject | undefined;
  readonly selfSigning: JsonObject | undefined;
}

export interface KeyLimits {
  readonly devicesMax: number;
  readonly keyBytesMax: number;
}

const NAME_BYTES_MAX = 1_024;

/** Device keys, if they are those of the device; without what servers add to them. */
export function deviceKeysOf(
  value: JsonValue | undefined,
  userId: UserId,
  deviceId: string,
  bytesMax: number,
): JsonObject | undefined {
  if (!isObject(value) || own(value, 'user_id') !== userId || own(value, 'device_id') !== deviceId)
    return undefined;
  if (!isObject(own(value, 'keys')) || !isDeviceId(deviceId)) return undefined;
  return bounded(value, bytesMax);
}

/** A cross-signing key, if it is one of the user's of this usage. */
export function signingKeyOf(
  value: JsonValue | undefined,
  userId: UserId,
  usage: 'master' | 'self_signing',
  bytesMax: number,
): JsonObject | undefined {
  if (!isObject(value) || own(value, 'user_id') !== userId) return undefined;
  const usages = own(value, 'usage');
  if (!isArray(usages) || !usages.includes(usage) || !isObject(own(value, 'keys'))) return undefined;
  return bounded(value, bytesMax);
}

/** A user's part of the answer to `/user/keys/query`; undefined where it has none. */
export function queriedUser(
  answer: JsonObject,
  userId: UserId,
  limits: KeyLimits,
): RemoteUserKeys | undefined {
  const byUser = own(answer, 'device_keys');
  const byDevice = isObject(byUser) ? own(byUser, userId) : undefined;
  const master = signingKeyOf(entryAt(answer, 'master_keys', userId), userId, 'master', limits.keyBytesMax);
  const selfSigning = signingKeyOf(
    entryAt(answer, 'self_signing_keys', userId),
    userId,
    'self_signing',
    limits.keyBytesMax,
  );
  if (!isObject(byDevice) && master === undefined) return undefined;
  const devices = new Map<string, RemoteDevice>();
  for (const [deviceId, value] of Object.entries(isObject(byDevice) ? byDevice : {})) {
    const keys = deviceKeysOf(value, userId, deviceId, limits.keyBytesMax);
    if (keys === undefined || devices.size >= limits.devicesMax) continue;
    const unsigned = isObject(value) ? own(value, 'unsigned') : undefined;
    const name = isObject(unsigned) ? displayNameOf(own(unsigned, 'device_display_name')) : undefined;
    devices.set(deviceId, { keys, displayName: name });
  }
  return { devices, master, selfSigning };
}

/** The answer to `/user/devices`; undefined where it is none. */
export function listedUser(
  answer: JsonObject,
  userId: UserId,
  limits: KeyLimits,
): (RemoteUserKeys & { readonly streamId: number | undefined }) | undefined {
  const list = own(answer, 'devices');
  if (own(answer, 'user_id') !== userId || !isArray(list)) return undefined;
  const devices = new Map<string, RemoteDevice>();
  for (const device of list) {
    const deviceId = isObject(device) ? own(device, 'device_id') : undefined;
    if (!isObject(device) || typeof deviceId !== 'string' || devices.size >= limits.devicesMax) continue;
    const keys = deviceKeysOf(own(device, 'keys'), userId, deviceId, limits.keyBytesMax);
    const name = displayNameOf(own(device, 'device_display_name'));
    if (keys !== undefined) devices.set(deviceId, { keys, displayName: name });
  }
  const streamId = own(answer, 'stream_id');
  return {
    streamId: typeof streamId === 'number' && Number.isSafeInteger(streamId) ? streamId : undefined,
    devices,
    master: signingKeyOf(own(answer, 'master_key'), userId, 'master', limits.keyBytesMax),
    selfSigning: signingKeyOf(own(answer, 'self_signing_key'), userId, 'self_signing', limits.keyBytesMax),
  };
}

/** A user's device's part of the answer to `/user/keys/claim`: at most one key. */
export function claimedKey(
  answer: JsonObject,
  userId: UserId,
  deviceId: string,
  bytesMax: number,
): JsonObject | undefined {
  const byDevice = entryAt(answer, 'one_time_keys', userId);
  const keys = isObject(byDevice) ? own(byDevice, deviceId) : undefined;
  const [first] = isObject(keys) ? Object.entries(keys) : [];
  return first === undefined ? undefined : bounded(Object.fromEntries([first]), bytesMax);
}

function isDeviceId(deviceId: string): boolean {
  return deviceId !== '' && fitsBytes(deviceId, MAX_ID_BYTES) && !deviceId.includes('\0');
}

export function displayNameOf(value: JsonValue | undefined): string | undefined {
  return typeof value === 'string' && fitsBytes(value, NAME_BYTES_MAX) ? value : undefined;
}

function entryAt(answer: JsonObject, name: string, key: string): JsonValue | undefined {
  const entries = own(answer, name);
  return isObject(entries) ? own(entries, key) : undefined;
}

function bounded(value: JsonObject, bytesMax: number): JsonObject | undefined {
  const kept = Object.fromEntries(Object.entries(value).filter(([name]) => name !== 'unsigned'));
  try {
    return Buffer.byteLength(canonicalJson(kept)) <= bytesMax ? kept : undefined;
  } catch (error) {
    // What has no canonical JSON cannot have been signed.
    if (error instanceof StateroomError) return undefined;
    throw error;
  }
}
