// Values of every keyspace: msgpack arrays of fixed shape. Nothing here is ever hashed.

import { Packr } from 'msgpackr';
import type { EventId, RoomId } from '../event/ids.js';
import type { RoomVersion } from '../event/rules.js';
import type { RootRef } from '../tree/types.js';
import { StoreCorruptError } from './errors.js';

/** What became of an event that is stored. */
export type StoredVerdict = 'accepted' | 'soft_failed' | 'rejected';

/** One stored event: the PDU's own bytes as received, and our record of it. */
export interface EventRow {
  readonly roomId: RoomId;
  readonly roomVersion: RoomVersion;
  readonly eventId: EventId;
  readonly verdict: StoredVerdict;
  /** Stable code of the verdict, e.g. `OK`, `AUTH_STATE_BEFORE`. */
  readonly code: string;
  /** One sentence; empty when accepted. */
  readonly reason: string;
  /** Stored without its place in the graph: it has no roots and is in no timeline. */
  readonly isOutlier: boolean;
  /** Its roots rested on a state known to be incomplete when it was stored; whether they still do, `RootsRow` says. */
  readonly isPartial: boolean;
  /** Its content hash did not match: it counts as redacted, the bytes stay as received. */
  readonly isRedacted: boolean;
  /** Its state before was given by the caller, because its history is missing. */
  readonly hasGivenState: boolean;
  /** With a given state: it replaced all forward extremities, because nothing was seen of the room for a while. */
  readonly rewrites?: true;
  readonly receivedFrom: string;
  /** Milliseconds since 1970. */
  readonly receivedAt: number;
  readonly bytes: Uint8Array;
  /**
   * The seq under which it was stored as an outlier before it got its place at this one. That row stays; rows of
   * `chains`, `cited`, `edges` and `versions` go on naming it.
   */
  readonly outlierSeq?: number;
  /**
   * Left out where the seq is the order. Negative: accepted, and part of history that was fetched later. Greater than
   * the seq: accepted only when an incomplete state was completed.
   */
  readonly timelineOrder?: number;
  /** What was said of it before, oldest first, where the completion of a state changed the verdict. */
  readonly revisions?: readonly Revision[];
  /** The request of a client of ours that made it. */
  readonly transaction?: ClientTransaction;
}

/** A client's request that made an event: it takes effect once, however often it is made. */
export interface ClientTransaction {
  readonly deviceId: string;
  /** As the client chose it. */
  readonly txnId: string;
  /** 16 bytes that stand for the user, the device, the endpoint and the transaction id. */
  readonly key: Uint8Array;
}

/** A verdict that was revised when the state it rested on was completed. */
export interface Revision {
  readonly verdict: StoredVerdict;
  readonly code: string;
  readonly reason: string;
  /** Seq of the record that says which state was completed. */
  readonly revisedAt: number;
}

/** The state around one event. */
export interface RootsRow {
  readonly after: RootRef;
  /** Left out where it equals `after`. */
  readonly before: RootRef;
  /** The resolution that gave `before`, where there was one. */
  readonly traceId: string | undefined;
  /** For a soft-failed event: the current state that did not allow it. */
  readonly current: RootRef | undefined;
  /** For an accepted event: the room's current state with it, left out where it equals `after` (no other branch). */
  readonly room: RootRef | undefined;
  /** They rest on a state that is known to be incomplete. */
  readonly isPartial?: true;
}

/** A state event's auth events, and for each the state event that cited it before this one (0: none). */
export interface ChainRow {
  readonly authSeqs: readonly number[];
  readonly citedBefore: readonly number[];
}

/** The state before an event as its giver said: seqs of the state events. */
export type GivenState = readonly number[];

