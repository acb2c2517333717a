// Answers to queries, as plain data. The same code answers in place and in a reader thread.
//
// Rows are arrays of strings, because a large answer crosses threads as one message. They come in the tree's
// order, which means nothing but is the same for equal states, so that a page resumes exactly.

import type { EventId, RoomId, UserId } from '../event/ids.js';
import { compareCodePoints } from '../lib/bytes.js';
import { MEMBER_TYPE, prefixOfType, readKey, treeKeyOf } from '../room/state/key.js';
import { idOfValue, type Membership, membershipOfTag } from '../room/state/value.js';
import type { StoredVerdict } from '../store/records.js';
import { comparePlaces } from '../tree/position.js';
import type { Difference, TreeEntry } from '../tree/types.js';
import type {
  CountQuery,
  DiffQuery,
  GetQuery,
  HistoryQuery,
  MembersQuery,
  Query,
  StateName,
  StatePlace,
  StateQuery,
} from './query.js';
import type { Reader } from './reader.js';
import type { StateView } from './state-view.js';

export type StateRow = readonly [type: string, stateKey: string, eventId: EventId];
export type MemberRow = readonly [userId: string, membership: Membership, eventId: EventId];
/** `null` where one of the states has no such entry. */
export type DiffRow = readonly [
  type: string,
  stateKey: string,
  before: EventId | null,
  after: EventId | null,
];

/** One event that set or tried to set a key. */
export interface HistoryRow {
  readonly seq: number;
  readonly eventId: EventId;
  readonly stateKey: string;
  readonly sender: UserId;
  readonly originServerTs: number;
  readonly verdict: StoredVerdict;
  /** Stable code of the verdict. */
  readonly code: string;
  /** One sentence; empty when accepted. */
  readonly reason: string;
  readonly isOutlier: boolean;
}

/** What every answer about one state says of it: a root asked later gives the same rows again. */
interface OfState {
  readonly roomId: RoomId;
  /** 64 hex digits. */
  readonly root: string;
}

export interface GetAnswer extends OfState {
  readonly kind: 'get';
  /** Left out when the state has no such entry. */
  readonly eventId?: EventId;
  /** Of a member. */
  readonly membership?: Membership;
}

export interface StateAnswer extends OfState {
  readonly kind: 'state';
  readonly rows: readonly StateRow[];
  /** Present when rows follow. */
  readonly next?: StatePlace;
}

export interface CountAnswer extends OfState {
  readonly kind: 'count';
  readonly count: number;
  /** Joined members of the whole state. */
  readonly joined: number;
}

export interface MembersAnswer extends OfState {
  readonly kind: 'members';
  readonly rows: readonly MemberRow[];
  /** Present when rows follow. */
  readonly next?: string;
}

export interface DiffAnswer {
  readonly kind: 'diff';
  /** Roots, 64 hex digits. */
  readonly from: string;
  readonly to: string;
  readonly rows: readonly DiffRow[];
  /** Present when rows follow. */
  readonly next?: StatePlace;
}

export interface HistoryAnswer {
  readonly kind: 'history';
  readonly rows: readonly HistoryRow[];
  /** Present when rows follow. */
  readonly next?: number;
}

export type Answer = GetAnswer | StateAnswer | CountAnswer | MembersAnswer | DiffAnswer | HistoryAnswer;

/** The answer to a query of this type. */
export type AnswerOf<Q extends Query> = Extract<Answer, { readonly kind: Q['kind'] }>;

/** Called now and then while a long answer is made; throws to end it. */
export type Checkpoint = () => void;

/**
 * Answers a query that `readQuery` has checked.
 * @throws READER_TARGET_INVALID, READER_EVENT_UNKNOWN, READER_ROOM_UNKNOWN, READER_ROOT_UNKNOWN,
 *   READER_NO_STATE, and what the checkpoint throws
 */
export async function answer<Q extends Query>(
  reader: Reader,
  query: Q,
  checkpoint: Checkpoint = () => {},
): Promise<AnswerOf<Q>> {
  checkpoint();
  return (await answerKind(reader, query, checkpoint)) as AnswerOf<Q>;
}

async function answerKind(reader: Reader, query: Query, checkpoint: Checkpoint): Promise<Answer> {
  switch (query.kind) {
    case 'get':
      return answerGet(reader, query, await named(reader, query, checkpoint));
    case 'state':
      return answerState(reader, query, await named(reader, query, checkpoint), checkpoint);
    case 'count':
      return answerCount(query, await named(reader, query, checkpoint));
    case 'members':
      return answerMembers(reader, query, await named(reader, query, checkpoint), checkpoint);
    case 'diff': {
      const from = await named(reader, query.from, checkpoint);
      return answerDiff(reader, query, from, await named(reader, query.to, checkpoint), checkpoint);
    }
    case 'history':
      return answerHistory(reader, query, checkpoint);
  }
}

function named(reader: Reader, { of, side }: StateName, checkpoint: Checkpoint): Promise<StateView> {
  return reader.state(of, side, checkpoint);
}

function answerGet(reader: Reader, { kind, type, stateKey }: GetQuery, view: StateView): GetAnswer {
  const entry = reader.tree.get(view.rootRef, treeKeyOf(type, stateKey));
  const state = { kind, ...ofState(view) };
  if (entry === undefined) return state;
  const eventId = idOfValue(entry.value, view.rules);
  return type === MEMBER_TYPE
    ? { ...state, eventId, membership: membershipOfTag(entry.tag) }
    : { ...state, eventId };
}

