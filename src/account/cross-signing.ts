// Cross-signing: a user's master key, the keys that it signs, and the signatures made with them.
//
//   !user/ID    stateroom.cross_signing / usage    the key, as it was uploaded
//
// Source: client-server API, "Cross-signing", POST /keys/device_signing/upload, POST /keys/signatures/upload.

import type { InternalRecord } from '../core/internal.js';
import type { UserId } from '../event/ids.js';
import { isArray, isObject, type JsonObject, own } from '../event/json.js';
import type { DeviceKeys } from './device-keys.js';
import type { DeviceLists } from './device-lists.js';
import type { Devices } from './devices.js';
import {
  KeyIdInUseError,
  KeysInvalidError,
  KeySignatureInvalidError,
  KeyUnknownError,
  MasterKeyMissingError,
} from './errors.js';
import {
  ED25519,
  isSame,
  isSignedBy,
  publicKeyOf,
  saysTheSame,
  signaturesOf,
  storedKey,
} from './key-objects.js';
import type { KeySignatures } from './key-signatures.js';
import { type AccountParts, userRoom } from './parts.js';

const CROSS_SIGNING = 'stateroom.cross_signing';
const KEY_BYTES_MAX = 16 * 1024;

export const KEY_USAGES = ['master', 'self_signing', 'user_signing'] as const;
export type KeyUsage = (typeof KEY_USAGES)[number];
export type CrossSigningKeys = Partial<Record<KeyUsage, JsonObject>>;

/** What an upload would do: make the first keys, leave everything as it is, or change what is there. */
export type KeysChange = 'first' | 'none' | 'replaces';

/** The parts of the accounts whose keys are signed. */
export interface CrossSigningParts {
  readonly devices: Devices;
  readonly deviceKeys: DeviceKeys;
  readonly deviceLists: DeviceLists;
  readonly signatures: KeySignatures;
}

export class CrossSigning {
  /** The master key of a user of another server, where it is known; federation says how to find it. */
  remoteMaster: (userId: UserId) => JsonObject | undefined = () => undefined;
  readonly #parts: AccountParts;
  readonly #with: CrossSigningParts;

  constructor(parts: AccountParts, others: CrossSigningParts) {
    this.#parts = parts;
    this.#with = others;
  }

  /** A key as it was uploaded. */
  get(userId: UserId, usage: KeyUsage): JsonObject | undefined {
    return this.#parts.engine.internal.get(userRoom(userId), CROSS_SIGNING, usage);
  }

  /**
   * A key with the signatures that `viewer` may see; undefined where there is none, or it is not the viewer's
   * to see: a user-signing key is shown to its owner only.
   */
  shown(userId: UserId, usage: KeyUsage, viewer: UserId | undefined): JsonObject | undefined {
    if (usage === 'user_signing' && viewer !== userId) return undefined;
    const key = this.get(userId, usage);
    const id = key === undefined ? undefined : idOf(key);
    if (key === undefined || id === undefined) return undefined;
    return this.#with.signatures.shown(key, userId, id, viewer);
  }

  /** A master key of a user of another server, with the signature that `viewer` made of it. */
  shownRemote(userId: UserId, key: JsonObject, viewer: UserId): JsonObject {
    const id = idOf(key);
    return id === undefined ? key : this.#with.signatures.shown(key, userId, id, viewer);
  }

  /**
   * What an upload would do. One that replaces keys must be allowed by more than an access token.
   * @throws as `upload`
   */
  changeBy(userId: UserId, keys: CrossSigningKeys): KeysChange {
    this.#check(userId, keys);
    if (this.get(userId, 'master') === undefined) return 'first';
    const isKnown = KEY_USAGES.every((usage) => {
      const key = keys[usage];
      const stored = this.get(userId, usage);
      return key === undefined || (stored !== undefined && isSame(stored, storedKey(key, KEY_BYTES_MAX)));
    });
    return isKnown ? 'none' : 'replaces';
  }