/** What a room is now. */
export interface RoomRow {
  readonly roomId: RoomId;
  /** Small number that stands for the room in other keys. */
  readonly number: number;
  readonly version: RoomVersion;
  readonly createEventId: EventId;
  readonly forwardExtremities: readonly EventId[];
  /** Current state: the resolution of the states after the forward extremities. */
  readonly root: RootRef;
  /** The resolution that gave `root`, where there was one. */
  readonly traceId: string | undefined;
  readonly depth: number;
  readonly events: number;
  readonly stateEvents: number;
  readonly rejected: number;
  readonly softFailed: number;
  /** State resets noticed at merges. */
  readonly stateResets: number;
  readonly isPartial: boolean;
  /** Events without a place that events with one follow: history that is missing. */
  readonly backwardExtremities: readonly EventId[];
  /** The lowest order in the timeline of history that was fetched later; 0 while there is none. */
  readonly timelineFirst: number;
}

/** Counters kept by the commit path. */
export interface Counters {
  readonly seq: number;
  readonly record: number;
  readonly rooms: number;
  readonly events: number;
  readonly stateEvents: number;
  readonly nodeRecords: number;
  readonly nodeBytes: number;
  readonly queuePosition: number;
}

export const NO_COUNTERS: Counters = {
  seq: 0,
  record: 0,
  rooms: 0,
  events: 0,
  stateEvents: 0,
  nodeRecords: 0,
  nodeBytes: 0,
  queuePosition: 0,
};

const packr = new Packr({ useRecords: false, moreTypes: false });

const VERDICTS: readonly StoredVerdict[] = ['accepted', 'soft_failed', 'rejected'];
const OUTLIER = 1;
const PARTIAL = 2;
const REDACTED = 4;
const GIVEN_STATE = 8;
const REWRITES = 16;

/** Fields of an event's row; those for few events come after them. */
const EVENT_FIELDS = 10;
const EVENT_FIELDS_PLACED = 12;
const EVENT_FIELDS_REVISED = 13;
const EVENT_FIELDS_MAX = 14;

type RootTuple = [Uint8Array, number, number, number, number];

const rootTuple = (root: RootRef): RootTuple => [root.hash, root.record, root.index, root.count, root.joined];

function rootOfTuple(root: RootTuple): RootRef {
  const [hash, record, index, count, joined] = listed(root, 'root');
  if (!(hash instanceof Uint8Array)) throw misshapen('root');
  return { hash: new Uint8Array(hash), record, index, count, joined };
}

/** Packs a value. The bytes lie in the packer's pool, which is never written twice: put them soon, keep them not. */
function pack(value: unknown): Buffer {
  return packr.pack(value);
}

function unpack<T>(bytes: Uint8Array, what: string): T {
  try {
    return packr.unpack(bytes) as T;
  } catch (cause) {
    throw new StoreCorruptError(`a stored ${what} cannot be read; run \`stateroom fsck\``, { what }, cause);
  }
}

/** Guards a tuple within a row. */
function listed<T extends readonly unknown[]>(value: T, what: string): T {
  if (!Array.isArray(value)) throw misshapen(what);
  return value;
}

function misshapen(what: string): Error {
  return new StoreCorruptError(`a stored ${what} has the wrong shape; run \`stateroom fsck\``, { what });
}

/** Guards the tuple's shape: a row that unpacks to something else is damaged. */
function tuple<T extends readonly unknown[]>(
  bytes: Uint8Array,
  length: number,
  what: string,
  ...otherLengths: readonly number[]
): T {
  const value = unpack<T>(bytes, what);
  const isRight = Array.isArray(value) && (value.length === length || otherLengths.includes(value.length));
  if (!isRight) throw misshapen(what);
  return value;
}

type EventTuple = [
  roomId: RoomId,
  roomVersion: RoomVersion,
  eventId: EventId,
  verdict: number,
  code: string,
  reason: string,
  flags: number,
  receivedFrom: string,
  receivedAt: number,
  pdu: Uint8Array,
  outlierSeq?: number | null,
  timelineOrder?: number | null,
  revisions?: RevisionTuple[] | null,
  transaction?: TransactionTuple,
];

type TransactionTuple = [deviceId: string, txnId: string, key: Uint8Array];

