// Questions as plain data: made anywhere, checked once, asked in place or in a reader thread.
//
// A state is named by `of`: an event's id (its state `after` it, or with `side: 'before'` the state before
// it), a room's id (its current state) or a root in hex. Lists may be paged: `limit` rows at most, and the
// answer's `next` is the `after` of the question for the rows that follow.

import { isWellFormed } from '../lib/bytes.js';
import { type Membership, MEMBERSHIPS } from '../room/state/value.js';
import { QueryError } from './errors.js';
import type { Side } from './reader.js';

/** Which state is asked. */
export interface StateName {
  /** An event id (`$...`), a room id (`!...`) or a root (64 hex digits). */
  readonly of: string;
  /** Of an event: before it, or after it (the default). */
  readonly side?: Side;
}

/** The place of a row in a state: type and state key. */
export type StatePlace = readonly [type: string, stateKey: string];

/** The event at one key. O(log n) node reads. */
export interface GetQuery extends StateName {
  readonly kind: 'get';
  readonly type: string;
  readonly stateKey: string;
}

/** A whole state, or its entries of one type. */
export interface StateQuery extends StateName {
  readonly kind: 'state';
  readonly type?: string;
  /** Rows by type, then state key, by code point; otherwise in the tree's order. Not for pages. */
  readonly isSorted?: boolean;
  readonly limit?: number;
  readonly after?: StatePlace;
}

/** How many entries a state has, of all or of one type. O(log n) node reads. */
export interface CountQuery extends StateName {
  readonly kind: 'count';
  readonly type?: string;
}

/** Members with their memberships, all or those of one membership; no event is read. */
export interface MembersQuery extends StateName {
  readonly kind: 'members';
  readonly membership?: Membership;
  readonly limit?: number;
  /** A user id. */
  readonly after?: string;
}

/** What differs between two states. A later page walks the differences before it again. */
export interface DiffQuery {
  readonly kind: 'diff';
  readonly from: StateName;
  readonly to: StateName;
  readonly limit?: number;
  readonly after?: StatePlace;
}

/** Every event that set or tried to set a key (or any key of a type) in a room, in commit order. */
export interface HistoryQuery {
  readonly kind: 'history';
  readonly roomId: string;
  readonly type: string;
  readonly stateKey?: string;
  readonly limit?: number;
  /** A seq. */
  readonly after?: number;
}

export type Query = GetQuery | StateQuery | CountQuery | MembersQuery | DiffQuery | HistoryQuery;

/** Ids, types and state keys are at most 255 bytes; what is longer is stored nowhere, and is not echoed. */
const TEXT_LENGTH_MAX = 1024;

/**
 * A query out of a value of unknown origin, with nothing in it but what the query means.
 * @throws READER_QUERY_INVALID naming the field that is wrong
 */
export function readQuery(value: unknown): Query {
  const kind = field(value, 'kind');
  switch (kind) {
    case 'get':
      return { kind, ...readName(value), type: text(value, 'type'), stateKey: text(value, 'stateKey') };
    case 'state':
      return readStateQuery(value);
    case 'count':
      return { kind, ...readName(value), ...optional('type', optionalText(value, 'type')) };
    case 'members':
      return {
        kind,
        ...readName(value),
        ...optional('membership', readMembership(value)),
        ...readLimit(value),
        ...optional('after', optionalText(value, 'after')),
      };
    case 'diff':
      return {
        kind,
        from: readName(field(value, 'from')),
        to: readName(field(value, 'to')),
        ...readLimit(value),
        ...optional('after', readPlace(value)),
      };
    case 'history':
      return {
        kind,
        roomId: text(value, 'roomId'),
        type: text(value, 'type'),
        ...optional('stateKey', optionalText(value, 'stateKey')),
        ...readLimit(value),
        ...optional('after', integer(value, 'after', 0)),
      };
    default:
      throw wrong('kind', 'one of get, state, count, members, diff, history');
  }
}

function readStateQuery(value: unknown): StateQuery {
  const isSorted = field(value, 'isSorted');
  if (isSorted !== undefined && typeof isSorted !== 'boolean') throw wrong('isSorted', 'true or false');
  const query: StateQuery = {
    kind: 'state',
    ...readName(value),
    ...optional('type', optionalText(value, 'type')),
    ...optional('isSorted', isSorted),
    ...readLimit(value),
    ...optional('after', readPlace(value)),
  };
  if (isSorted === true && (query.limit !== undefined || query.after !== undefined)) {
    throw wrong('isSorted', 'left out of pages, which come in the order of the tree');
  }
  return query;
}

function readName(value: unknown): StateName {
  return { of: text(value, 'of'), ...optional('side', readSide(value)) };
}

function readSide(value: unknown): Side | undefined {
  const side = field(value, 'side');
  if (side === undefined || side === 'before' || side === 'after') return side;
  throw wrong('side', 'before or after');
}

function readMembership(value: unknown): Membership | undefined {
  const membership = field(value, 'membership');
  if (membership === undefined) return undefined;
  const known = MEMBERSHIPS.find((candidate) => candidate === membership);
  if (known === undefined) throw wrong('membership', `one of ${MEMBERSHIPS.join(', ')}`);
  return known;
}

function readLimit(value: unknown): { limit?: number } {
  return optional('limit', integer(value, 'limit', 1));
}

function readPlace(value: unknown): StatePlace | undefined {
  const place = field(value, 'after');
  if (place === undefined) return undefined;
  if (!Array.isArray(place) || place.length !== 2) throw wrong('after', 'a type and a state key');
  return [checkedText(place[0], 'after'), checkedText(place[1], 'after')];
}

function integer(value: unknown, name: string, least: number): number | undefined {
  const found = field(value, name);
  if (found === undefined) return undefined;
  if (typeof found !== 'number' || !Number.isSafeInteger(found) || found < least) {
    throw wrong(name, `a whole number from ${least}`);
  }
  return found;
}

function text(value: unknown, name: string): string {
  return checkedText(field(value, name), name);
}

function optionalText(value: unknown, name: string): string | undefined {
  const found = field(value, name);
  return found === undefined ? undefined : checkedText(found, name);
}

function checkedText(value: unknown, name: string): string {
  if (typeof value !== 'string' || value.length > TEXT_LENGTH_MAX || !isWellFormed(value)) {
    throw wrong(name, `a Unicode string of at most ${TEXT_LENGTH_MAX} characters`);
  }
  return value;
}

/** A value's own field: a query may come from JSON, where `constructor` is a name like any other. */
function field(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) {
    throw new QueryError('a query, and each state it names, is an object', {});
  }
  return Object.hasOwn(value, name) ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
}

function optional<Name extends string, Value>(
  name: Name,
  value: Value | undefined,
): { readonly [name in Name]?: Value } {
  return value === undefined ? {} : ({ [name]: value } as { readonly [name in Name]: Value });
}

function wrong(name: string, expected: string): Error {
  return new QueryError(`a query's ${name} has to be ${expected}`, { field: name });
}
