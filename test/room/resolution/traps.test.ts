// The ways in which resolvers are known to go wrong, one by one, in rooms made by hand.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId } from '../../../src/event/ids.js';
import type { ResolutionLimits } from '../../../src/room/resolution/context.js';
import type { EventGraph, Resolution } from '../../../src/room/resolution/contract.js';
import { resolve } from '../../../src/room/resolution/resolve.js';
import { MapStates, type MapRoot } from './map-states.js';
import { permutations } from './permutations.js';
import { TestRoom, type EventDraft } from './test-room.js';

const test = suite('traps of state resolution');
const ALICE = '@alice:x';
const BOB = '@bob:y';

/** Alice made the room and may do anything; Bob joined; anyone may join; Bob may set topics. */
function roomOfTwo(version: string): TestRoom {
  const room = new TestRoom(version);
  const isImplied = room.rules.authorisation.createIsImplied;
  const create = isImplied ? [] : ['$create'];
  const users = isImplied ? { [BOB]: 50 } : { [ALICE]: 100, [BOB]: 50 };
  room.add({ id: '$create', type: 'm.room.create', sender: ALICE, content: { creator: ALICE } });
  room.add(member('$alice', ALICE, 'join', create));
  const powers = { id: '$power', type: 'm.room.power_levels', sender: ALICE, content: { users } };
  room.add({ ...powers, auth: [...create, '$alice'] });
  const rules = { id: '$rules', type: 'm.room.join_rules', sender: ALICE, content: { join_rule: 'public' } };
  room.add({ ...rules, auth: [...create, '$alice', '$power'] });
  room.add(member('$bob', BOB, 'join', [...create, '$power', '$rules']));
  return room;
}

const BASE = ['$create', '$alice', '$power', '$rules', '$bob'];
const BY_ALICE = ['$create', '$alice', '$power'];
const BY_BOB = ['$create', '$bob', '$power'];

function member(
  id: string,
  userId: string,
  membership: string,
  auth: readonly string[],
  sender = userId,
): EventDraft {
  return { id, type: 'm.room.member', sender, stateKey: userId, content: { membership }, auth };
}

function topic(id: string, sender: string, auth: readonly string[], ts: number): EventDraft {
  return { id, type: 'm.room.topic', sender, auth, ts };
}

interface Merge extends Resolution<MapRoot> {
  at(type: string, stateKey?: string): EventId | undefined;
}

function merge(room: TestRoom, sets: readonly (readonly string[])[], limits: ResolutionLimits = {}): Merge {
  const states = new MapStates();
  const roots = sets.map((ids) => states.of(ids.map((id) => room.event(id))));
  const result = resolve(room.rules, roots, states, room.graph, limits);
  return { ...result, at: (type, stateKey = '') => states.get(result.root, type, stateKey) };
}

test('ids are compared by code point, not by locale, when all else is equal', () => {
  for (const [first, last] of [
    ['$B', '$a'],
    ['$-', '$_'],
    ['$\uff5e', '$\u{1f600}'],
  ] as const) {
    const room = roomOfTwo('10');
    room.add(topic(first, ALICE, BY_ALICE, 7));
    room.add(topic(last, ALICE, BY_ALICE, 7));
    const result = merge(room, [
      [...BASE, first],
      [...BASE, last],
    ]);
    assert.is(result.at('m.room.topic'), last);
    assert.equal(
      result.trace.steps.map((step) => step.eventId),
      [first, last],
    );
  }
});

test('a key that one fork alone has is conflicted: it is lost when the merged room forbids it', () => {
  const room = roomOfTwo('10');
  room.add(topic('$topic', BOB, BY_BOB, 100));
  room.add(member('$ban', BOB, 'ban', [...BY_ALICE, '$bob'], ALICE));
  const banned = ['$create', '$alice', '$power', '$rules', '$ban'];
  const result = merge(room, [[...BASE, '$topic'], banned]);
  assert.is(result.at('m.room.topic'), undefined);
  assert.is(result.at('m.room.member', BOB), '$ban');
  const lost = result.trace.keys.find((key) => key.type === 'm.room.topic');
  assert.is(lost?.winner, null);
  assert.equal(lost?.candidates.toSorted(), ['$topic', null]);
});

