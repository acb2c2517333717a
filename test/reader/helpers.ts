// Engines that hold rooms of the fixtures, and the questions that one may ask of them.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Engine } from '../../src/engine/engine.js';
import { compareCodePoints } from '../../src/lib/bytes.js';
import { StateroomError } from '../../src/lib/errors.js';
import type { Query, StateName } from '../../src/reader/query.js';
import type { Outcome } from '../../src/reader/runner.js';
import { MEMBER_TYPE } from '../../src/room/state/key.js';
import type { FixtureRoom, StateEntry } from '../fixtures.js';

/** Makes an empty folder, and a function that takes it away again. */
export async function temporaryFolder(): Promise<{ readonly path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'stateroom-reader-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/** Imports a room, whole or its first events. */
export async function importRoom(engine: Engine, room: FixtureRoom, events = Infinity): Promise<void> {
  const lines = room.lines.slice(0, events);
  await Promise.all(lines.map((line) => engine.receive(line, { roomVersion: room.rules.version })));
}

/** The states before events as the fixture has them, whole. */
export function* statesBefore(room: FixtureRoom): Generator<readonly [eventId: string, rows: StateEntry[]]> {
  const state = new Map<string, StateEntry>();
  for (const { event_id: eventId, unset = [], set = [] } of room.expected.state_at) {
    for (const [type, stateKey] of unset) state.delete(JSON.stringify([type, stateKey]));
    for (const row of set) state.set(JSON.stringify([row[0], row[1]]), row);
    yield [eventId, sortedRows([...state.values()])];
  }
}

export function sortedRows<Row extends readonly [string, string, ...unknown[]]>(rows: readonly Row[]): Row[] {
  return [...rows].sort((a, b) => compareCodePoints(a[0], b[0]) || compareCodePoints(a[1], b[1]));
}

/** One of every kind of question, about events here and there in a room, the room, and roots. */
export function questionsAbout(engine: Engine, room: FixtureRoom): Query[] {
  const { room_id: roomId, event_ids: ids } = room.expected;
  const sampled = ids.filter((_, line) => line % 17 === 3);
  const names: StateName[] = [{ of: roomId }, { of: engine.currentState(roomId).root }];
  for (const of of sampled) {
    names.push({ of }, { of, side: 'before' }, { of: engine.stateAt(of, 'before').root });
  }
  const [userId = ''] = engine
    .currentState(roomId)
    .sorted(MEMBER_TYPE)
    .map(({ stateKey }) => stateKey);
  const queries = names.flatMap((name): Query[] => [
    { kind: 'state', ...name },
    { kind: 'state', ...name, isSorted: true },
    { kind: 'state', ...name, type: MEMBER_TYPE, limit: 3 },
    { kind: 'state', ...name, limit: 2, after: ['m.room.create', ''] },
    { kind: 'get', ...name, type: 'm.room.create', stateKey: '' },
    { kind: 'get', ...name, type: MEMBER_TYPE, stateKey: userId },
    { kind: 'get', ...name, type: '__proto__', stateKey: 'toString' },
    { kind: 'count', ...name },
    { kind: 'count', ...name, type: MEMBER_TYPE },
    { kind: 'members', ...name },
    { kind: 'members', ...name, membership: 'leave', limit: 2 },
    { kind: 'diff', from: name, to: { of: roomId } },
    { kind: 'diff', from: { of: roomId }, to: name, limit: 2 },
  ]);
  for (const type of [MEMBER_TYPE, 'm.room.power_levels', 'm.room.topic', 'constructor']) {
    queries.push({ kind: 'history', roomId, type }, { kind: 'history', roomId, type, limit: 2, after: 5 });
  }
  queries.push({ kind: 'history', roomId, type: MEMBER_TYPE, stateKey: userId });
  return queries;
}

const NOWHERE = `$${'A'.repeat(43)}`;

/** Questions that have no answer, and the code that says why. */
export const HOSTILE_QUERIES: ReadonlyArray<readonly [code: string, query: unknown]> = [
  ['READER_EVENT_UNKNOWN', { kind: 'state', of: NOWHERE }],
  ['READER_EVENT_UNKNOWN', { kind: 'get', of: '$', type: '', stateKey: '' }],
  ['READER_ROOM_UNKNOWN', { kind: 'members', of: '!nowhere:example.org' }],
  ['READER_ROOM_UNKNOWN', { kind: 'history', roomId: '__proto__', type: 'm.room.name' }],
  ['READER_ROOT_UNKNOWN', { kind: 'count', of: '0'.repeat(64) }],
  ['READER_TARGET_INVALID', { kind: 'count', of: '0'.repeat(63) }],
  ['READER_TARGET_INVALID', { kind: 'count', of: '' }],
  ['READER_TARGET_INVALID', { kind: 'count', of: '@alice:example.org' }],
  ['READER_EVENT_UNKNOWN', { kind: 'diff', from: { of: NOWHERE }, to: { of: NOWHERE } }],
  ['READER_QUERY_INVALID', undefined],
  ['READER_QUERY_INVALID', null],
  ['READER_QUERY_INVALID', 'state'],
  ['READER_QUERY_INVALID', {}],
  ['READER_QUERY_INVALID', { kind: 'constructor', of: NOWHERE }],
  ['READER_QUERY_INVALID', Object.create({ kind: 'count', of: NOWHERE })],
  ['READER_QUERY_INVALID', { kind: 'state' }],
  ['READER_QUERY_INVALID', { kind: 'state', of: { toString: () => NOWHERE } }],
  ['READER_QUERY_INVALID', { kind: 'state', of: '$'.repeat(2_000) }],
  ['READER_QUERY_INVALID', { kind: 'get', of: NOWHERE, type: '\ud800', stateKey: '' }],
  ['READER_QUERY_INVALID', { kind: 'get', of: NOWHERE, type: 'm.room.name' }],
  ['READER_QUERY_INVALID', { kind: 'state', of: NOWHERE, side: 'beside' }],
  ['READER_QUERY_INVALID', { kind: 'state', of: NOWHERE, limit: 0 }],
  ['READER_QUERY_INVALID', { kind: 'state', of: NOWHERE, limit: 1.5 }],
  ['READER_QUERY_INVALID', { kind: 'state', of: NOWHERE, limit: Number.POSITIVE_INFINITY }],
  ['READER_QUERY_INVALID', { kind: 'state', of: NOWHERE, after: ['m.room.name'] }],
  ['READER_QUERY_INVALID', { kind: 'state', of: NOWHERE, isSorted: true, limit: 1 }],
  ['READER_QUERY_INVALID', { kind: 'members', of: NOWHERE, membership: 'toString' }],
  ['READER_QUERY_INVALID', { kind: 'diff', from: NOWHERE, to: NOWHERE }],
  ['READER_QUERY_INVALID', { kind: 'history', roomId: '!a:b', type: 'm.room.name', after: -1 }],
];

/** The code that a promise rejects with. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return error instanceof StateroomError ? error.code : `no StateroomError: ${String(error)}`;
  }
  return 'no error';
}

/** Outcomes as plain values that can be compared. */
export function plain(outcomes: readonly Outcome[]): unknown[] {
  return outcomes.map((outcome) => (outcome.ok ? outcome.answer : outcome.error.toJSON()));
}
