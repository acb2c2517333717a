// A commit group: all that one atomic batch writes, as plain data.
//
// It is self-contained and applying it is deterministic and idempotent, so that the same group can be
// written here, written again after a crash, or applied by another node that follows the log.

import type { EventId } from '../event/ids.js';
import {
  chainKey,
  citedKey,
  edgeKey,
  eventKey,
  givenKey,
  idKey,
  metaKey,
  nodesKey,
  queueKey,
  redactedKey,
  roomKey,
  rootsKey,
  timelineKey,
  traceKey,
  transactionKey,
  versionKey,
} from './keys.js';
import {
  type ChainRow,
  type Counters,
  encodeChain,
  encodeEvent,
  encodeGiven,
  encodeNumber,
  encodeRoom,
  encodeRoots,
  encodeValue,
  type EventRow,
  type GivenState,
  type RoomRow,
  type RootsRow,
} from './records.js';

/** One event of a group with every row that follows from it. */
export interface GroupEvent {
  readonly seq: number;
  readonly row: EventRow;
  readonly roomNumber: number;
  readonly type: string;
  /** Present exactly for state events. */
  readonly stateKey: string | undefined;
  readonly prevEvents: readonly EventId[];
  readonly redacts: EventId | undefined;
  readonly relatesTo: EventId | undefined;
  /** Place in the room's timeline, or undefined when it has none (rejected, soft failed, outlier). */
  readonly timelineOrder: number | undefined;
  /** Undefined for outliers. */
  readonly roots: RootsRow | undefined;
  /** Present for accepted and soft-failed state events, unless it is there since they were accepted as outliers. */
  readonly chain: ChainRow | undefined;
  /** Present where the state before it was given, because its history is missing. */
  readonly givenState: GivenState | undefined;
}

/** A row put into or taken from a durable queue. */
export interface QueueChange {
  readonly queue: string;
  readonly position: number;
  /** Undefined takes the row away. */
  readonly value: unknown;
}

/** A record of nodes that garbage collection took nodes out of, or all. */
export interface RecordChange {
  readonly record: number;
  /** Undefined takes the record away. */
  readonly bytes: Uint8Array | undefined;
  /** Its length until now. */
  readonly lengthBefore: number;
}

/** A row put or taken away as it is, by its key. */
export interface RowChange {
  readonly key: Uint8Array;
  /** Undefined takes the row away. */
  readonly value: Uint8Array | undefined;
}

export interface CommitGroup {
  readonly events: readonly GroupEvent[];
  readonly nodes: ReadonlyArray<{ readonly record: number; readonly bytes: Uint8Array }>;
  /** Older records that change. */
  readonly changedRecords: readonly RecordChange[];
  /** Older rows that change, of events that were collected. */
  readonly changedRows: readonly RowChange[];
  /** Rooms as they stand after the group. */
  readonly rooms: readonly RoomRow[];
  readonly traces: ReadonlyArray<{ readonly id: string; readonly value: unknown }>;
  /** For each auth event newly cited: its seq, and the seq of the newest state event that cites it. */
  readonly cited: ReadonlyArray<readonly [seq: number, citer: number]>;
  readonly queues: readonly QueueChange[];
  /** As they stand after the group. */
  readonly counters: Counters;
}

export const COUNTERS_KEY = 'counters';

/** A group that changes nothing but the counters. */
export function emptyGroup(counters: Counters): CommitGroup {
  return {
    events: [],
    nodes: [],
    changedRecords: [],
    changedRows: [],
    rooms: [],
    traces: [],
    cited: [],
    queues: [],
    counters,
  };
}

/** Counters after records were changed. */
export function countChanges(counters: Counters, changes: readonly RecordChange[]): Counters {
  let { nodeRecords, nodeBytes } = counters;
  for (const { bytes, lengthBefore } of changes) {
    nodeBytes += (bytes?.length ?? 0) - lengthBefore;
    if (bytes === undefined) nodeRecords--;
  }
  return { ...counters, nodeRecords, nodeBytes };
}

/** What takes rows: a batch of the database. */
export interface RowSink {
  readonly put: (key: Buffer, value: Buffer) => void;
  readonly del: (key: Buffer) => void;
}

const NOTHING = Buffer.alloc(0);

/** Hands over all rows of a group, in no particular order: they land together or not at all. */
export function putGroup(group: CommitGroup, { put, del }: RowSink): void {
  for (const event of group.events) putEvent(event, put);
  for (const { record, bytes } of group.changedRecords) {
    if (bytes === undefined) del(nodesKey(record));
    else put(nodesKey(record), asBuffer(bytes));
  }
  for (const { key, value } of group.changedRows) {
    if (value === undefined) del(asBuffer(key));
    else put(asBuffer(key), asBuffer(value));
  }
  for (const { record, bytes } of group.nodes) put(nodesKey(record), asBuffer(bytes));
  for (const room of group.rooms) put(roomKey(room.roomId), encodeRoom(room));
  for (const { id, value } of group.traces) put(traceKey(id), encodeValue(value));
  for (const [seq, citer] of group.cited) put(citedKey(seq), encodeNumber(citer));
  for (const { queue, position, value } of group.queues) {
    const key = queueKey(queue, position);
    if (value === undefined) del(key);
    else put(key, encodeValue(value));
  }
  put(metaKey(COUNTERS_KEY), encodeValue(group.counters));
}

/** The primary rows and every index row of one event. */
export function putEvent(event: GroupEvent, put: (key: Buffer, value: Buffer) => void): void {
  const { seq, row } = event;
  put(eventKey(seq), encodeEvent(row));
  put(idKey(row.eventId), encodeNumber(seq));
  if (event.roots !== undefined) put(rootsKey(seq), encodeRoots(event.roots));
  if (event.givenState !== undefined) put(givenKey(seq), encodeGiven(event.givenState));
  if (event.chain !== undefined) put(chainKey(row.outlierSeq ?? seq), encodeChain(event.chain));
  if (event.timelineOrder !== undefined) {
    put(timelineKey(event.roomNumber, event.timelineOrder), encodeNumber(seq));
  }
  if (row.transaction !== undefined) put(transactionKey(row.transaction.key), encodeNumber(seq));
  // An event that was an outlier has these rows already, under the seq that it had as such.
  if (row.outlierSeq !== undefined) return;
  for (const id of event.prevEvents) put(edgeKey(id, 'prev', seq), NOTHING);
  if (event.redacts !== undefined) {
    put(edgeKey(event.redacts, 'redaction', seq), NOTHING);
    put(redactedKey(event.roomNumber, event.redacts), NOTHING);
  }
  if (event.relatesTo !== undefined) put(edgeKey(event.relatesTo, 'relation', seq), NOTHING);
  if (event.stateKey !== undefined) {
    put(versionKey(event.roomNumber, event.type, event.stateKey, seq), NOTHING);
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
