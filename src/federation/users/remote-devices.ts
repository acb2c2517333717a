// The keys of other servers' users, as long as they share a room with somebody here: their servers then tell of
// every change.
//
//   !remote_users    stateroom.remote_keys / user id     { stream_id?, devices, master_key?, self_signing_key? }
//                    stateroom.stale_keys / user id      {}
//
// A list is stale from when something of it was missed until it was asked for again.

import type { InternalRecord } from '../../core/internal.js';
import type { Engine } from '../../engine/engine.js';
import type { UserId } from '../../event/ids.js';
import { internalRoomId } from '../../event/internal.js';
import { isObject, type JsonObject, own } from '../../event/json.js';
import { displayNameOf, type RemoteDevice, type RemoteUserKeys } from './key-answers.js';

export const REMOTE_USERS_ROOM = internalRoomId('remote_users');
const KEYS = 'stateroom.remote_keys';
const STALE = 'stateroom.stale_keys';

export interface KeptKeys extends RemoteUserKeys {
  /** Of the last change that is in it; undefined where it was given without one. */
  readonly streamId: number | undefined;
}

export class RemoteDevices {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  get(userId: UserId): KeptKeys | undefined {
    const content = this.#engine.internal.get(REMOTE_USERS_ROOM, KEYS, userId);
    if (content === undefined) return undefined;
    const listed = own(content, 'devices');
    const devices = new Map<string, RemoteDevice>();
    for (const [deviceId, device] of Object.entries(isObject(listed) ? listed : {})) {
      const keys = isObject(device) ? own(device, 'keys') : undefined;
      if (!isObject(device) || !isObject(keys)) continue;
      devices.set(deviceId, { keys, displayName: displayNameOf(own(device, 'display_name')) });
    }
    const streamId = own(content, 'stream_id');
    return {
      streamId: typeof streamId === 'number' ? streamId : undefined,
      devices,
      master: objectAt(content, 'master_key'),
      selfSigning: objectAt(content, 'self_signing_key'),
    };
  }

  isStale(userId: UserId): boolean {
    return this.#engine.internal.get(REMOTE_USERS_ROOM, STALE, userId) !== undefined;
  }

  /** Users whose keys are kept. No event is read. */
  kept(): UserId[] {
    return this.#users(KEYS);
  }

  /** Users whose lists are stale. No event is read. */
  stale(): UserId[] {
    return this.#users(STALE);
  }

  /** What is known of a user now; not stale any more. */
  records(userId: UserId, { streamId, devices, master, selfSigning }: KeptKeys): InternalRecord[] {
    const listed = [...devices].map(([deviceId, { keys, displayName }]): [string, JsonObject] => [
      deviceId,
      { keys, ...(displayName === undefined ? {} : { display_name: displayName }) },
    ]);
    const content = {
      ...(streamId === undefined ? {} : { stream_id: streamId }),
      devices: Object.fromEntries(listed),
      ...(master === undefined ? {} : { master_key: master }),
      ...(selfSigning === undefined ? {} : { self_signing_key: selfSigning }),
    };
    return [
      { roomId: REMOTE_USERS_ROOM, type: KEYS, stateKey: userId, content },
      ...(this.isStale(userId) ? [staleRecord(userId, undefined)] : []),
    ];
  }

  /** Something was missed. */
  staleRecords(userId: UserId): InternalRecord[] {
    return this.isStale(userId) ? [] : [staleRecord(userId, {})];
  }

  /** Nothing is kept of the user any more. */
  removalRecords(userId: UserId): InternalRecord[] {
    const isKept = this.#engine.internal.get(REMOTE_USERS_ROOM, KEYS, userId) !== undefined;
    return [
      ...(isKept ? [{ roomId: REMOTE_USERS_ROOM, type: KEYS, stateKey: userId, content: undefined }] : []),
      ...(this.isStale(userId) ? [staleRecord(userId, undefined)] : []),
    ];
  }

  #users(type: string): UserId[] {
    if (this.#engine.store.room(REMOTE_USERS_ROOM) === undefined) return [];
    return Array.from(
      this.#engine.currentState(REMOTE_USERS_ROOM).entries(type),
      ({ stateKey }) => stateKey as UserId,
    );
  }
}

function staleRecord(userId: UserId, content: JsonObject | undefined): InternalRecord {
  return { roomId: REMOTE_USERS_ROOM, type: STALE, stateKey: userId, content };
}

function objectAt(content: JsonObject, name: string): JsonObject | undefined {
  const value = own(content, name);
  return isObject(value) ? value : undefined;
}
