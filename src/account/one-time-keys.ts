// One-time keys, each given out once, and the fallback keys that are given out when there are none left.
//
//   !user/ID    stateroom.one_time_key / device, key name     { n, key, claimed? }
//               stateroom.fallback_key / device, algorithm    { name, key, used }
//
// `n` is the order of uploading, in which they are given out. The last ones given out stay for a while,
// marked: a device that never saw the answer to its upload sends the same keys again, and they must not come
// back to life.
//
// What a device has is held in memory, read from the room when it is first asked for. Taking a key changes
// the memory in the turn that writes the record, so that two who ask at once are never given the same one.
//
// Source: client-server API, "One-time and fallback keys", POST /keys/upload, POST /keys/claim.

import type { InternalRecord } from '../core/internal.js';
import type { UserId } from '../event/ids.js';
import { isObject, type JsonObject, type JsonValue, own } from '../event/json.js';
import { compareCodePoints } from '../lib/bytes.js';
import { ClockCache } from '../lib/clock-cache.js';
import { KeysInvalidError, KeysTooLargeError, OneTimeKeyDiffersError } from './errors.js';
import { algorithmOf, saysTheSame, storedKey } from './key-objects.js';
import { type AccountParts, isTrue, joinKey, numberOf, splitKey, textOf, userRoom } from './parts.js';

const ONE_TIME_KEY = 'stateroom.one_time_key';
const FALLBACK_KEY = 'stateroom.fallback_key';
/** Keys that a device may have at once; clients keep 50 to 100. */
const ONE_TIME_KEYS_MAX = 500;
const FALLBACK_ALGORITHMS_MAX = 10;
const KEY_BYTES_MAX = 4 * 1024;
/** Keys given out that are remembered of a device. */
const CLAIMED_KEPT = 100;
/** Names of keys that are held in memory, about 60 bytes each; a user counts as some, and a device. */
const HELD_MAX = 200_000;
const USER_HELD = 5;
const DEVICE_HELD = 10;
/** Told even where there are none: clients take silence for an old server, and upload nothing. */
const ALWAYS_COUNTED = 'signed_curve25519';

/** One key that somebody asks for. */
export interface KeyWanted {
  readonly userId: UserId;
  readonly deviceId: string;
  readonly algorithm: string;
}

/** One key given out. */
export interface KeyGiven extends KeyWanted {
  /** `algorithm:id`. */
  readonly name: string;
  readonly key: JsonValue;
}

/** What one device has. */
interface Stock {
  next: number;
  /** Names of keys, by algorithm, oldest first. */
  readonly unclaimed: Map<string, string[]>;
  readonly claimed: string[];
  readonly isFallbackUsed: Map<string, boolean>;
}

export class OneTimeKeys {
  readonly #parts: AccountParts;
  readonly #stocks = new ClockCache<UserId, Map<string, Stock>>(HELD_MAX);

  constructor(parts: AccountParts) {
    this.#parts = parts;
  }

  /** How many unclaimed keys a device has of each algorithm. A lookup in memory. */
  counts(userId: UserId, deviceId: string): JsonObject {
    const unclaimed = this.#stocksOf(userId).get(deviceId)?.unclaimed ?? new Map<string, string[]>();
    const counts = [...unclaimed].map(([algorithm, names]) => [algorithm, names.length] as const);
    return Object.fromEntries([[ALWAYS_COUNTED, 0], ...counts.filter(([, count]) => count > 0)]);
  }

  /** Algorithms of the fallback keys that nobody was given yet, sorted. A lookup in memory. */
  unusedFallbackTypes(userId: UserId, deviceId: string): string[] {
    const fallbacks = this.#stocksOf(userId).get(deviceId)?.isFallbackUsed ?? new Map<string, boolean>();
    const unused = [...fallbacks].filter(([, isUsed]) => !isUsed);
    return unused.map(([algorithm]) => algorithm).sort(compareCodePoints);
  }