type RevisionTuple = [verdict: number, code: string, reason: string, revisedAt: number];

export function encodeEvent(row: EventRow): Buffer {
  const flags =
    (row.isOutlier ? OUTLIER : 0) |
    (row.isPartial ? PARTIAL : 0) |
    (row.isRedacted ? REDACTED : 0) |
    (row.hasGivenState ? GIVEN_STATE : 0) |
    (row.rewrites === true ? REWRITES : 0);
  return pack([
    row.roomId,
    row.roomVersion,
    row.eventId,
    VERDICTS.indexOf(row.verdict),
    row.code,
    row.reason,
    flags,
    row.receivedFrom,
    row.receivedAt,
    row.bytes,
    ...rareFields(row),
  ]);
}

/** What few events have: as many fields as are needed, null for what is not there. */
function rareFields({ outlierSeq, timelineOrder, revisions, transaction }: EventRow): unknown[] {
  const place = [outlierSeq ?? null, timelineOrder ?? null];
  const revised = revisions?.map((revision): RevisionTuple => {
    return [VERDICTS.indexOf(revision.verdict), revision.code, revision.reason, revision.revisedAt];
  });
  if (transaction !== undefined) {
    const { deviceId, txnId, key } = transaction;
    return [...place, revised ?? null, [deviceId, txnId, key]];
  }
  if (revised !== undefined) return [...place, revised];
  return outlierSeq === undefined && timelineOrder === undefined ? [] : place;
}

export function decodeEvent(bytes: Uint8Array): EventRow {
  const lengths = [EVENT_FIELDS_PLACED, EVENT_FIELDS_REVISED, EVENT_FIELDS_MAX];
  const row = tuple<EventTuple>(bytes, EVENT_FIELDS, 'event', ...lengths);
  const [roomId, roomVersion, eventId, verdict, code, reason, flags, receivedFrom, receivedAt, pdu] = row;
  const [, , , , , , , , , , outlierSeq, timelineOrder, revisions, transaction] = row;
  return {
    roomId,
    roomVersion,
    eventId,
    verdict: verdictAt(verdict),
    code,
    reason,
    isOutlier: (flags & OUTLIER) !== 0,
    isPartial: (flags & PARTIAL) !== 0,
    isRedacted: (flags & REDACTED) !== 0,
    hasGivenState: (flags & GIVEN_STATE) !== 0,
    ...((flags & REWRITES) === 0 ? {} : { rewrites: true as const }),
    receivedFrom,
    receivedAt,
    bytes: pdu,
    ...(typeof outlierSeq === 'number' ? { outlierSeq } : {}),
    ...(typeof timelineOrder === 'number' ? { timelineOrder } : {}),
    ...(Array.isArray(revisions) ? { revisions: revisions.map(revisionOf) } : {}),
    ...(transaction === undefined ? {} : { transaction: transactionOf(transaction) }),
  };
}

function revisionOf(revision: RevisionTuple): Revision {
  const [verdict, code, reason, revisedAt] = listed(revision, 'revision');
  return { verdict: verdictAt(verdict), code, reason, revisedAt };
}

function transactionOf(transaction: TransactionTuple): ClientTransaction {
  const [deviceId, txnId, key] = listed(transaction, 'transaction');
  if (!(key instanceof Uint8Array)) throw misshapen('transaction');
  return { deviceId, txnId, key };
}

function verdictAt(index: number): StoredVerdict {
  return VERDICTS[index] ?? 'rejected';
}

/** Fields of a roots row; the last is there where the state is incomplete. */
const ROOTS_FIELDS = 5;
const ROOTS_FIELDS_MAX = 6;

export function encodeRoots(row: RootsRow): Buffer {
  const isSame = Buffer.compare(row.before.hash, row.after.hash) === 0;
  const { current } = row;
  return pack([
    rootTuple(row.after),
    isSame ? null : rootTuple(row.before),
    row.traceId ?? null,
    current === undefined ? null : rootTuple(current),
    row.room === undefined ? null : rootTuple(row.room),
    ...(row.isPartial === true ? [true] : []),
  ]);
}

