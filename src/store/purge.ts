// Purging a room: everything that is stored of it goes.
//
// Rows are found without parsing an event, so that damaged ones go too: by the room's number where it stands in
// the key, else by the seqs of the room's events, a bit each. A mark in `meta` goes first and ends last: a purge
// that was cut short must be run again before anything else is done with the store.

import type { RoomId } from '../event/ids.js';
import { StateroomError } from '../lib/errors.js';
import { headerOf } from '../tree/record.js';
import { emptyGroup } from './commit-group.js';
import { StoreRoomUnknownError } from './errors.js';
import { exclusively } from './exclusive.js';
import { FrozenStore } from './frozen.js';
import {
  chainKey,
  citedKey,
  givenKey,
  type KeyRange,
  keyspaceRange,
  numberOfKey,
  roomKey,
  roomNumberRange,
  rootsKey,
} from './keys.js';
import { roomOfHeader } from './node-records.js';
import { type Counters, decodeEvent, decodeNumber, decodeValue, type EventRow } from './records.js';
import type { Store } from './store.js';

export interface PurgeReport {
  readonly events: number;
  readonly records: number;
  /** Rows deleted in all. */
  readonly rows: number;
}

export interface PurgeOptions {
  readonly onProgress?: (rowsDeleted: number) => void;
}

const BATCH_ROWS = 1_000;

/**
 * Deletes everything of a room, events included. No engine may have the store open: it would go on with what
 * it holds in memory. Costs a scan of the store.
 * @throws STORE_ROOM_UNKNOWN, STORE_BUSY, STORE_WRITE_FAILED
 */
export async function purgeRoom(
  store: Store,
  roomId: string,
  options: PurgeOptions = {},
): Promise<PurgeReport> {
  return exclusively(store, async () => {
    const room = roomOf(store, roomId);
    await store.beginWork({ work: 'purge', ...room });
    const frozen = new FrozenStore(store);
    try {
      const report = await new Purge(store, frozen, room, options.onProgress).run();
      await store.write(emptyGroup(await countersNow(store)));
      await store.endWork();
      return report;
    } finally {
      await frozen.close();
    }
  });
}

interface NumberedRoom {
  readonly roomId: RoomId;
  readonly roomNumber: number;
}

/** The room by its row, or by the mark of the purge that is to be finished. */
function roomOf(store: Store, roomId: string): NumberedRoom {
  const row = store.roomRow(roomId as RoomId);
  if (row !== undefined) return { roomId: row.roomId, roomNumber: row.number };
  const unfinished = store.unfinishedWork();
  if (unfinished?.work === 'purge' && unfinished.roomId === roomId) {
    return { roomId: unfinished.roomId, roomNumber: unfinished.roomNumber };
  }
  throw new StoreRoomUnknownError(`no room ${roomId} is stored`, { room_id: roomId });
}

class Purge {
  readonly #store: Store;
  readonly #frozen: FrozenStore;
  readonly #room: NumberedRoom;
  readonly #onProgress: PurgeOptions['onProgress'];
  /** Bit `seq & 7` of byte `seq >> 3`. */
  #seqs = new Uint8Array(1024);
  #keys: Buffer[] = [];
  #rows = 0;

  constructor(store: Store, frozen: FrozenStore, room: NumberedRoom, onProgress: PurgeOptions['onProgress']) {
    this.#store = store;
    this.#frozen = frozen;
    this.#room = room;
    this.#onProgress = onProgress;
  }

