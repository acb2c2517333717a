// Keys of every keyspace: one prefix byte, then fields that sort as they should.
//
// | keyspace   | prefix | key                                        | value (see records.ts)              |
// |------------|--------|--------------------------------------------|-------------------------------------|
// | `events`   | e      | seq                                        | the PDU's bytes and our record      |
// | `ids`      | i      | event id                                   | seq                                 |
// | `roots`    | r      | seq                                        | root after, root before, trace      |
// | `nodes`    | n      | record number                              | a packed record of tree nodes       |
// | `rooms`    | o      | room id                                    | what the room is now                |
// | `timeline` | t      | room number, order                         | seq                                 |
// | `edges`    | g      | referred id, kind, seq of the referrer     | nothing                             |
// | `redacted` | d      | room number of the claim, redacted id       | nothing                             |
// | `chains`   | a      | seq                                        | auth events, and who cited them before |
// | `cited`    | c      | seq                                        | seq of the newest state event citing it |
// | `versions` | v      | room number, type, state_key, seq          | nothing                             |
// | `transactions` | k  | key of a client's request                  | seq of the event that it made       |
// | `traces`   | x      | trace id                                   | a resolution's record               |
// | `given`    | b      | seq                                        | the state before, as its giver said |
// | `queues`   | q      | name, position                             | a queued row                        |
// | `meta`     | m      | name                                       | counters, schema version            |
//
// `events`, `given` and `queues` are primary; every other keyspace is an index that a rebuild makes anew.
// Numbers are big endian, so that they sort as numbers. Strings inside a key carry their length, so that no
// two keys meet.

import { utf8 } from '../lib/bytes.js';

/** Prefix byte of each keyspace. */
export const KEYSPACES = {
  events: 0x65,
  ids: 0x69,
  roots: 0x72,
  nodes: 0x6e,
  rooms: 0x6f,
  timeline: 0x74,
  edges: 0x67,
  redacted: 0x64,
  chains: 0x61,
  cited: 0x63,
  versions: 0x76,
  transactions: 0x6b,
  traces: 0x78,
  given: 0x62,
  queues: 0x71,
  meta: 0x6d,
} as const;

export type Keyspace = keyof typeof KEYSPACES;

/** How one event refers to another: a predecessor, the target of a redaction, or of a relation. */
export type EdgeKind = 'prev' | 'redaction' | 'relation';

/** A seq at the end of a key. */
const SEQ_BYTES = 6;

/** The byte that stands for each kind in a key. */
export const EDGE_KINDS: Record<EdgeKind, number> = { prev: 0x70, redaction: 0x72, relation: 0x72 + 1 };

/** A half-open key range, for iterators. */
export interface KeyRange {
  readonly gte: Buffer;
  readonly lt: Buffer;
}

/** All keys of a keyspace. */
export function keyspaceRange(keyspace: Keyspace): KeyRange {
  const prefix = KEYSPACES[keyspace];
  return { gte: Buffer.from([prefix]), lt: Buffer.from([prefix + 1]) };
}

// Keys are cut from the pool, which is several times cheaper than memory of their own: every byte is written.

function numbered(keyspace: Keyspace, number: number): Buffer {
  const key = Buffer.allocUnsafe(9);
  key.writeUIntBE(KEYSPACES[keyspace] * 0x1_0000, 0, 3);
  key.writeUIntBE(number, 3, 6);
  return key;
}

function named(keyspace: Keyspace, name: string): Buffer {
  const key = Buffer.allocUnsafe(1 + Buffer.byteLength(name));
  key[0] = KEYSPACES[keyspace];
  key.write(name, 1);
  return key;
}

/** Keys whose number lies in `[from, to)`; `to` may be left out. */
export function numberedRange(
  keyspace: 'events' | 'given' | 'roots' | 'nodes' | 'chains' | 'cited',
  from: number,
  to?: number,
): KeyRange {
  return {
    gte: numbered(keyspace, from),
    lt: to === undefined ? keyspaceRange(keyspace).lt : numbered(keyspace, to),
  };
}

export const eventKey = (seq: number): Buffer => numbered('events', seq);
export const rootsKey = (seq: number): Buffer => numbered('roots', seq);
export const nodesKey = (record: number): Buffer => numbered('nodes', record);
export const chainKey = (seq: number): Buffer => numbered('chains', seq);
export const citedKey = (seq: number): Buffer => numbered('cited', seq);
export const givenKey = (seq: number): Buffer => numbered('given', seq);
export const idKey = (eventId: string): Buffer => named('ids', eventId);
export const roomKey = (roomId: string): Buffer => named('rooms', roomId);
export const traceKey = (traceId: string): Buffer => named('traces', traceId);
export const metaKey = (name: string): Buffer => named('meta', name);

/** @param key 16 bytes; see `ClientTransaction` */
export function transactionKey(key: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(1 + key.length);
  bytes[0] = KEYSPACES.transactions;
  bytes.set(key, 1);
  return bytes;
}

/** The number at the end of a key of a numbered keyspace. */
export function numberOfKey(key: Uint8Array): number {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).readUIntBE(key.length - 6, 6);
}

/** The name in a key of a named keyspace. */
export function nameOfKey(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset + 1, key.byteLength - 1).toString('utf8');
}

const ORDER_BIAS = 2 ** 47;

