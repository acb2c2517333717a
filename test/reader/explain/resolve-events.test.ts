// Resolution of events given as JSON: 240 random rooms in any order, real rooms with their hashes, bad input.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  isArray,
  isObject,
  type JsonObject,
  type JsonValue,
  own,
  parseJson,
} from '../../../src/event/json.js';
import { rulesOf, type RoomVersionRules } from '../../../src/event/rules.js';
import { type ResolvedEvents, resolveEvents } from '../../../src/reader/explain/resolve-events.js';
import { loadLines } from '../../fixtures.js';
import { openRoom } from './rooms.js';

const test = suite('reader/explain/resolve-events');

interface RandomRoom {
  readonly rules: RoomVersionRules;
  readonly events: readonly JsonObject[];
  readonly stateSets: readonly JsonValue[];
  readonly expected: ReadonlyArray<readonly string[]>;
}

function field(json: JsonObject, name: string): readonly JsonValue[] {
  const value = own(json, name);
  if (!isArray(value)) throw new Error(`no ${name}`);
  return value;
}

function textOf(json: JsonObject, name: string): string {
  const value = own(json, name);
  if (typeof value !== 'string') throw new Error(`no ${name}`);
  return value;
}

function randomRooms(): RandomRoom[] {
  return loadLines('state-resolution/random.jsonl').map((line) => {
    const json = parseJson(line);
    if (!isObject(json)) throw new Error('a room is an object');
    return {
      rules: versionOf(textOf(json, 'room_version')),
      events: field(json, 'events').filter(isObject),
      stateSets: field(json, 'state_sets'),
      expected: field(json, 'expected')
        .filter(isObject)
        .map((row) => ['type', 'state_key', 'event_id'].map((name) => textOf(row, name))),
    };
  });
}

function versionOf(version: string): RoomVersionRules {
  const rules = rulesOf(version);
  if (rules === undefined) throw new Error(`no room version ${version}`);
  return rules;
}

const rows = ({ state }: ResolvedEvents) =>
  state.map(({ type, stateKey, eventId }) => [type, stateKey, eventId]);

const rooms = randomRooms();

test('240 random rooms resolve as Synapse resolved them: from their states, and from their events alone', () => {
  assert.is(rooms.length, 240);
  for (const { rules, events, stateSets, expected } of rooms) {
    const fromStates = resolveEvents({ rules, events, stateSets, trustIds: true });
    assert.equal(rows(fromStates), expected);
    const shuffled = [...events].sort((a, b) => (textOf(a, 'event_id') < textOf(b, 'event_id') ? -1 : 1));
    const fromEvents = resolveEvents({ rules, events: shuffled, stateSets: [], trustIds: true });
    assert.equal(rows(fromEvents), expected);
    assert.equal(fromEvents.refused, [], 'every event passes on its own branch');
    assert.is(fromEvents.root, fromStates.root);
    assert.equal(fromEvents.trace, fromStates.trace);
  }
});

for (const name of ['small-v11', 'forks-v12', 'reset-v10', 'rejects-v11', 'old-v1'] as const) {
  test(`${name}: its events alone, ids and hashes computed, give the root that the engine has`, async () => {
    const { engine, room } = await openRoom(name);
    const events = room.lines.map((line) => parseJson(line)).toReversed();
    const result = resolveEvents({ rules: room.rules, events, stateSets: [], trustIds: false });
    assert.is(result.root, engine.currentState(room.expected.room_id).root);
    assert.equal(
      result.refused.map(({ eventId }) => eventId as string).sort(),
      Object.keys(room.expected.rejected_a).sort(),
    );
    assert.equal(result.redacted, []);
    await engine.close();
  });
}

const ALICE = '@alice:x.org';
const create = {
  event_id: '$create',
  room_id: '!room:x.org',
  type: 'm.room.create',
  state_key: '',
  sender: ALICE,
  content: { creator: ALICE, room_version: '10' },
  origin_server_ts: 1,
  prev_events: [],
  auth_events: [],
};
const join = {
  ...create,
  event_id: '$join',
  type: 'm.room.member',
  state_key: ALICE,
  content: { membership: 'join' },
  prev_events: ['$create'],
  auth_events: ['$create'],
};

function resolveSymbolic(
  events: readonly JsonValue[],
  stateSets: readonly JsonValue[] = [],
  version = '10',
): ResolvedEvents {
  return resolveEvents({ rules: versionOf(version), events, stateSets, trustIds: true });
}

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
  return 'nothing was thrown';
}

