// Transaction ids of requests that make no event of a room: sent twice, they are done once, across restarts too.
// Those of events that are sent are stored with the event, see `sent-events.ts`.
//
//   !user/ID    stateroom.txn / device, slot    { n, endpoint, txn_id, answer }
//
// The record lands in the commit group of what the request did, or neither does. `n` counts what a device asked;
// its records go round through so many slots, so that each takes the place of the oldest. They are found in memory.
//
// Source: client-server API, "Transaction identifiers".

import type { InternalRecord } from '../core/internal.js';
import type { UserId } from '../event/ids.js';
import { isObject, type JsonObject, own } from '../event/json.js';
import { RecentMap } from '../lib/recent-map.js';
import { type AccountParts, joinKey, numberOf, splitKey, textOf, userRoom } from './parts.js';

const TXN = 'stateroom.txn';
/** Slots of a device: so many of its transactions are remembered. */
const KEPT_PER_DEVICE = 200;
/** Devices whose transactions are kept in memory, 40 KB each at most; those of others are read when asked for. */
const DEVICES_IN_MEMORY_MAX = 500;

/** One request of a client that is to be done once. */
export interface Transaction {
  readonly userId: UserId;
  readonly deviceId: string;
  /** What is asked: the same id at another endpoint, or for another room, is another transaction. */
  readonly endpoint: string;
  readonly txnId: string;
}

/** A transaction that was done. */
interface Done {
  readonly n: number;
  /** Of the endpoint and the transaction id. */
  readonly key: string;
  readonly answer: JsonObject;
}

/** What a device sent lately. */
interface Recent {
  /** How many it began. */
  count: number;
  /** How many are under way: so long the device is not forgotten. */
  underWay: number;
  readonly slots: (Done | undefined)[];
  readonly byKey: Map<string, Done>;
}

export class Transactions {
  readonly #parts: AccountParts;
  readonly #recent = new RecentMap<string, Recent>();
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
    const { userId, deviceId, endpoint, txnId } = transaction;
    const key = joinKey(endpoint, txnId);
    const name = joinKey(userId, deviceId, key);
    const underWay = this.#underWay.get(name);
    if (underWay !== undefined) return underWay;
    const recent = this.#recentOf(userId, deviceId);
    const done = recent.byKey.get(key);
    if (done !== undefined) return done.answer;
    const running = this.#run(transaction, recent, run);
    this.#underWay.set(name, running);
    try {
      return await running;
    } finally {
      this.#underWay.delete(name);
    }
  }

  async #run(
    { userId, deviceId, endpoint, txnId }: Transaction,
    recent: Recent,
    run: (record: (answer: JsonObject) => readonly InternalRecord[]) => Promise<JsonObject>,
  ): Promise<JsonObject> {
    let n: number | undefined;
    recent.underWay++;
    try {
      const answer = await run((made) => {
        n = recent.count++;
        const content = { n, endpoint, txn_id: txnId, answer: made };
        return [{ roomId: userRoom(userId), type: TXN, stateKey: slotKey(deviceId, n), content }];
      });
      if (n !== undefined) keep(recent, { n, key: joinKey(endpoint, txnId), answer });
      return answer;
    } finally {
      recent.underWay--;
    }
  }

  readonly removalRecords = (userId: UserId, deviceId: string): readonly InternalRecord[] => {
    const { slots } = this.#recentOf(userId, deviceId);
    this.#recent.delete(joinKey(userId, deviceId));
    const used = slots.filter((done) => done !== undefined);
    return used.map(({ n }) => ({
      roomId: userRoom(userId),
      type: TXN,
      stateKey: slotKey(deviceId, n),
      content: undefined,
    }));
  };

  #recentOf(userId: UserId, deviceId: string): Recent {
    const name = joinKey(userId, deviceId);
    const known = this.#recent.get(name);
    if (known !== undefined) return known;
    this.#recent.trim(DEVICES_IN_MEMORY_MAX - 1, ({ underWay }) => underWay === 0);
    const recent = this.#load(userId, deviceId);
    this.#recent.set(name, recent);
    return recent;
  }

  #load(userId: UserId, deviceId: string): Recent {
    const recent: Recent = {
      count: 0,
      underWay: 0,
      slots: [],
      byKey: new Map(),
    };
    for (const { stateKey, content } of this.#parts.engine.internal.entries(userRoom(userId), TXN)) {
      const [device] = splitKey(stateKey);
      const [n, endpoint, txnId] = [
        numberOf(content, 'n'),
        textOf(content, 'endpoint'),
        textOf(content, 'txn_id'),
      ];
      const answer = own(content, 'answer');
      if (device !== deviceId || n === undefined || endpoint === undefined || txnId === undefined) continue;
      if (!isObject(answer)) continue;
      keep(recent, { n, key: joinKey(endpoint, txnId), answer });
      recent.count = Math.max(recent.count, n + 1);
    }
    return recent;
  }
}

function slotKey(deviceId: string, n: number): string {
  return joinKey(deviceId, String(n % KEPT_PER_DEVICE));
}

/** Puts what was done into its slot; what had it is forgotten. */
function keep({ slots, byKey }: Recent, done: Done): void {
  const slot = done.n % KEPT_PER_DEVICE;
  const replaced = slots[slot];
  if (replaced !== undefined) byKey.delete(replaced.key);
  slots[slot] = done;
  byKey.set(done.key, done);
}