  /**
   * Stores a user's keys. What a new master key did not sign goes with the old one.
   * @throws ACCOUNT_KEYS_INVALID, ACCOUNT_KEYS_TOO_LARGE, ACCOUNT_KEY_SIGNATURE_INVALID,
   *   ACCOUNT_KEY_ID_IN_USE, ACCOUNT_MASTER_KEY_MISSING
   */
  async upload(userId: UserId, keys: CrossSigningKeys): Promise<void> {
    if (this.changeBy(userId, keys) === 'none') return;
    const before = this.get(userId, 'master');
    const isNewMaster =
      before !== undefined && keys.master !== undefined && idOf(before) !== idOf(keys.master);
    const records: InternalRecord[] = [];
    for (const usage of KEY_USAGES) {
      const key = keys[usage];
      const isStale = isNewMaster && this.get(userId, usage) !== undefined;
      if (key === undefined && !isStale) continue;
      const content = key === undefined ? undefined : storedKey(key, KEY_BYTES_MAX);
      records.push({ roomId: userRoom(userId), type: CROSS_SIGNING, stateKey: usage, content });
    }
    if (isNewMaster) records.push(...this.#with.signatures.removalRecords(userId, idOf(before) ?? ''));
    await this.#parts.engine.internal.write([...records, this.#with.deviceLists.changedRecord(userId)]);
  }

  /**
   * The records of the signatures that a user made of a key, to be written in this turn: of a device of
   * theirs by their self-signing key, of their master key by their devices, of another's master key by their
   * user-signing key. Other signatures of the object are not looked at.
   * @param key the device id or the public key
   * @throws ACCOUNT_KEY_UNKNOWN, ACCOUNT_KEY_SIGNATURE_INVALID, ACCOUNT_KEYS_INVALID
   */
  signatureRecords(
    signer: UserId,
    owner: UserId,
    key: string,
    signed: JsonObject,
  ): readonly InternalRecord[] {
    const stored = this.#signedKey(signer, owner, key);
    if (!saysTheSame(stored.json, signed)) {
      throw new KeySignatureInvalidError('what was signed is not the key that is stored', { key });
    }
    const offered = signaturesOf(signed, signer);
    const made = Object.entries(offered).filter(([keyId]) => {
      const publicKey = stored.signers.get(keyId);
      return publicKey !== undefined && isSignedBy(signed, signer, keyId, publicKey);
    });
    if (made.length === 0) throw new KeySignatureInvalidError('no signature is valid', { key });
    const { signatures, deviceLists } = this.#with;
    const before = Object.entries(signatures.of(signer, owner, key));
    // Signatures of devices and keys that are no more go.
    const kept = before.filter(([keyId]) => stored.signers.has(keyId));
    const merged = Object.fromEntries([...kept, ...made]);
    return [
      signatures.record(signer, owner, key, merged),
      signer === owner
        ? deviceLists.changedRecord(owner, stored.deviceId)
        : deviceLists.signedRecord(signer, owner),
    ];
  }

  /** Takes a user's keys away. */
  removalRecords(userId: UserId): readonly InternalRecord[] {
    const usages = KEY_USAGES.filter((usage) => this.get(userId, usage) !== undefined);
    if (usages.length === 0) return [];
    return [
      ...usages.map((usage) => ({
        roomId: userRoom(userId),
        type: CROSS_SIGNING,
        stateKey: usage,
        content: undefined,
      })),
      this.#with.deviceLists.changedRecord(userId),
    ];
  }

  /** The key that is signed, and the keys that may sign it. */
  #signedKey(signer: UserId, owner: UserId, key: string) {
    const master = this.get(owner, 'master') ?? this.remoteMaster(owner);
    if (master !== undefined && idOf(master) === key) {
      return {
        json: master,
        deviceId: undefined,
        signers: signer === owner ? this.#deviceSigners(owner) : this.#signers(signer, 'user_signing'),
      };
    }
    const device = signer === owner ? this.#with.deviceKeys.get(owner, key) : undefined;
    if (device === undefined) throw new KeyUnknownError(`${owner} has no such key for you to sign`, { key });
    return { json: device, deviceId: key, signers: this.#signers(signer, 'self_signing') };
  }

  #signers(userId: UserId, usage: KeyUsage): Map<string, Uint8Array> {
    const key = this.get(userId, usage);
    const id = key === undefined ? undefined : idOf(key);
    const publicKey = publicKeyOf(id);
    return new Map(id === undefined || publicKey === undefined ? [] : [[ED25519 + id, publicKey]]);
  }

  #deviceSigners(userId: UserId): Map<string, Uint8Array> {
    const signers = new Map<string, Uint8Array>();
    for (const [deviceId, json] of this.#with.deviceKeys.list(userId)) {
      const keys = own(json, 'keys');
      const publicKey = isObject(keys) ? publicKeyOf(own(keys, ED25519 + deviceId)) : undefined;
      if (publicKey !== undefined) signers.set(ED25519 + deviceId, publicKey);
    }
    return signers;
  }

  #check(userId: UserId, keys: CrossSigningKeys): void {
    const given = KEY_USAGES.filter((usage) => keys[usage] !== undefined);
    if (given.length === 0) throw new MasterKeyMissingError('there is no key in the request');
    for (const usage of given) this.#checkKey(userId, usage, keys[usage] ?? {});
    const master = keys.master ?? this.get(userId, 'master');
    const masterId = master === undefined ? undefined : idOf(master);
    const publicKey = publicKeyOf(masterId);
    if (masterId === undefined || publicKey === undefined) {
      throw new MasterKeyMissingError(`${userId} has no master key`, { user_id: userId });
    }
    for (const usage of given) {
      if (usage === 'master' || isSignedBy(keys[usage] ?? {}, userId, ED25519 + masterId, publicKey))
        continue;
      throw new KeySignatureInvalidError(`the ${usage} key must be signed by the master key`, {
        user_id: userId,
      });
    }
  }

  #checkKey(userId: UserId, usage: KeyUsage, json: JsonObject): void {
    const fields = { user_id: userId, usage };
    if (own(json, 'user_id') !== userId) throw new KeysInvalidError('user_id must be yours', fields);
    const usages = own(json, 'usage');
    if (!isArray(usages) || !usages.includes(usage)) {
      throw new KeysInvalidError(`the usage of a ${usage} key must say so`, fields);
    }
    const id = idOf(json);
    if (id === undefined) {
      throw new KeysInvalidError(
        'keys must hold one ed25519 key, named by itself, in unpadded base64',
        fields,
      );
    }
    storedKey(json, KEY_BYTES_MAX);
    if (this.#with.devices.get(userId, id) !== undefined) {
      throw new KeyIdInUseError('a device has the id of this key', { ...fields, device_id: id });
    }
  }
}

/** The public key of a cross-signing key object: its id. Undefined when it holds none, or several. */
function idOf(json: JsonObject): string | undefined {
  const keys = own(json, 'keys');
  const [entry, ...more] = isObject(keys) ? Object.entries(keys) : [];
  if (entry === undefined || more.length > 0) return undefined;
  const [name, key] = entry;
  return typeof key === 'string' && name === ED25519 + key && publicKeyOf(key) !== undefined
    ? key
    : undefined;
}