  /**
   * The records of keys that a device uploads, to be written in this turn. Keys that are there already are
   * passed over, those that were given out lately too; a fallback key takes the place of the last of its
   * algorithm.
   * @throws ACCOUNT_KEYS_INVALID, ACCOUNT_ONE_TIME_KEY_DIFFERS, ACCOUNT_KEYS_TOO_LARGE; nothing is taken then
   */
  uploadRecords(
    userId: UserId,
    deviceId: string,
    oneTimeKeys: JsonObject,
    fallbackKeys: JsonObject,
  ): readonly InternalRecord[] {
    const added = this.#added(userId, deviceId, oneTimeKeys);
    const fallbacks = this.#newFallbacks(userId, deviceId, fallbackKeys);
    const stocks = this.#stocksOf(userId);
    const stock = stockIn(stocks, deviceId);
    this.#checkCounts(stock, added.length, fallbacks);
    const records = [
      ...added.map(({ name, algorithm, key }) => {
        const again = stock.claimed.indexOf(name);
        if (again !== -1) stock.claimed.splice(again, 1);
        listIn(stock.unclaimed, algorithm).push(name);
        return record(userId, ONE_TIME_KEY, joinKey(deviceId, name), { n: stock.next++, key });
      }),
      ...fallbacks.map(({ name, algorithm, key }) => {
        stock.isFallbackUsed.set(algorithm, false);
        return record(userId, FALLBACK_KEY, joinKey(deviceId, algorithm), { name, key, used: false });
      }),
    ];
    this.#hold(userId, stocks);
    return records;
  }

  /** Takes a key of each device, of users of this server, in one commit group; who has none is left out. */
  async claim(wanted: readonly KeyWanted[]): Promise<KeyGiven[]> {
    const given: KeyGiven[] = [];
    const records: InternalRecord[] = [];
    for (const one of wanted) {
      const taken = this.#takeOneTime(one) ?? this.#takeFallback(one);
      if (taken === undefined) continue;
      given.push(taken.given);
      records.push(...taken.records);
    }
    if (records.length > 0) await this.#parts.engine.internal.write(records);
    return given;
  }

  readonly removalRecords = (userId: UserId, deviceId: string): readonly InternalRecord[] => {
    const stock = this.#stocksOf(userId).get(deviceId);
    if (stock === undefined) return [];
    this.#stocksOf(userId).delete(deviceId);
    const names = [...stock.unclaimed.values(), stock.claimed].flat();
    return [
      ...names.map((name) => record(userId, ONE_TIME_KEY, joinKey(deviceId, name), undefined)),
      ...[...stock.isFallbackUsed.keys()].map((algorithm) =>
        record(userId, FALLBACK_KEY, joinKey(deviceId, algorithm), undefined),
      ),
    ];
  };

