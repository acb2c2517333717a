// The store: typed rows over the keyspaces, synchronous point reads, one atomic batch per commit group.
//
// Point reads are synchronous (a few microseconds against tens for a promise) because they stand on the
// hot path of every tree walk and every auth check. Ranges are asynchronous iterators. Only `write` changes
// anything, and only the core's writer calls it.

import type { EventId, RoomId } from '../event/ids.js';
import { ClockCache } from '../lib/clock-cache.js';
import { inChunks } from './chunks.js';
import { ChildlessIndex } from './childless-index.js';
import { type CommitGroup, COUNTERS_KEY, putGroup, type RowSink } from './commit-group.js';
import { type Database, type Location, type OpenDatabase, openDatabase } from './database.js';
import { StoreSchemaError, StoreWorkUnfinishedError, StoreWriteError } from './errors.js';
import {
  chainKey,
  citedKey,
  edgeRange,
  type EdgeKind,
  eventKey,
  givenKey,
  idKey,
  type Keyspace,
  keyspaceRange,
  type KeyRange,
  metaKey,
  nodesKey,
  numberedRange,
  numberOfKey,
  orderOfTimelineKey,
  queueKey,
  queueRange,
  roomKey,
  rootsKey,
  timelineRange,
  traceKey,
  transactionKey,
  versionRange,
} from './keys.js';
import {
  type ChainRow,
  type Counters,
  decodeChain,
  decodeEvent,
  decodeGiven,
  decodeNumber,
  decodeRoom,
  decodeRoots,
  decodeValue,
  encodeValue,
  type EventRow,
  type GivenState,
  NO_COUNTERS,
  type RoomRow,
  type RootsRow,
} from './records.js';
import { RedactedIndex } from './redacted-index.js';
import { addRedactedRows, SCHEMA_WITHOUT_REDACTED, SCHEMAS_WITH_SAME_ROWS } from './upgrade.js';

/** The schema this code reads and writes. Raised when a keyspace or a value changes shape. */
export const SCHEMA_VERSION = 4;

const SCHEMA_KEY = 'schema';
const WORK_KEY = 'work';
const NO_VALUE = Buffer.alloc(0);
/** Every request to a room asks for its row. */
const ROOMS_CACHED = 2_048;

/** Work that leaves the store in between: while it runs, and after a crash in it, nothing else may be done. */
export type UnfinishedWork =
  | { readonly work: 'rebuild'; readonly roomId?: undefined; readonly counters: Counters }
  | { readonly work: 'purge'; readonly roomId: RoomId; readonly roomNumber: number };

export interface StoreOptions {
  /** `sync` (default) waits for the disk on each commit group; `os` trusts the operating system's cache. */
  readonly durability?: 'sync' | 'os';
  /** Open it even when a rebuild or a purge was interrupted: to finish that, or to look. */
  readonly forRepair?: boolean;
}

export class Store {
  /** The database beneath: for fsck, gc, rebuild and tests. */
  readonly database: Database;
  /** Real path of the data folder, or undefined in memory. */
  readonly path: string | undefined;
  /** Which events somebody claims to redact. */
  readonly redacted: RedactedIndex;
  readonly childless: ChildlessIndex;
  readonly #sync: boolean;
  /** Rows of rooms that were asked for; empty where others write. */
  readonly #rooms = new ClockCache<RoomId, RoomRow>(ROOMS_CACHED);
  readonly #settle: (() => Promise<void>) | undefined;
  #hasWritten = false;
  /** Something was written: also what is no commit group. */
  #isChanged = false;

  private constructor({ database, path, settle }: OpenDatabase, sync: boolean) {
    this.database = database;
    this.path = path;
    this.#settle = settle;
    this.redacted = new RedactedIndex(database);
    this.childless = new ChildlessIndex(database);
    this.#sync = sync;
  }