test('symbolic ids do in any version, as ids or as pairs, and the result is a state', () => {
  for (const version of ['2', '6', '10', '11']) {
    const result = resolveSymbolic([join, create], [], version);
    assert.equal(rows(result), [
      ['m.room.create', '', '$create'],
      ['m.room.member', ALICE, '$join'],
    ]);
    assert.match(result.root, /^[0-9a-f]{64}$/);
    assert.is(result.trace.output, result.root);
  }
  const paired = { ...join, prev_events: [['$create', {}]], auth_events: [['$create', { sha256: 'x' }]] };
  assert.is(resolveSymbolic([create, paired]).state.length, 2);
  const create12 = { ...create, room_id: '!create', content: { room_version: '12' } };
  const join12 = { ...join, room_id: '!create', auth_events: [] };
  const result = resolveSymbolic([join12, create12], [], '12');
  assert.equal(result.refused, []);
  assert.is(result.state.length, 2);
});

test('nothing resolves to the empty state, and the same event twice counts once', () => {
  assert.equal(rows(resolveSymbolic([])), []);
  assert.is(resolveSymbolic([create, join, join]).state.length, 2);
  assert.is(resolveSymbolic([create, join], [['$create', '$join', '$join'], []]).trace.inputs.length, 2);
});

test('an event that the rules refuse counts when it is taken on trust, and is named', () => {
  const stranger = {
    ...join,
    event_id: '$topic',
    type: 'm.room.topic',
    state_key: '',
    sender: '@eve:x.org',
    prev_events: ['$join'],
  };
  const result = resolveSymbolic([create, join, stranger]);
  assert.equal(
    result.refused.map(({ eventId, check }) => [eventId, check.check]),
    [['$topic', 'auth_by_auth_events']],
  );
  assert.is(result.state.length, 3);
});

test('input that cannot be right is refused with a code that says why', () => {
  const missing = { ...join, auth_events: ['$create', '$gone'] };
  assert.is(
    codeOf(() => resolveSymbolic([create, missing])),
    'ROOM_GRAPH_REFERENCE_UNKNOWN',
  );
  const orphan = { ...join, prev_events: [] };
  assert.is(
    codeOf(() => resolveSymbolic([create, orphan])),
    'ROOM_GRAPH_REFERENCE_UNKNOWN',
  );
  assert.is(
    codeOf(() => resolveSymbolic([create, orphan], [['$create', '$join']])),
    'nothing was thrown',
  );
  const circle = [
    { ...join, event_id: '$a', prev_events: ['$b'] },
    { ...join, event_id: '$b', prev_events: ['$a'] },
  ];
  assert.is(
    codeOf(() => resolveSymbolic([create, ...circle])),
    'ROOM_GRAPH_CYCLE',
  );
  assert.is(
    codeOf(() => resolveSymbolic([create, { ...join, room_id: '!other:x.org' }])),
    'ROOM_GRAPH_MIXED_ROOMS',
  );
  for (const broken of [
    7,
    null,
    [],
    { ...join, event_id: 7 },
    { ...join, sender: undefined as never },
    { ...join, content: 'text' },
    { ...join, state_key: null },
    { ...join, prev_events: '$create' },
    { ...join, auth_events: [[]] },
    { ...join, origin_server_ts: 'now' },
    { ...join, event_id: '$create' },
  ] as JsonValue[]) {
    assert.is(
      codeOf(() => resolveSymbolic([create, broken])),
      'READER_EVENTS_INVALID',
      JSON.stringify(broken),
    );
  }
  assert.is(
    codeOf(() => resolveSymbolic([{ ...create, content: { creator: ALICE } }], [], '1')),
    'READER_EVENTS_INVALID',
  );
  const topic = { ...join, event_id: '$message', type: 'm.room.message', state_key: undefined as never };
  const twice = { ...join, event_id: '$again' };
  for (const set of ['$create', [7], ['$gone'], ['$message'], ['$join', '$again']] as JsonValue[]) {
    const code = codeOf(() => resolveSymbolic([create, join, twice, topic], [set]));
    assert.is(code, 'READER_STATE_SET_INVALID', JSON.stringify(set));
  }
});

test('without trust an id must be right, and an event without hashes is refused', async () => {
  const { engine, room } = await openRoom('small-v11');
  await engine.close();
  const [first, second] = room.lines.map((line) => parseJson(line)).filter(isObject);
  if (first === undefined || second === undefined) throw new Error('the room is empty');
  const resolveTrue = (events: readonly JsonValue[]) =>
    resolveEvents({ rules: room.rules, events, stateSets: [], trustIds: false });
  assert.is(resolveTrue([{ ...first, event_id: room.expected.event_ids[0] ?? '' }, second]).state.length, 2);
  assert.is(
    codeOf(() => resolveTrue([{ ...first, event_id: '$wrong' }])),
    'READER_EVENTS_INVALID',
  );
  assert.is(
    codeOf(() => resolveTrue([{ ...first, hashes: {} }])),
    'READER_EVENTS_INVALID',
  );
  const changed = { ...second, content: { membership: 'join', displayname: 'somebody else' } };
  assert.equal(resolveTrue([first, changed]).redacted, [room.expected.event_ids[1]]);
});

test.run();