test('a key that one fork alone has is kept when the merged room allows it', () => {
  const room = roomOfTwo('10');
  room.add(topic('$topic', BOB, BY_BOB, 100));
  assert.is(merge(room, [[...BASE, '$topic'], BASE]).at('m.room.topic'), '$topic');
});

test('an event with no ancestor on the mainline goes before one that rests on its oldest event', () => {
  const room = roomOfTwo('10');
  room.add(topic('$none', ALICE, ['$create', '$alice'], 9_000));
  room.add(topic('$oldest', ALICE, BY_ALICE, 1));
  const result = merge(room, [
    [...BASE, '$none'],
    [...BASE, '$oldest'],
  ]);
  assert.is(result.at('m.room.topic'), '$oldest');
  assert.equal(
    result.trace.steps.map((step) => step.order.mainlinePosition),
    [undefined, 0],
  );
});

test('a conflicted event that is no power event brings in what only its own fork rests on', () => {
  const room = roomOfTwo('10');
  const withoutBob = BASE.filter((id) => id !== '$bob');
  room.add(topic('$topic', BOB, BY_BOB, 100));
  const result = merge(room, [[...withoutBob, '$topic'], withoutBob]);
  assert.equal(result.trace.pulledIn, ['$bob']);
  assert.is(result.at('m.room.member', BOB), '$bob');
  const key = result.trace.keys.find(({ stateKey }) => stateKey === BOB);
  assert.equal(key?.candidates, [null, null]);
});

test('a state event is part of its own auth chain: what all states hold is in no auth difference', () => {
  const room = roomOfTwo('10');
  room.add(topic('$topic', BOB, BY_BOB, 100));
  assert.equal(merge(room, [[...BASE, '$topic'], BASE]).trace.pulledIn, []);
});

test('what all states agree on stands, though another event for its key was tried', () => {
  const room = roomOfTwo('10');
  room.add(member('$again', BOB, 'join', [...BY_BOB, '$rules']));
  room.add(topic('$topic', BOB, ['$create', '$again', '$power'], 100));
  const result = merge(room, [[...BASE, '$topic'], BASE]);
  assert.equal(result.trace.pulledIn, ['$again']);
  assert.is(result.trace.steps[0]?.allowed, true);
  assert.is(result.at('m.room.member', BOB), '$bob');
});

test('a rejected event authorises nothing', () => {
  const room = roomOfTwo('10');
  const withoutBob = BASE.filter((id) => id !== '$bob');
  room.rejected.add('$bob' as EventId);
  room.add(topic('$topic', BOB, BY_BOB, 100));
  const result = merge(room, [[...withoutBob, '$topic'], withoutBob]);
  assert.is(result.at('m.room.topic'), undefined);
  assert.is(result.at('m.room.member', BOB), undefined);
});

test('a rejected event takes no key, in any algorithm', () => {
  for (const version of ['1', '10', '12']) {
    const room = roomOfTwo(version);
    const auth = BY_ALICE.filter((id) => version !== '12' || id !== '$create');
    room.add(topic('$good', ALICE, auth, 1));
    room.add(topic('$bad', ALICE, auth, 2));
    room.rejected.add('$bad' as EventId);
    assert.is(
      merge(room, [
        [...BASE, '$good'],
        [...BASE, '$bad'],
      ]).at('m.room.topic'),
      '$good',
    );
    assert.is(merge(room, [BASE, [...BASE, '$bad']]).at('m.room.topic'), undefined);
  }
});

test('one state, or the same one many times, is its own resolution, and no event is read', () => {
  const room = roomOfTwo('10');
  for (const sets of [[BASE], [BASE, BASE], [BASE, BASE, BASE]]) {
    const states = new MapStates();
    const roots = sets.map((ids) => states.of(ids.map((id) => room.event(id))));
    const result = resolve(room.rules, roots, states, room.graph);
    assert.is(states.hash(result.root), states.hash(roots[0] ?? states.empty));
    assert.is(result.eventsRead, 0);
    assert.equal(result.trace.inputs, [result.trace.output]);
  }
});