  /**
   * Opens a store, makes it when allowed, and checks its schema version.
   * @throws StoreSchemaError for a schema this code does not know, StoreWorkUnfinishedError after an interrupted
   *   rebuild or purge, and what `openDatabase` throws
   */
  static async open(location: Location, options: StoreOptions = {}): Promise<Store> {
    const opened = await openDatabase(location);
    const { database, path } = opened;
    const store = new Store(opened, path !== undefined && options.durability !== 'os');
    try {
      await store.#checkSchema(location.kind === 'memory' || (location.kind === 'folder' && location.create));
      if (options.forRepair !== true) store.#checkFinished();
    } catch (error) {
      await database.close();
      throw error;
    }
    return store;
  }

  async #checkSchema(mayWrite: boolean): Promise<void> {
    const found = this.meta<number>(SCHEMA_KEY);
    if (found === SCHEMA_VERSION) return;
    if (found === SCHEMA_WITHOUT_REDACTED || SCHEMAS_WITH_SAME_ROWS.includes(found ?? 0)) {
      if (found === SCHEMA_WITHOUT_REDACTED) await addRedactedRows(this);
      await this.writeMeta(SCHEMA_KEY, SCHEMA_VERSION);
      return;
    }
    if (found !== undefined || !(await this.#isEmpty())) {
      throw new StoreSchemaError(
        `${this.path ?? 'the store'} has schema ${found ?? 'unknown'}, this stateroom reads schema ` +
          `${SCHEMA_VERSION}; use the stateroom that wrote it, export its rooms and import them here`,
        { path: this.path, found: found ?? 'unknown', expected: SCHEMA_VERSION },
      );
    }
    if (mayWrite) await this.writeMeta(SCHEMA_KEY, SCHEMA_VERSION);
  }

