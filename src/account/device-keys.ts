// The identity keys of devices: what others encrypt to, and know a device by.
//
//   !user/ID    stateroom.device_keys / device id    the keys, as the device signed them
//
// Whatever changes them says so in the list of changed devices, in the same commit group.
// Source: client-server API, "Device keys", POST /keys/upload.

import type { InternalRecord } from '../core/internal.js';
import type { UserId } from '../event/ids.js';
import { isArray, isObject, type JsonObject, own } from '../event/json.js';
import type { DeviceLists } from './device-lists.js';
import { KeysInvalidError, KeySignatureInvalidError } from './errors.js';
import {
  algorithmOf,
  ED25519,
  isSame,
  isSignedBy,
  publicKeyOf,
  saysTheSame,
  storedKey,
} from './key-objects.js';
import type { KeySignatures } from './key-signatures.js';
import { type AccountParts, userRoom } from './parts.js';

const DEVICE_KEYS = 'stateroom.device_keys';
const DEVICE_KEYS_BYTES_MAX = 16 * 1024;

export class DeviceKeys {
  readonly #parts: AccountParts;
  readonly #lists: DeviceLists;
  readonly #signatures: KeySignatures;

  constructor(parts: AccountParts, lists: DeviceLists, signatures: KeySignatures) {
    this.#parts = parts;
    this.#lists = lists;
    this.#signatures = signatures;
  }

  /** The keys of a device as it uploaded them. */
  get(userId: UserId, deviceId: string): JsonObject | undefined {
    return this.#parts.engine.internal.get(userRoom(userId), DEVICE_KEYS, deviceId);
  }

  /** The devices of a user that have keys. */
  *list(userId: UserId): Generator<readonly [deviceId: string, keys: JsonObject]> {
    for (const { stateKey, content } of this.#parts.engine.internal.entries(userRoom(userId), DEVICE_KEYS)) {
      yield [stateKey, content];
    }
  }

  /** The keys of a device with the signatures that `viewer` may see; undefined without keys. */
  shown(userId: UserId, deviceId: string, viewer: UserId | undefined): JsonObject | undefined {
    const keys = this.get(userId, deviceId);
    return keys === undefined ? undefined : this.#signatures.shown(keys, userId, deviceId, viewer);
  }

  /**
   * The records of keys that a device uploads, to be written in this turn; none when they are there already.
   * @throws ACCOUNT_KEYS_INVALID, ACCOUNT_KEY_SIGNATURE_INVALID, ACCOUNT_KEYS_TOO_LARGE
   */
  uploadRecords(userId: UserId, deviceId: string, keys: JsonObject): readonly InternalRecord[] {
    checkDeviceKeys(userId, deviceId, keys);
    const content = storedKey(keys, DEVICE_KEYS_BYTES_MAX);
    const before = this.get(userId, deviceId);
    if (before !== undefined && isSame(before, content)) return [];
    const isOther = before !== undefined && !saysTheSame(before, content);
    return [
      { roomId: userRoom(userId), type: DEVICE_KEYS, stateKey: deviceId, content },
      ...(isOther ? this.#signatures.removalRecords(userId, deviceId) : []),
      this.#lists.changedRecord(userId, deviceId),
    ];
  }

  /** To be written with a change of what others are shown beside the keys; none for a device without keys. */
  changedRecords(userId: UserId, deviceId: string): readonly InternalRecord[] {
    return this.get(userId, deviceId) === undefined ? [] : [this.#lists.changedRecord(userId, deviceId)];
  }

  readonly removalRecords = (userId: UserId, deviceId: string): readonly InternalRecord[] => {
    if (this.get(userId, deviceId) === undefined) return [];
    return [
      { roomId: userRoom(userId), type: DEVICE_KEYS, stateKey: deviceId, content: undefined },
      ...this.#signatures.removalRecords(userId, deviceId),
      this.#lists.changedRecord(userId, deviceId),
    ];
  };
}

/** @throws ACCOUNT_KEYS_INVALID, ACCOUNT_KEY_SIGNATURE_INVALID */
function checkDeviceKeys(userId: UserId, deviceId: string, json: JsonObject): void {
  const fields = { user_id: userId, device_id: deviceId };
  if (own(json, 'user_id') !== userId || own(json, 'device_id') !== deviceId) {
    throw new KeysInvalidError('user_id and device_id must be those of the device that uploads', fields);
  }
  const algorithms = own(json, 'algorithms');
  if (!isArray(algorithms) || algorithms.some((algorithm) => typeof algorithm !== 'string')) {
    throw new KeysInvalidError('algorithms must be a list of names', fields);
  }
  const keys = own(json, 'keys');
  if (!isObject(keys)) throw new KeysInvalidError('keys must be an object', fields);
  for (const [name, key] of Object.entries(keys)) {
    if (typeof key !== 'string' || name !== `${algorithmOf(name)}:${deviceId}`) {
      throw new KeysInvalidError('keys are strings, named by their algorithm and the device id', fields);
    }
  }
  const publicKey = publicKeyOf(own(keys, ED25519 + deviceId));
  if (publicKey === undefined) {
    throw new KeysInvalidError('the ed25519 key of the device must be 32 bytes of unpadded base64', fields);
  }
  if (!isSignedBy(json, userId, ED25519 + deviceId, publicKey)) {
    throw new KeySignatureInvalidError('the keys must be signed by the ed25519 key of the device', fields);
  }
}