  #takeOneTime({ userId, deviceId, algorithm }: KeyWanted) {
    const stock = this.#stocksOf(userId).get(deviceId);
    const name = stock?.unclaimed.get(algorithm)?.shift();
    if (stock === undefined || name === undefined) return undefined;
    const content = this.#content(userId, ONE_TIME_KEY, joinKey(deviceId, name));
    const key = own(content, 'key') ?? null;
    stock.claimed.push(name);
    const forgotten = stock.claimed.splice(0, Math.max(0, stock.claimed.length - CLAIMED_KEPT));
    return {
      given: { userId, deviceId, algorithm, name, key },
      records: [
        record(userId, ONE_TIME_KEY, joinKey(deviceId, name), { ...content, claimed: true }),
        ...forgotten.map((old) => record(userId, ONE_TIME_KEY, joinKey(deviceId, old), undefined)),
      ],
    };
  }

  #takeFallback({ userId, deviceId, algorithm }: KeyWanted) {
    const stock = this.#stocksOf(userId).get(deviceId);
    const isUsed = stock?.isFallbackUsed.get(algorithm);
    if (stock === undefined || isUsed === undefined) return undefined;
    const stateKey = joinKey(deviceId, algorithm);
    const content = this.#content(userId, FALLBACK_KEY, stateKey);
    const name = textOf(content, 'name') ?? '';
    const key = own(content, 'key') ?? null;
    stock.isFallbackUsed.set(algorithm, true);
    return {
      given: { userId, deviceId, algorithm, name, key },
      records: isUsed ? [] : [record(userId, FALLBACK_KEY, stateKey, { ...content, used: true })],
    };
  }

  /** The keys that are not there yet. */
  #added(userId: UserId, deviceId: string, keys: JsonObject) {
    return Object.entries(keys).flatMap(([name, uploaded]) => {
      const algorithm = algorithmOf(name);
      const key = checkedKey(name, uploaded);
      const before = this.#parts.engine.internal.get(userRoom(userId), ONE_TIME_KEY, joinKey(deviceId, name));
      if (before !== undefined && saysTheSame(own(before, 'key') ?? null, key)) return [];
      if (before !== undefined && !isTrue(before, 'claimed')) {
        const fields = { user_id: userId, device_id: deviceId, key: name };
        throw new OneTimeKeyDiffersError(`another one-time key ${name} is stored already`, fields);
      }
      return [{ name, algorithm, key }];
    });
  }

  /** The fallback keys that are other than those that are there. */
  #newFallbacks(userId: UserId, deviceId: string, keys: JsonObject) {
    const algorithms = new Set<string>();
    return Object.entries(keys).flatMap(([name, uploaded]) => {
      const algorithm = algorithmOf(name);
      if (algorithms.has(algorithm))
        throw new KeysInvalidError(`there can be one fallback key of ${algorithm}`);
      algorithms.add(algorithm);
      const key = checkedKey(name, uploaded);
      const before = this.#content(userId, FALLBACK_KEY, joinKey(deviceId, algorithm));
      const isSame = textOf(before, 'name') === name && saysTheSame(own(before, 'key') ?? null, key);
      return isSame ? [] : [{ name, algorithm, key }];
    });
  }

  #checkCounts(stock: Stock, added: number, fallbacks: readonly { readonly algorithm: string }[]): void {
    const unclaimed = [...stock.unclaimed.values()].reduce((sum, names) => sum + names.length, 0);
    if (unclaimed + added > ONE_TIME_KEYS_MAX) {
      throw new KeysTooLargeError(`a device has ${ONE_TIME_KEYS_MAX} one-time keys at most`);
    }
    const algorithms = new Set([
      ...stock.isFallbackUsed.keys(),
      ...fallbacks.map(({ algorithm }) => algorithm),
    ]);
    if (algorithms.size > FALLBACK_ALGORITHMS_MAX) {
      throw new KeysTooLargeError(`a device has ${FALLBACK_ALGORITHMS_MAX} fallback keys at most`);
    }
  }

  #content(userId: UserId, type: string, stateKey: string): JsonObject {
    return this.#parts.engine.internal.get(userRoom(userId), type, stateKey) ?? {};
  }

  #stocksOf(userId: UserId): Map<string, Stock> {
    const known = this.#stocks.get(userId);
    if (known !== undefined) return known;
    const stocks = this.#load(userId);
    this.#hold(userId, stocks);
    return stocks;
  }

  /** Takes what a user has into memory, or weighs it again. What is too much is read from the room each time. */
  #hold(userId: UserId, stocks: Map<string, Stock>): void {
    let held = USER_HELD;
    for (const { unclaimed, claimed } of stocks.values()) {
      held += DEVICE_HELD + claimed.length;
      for (const names of unclaimed.values()) held += names.length;
    }
    this.#stocks.set(userId, stocks, held);
  }

  #load(userId: UserId): Map<string, Stock> {
    const { internal } = this.#parts.engine;
    const stocks = new Map<string, Stock>();
    const found = [...internal.entries(userRoom(userId), ONE_TIME_KEY)].sort(
      (a, b) => (numberOf(a.content, 'n') ?? 0) - (numberOf(b.content, 'n') ?? 0),
    );
    for (const { stateKey, content } of found) {
      const [deviceId, name] = splitKey(stateKey);
      const stock = stockIn(stocks, deviceId);
      stock.next = (numberOf(content, 'n') ?? 0) + 1;
      if (isTrue(content, 'claimed')) stock.claimed.push(name);
      else listIn(stock.unclaimed, algorithmOf(name)).push(name);
    }
    for (const { stateKey, content } of internal.entries(userRoom(userId), FALLBACK_KEY)) {
      const [deviceId, algorithm] = splitKey(stateKey);
      stockIn(stocks, deviceId).isFallbackUsed.set(algorithm, isTrue(content, 'used'));
    }
    return stocks;
  }
}

function stockIn(stocks: Map<string, Stock>, deviceId: string): Stock {
  const existing = stocks.get(deviceId);
  if (existing !== undefined) return existing;
  const stock: Stock = { next: 0, unclaimed: new Map(), claimed: [], isFallbackUsed: new Map() };
  stocks.set(deviceId, stock);
  return stock;
}

function listIn(lists: Map<string, string[]>, key: string): string[] {
  const list = lists.get(key) ?? [];
  lists.set(key, list);
  return list;
}

function checkedKey(name: string, key: JsonValue): JsonValue {
  const isKey = isObject(key) ? typeof own(key, 'key') === 'string' : typeof key === 'string';
  if (!isKey) throw new KeysInvalidError(`${name} is neither a key nor a signed key`);
  return storedKey(key, KEY_BYTES_MAX);
}

function record(
  userId: UserId,
  type: string,
  stateKey: string,
  content: JsonObject | undefined,
): InternalRecord {
  return { roomId: userRoom(userId), type, stateKey, content };
}