  #checkFinished(): void {
    const unfinished = this.unfinishedWork();
    if (unfinished === undefined) return;
    const { work, roomId } = unfinished;
    const again = roomId === undefined ? '`stateroom rebuild`' : `\`stateroom gc --purge-room ${roomId}\``;
    throw new StoreWorkUnfinishedError(
      `a ${work} of ${this.path ?? 'the store'} was interrupted; run ${again} again`,
      { path: this.path, work, room_id: roomId },
    );
  }

  async #isEmpty(): Promise<boolean> {
    for await (const _ of this.database.keys({ limit: 1 })) return false;
    return true;
  }

  /** Closes it; what was written lies in tables then, not in a log which the next start would have to read whole. */
  async close(): Promise<void> {
    if (this.database.status === 'open' && this.#isChanged) await this.settle();
    await this.database.close();
  }

  /**
   * Brings what is in the log into tables. Tables that a compaction has replaced while somebody read them go then
   * too: LevelDB keeps them, in memory as well, until it does the next such work. On a full disk the log stays, and is
   * read at the next start.
   */
  async settle(): Promise<void> {
    await this.#settle?.().catch(() => undefined);
  }

  // Point reads: synchronous, undefined when there is no such row.

  event(seq: number): EventRow | undefined {
    const bytes = this.database.getSync(eventKey(seq));
    return bytes === undefined ? undefined : decodeEvent(bytes);
  }

  seqOf(eventId: EventId): number | undefined {
    const bytes = this.database.getSync(idKey(eventId));
    return bytes === undefined ? undefined : decodeNumber(bytes);
  }

  roots(seq: number): RootsRow | undefined {
    const bytes = this.database.getSync(rootsKey(seq));
    return bytes === undefined ? undefined : decodeRoots(bytes);
  }

  chain(seq: number): ChainRow | undefined {
    const bytes = this.database.getSync(chainKey(seq));
    return bytes === undefined ? undefined : decodeChain(bytes);
  }

  /** The state before an event, where it was given. */
  given(seq: number): GivenState | undefined {
    const bytes = this.database.getSync(givenKey(seq));
    return bytes === undefined ? undefined : decodeGiven(bytes);
  }

  /** Seq of the newest state event that names this one among its auth events. */
  citedBy(seq: number): number | undefined {
    const bytes = this.database.getSync(citedKey(seq));
    return bytes === undefined ? undefined : decodeNumber(bytes);
  }

  /** The event that a client's request made; see `ClientTransaction`. */
  eventOfTransaction(key: Uint8Array): EventId | undefined {
    const bytes = this.database.getSync(transactionKey(key));
    return bytes === undefined ? undefined : this.event(decodeNumber(bytes))?.eventId;
  }

  /** A room in which something has its place: one of which nothing but outliers is known is not shown. */
  room(roomId: RoomId): RoomRow | undefined {
    const row = this.roomRow(roomId);
    return row !== undefined && hasPlace(row) ? row : undefined;
  }

  /** A room's row, also of one of which nothing but outliers is known. */
  roomRow(roomId: RoomId): RoomRow | undefined {
    const cached = this.#rooms.get(roomId);
    if (cached !== undefined) return cached;
    const bytes = this.database.getSync(roomKey(roomId));
    const row = bytes === undefined ? undefined : decodeRoom(bytes);
    // What others write here would not be noticed.
    if (row !== undefined && this.#hasWritten) this.#rooms.set(roomId, row, 1);
    return row;
  }

  trace<T>(traceId: string): T | undefined {
    const bytes = this.database.getSync(traceKey(traceId));
    return bytes === undefined ? undefined : decodeValue<T>(bytes, 'trace');
  }

  meta<T>(name: string): T | undefined {
    const bytes = this.database.getSync(metaKey(name));
    return bytes === undefined ? undefined : decodeValue<T>(bytes, 'meta row');
  }

  counters(): Counters {
    return { ...NO_COUNTERS, ...this.meta<Partial<Counters>>(COUNTERS_KEY) };
  }

  /** One row of a durable queue. */
  queued<T>(name: string, position: number): T | undefined {
    const bytes = this.database.getSync(queueKey(name, position));
    return bytes === undefined ? undefined : decodeValue<T>(bytes, 'queue row');
  }

  /** A packed record of tree nodes, as `RecordSource` of the tree. */
  readRecord(record: number): Uint8Array | undefined {
    return this.database.getSync(nodesKey(record));
  }

  // Ranges.

  /**
   * Events with seq in `[from, to)`, in commit order, each once: an outlier that got its place before `to` comes
   * where its place is.
   */
  async *events(from = 0, to?: number): AsyncGenerator<readonly [seq: number, row: EventRow]> {
    // What is committed meanwhile is not among the rows that the iterator sees.
    const end = to ?? this.counters().seq + 1;
    for await (const [seq, row] of this.eventLog(from, to)) {
      const place = row.isOutlier ? this.seqOf(row.eventId) : seq;
      if (place === undefined || place <= seq || place >= end) yield [seq, row];
    }
  }

  /** All rows of events with seq in `[from, to)`: one that got its place later comes twice, as an outlier first. */
  async *eventLog(from = 0, to?: number): AsyncGenerator<readonly [seq: number, row: EventRow]> {
    for await (const [key, value] of this.#range(numberedRange('events', from, to))) {
      yield [numberOfKey(key), decodeEvent(value)];
    }
  }

  /** All rooms in which something has its place. */
  async *rooms(): AsyncGenerator<RoomRow> {
    for await (const [, value] of this.#range(keyspaceRange('rooms'))) {
      const row = decodeRoom(value);
      if (hasPlace(row)) yield row;
    }
  }

  async *allRoots(): AsyncGenerator<readonly [seq: number, row: RootsRow]> {
    for await (const [key, value] of this.#range(keyspaceRange('roots'))) {
      yield [numberOfKey(key), decodeRoots(value)];
    }
  }

  async *records(from = 0, to?: number): AsyncGenerator<readonly [record: number, bytes: Uint8Array]> {
    for await (const [key, value] of this.#range(numberedRange('nodes', from, to))) {
      yield [numberOfKey(key), value];
    }
  }

  /** A room's timeline, orders in `[from, to)`, oldest first unless reversed. */
  async *timeline(
    roomNumber: number,
    options: { readonly from?: number; readonly to?: number; readonly reverse?: boolean } = {},
  ): AsyncGenerator<readonly [order: number, seq: number]> {
    const range = timelineRange(roomNumber, options.from, options.to);
    for await (const [key, value] of this.#range(range, options.reverse)) {
      yield [orderOfTimelineKey(key), decodeNumber(value)];
    }
  }

  /** Seqs of the events that refer to this id, in commit order unless reversed. */
  async *edges(
    referredId: string,
    kind: EdgeKind,
    options: { readonly reverse?: boolean; readonly limit?: number } = {},
  ): AsyncGenerator<number> {
    const range = { ...edgeRange(referredId, kind), ...options };
    for await (const key of inChunks(this.database.keys(range))) yield numberOfKey(key);
  }

  /** Seqs of every event that claimed a key of a room, any key of a type, or any at all, accepted or not. */
  async *versions(roomNumber: number, type?: string, stateKey?: string): AsyncGenerator<number> {
    const range = versionRange(roomNumber, type, stateKey);
    for await (const key of inChunks(this.database.keys(range))) yield numberOfKey(key);
  }

  /** Rows of a durable queue, oldest first. */
  async *queue<T>(name: string): AsyncGenerator<readonly [position: number, value: T]> {
    for await (const [key, value] of this.#range(queueRange(name))) {
      yield [numberOfKey(key), decodeValue<T>(value, 'queue row')];
    }
  }

  async *#range(range: KeyRange, reverse = false): AsyncGenerator<[Buffer, Buffer]> {
    yield* inChunks(this.database.iterator({ ...range, reverse }));
  }

  // Writing.

  /**
   * Writes a commit group in one atomic batch; with durability `sync` it is on disk when this resolves.
   * @throws StoreWriteError when the batch could not be written (a full disk): nothing of it is there
   */
  async write(group: CommitGroup): Promise<void> {
    this.#hasWritten = true;
    await this.#apply((rows) => putGroup(group, rows));
    for (const row of group.rooms) if (this.#rooms.has(row.roomId)) this.#rooms.set(row.roomId, row, 1);
    this.redacted.note(group);
    this.childless.note(group);
  }

  /** Writes rows that follow from others: for upgrades only. */
  async putRows(keys: readonly Buffer[]): Promise<void> {
    await this.#apply(({ put }) => {
      for (const key of keys) put(key, NO_VALUE);
    });
  }

  async #apply(fill: (rows: RowSink) => void): Promise<void> {
    this.#isChanged = true;
    try {
      // A chained batch takes half the time of an array: each operation is one call with two buffers.
      const batch = this.database.batch();
      fill({ put: (key, value) => void batch.put(key, value), del: (key) => void batch.del(key) });
      await batch.write({ sync: this.#sync } as object);
    } catch (cause) {
      throw writeFault(cause, this.path);
    }
  }

  /** The rebuild or purge that is under way or was interrupted. */
  unfinishedWork(): UnfinishedWork | undefined {
    return this.meta<UnfinishedWork>(WORK_KEY);
  }

  /** Notes that a rebuild or purge begins; on disk before anything of it is. */
  async beginWork(work: UnfinishedWork): Promise<void> {
    await this.writeMeta(WORK_KEY, work);
  }

  /** Notes that all of it is done; what was written before is on disk with it. */
  async endWork(): Promise<void> {
    await this.deleteRows([metaKey(WORK_KEY)]);
  }

  /** Deletes rows in one batch: for maintenance only. */
  async deleteRows(keys: readonly Buffer[]): Promise<void> {
    await this.#apply(({ del }) => keys.forEach(del));
    this.#rooms.clear();
  }

  /** Deletes all of a keyspace, not at once: for a rebuild only. */
  async clear(keyspace: Keyspace): Promise<void> {
    try {
      await this.database.clear(keyspaceRange(keyspace));
      this.#rooms.clear();
    } catch (cause) {
      throw writeFault(cause, this.path);
    }
  }

  /** Writes one meta row by itself: schema version, server name. */
  async writeMeta(name: string, value: unknown): Promise<void> {
    await this.#apply(({ put }) => put(metaKey(name), encodeValue(value)));
  }
}

function hasPlace({ forwardExtremities }: RoomRow): boolean {
  return forwardExtremities.length > 0;
}

function writeFault(cause: unknown, path: string | undefined): Error {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  const why = inner instanceof Error ? inner.message : String(inner);
  return new StoreWriteError(`nothing was written to ${path ?? 'the store'}: ${why}`, { path }, cause);
}