function answerState(
  reader: Reader,
  query: StateQuery,
  view: StateView,
  checkpoint: Checkpoint,
): StateAnswer {
  const { kind, type, limit } = query;
  const entries = reader.tree.scan(view.rootRef, {
    prefix: type === undefined ? undefined : prefixOfType(type),
    after: query.after === undefined ? undefined : treeKeyOf(...query.after),
  });
  const { rows, last } = takePage(watched(entries, checkpoint), limit, (entry): StateRow | undefined => {
    const key = readKey(entry.key);
    // Types may share a range of the tree, though it takes a collision of 63 bits.
    if (type !== undefined && key.type !== type) return undefined;
    return [key.type, key.stateKey, idOfValue(entry.value, view.rules)];
  });
  if (query.isSorted === true) rows.sort(compareRows);
  return { kind, ...ofState(view), rows, ...(last === undefined ? {} : { next: [last[0], last[1]] }) };
}

function answerCount({ kind, type }: CountQuery, view: StateView): CountAnswer {
  return { kind, ...ofState(view), count: view.count(type), joined: view.joined };
}

function answerMembers(
  reader: Reader,
  query: MembersQuery,
  view: StateView,
  checkpoint: Checkpoint,
): MembersAnswer {
  const { kind, membership, limit, after } = query;
  const entries = reader.tree.scan(view.rootRef, {
    prefix: prefixOfType(MEMBER_TYPE),
    after: after === undefined ? undefined : treeKeyOf(MEMBER_TYPE, after),
  });
  const { rows, last } = takePage(watched(entries, checkpoint), limit, (entry): MemberRow | undefined => {
    const found = membershipOfTag(entry.tag);
    if (membership !== undefined && found !== membership) return undefined;
    return [readKey(entry.key).stateKey, found, idOfValue(entry.value, view.rules)];
  });
  return { kind, ...ofState(view), rows, ...(last === undefined ? {} : { next: last[0] }) };
}

function answerDiff(
  reader: Reader,
  query: DiffQuery,
  from: StateView,
  to: StateView,
  checkpoint: Checkpoint,
): DiffAnswer {
  const after = query.after === undefined ? undefined : treeKeyOf(...query.after);
  const idOf = (entry: TreeEntry | undefined, { rules }: StateView): EventId | null =>
    entry === undefined ? null : idOfValue(entry.value, rules);
  const toRow = ({ key, position, before, after: now }: Difference): DiffRow | undefined => {
    if (after !== undefined && comparePlaces(position, key, after.position, after.bytes) <= 0)
      return undefined;
    const { type, stateKey } = readKey(key);
    return [type, stateKey, idOf(before, from), idOf(now, to)];
  };
  const differences = reader.tree.diff(from.rootRef, to.rootRef);
  const { rows, last } = takePage(watched(differences, checkpoint), query.limit, toRow);
  const next = last === undefined ? {} : { next: [last[0], last[1]] as const };
  return { kind: query.kind, from: from.root, to: to.root, rows, ...next };
}

async function answerHistory(
  reader: Reader,
  query: HistoryQuery,
  checkpoint: Checkpoint,
): Promise<HistoryAnswer> {
  const { kind, type, stateKey, limit = Number.POSITIVE_INFINITY, after = 0 } = query;
  const seqs: number[] = [];
  for await (const seq of reader.store.versions(reader.room(query.roomId).number, type, stateKey)) {
    checkpoint();
    if (seq > after) seqs.push(seq);
    // Versions of one key are stored in commit order; those of a type key by key.
    if (stateKey !== undefined && seqs.length > limit) break;
  }
  seqs.sort((a, b) => a - b);
  const rows: HistoryRow[] = [];
  for (const seq of seqs.slice(0, limit)) {
    checkpoint();
    const row = historyRow(reader, seq);
    if (row !== undefined) rows.push(row);
  }
  return { kind, rows, ...(seqs.length > limit ? { next: seqs[limit - 1] ?? after } : {}) };
}

function historyRow(reader: Reader, seq: number): HistoryRow | undefined {
  const event = reader.events.at(seq);
  if (event === undefined) return undefined;
  const { pdu, verdict, code, reason, isOutlier } = event;
  const { eventId, stateKey = '', sender, originServerTs } = pdu;
  return { seq, eventId, stateKey, sender, originServerTs, verdict, code, reason, isOutlier };
}

function ofState(view: StateView): OfState {
  return { roomId: view.roomId, root: view.root };
}

/** Rows up to the limit; `last` is the last of them when others follow. */
function takePage<Item, Row>(
  items: Iterable<Item>,
  limit: number | undefined,
  toRow: (item: Item) => Row | undefined,
): { readonly rows: Row[]; readonly last: Row | undefined } {
  const rows: Row[] = [];
  for (const item of items) {
    const row = toRow(item);
    if (row === undefined) continue;
    if (rows.length === limit) return { rows, last: rows[limit - 1] };
    rows.push(row);
  }
  return { rows, last: undefined };
}

/** Items between two looks at the clock. */
const CHECKPOINT_ITEMS = 128;

function* watched<Item>(items: Iterable<Item>, checkpoint: Checkpoint): Generator<Item> {
  let passed = 0;
  for (const item of items) {
    if (++passed % CHECKPOINT_ITEMS === 0) checkpoint();
    yield item;
  }
}

function compareRows(a: StateRow, b: StateRow): number {
  return compareCodePoints(a[0], b[0]) || compareCodePoints(a[1], b[1]);
}