test('no state at all resolves to the empty one', () => {
  const states = new MapStates();
  const room = roomOfTwo('10');
  assert.is(resolve(room.rules, [], states, room.graph).root, states.empty);
});

test('the order in which states are given changes neither result nor trace', () => {
  const room = roomOfTwo('10');
  room.add(topic('$one', BOB, BY_BOB, 100));
  room.add(topic('$two', ALICE, BY_ALICE, 50));
  room.add(member('$kick', BOB, 'leave', [...BY_ALICE, '$bob'], ALICE));
  const kicked = ['$create', '$alice', '$power', '$rules', '$kick'];
  const results = permutations([[...BASE, '$one'], [...BASE, '$two'], kicked, BASE], 1).map((sets) =>
    merge(room, sets),
  );
  const [first] = results;
  assert.is(results.length, 24);
  assert.is(first?.at('m.room.topic'), '$two');
  for (const result of results) assert.equal(result.trace, first?.trace);
});

test('power order: more power first, though later, and none before what it rests on', () => {
  const room = roomOfTwo('10');
  const power = { type: 'm.room.power_levels', content: { users: { [ALICE]: 100, [BOB]: 50 } } };
  room.add({ ...power, id: '$byBob', sender: BOB, auth: BY_BOB, ts: 1 });
  room.add({ ...power, id: '$byAlice', sender: ALICE, auth: BY_ALICE, ts: 9_000 });
  room.add({ ...power, id: '$onBob', sender: ALICE, auth: ['$create', '$alice', '$byBob'], ts: 2 });
  const base = BASE.filter((id) => id !== '$power');
  const { trace } = merge(room, [
    [...base, '$onBob'],
    [...base, '$byAlice'],
  ]);
  assert.equal(
    trace.steps.map((step) => step.eventId),
    ['$byAlice', '$byBob', '$onBob'],
  );
  assert.equal(
    trace.steps.map((step) => step.order.senderLevel),
    [100, 50, 100],
  );
  assert.ok(trace.steps.every((step) => step.phase === 'power'));
});

test('a creator without power levels has 100, from version 12 more than any level', () => {
  for (const [version, level, isCreator] of [
    ['10', 100, undefined],
    ['12', undefined, true],
  ] as const) {
    const room = new TestRoom(version);
    const create = version === '12' ? [] : ['$create'];
    room.add({ id: '$create', type: 'm.room.create', sender: ALICE, content: { creator: ALICE } });
    room.add(member('$alice', ALICE, 'join', create));
    const rule = { type: 'm.room.join_rules', sender: ALICE, auth: [...create, '$alice'] };
    room.add({ ...rule, id: '$one', content: { join_rule: 'public' } });
    room.add({ ...rule, id: '$two', content: { join_rule: 'invite' } });
    const { trace } = merge(room, [
      ['$create', '$alice', '$one'],
      ['$create', '$alice', '$two'],
    ]);
    assert.is(trace.steps[0]?.order.senderLevel, level);
    assert.is(trace.steps[0]?.order.senderIsCreator, isCreator);
  }
});

test('the create event is tried first, though its timestamp is later', () => {
  const room = new TestRoom('10');
  room.add({ id: '$create', type: 'm.room.create', sender: ALICE, content: { creator: ALICE }, ts: 9 });
  room.add({ ...member('$alice', ALICE, 'join', ['$create']), ts: 1, prev: ['$create'] });
  const { trace } = merge(room, [['$create', '$alice'], []]);
  assert.equal(
    trace.steps.map(({ eventId, phase }) => [eventId, phase]),
    [
      ['$create', 'power'],
      ['$alice', 'mainline'],
    ],
  );
});

