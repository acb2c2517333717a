// Transaction ids: a request sent twice is done once, across restarts too.
//
//   !user/ID    stateroom.txn / device, endpoint, transaction id    { n, answer }
//
// The record lands in the commit group of what the request did, or neither does. A device's newest ones are kept,
// `n` counts them; one more takes the oldest away.
//
// Source: client-server API, "Transaction identifiers".

import type { InternalRecord } from '../core/internal.js';
import type { UserId } from '../event/ids.js';
import { isObject, type JsonObject, own } from '../event/json.js';
import { type AccountParts, joinKey, numberOf, splitKey, textOf, userRoom } from './parts.js';

const TXN = 'stateroom.txn';
/** Transactions that are remembered of a device. */
const KEPT_PER_DEVICE = 200;
/** Devices whose transactions are kept in memory; those of others are read again when they are asked for. */
const DEVICES_IN_MEMORY_MAX = 1_000;

/** One request of a client that is to be done once. */
export interface Transaction {
  readonly userId: UserId;
  readonly deviceId: string;
  /** What is asked: the same id at another endpoint, or for another room, is another transaction. */
  readonly endpoint: string;
  readonly txnId: string;
}

/** What a device sent lately, oldest first. */
interface Recent {
  count: number;
  readonly keys: string[];
  readonly txnIdOfEvent: Map<string, string>;
}

export class Transactions {
  readonly #parts: AccountParts;
  readonly #recent = new Map<string, Recent>();
  readonly #underWay = new Map<string, Promise<JsonObject>>();

  constructor(parts: AccountParts) {
    this.#parts = parts;
  }

  /**
   * Does what is asked, unless it was done or is under way: then gives that answer.
   * @param run must write the record that it makes of its answer together with what it does
   */
  async once(
    transaction: Transaction,
    run: (record: (answer: JsonObject) => readonly InternalRecord[]) => Promise<JsonObject>,
  ): Promise<JsonObject> {
    // What is under way comes first: its record can be read already, and is not on disk yet.
    const key = joinKey(transaction.userId, keyOf(transaction));
    const underWay = this.#underWay.get(key);
    if (underWay !== undefined) return underWay;
    const done = this.#answer(transaction);
    if (done !== undefined) return done;
    const running = run((answer) => this.#records(transaction, answer));
    this.#underWay.set(key, running);
    try {
      return await running;
    } finally {
      this.#underWay.delete(key);
    }
  }

  /** The transaction id with which a device sent an event, as long as it is remembered. */
  txnIdOf(userId: UserId, deviceId: string, eventId: string): string | undefined {
    return this.#recentOf(userId, deviceId).txnIdOfEvent.get(eventId);
  }

  readonly removalRecords = (userId: UserId, deviceId: string): readonly InternalRecord[] => {
    const { keys } = this.#recentOf(userId, deviceId);
    this.#recent.delete(joinKey(userId, deviceId));
    return keys.map((stateKey) => ({ roomId: userRoom(userId), type: TXN, stateKey, content: undefined }));
  };

  #answer(transaction: Transaction): JsonObject | undefined {
    const { engine } = this.#parts;
    const content = engine.internal.get(userRoom(transaction.userId), TXN, keyOf(transaction));
    const answer = content === undefined ? undefined : own(content, 'answer');
    return isObject(answer) ? answer : undefined;
  }

  #records(transaction: Transaction, answer: JsonObject): readonly InternalRecord[] {
    const { userId, deviceId, txnId } = transaction;
    const roomId = userRoom(userId);
    const recent = this.#recentOf(userId, deviceId);
    const stateKey = keyOf(transaction);
    // What was tried and refused before left its key here and no record.
    const earlier = recent.keys.indexOf(stateKey);
    if (earlier !== -1) recent.keys.splice(earlier, 1);
    recent.keys.push(stateKey);
    const eventId = textOf(answer, 'event_id');
    if (eventId !== undefined) recent.txnIdOfEvent.set(eventId, txnId);
    const records: InternalRecord[] = [
      { roomId, type: TXN, stateKey, content: { n: recent.count++, answer } },
    ];
    for (const oldest of recent.keys.splice(0, Math.max(0, recent.keys.length - KEPT_PER_DEVICE))) {
      const event = eventOf(this.#parts.engine.internal.get(roomId, TXN, oldest));
      if (event !== undefined) recent.txnIdOfEvent.delete(event);
      records.push({ roomId, type: TXN, stateKey: oldest, content: undefined });
    }
    return records;
  }

  #recentOf(userId: UserId, deviceId: string): Recent {
    const name = joinKey(userId, deviceId);
    const recent = this.#recent.get(name) ?? this.#load(userId, deviceId);
    // Asked for last, it goes last: the first of the map is the one to forget.
    this.#recent.delete(name);
    this.#recent.set(name, recent);
    const [first] = this.#recent.keys();
    if (this.#recent.size > DEVICES_IN_MEMORY_MAX && first !== undefined) this.#recent.delete(first);
    return recent;
  }

  #load(userId: UserId, deviceId: string): Recent {
    const found = [...this.#parts.engine.internal.entries(userRoom(userId), TXN)]
      .filter(({ stateKey }) => splitKey(stateKey)[0] === deviceId)
      .map(({ stateKey, content }) => ({ stateKey, content, n: numberOf(content, 'n') ?? 0 }))
      .sort((a, b) => a.n - b.n);
    const txnIdOfEvent = new Map<string, string>();
    for (const { stateKey, content } of found) {
      const eventId = eventOf(content);
      if (eventId !== undefined) txnIdOfEvent.set(eventId, splitKey(splitKey(stateKey)[1])[1]);
    }
    return { count: (found.at(-1)?.n ?? -1) + 1, keys: found.map(({ stateKey }) => stateKey), txnIdOfEvent };
  }
}

function keyOf({ deviceId, endpoint, txnId }: Transaction): string {
  return joinKey(deviceId, endpoint, txnId);
}

function eventOf(content: JsonObject | undefined): string | undefined {
  const answer = content === undefined ? undefined : own(content, 'answer');
  return isObject(answer) ? textOf(answer, 'event_id') : undefined;
}