  /** Events go last but for the room's row: what is left of an interrupted purge still says what belongs to it. */
  async run(): Promise<PurgeReport> {
    const events = await this.#findEvents();
    await this.#purgeBySeq();
    const records = await this.#purgeRecords();
    const { roomId, roomNumber } = this.#room;
    for (const keyspace of ['timeline', 'versions', 'redacted'] as const) {
      await this.#purgeKeys(roomNumberRange(keyspace, roomNumber), () => true);
    }
    await this.#purgeKeys(keyspaceRange('edges'), (key) => this.#has(numberOfKey(key)));
    await this.#purgeOfRoom(keyspaceRange('traces'));
    await this.#purgeOfRoom(keyspaceRange('queues'));
    await this.#purgeKeys(keyspaceRange('events'), (key) => this.#has(numberOfKey(key)));
    await this.#purge(roomKey(roomId));
    await this.#flush();
    return { events, records, rows: this.#rows };
  }

  async #findEvents(): Promise<number> {
    let events = 0;
    for await (const [key, value] of this.#frozen.rows(keyspaceRange('events'))) {
      const row = readable(() => decodeEvent(value));
      if (row?.roomId !== this.#room.roomId) continue;
      this.#add(numberOfKey(key));
      if (row.outlierSeq === undefined) events++;
    }
    return events;
  }

  async #purgeBySeq(): Promise<void> {
    for (const keyspace of ['ids', 'transactions'] as const) {
      for await (const [key, value] of this.#frozen.rows(keyspaceRange(keyspace))) {
        if (this.#has(readable(() => decodeNumber(value)) ?? 0)) await this.#purge(key);
      }
    }
    for (const keyOf of [givenKey, rootsKey, chainKey, citedKey]) {
      for (const seq of this.#all())
        if (this.#frozen.get(keyOf(seq)) !== undefined) await this.#purge(keyOf(seq));
    }
  }

  async #purgeRecords(): Promise<number> {
    let records = 0;
    for await (const [key, value] of this.#frozen.rows(keyspaceRange('nodes'))) {
      if (readable(() => roomOfHeader(headerOf(value))) !== this.#room.roomNumber) continue;
      await this.#purge(key);
      records++;
    }
    return records;
  }

  async #purgeKeys(range: KeyRange, isOurs: (key: Buffer) => boolean): Promise<void> {
    for await (const key of this.#frozen.keys(range)) if (isOurs(key)) await this.#purge(key);
  }

  /** Rows that say which room they are of. */
  async #purgeOfRoom(range: KeyRange): Promise<void> {
    for await (const [key, value] of this.#frozen.rows(range)) {
      const row = readable(() => decodeValue<Partial<EventRow> | null>(value, 'row'));
      if (row?.roomId === this.#room.roomId) await this.#purge(key);
    }
  }

  async #purge(key: Buffer): Promise<void> {
    this.#keys.push(key);
    if (this.#keys.length >= BATCH_ROWS) await this.#flush();
  }

  async #flush(): Promise<void> {
    const keys = this.#keys.splice(0);
    await this.#store.deleteRows(keys);
    this.#rows += keys.length;
    this.#onProgress?.(this.#rows);
  }

  #add(seq: number): void {
    const at = Math.floor(seq / 8);
    if (at >= this.#seqs.length) {
      const grown = new Uint8Array(Math.max(at + 1, this.#seqs.length * 2));
      grown.set(this.#seqs);
      this.#seqs = grown;
    }
    this.#seqs[at] = (this.#seqs[at] as number) | (1 << (seq % 8));
  }

  #has(seq: number): boolean {
    return ((this.#seqs[Math.floor(seq / 8)] ?? 0) & (1 << (seq % 8))) !== 0;
  }

  *#all(): Generator<number> {
    for (let at = 0; at < this.#seqs.length; at++) {
      if (this.#seqs[at] === 0) continue;
      for (let seq = at * 8; seq < at * 8 + 8; seq++) if (this.#has(seq)) yield seq;
    }
  }
}

/** What a row says, or undefined when it is damaged. */
function readable<Result>(read: () => Result): Result | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof StateroomError) return undefined;
    throw error;
  }
}

/** What the counters that count rows should say now; numbers that were given out stay given out. */
async function countersNow(store: Store): Promise<Counters> {
  let events = 0;
  let stateEvents = 0;
  let nodeRecords = 0;
  let nodeBytes = 0;
  for await (const _ of store.database.keys(keyspaceRange('ids'))) events++;
  for await (const _ of store.database.keys(keyspaceRange('versions'))) stateEvents++;
  for await (const value of store.database.values(keyspaceRange('nodes'))) {
    nodeRecords++;
    nodeBytes += value.length;
  }
  return { ...store.counters(), events, stateEvents, nodeRecords, nodeBytes };
}