test('the walk from a power event goes through the full conflicted set, not around it', () => {
  const room = roomOfTwo('10');
  const auth = ['$create', '$power', '$rules'];
  room.add({ ...member('$bob2', BOB, 'join', [...auth, '$bob']), ts: 10 });
  room.add({
    ...member('$invite', '@carol:z', 'invite', ['$create', '$power', '$rules', '$bob'], BOB),
    ts: 20,
  });
  room.add({ ...member('$carol', '@carol:z', 'join', [...auth, '$invite']), ts: 30 });
  const kick = member('$kick', '@dave:z', 'leave', ['$create', '$power', '$carol'], '@carol:z');
  room.add({ ...kick, ts: 40 });
  // $kick rests on $bob by way of $carol, which both forks agree on; $bob is conflicted.
  const base = ['$create', '$alice', '$power', '$rules', '$carol'];
  const { trace } = merge(room, [
    [...base, '$bob', '$kick'],
    [...base, '$bob2'],
  ]);
  const phases = new Map(trace.steps.map((step) => [step.eventId as string, step.phase]));
  assert.is(phases.get('$kick'), 'power');
  assert.is(phases.get('$bob'), 'mainline');
});

test('v2 judges by the agreed state from the start, v2.1 begins with nothing', () => {
  for (const [version, winner] of [
    ['11', undefined],
    ['12', '$topic'],
  ] as const) {
    const room = roomOfTwo(version);
    const auth = (...ids: string[]) => (version === '12' ? ids : ['$create', ...ids]);
    room.add(member('$left', BOB, 'leave', auth('$power', '$bob')));
    room.add(topic('$topic', BOB, auth('$power', '$bob'), 100));
    const base = ['$create', '$alice', '$power', '$rules', '$left'];
    const result = merge(room, [[...base, '$topic'], base]);
    assert.is(result.at('m.room.topic'), winner);
    assert.is(result.at('m.room.member', BOB), '$left');
  }
});

test('v2.1 tries what lies on a path between two conflicted events, v2 does not', () => {
  for (const [version, pulledIn] of [
    ['11', []],
    ['12', ['$p2']],
  ] as const) {
    const room = roomOfTwo(version);
    const auth = (...ids: string[]) => (version === '12' ? ids : ['$create', ...ids]);
    const power = { type: 'm.room.power_levels', sender: ALICE, content: room.event('$power').content };
    room.add({ ...power, id: '$p1', auth: auth('$alice', '$power') });
    room.add({ ...power, id: '$p2', auth: auth('$alice', '$p1') });
    room.add({ ...power, id: '$p3', auth: auth('$alice', '$p2') });
    // An agreed name rests on $p2, so that every chain holds it.
    room.add({ id: '$name', type: 'm.room.name', sender: ALICE, auth: auth('$alice', '$p2') });
    const base = ['$create', '$alice', '$rules', '$bob', '$name'];
    const result = merge(room, [
      [...base, '$p1'],
      [...base, '$p3'],
    ]);
    assert.equal(result.trace.pulledIn, pulledIn);
    assert.is(result.at('m.room.power_levels'), '$p3');
  }
});

test('version 1 takes a key that the states which have it agree on', () => {
  const room = roomOfTwo('1');
  room.add(topic('$topic', BOB, BY_BOB, 100));
  room.add(member('$ban', BOB, 'ban', [...BY_ALICE, '$bob'], ALICE));
  const banned = ['$create', '$alice', '$power', '$rules', '$ban'];
  assert.is(merge(room, [[...BASE, '$topic'], banned]).at('m.room.topic'), '$topic');
});

test('version 1 keeps the event of least depth when none passes', () => {
  const room = roomOfTwo('1');
  room.add({ ...topic('$low', '@eve:z', [], 1), depth: 10 });
  room.add({ ...topic('$high', '@eve:z', [], 2), depth: 11 });
  const result = merge(room, [
    [...BASE, '$low'],
    [...BASE, '$high'],
  ]);
  assert.is(result.at('m.room.topic'), '$low');
  assert.equal(
    result.trace.steps.map(({ eventId, rule }) => [eventId, rule === 'v1.last']),
    [
      ['$high', false],
      ['$low', true],
    ],
  );
});

