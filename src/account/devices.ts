// A user's devices, and when each was last heard of.
//
//   !user/ID    stateroom.device / device id         { display_name?, began }
//               stateroom.device_seen / device id    { ts, ip }
//
// Every request would change when a device was seen; it is written once in a while, so that reading costs
// no writing. Source: client-server API, "Device Management".

import type { InternalRecord } from '../core/internal.js';
import type { UserId } from '../event/ids.js';
import type { JsonObject } from '../event/json.js';
import { compareCodePoints } from '../lib/bytes.js';
import { ClockCache } from '../lib/clock-cache.js';
import { DeviceUnknownError } from './errors.js';
import type { DeviceKeys } from './device-keys.js';
import { type AccountParts, joinKey, numberOf, textOf, userRoom } from './parts.js';

const DEVICE = 'stateroom.device';
const DEVICE_SEEN = 'stateroom.device_seen';
const DEVICE_ID_LENGTH = 10;
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
const SEEN_WRITTEN_EVERY_MS = 10 * 60_000;
/** From another address it is written sooner; yet a device may come from two by turns. */
const ELSEWHERE_WRITTEN_EVERY_MS = 60_000;

const SEEN_CACHED_MAX = 10_000;

interface Seen {
  /** Milliseconds since 1970. */
  readonly ts: number;
  readonly ip: string | undefined;
}

export interface Device {
  readonly deviceId: string;
  readonly displayName: string | undefined;
  readonly lastSeenAt: number | undefined;
  readonly lastSeenIp: string | undefined;
}

export class Devices {
  readonly #parts: AccountParts;
  readonly #deviceKeys: Pick<DeviceKeys, 'changedRecords'>;
  /** What is written of when devices were seen, of those seen lately. */
  readonly #seen = new ClockCache<string, Seen>(SEEN_CACHED_MAX);

  constructor(parts: AccountParts, deviceKeys: Pick<DeviceKeys, 'changedRecords'>) {
    this.#parts = parts;
    this.#deviceKeys = deviceKeys;
  }

  get(userId: UserId, deviceId: string): Device | undefined {
    const content = this.#parts.engine.internal.get(userRoom(userId), DEVICE, deviceId);
    return content === undefined ? undefined : this.#device(userId, deviceId, content);
  }

  /** All devices, sorted by id. */
  list(userId: UserId): Device[] {
    return [...this.#parts.engine.internal.entries(userRoom(userId), DEVICE)]
      .map(({ stateKey, content }) => this.#device(userId, stateKey, content))
      .sort((a, b) => compareCodePoints(a.deviceId, b.deviceId));
  }

  /** A device id that is not in use: ten capitals. */
  newId(userId: UserId): string {
    for (;;) {
      const bytes = this.#parts.randomBytes(DEVICE_ID_LENGTH);
      const id = Array.from(bytes, (byte) => LETTERS.charAt(byte % LETTERS.length)).join('');
      if (this.get(userId, id) === undefined) return id;
    }
  }

  /** The record of a new device; none for one that is there: it keeps its name. */
  newRecords(userId: UserId, deviceId: string, displayName: string | undefined): readonly InternalRecord[] {
    const isNew = this.get(userId, deviceId) === undefined;
    return isNew ? [record(userId, deviceId, displayName, this.#parts.now())] : [];
  }

  /** When the device logged in first: what tells it from an earlier one of the same id. Milliseconds since 1970. */
  beganAt(userId: UserId, deviceId: string): number | undefined {
    const content = this.#parts.engine.internal.get(userRoom(userId), DEVICE, deviceId);
    return content === undefined ? undefined : numberOf(content, 'began');
  }

  /** Others see the name with the device's keys, so that its change is one of these. @throws ACCOUNT_DEVICE_UNKNOWN */
  async rename(userId: UserId, deviceId: string, displayName: string): Promise<void> {
    const device = this.get(userId, deviceId);
    if (device === undefined) {
      throw new DeviceUnknownError(`${userId} has no device ${deviceId}`, {
        user_id: userId,
        device_id: deviceId,
      });
    }
    if (device.displayName === displayName) return;
    await this.#parts.engine.internal.write([
      record(userId, deviceId, displayName, this.beganAt(userId, deviceId)),
      ...this.#deviceKeys.changedRecords(userId, deviceId),
    ]);
  }

  /**
   * The device was heard of: written when that was last written some time ago, or from elsewhere.
   * @returns when it is written; undefined where nothing is to be
   */
  seen(userId: UserId, deviceId: string, ip: string): Promise<unknown> | undefined {
    const { engine, now } = this.#parts;
    const ts = now();
    const name = joinKey(userId, deviceId);
    let last = this.#seen.get(name);
    if (last === undefined) {
      last = this.#lastSeen(userId, deviceId) ?? { ts: Number.NEGATIVE_INFINITY, ip: undefined };
      this.#seen.set(name, last, 1);
    }
    if (ts - last.ts < (last.ip === ip ? SEEN_WRITTEN_EVERY_MS : ELSEWHERE_WRITTEN_EVERY_MS)) {
      return undefined;
    }
    this.#seen.set(name, { ts, ip }, 1);
    return engine.internal.write([
      { roomId: userRoom(userId), type: DEVICE_SEEN, stateKey: deviceId, content: { ts, ip } },
    ]);
  }

  readonly removalRecords = (userId: UserId, deviceId: string): readonly InternalRecord[] => {
    this.#seen.delete(joinKey(userId, deviceId));
    return [DEVICE, DEVICE_SEEN]
      .filter((type) => this.#parts.engine.internal.get(userRoom(userId), type, deviceId) !== undefined)
      .map((type) => ({ roomId: userRoom(userId), type, stateKey: deviceId, content: undefined }));
  };

  #device(userId: UserId, deviceId: string, content: JsonObject): Device {
    const seen = this.#lastSeen(userId, deviceId);
    return {
      deviceId,
      displayName: textOf(content, 'display_name'),
      lastSeenAt: seen?.ts,
      lastSeenIp: seen?.ip,
    };
  }

  #lastSeen(userId: UserId, deviceId: string): Seen | undefined {
    const content = this.#parts.engine.internal.get(userRoom(userId), DEVICE_SEEN, deviceId);
    return content === undefined
      ? undefined
      : { ts: numberOf(content, 'ts') ?? 0, ip: textOf(content, 'ip') };
  }
}

function record(
  userId: UserId,
  deviceId: string,
  displayName: string | undefined,
  began: number | undefined,
): InternalRecord {
  const content = {
    ...(displayName === undefined ? {} : { display_name: displayName }),
    ...(began === undefined ? {} : { began }),
  };
  return { roomId: userRoom(userId), type: DEVICE, stateKey: deviceId, content };
}
