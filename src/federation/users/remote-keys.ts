// Keys of other servers' users for clients that ask: what is kept, else what their servers say in time.
//
// Source: client-server API, POST /keys/query, POST /keys/claim; server-server API, "End-to-End Encryption".

import type { KeyWanted } from '../../account/one-time-keys.js';
import { serverOf, type ServerName, type UserId } from '../../event/ids.js';
import type { JsonObject } from '../../event/json.js';
import { isRemoteFailure } from '../errors.js';
import type { UsersContext } from './context.js';
import type { DeviceTracking } from './device-tracking.js';
import { claimedKey, queriedUser, type RemoteUserKeys } from './key-answers.js';

/** Servers that did not answer, with what clients are told of each. */
export type ServerFailures = ReadonlyMap<ServerName, JsonObject>;

export interface QueriedKeys {
  readonly users: ReadonlyMap<UserId, RemoteUserKeys>;
  readonly failures: ServerFailures;
}

export interface ClaimedKeys {
  /** By user and device: an object with the one key. */
  readonly keys: ReadonlyMap<UserId, ReadonlyMap<string, JsonObject>>;
  readonly failures: ServerFailures;
}

const UNREACHABLE: JsonObject = { status: 503, message: 'The server did not answer.' };

export class RemoteKeys {
  readonly #context: UsersContext;
  readonly #tracking: DeviceTracking;

  constructor(context: UsersContext, tracking: DeviceTracking) {
    this.#context = context;
    this.#tracking = tracking;
  }

  /** All devices of users of other servers. Of a server that fails, what was known last. */
  async query(userIds: Iterable<UserId>): Promise<QueriedKeys> {
    const { devices, roomServers } = this.#context;
    const users = new Map<UserId, RemoteUserKeys>();
    const failures = new Map<ServerName, JsonObject>();
    const missing = new Map<ServerName, UserId[]>();
    await roomServers.caughtUp();
    for (const userId of new Set(userIds)) {
      const kept = devices.isStale(userId) ? undefined : devices.get(userId);
      if (kept !== undefined && roomServers.sharesRoom(userId)) users.set(userId, kept);
      else listAt(missing, serverOf(userId)).push(userId);
    }
    await Promise.all(
      [...missing].map(async ([server, asked]) => {
        const isAnswered = await this.#queryServer(server, asked, users);
        if (isAnswered) return;
        failures.set(server, UNREACHABLE);
        for (const userId of asked) {
          const kept = users.has(userId) ? undefined : devices.get(userId);
          if (kept !== undefined) users.set(userId, kept);
        }
      }),
    );
    return { users, failures };
  }

  /** One one-time key of each device; who has none is left out. */
  async claim(wanted: readonly KeyWanted[]): Promise<ClaimedKeys> {
    const byServer = new Map<ServerName, KeyWanted[]>();
    for (const one of wanted) listAt(byServer, serverOf(one.userId)).push(one);
    const keys = new Map<UserId, Map<string, JsonObject>>();
    const failures = new Map<ServerName, JsonObject>();
    await Promise.all(
      [...byServer].map(async ([server, asked]) => {
        if (!(await this.#claimFrom(server, asked, keys))) failures.set(server, UNREACHABLE);
      }),
    );
    return { keys, failures };
  }

  /** @returns false when the server did not answer for all */
  async #queryServer(
    server: ServerName,
    asked: readonly UserId[],
    users: Map<UserId, RemoteUserKeys>,
  ): Promise<boolean> {
    const { usersInRequestMax } = this.#context.options;
    for (let at = 0; at < asked.length; at += usersInRequestMax) {
      if (!(await this.#queryUsers(server, asked.slice(at, at + usersInRequestMax), users))) return false;
    }
    return true;
  }

  async #queryUsers(
    server: ServerName,
    asked: readonly UserId[],
    users: Map<UserId, RemoteUserKeys>,
  ): Promise<boolean> {
    const { remote, options, engine } = this.#context;
    for (const userId of asked) this.#tracking.began(userId);
    const records = [];
    let answer: JsonObject | undefined;
    try {
      const body = Object.fromEntries(asked.map((userId) => [userId, []]));
      answer = await remote.keysQuery(server, body, { timeoutMs: options.keysTimeoutMs });
    } catch (error) {
      if (!isRemoteFailure(error)) throw error;
    } finally {
      for (const userId of asked) {
        const keys = answer && queriedUser(answer, userId, options);
        if (keys !== undefined) users.set(userId, keys);
        records.push(...this.#tracking.ended(userId, keys && { ...keys, streamId: undefined }));
      }
    }
    if (records.length > 0) await engine.internal.write(records);
    return answer !== undefined;
  }

  async #claimFrom(
    server: ServerName,
    asked: readonly KeyWanted[],
    keys: Map<UserId, Map<string, JsonObject>>,
  ): Promise<boolean> {
    const { remote, options } = this.#context;
    const byUser = new Map<UserId, [string, string][]>();
    for (const { userId, deviceId, algorithm } of asked) listAt(byUser, userId).push([deviceId, algorithm]);
    const body = Object.fromEntries(
      [...byUser].map(([userId, devices]) => [userId, Object.fromEntries(devices)]),
    );
    let answer: JsonObject;
    try {
      answer = await remote.keysClaim(server, body, { timeoutMs: options.keysTimeoutMs });
    } catch (error) {
      if (isRemoteFailure(error)) return false;
      throw error;
    }
    for (const { userId, deviceId } of asked) {
      const key = claimedKey(answer, userId, deviceId, options.keyBytesMax);
      if (key === undefined) continue;
      const ofUser = keys.get(userId) ?? new Map<string, JsonObject>();
      keys.set(userId, ofUser.set(deviceId, key));
    }
    return true;
  }
}

function listAt<K, V>(map: Map<K, V[]>, key: K): V[] {
  const list = map.get(key) ?? [];
  map.set(key, list);
  return list;
}