test('event types and state keys named like parts of Object are keys like any other', () => {
  const room = roomOfTwo('10');
  for (const [i, type] of ['__proto__', 'toString', 'constructor'].entries()) {
    room.add({ id: `$${i}`, type, stateKey: 'hasOwnProperty', sender: ALICE, auth: BY_ALICE });
  }
  const result = merge(room, [
    [...BASE, '$0', '$1'],
    [...BASE, '$2'],
  ]);
  assert.is(result.at('__proto__', 'hasOwnProperty'), '$0');
  assert.is(result.at('toString', 'hasOwnProperty'), '$1');
  assert.is(result.at('constructor', 'hasOwnProperty'), '$2');
});

test('a conflicting state that names an unknown event is an error with a code', () => {
  const room = roomOfTwo('10');
  room.add(topic('$topic', ALICE, BY_ALICE, 1));
  const states = new MapStates();
  const roots = [BASE, [...BASE, '$topic']].map((ids) => states.of(ids.map((id) => room.event(id))));
  room.events.delete('$topic' as EventId);
  assert.throws(
    () => resolve(room.rules, roots, states, room.graph),
    (error: unknown) => hasCode(error, 'ROOM_RESOLUTION_EVENT_UNKNOWN'),
  );
});

test('an unknown auth event counts as not cited', () => {
  const room = roomOfTwo('10');
  room.add(topic('$topic', ALICE, [...BY_ALICE, '$gone'], 1));
  assert.is(merge(room, [BASE, [...BASE, '$topic']]).at('m.room.topic'), '$topic');
});

test('more events than the limit allows are an error with a code', () => {
  const room = roomOfTwo('10');
  room.add(topic('$topic', ALICE, BY_ALICE, 1));
  assert.throws(
    () => merge(room, [BASE, [...BASE, '$topic']], { eventsMax: 2 }),
    (error: unknown) => hasCode(error, 'ROOM_RESOLUTION_TOO_LARGE'),
  );
  assert.is(merge(room, [BASE, [...BASE, '$topic']], { eventsMax: 20 }).at('m.room.topic'), '$topic');
});

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

test('a very deep chain of auth events is walked to its end', () => {
  for (const version of ['10', '12']) {
    const room = roomOfTwo(version);
    const auth = version === '12' ? ['$alice'] : ['$create', '$alice'];
    const { content } = room.event('$power');
    let last = '$power';
    for (let i = 0; i < 15_000; i++) {
      room.add({ id: `$p${i}`, type: 'm.room.power_levels', sender: ALICE, content, auth: [...auth, last] });
      last = `$p${i}`;
    }
    const base = BASE.filter((id) => id !== '$power');
    const result = merge(room, [
      [...base, last],
      [...base, '$power'],
    ]);
    assert.is(result.at('m.room.power_levels'), last);
    assert.is(result.trace.steps.length, 15_001);
  }
});

test('a graph with a circle in it, which no honest order allows, ends all the same', () => {
  for (const version of ['10', '12']) {
    const room = roomOfTwo(version);
    const power = { type: 'm.room.power_levels', sender: ALICE, content: room.event('$power').content };
    room.add({ ...power, id: '$p1', auth: ['$create', '$alice', '$p2'] });
    room.add({ ...power, id: '$p2', auth: ['$create', '$alice', '$p1'] });
    room.add(topic('$topic', ALICE, ['$create', '$alice', '$p2'], 1));
    const base = BASE.filter((id) => id !== '$power');
    const sets = [
      [...base, '$p1'],
      [...base, '$power', '$topic'],
      [...base, '$p2'],
    ];
    const states = new MapStates();
    const roots = sets.map((ids) => states.of(ids.map((id) => room.event(id))));
    const graph: EventGraph = {
      ...room.graph,
      order: (id) => (id === '$p1' || id === '$p2' ? 9 : room.graph.order(id)),
    };
    const results = [0, 4_096].map((citersMax) => resolve(room.rules, roots, states, graph, { citersMax }));
    for (const { trace } of results)
      assert.equal(
        trace.keys.map((key) => key.type),
        ['m.room.power_levels', 'm.room.topic'],
      );
  }
});

test.run();