export function decodeRoots(bytes: Uint8Array): RootsRow {
  const [after, before, traceId, current, room, isPartial] = tuple<
    [RootTuple, RootTuple | null, string | null, RootTuple | null, RootTuple | null, boolean?]
  >(bytes, ROOTS_FIELDS, 'roots row', ROOTS_FIELDS_MAX);
  const root = rootOfTuple(after);
  return {
    after: root,
    before: before === null ? root : rootOfTuple(before),
    traceId: traceId ?? undefined,
    current: current === null ? undefined : rootOfTuple(current),
    room: room === null ? undefined : rootOfTuple(room),
    ...(isPartial === true ? { isPartial } : {}),
  };
}

export function encodeChain(row: ChainRow): Buffer {
  return pack([row.authSeqs, row.citedBefore]);
}

export function decodeChain(bytes: Uint8Array): ChainRow {
  const [authSeqs, citedBefore] = tuple<[number[], number[]]>(bytes, 2, 'chain row');
  return { authSeqs, citedBefore };
}

export function encodeGiven(seqs: GivenState): Buffer {
  return pack(seqs);
}

export function decodeGiven(bytes: Uint8Array): GivenState {
  const seqs = unpack<unknown>(bytes, 'given state');
  const isList = Array.isArray(seqs) && seqs.every((seq): seq is number => typeof seq === 'number');
  if (!isList) throw misshapen('given state');
  return seqs;
}

/** Fields of a room's row; before history could be missing there were fewer. */
const ROOM_FIELDS = 14;
const ROOM_FIELDS_MAX = 16;

export function encodeRoom(row: RoomRow): Buffer {
  return pack([
    row.roomId,
    row.number,
    row.version,
    row.createEventId,
    row.forwardExtremities,
    rootTuple(row.root),
    row.traceId ?? null,
    row.depth,
    row.events,
    row.stateEvents,
    row.rejected,
    row.softFailed,
    row.stateResets,
    row.isPartial,
    row.backwardExtremities,
    row.timelineFirst,
  ]);
}

export function decodeRoom(bytes: Uint8Array): RoomRow {
  const [
    roomId,
    number,
    version,
    createEventId,
    forwardExtremities,
    root,
    traceId,
    depth,
    events,
    stateEvents,
    rejected,
    softFailed,
    stateResets,
    isPartial,
    backwardExtremities = [],
    timelineFirst = 0,
  ] = tuple<
    [
      RoomId,
      number,
      RoomVersion,
      EventId,
      EventId[],
      RootTuple,
      string | null,
      number,
      number,
      number,
      number,
      number,
      number,
      boolean,
      EventId[]?,
      number?,
    ]
  >(bytes, ROOM_FIELDS, 'room', ROOM_FIELDS_MAX);
  return {
    roomId,
    number,
    version,
    createEventId,
    forwardExtremities,
    root: rootOfTuple(root),
    traceId: traceId ?? undefined,
    depth,
    events,
    stateEvents,
    rejected,
    softFailed,
    stateResets,
    isPartial,
    backwardExtremities,
    timelineFirst,
  };
}

export function encodeNumber(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(6);
  bytes.writeUIntBE(value, 0, 6);
  return bytes;
}

export function decodeNumber(bytes: Uint8Array): number {
  if (bytes.length !== 6) throw new StoreCorruptError('a stored number has the wrong length', {});
  return Buffer.from(bytes.buffer, bytes.byteOffset, 6).readUIntBE(0, 6);
}

/** Values without a shape of their own here: traces, queue rows, meta. Plain JSON-like data and byte strings. */
export function encodeValue(value: unknown): Buffer {
  return pack(value);
}

export function decodeValue<T>(bytes: Uint8Array, what: string): T {
  return unpack<T>(bytes, what);
}