/** Client order within a room; negative orders (history fetched later) sort before. */
export function timelineKey(roomNumber: number, order: number): Buffer {
  const key = Buffer.allocUnsafe(11);
  key[0] = KEYSPACES.timeline;
  key.writeUInt32BE(roomNumber, 1);
  key.writeUIntBE(order + ORDER_BIAS, 5, 6);
  return key;
}

/** The order in a timeline key. */
export function orderOfTimelineKey(key: Uint8Array): number {
  return numberOfKey(key) - ORDER_BIAS;
}

/** A room's timeline with orders in `[from, to)`. */
export function timelineRange(roomNumber: number, from?: number, to?: number): KeyRange {
  return {
    gte: timelineKey(roomNumber, from ?? -ORDER_BIAS),
    lt: to === undefined ? timelineKey(roomNumber + 1, -ORDER_BIAS) : timelineKey(roomNumber, to),
  };
}

/** All keys of a room in a keyspace whose keys begin with the room's number. */
export function roomNumberRange(
  keyspace: 'timeline' | 'versions' | 'redacted',
  roomNumber: number,
): KeyRange {
  const prefix = Buffer.alloc(5);
  prefix[0] = KEYSPACES[keyspace];
  prefix.writeUInt32BE(roomNumber, 1);
  return { gte: prefix, lt: after(prefix) };
}

/** An event that refers to another, which may not be known yet. */
export function edgeKey(referredId: string, kind: EdgeKind, seq: number): Buffer {
  const key = edgePrefix(referredId, kind, SEQ_BYTES);
  key.writeUIntBE(seq, key.length - SEQ_BYTES, SEQ_BYTES);
  return key;
}

/** All edges of a kind to an event. */
export function edgeRange(referredId: string, kind: EdgeKind): KeyRange {
  const prefix = edgePrefix(referredId, kind);
  return { gte: prefix, lt: after(prefix) };
}

/** What the key of an edge says. */
export function edgeOf(key: Buffer): {
  readonly referredId: string;
  readonly kind: number;
  readonly seq: number;
} {
  const length = key[1] ?? 0;
  return {
    referredId: key.toString('utf8', 2, 2 + length),
    kind: key[2 + length] ?? 0,
    seq: numberOfKey(key),
  };
}

/** An event that somebody in a room claims to redact, known or not: who does is in the edges. */
export function redactedKey(roomNumber: number, eventId: string): Buffer {
  const key = Buffer.allocUnsafe(5 + Buffer.byteLength(eventId));
  key[0] = KEYSPACES.redacted;
  key.writeUInt32BE(roomNumber, 1);
  key.write(eventId, 5);
  return key;
}

/** @param room bytes left free at the end */
function edgePrefix(referredId: string, kind: EdgeKind, room = 0): Buffer {
  const length = Buffer.byteLength(referredId);
  const prefix = Buffer.allocUnsafe(3 + length + room);
  prefix[0] = KEYSPACES.edges;
  prefix[1] = length;
  prefix.write(referredId, 2);
  prefix[2 + length] = EDGE_KINDS[kind];
  return prefix;
}

/** An event that claimed a state key of a room, accepted or not. */
export function versionKey(roomNumber: number, type: string, stateKey: string, seq: number): Buffer {
  const key = versionPrefix(roomNumber, [type, stateKey], SEQ_BYTES);
  key.writeUIntBE(seq, key.length - SEQ_BYTES, SEQ_BYTES);
  return key;
}

/** All events of a room that claimed a state key, oldest commit first; or any key of a type, or any at all. */
export function versionRange(roomNumber: number, type?: string, stateKey?: string): KeyRange {
  const names = type === undefined ? [] : stateKey === undefined ? [type] : [type, stateKey];
  const prefix = versionPrefix(roomNumber, names);
  return { gte: prefix, lt: after(prefix) };
}

/** @param room bytes left free at the end */
function versionPrefix(roomNumber: number, names: readonly string[], room = 0): Buffer {
  let length = 5 + room;
  for (const name of names) length += 2 + Buffer.byteLength(name);
  const prefix = Buffer.allocUnsafe(length);
  prefix[0] = KEYSPACES.versions;
  let at = prefix.writeUInt32BE(roomNumber, 1);
  for (const name of names) {
    const bytes = prefix.write(name, at + 2);
    prefix[at] = bytes >> 8;
    prefix[at + 1] = bytes & 0xff;
    at += 2 + bytes;
  }
  return prefix;
}

/** A row of a durable queue. */
export function queueKey(name: string, position: number): Buffer {
  const bytes = utf8(name);
  const key = Buffer.alloc(2 + bytes.length + 6);
  key[0] = KEYSPACES.queues;
  key[1] = bytes.length;
  key.set(bytes, 2);
  key.writeUIntBE(position, 2 + bytes.length, 6);
  return key;
}

/** All rows of a durable queue, oldest first. */
export function queueRange(name: string): KeyRange {
  const key = queueKey(name, 0);
  const prefix = key.subarray(0, key.length - 6);
  return { gte: key, lt: after(prefix) };
}

/** The first key after all keys that begin with `prefix`. */
function after(prefix: Buffer): Buffer {
  const next = Buffer.from(prefix);
  for (let at = next.length - 1; at >= 0; at--) {
    const byte = next[at] as number;
    if (byte < 0xff) {
      next[at] = byte + 1;
      return next.subarray(0, at + 1);
    }
  }
  return Buffer.alloc(0);
}
