// A user of another server with devices that change, as their server tells of them when it is asked; and what alice's
// client sees of them.

import * as assert from 'uvu/assert';
import type { UserId } from '../../../src/event/ids.js';
import { isObject, type JsonObject, own } from '../../../src/event/json.js';
import { ask, deviceKeys, sync, TestKey } from '../../client/e2ee-support.js';
import { itemsOf, type Json, textOf } from '../../client/harness.js';
import type { Alpha, Other } from '../outbound/alpha.js';

/** The devices of bob's, as his server has them, and how often it was asked. */
export class Bobs {
  readonly devices = new Map<string, JsonObject>();
  master: JsonObject | undefined;
  streamId = 0;
  readonly asked = { query: 0, devices: 0, claim: 0, profile: 0 };
  readonly #other: Other;

  constructor(other: Other) {
    this.#other = other;
    other.answers = ({ uri, body }) => this.#answer(uri, body);
  }

  /** A new device, or other keys of one. */
  add(deviceId: string, seed: number): JsonObject {
    const keys = deviceKeys({ userId: this.#other.user, deviceId, accessToken: '' }, new TestKey(seed));
    this.devices.set(deviceId, keys);
    this.streamId++;
    return keys;
  }

  /** What his server tells of a device; `previous` is what it claims to have told before. */
  async tell(at: Alpha, deviceId: string, previous: readonly number[]): Promise<void> {
    await at.federation.users.sink.deviceUpdate({
      userId: this.#other.user,
      deviceId,
      streamId: this.streamId,
      prevIds: previous,
      isDeleted: !this.devices.has(deviceId),
      displayName: undefined,
      keys: this.devices.get(deviceId),
    });
  }

  #answer(uri: string, body: JsonObject): { status?: number; body: JsonObject } | undefined {
    const { user } = this.#other;
    if (uri.endsWith('/user/keys/query')) {
      this.asked.query++;
      const asked = own(body, 'device_keys');
      assert.ok(isObject(asked) && Object.hasOwn(asked, user));
      return {
        body: {
          device_keys: { [user]: Object.fromEntries(this.devices), '@mallory:other.test': { X: {} } },
          master_keys: this.master === undefined ? {} : { [user]: this.master },
        },
      };
    }
    if (uri.includes('/user/devices/')) {
      this.asked.devices++;
      const devices = [...this.devices].map(([device_id, keys]) => ({ device_id, keys }));
      return { body: { user_id: user, stream_id: this.streamId, devices } };
    }
    if (uri.endsWith('/user/keys/claim')) {
      this.asked.claim++;
      return {
        body: { one_time_keys: { [user]: { PHONE: { 'signed_curve25519:A': { key: 'k' } }, X: { a: 1 } } } },
      };
    }
    if (!uri.includes('/query/profile')) return undefined;
    this.asked.profile++;
    return uri.includes('nobody')
      ? undefined
      : { body: { displayname: 'Bob', avatar_url: 7, 'org.test.x': [1] } };
  }
}

export function query(at: Alpha, userId: UserId): Promise<Json> {
  return ask(at.harness, at.alice, 'POST', '/v3/keys/query', { device_keys: { [userId]: [] } });
}

export async function devicesOf(at: Alpha, userId: UserId): Promise<string[]> {
  return Object.keys((await query(at, userId))['device_keys']?.[userId] ?? {}).sort();
}

export async function lists(
  at: Alpha,
  since: string,
): Promise<{ changed: string[]; left: string[]; next: string }> {
  const answer = await sync(at.harness, at.alice, since);
  return {
    changed: itemsOf(answer['device_lists']?.['changed']).map(textOf),
    left: itemsOf(answer['device_lists']?.['left']).map(textOf),
    next: textOf(answer['next_batch']),
  };
}

export const now = async (at: Alpha): Promise<string> =>
  textOf((await sync(at.harness, at.alice))['next_batch']);
