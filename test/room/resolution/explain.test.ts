// Explanations: what an operator reads about one key of a merge.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ResolutionTrace } from '../../../src/room/resolution/contract.js';
import { explainKey } from '../../../src/room/resolution/explain.js';
import { resolve } from '../../../src/room/resolution/resolve.js';
import { MapStates } from './map-states.js';
import { TestRoom } from './test-room.js';

const test = suite('explanations of a resolution');
const ALICE = '@alice:x';
const BOB = '@bob:y';

/** Alice bans Bob in one fork; in the other Bob sets the topic twice over a year. */
function traceOfBan(version: string): ResolutionTrace {
  const room = new TestRoom(version);
  const member = { type: 'm.room.member', content: { membership: 'join' } };
  room.add({ id: '$create', type: 'm.room.create', sender: ALICE, content: { creator: ALICE } });
  room.add({ ...member, id: '$alice', sender: ALICE, stateKey: ALICE, auth: ['$create'] });
  const users = { [ALICE]: 100, [BOB]: 50 };
  const power = { type: 'm.room.power_levels', sender: ALICE, content: { users } };
  room.add({ ...power, id: '$power', auth: ['$create', '$alice'] });
  const rules = { type: 'm.room.join_rules', sender: ALICE, content: { join_rule: 'public' } };
  room.add({ ...rules, id: '$rules', auth: ['$create', '$alice', '$power'] });
  room.add({ ...member, id: '$bob', sender: BOB, stateKey: BOB, auth: ['$create', '$power', '$rules'] });
  room.add({
    id: '$topic',
    type: 'm.room.topic',
    sender: BOB,
    auth: ['$create', '$power', '$bob'],
    ts: 8.64e15 + 1,
  });
  const ban = { type: 'm.room.member', sender: ALICE, stateKey: BOB, content: { membership: 'ban' }, ts: 0 };
  room.add({ ...ban, id: '$ban', auth: ['$create', '$alice', '$power', '$bob'] });
  const states = new MapStates();
  const sets = [
    ['$create', '$alice', '$power', '$rules', '$bob', '$topic'],
    ['$create', '$alice', '$power', '$rules', '$ban'],
  ];
  const roots = sets.map((ids) => states.of(ids.map((id) => room.event(id))));
  return resolve(room.rules, roots, states, room.graph).trace;
}

test('a lost key is said to be lost, with the rule that refused its event', () => {
  const text = explainKey(traceOfBan('10'), 'm.room.topic', '').join('\n');
  assert.match(text, '2 states were merged by state resolution v2 (room version 10).');
  assert.match(
    text,
    /They differed on m\.room\.topic: state \d had (\$topic|nothing); state \d had (\$topic|nothing)\./,
  );
  assert.match(text, 'The other events follow by the power levels they rest on');
  assert.match(
    text,
    /Step 3 of 3: \$topic \(mainline position 0, timestamp 8640000000000001 ms\) was refused by rule \d/,
  );
  assert.match(text, 'the key was lost');
});

test('a won key is told with its order, levels and dates', () => {
  const lines = explainKey(traceOfBan('10'), 'm.room.member', BOB);
  const text = lines.join('\n');
  assert.match(text, "by the sender's level, greatest first");
  assert.match(
    text,
    /\$ban \(sender's level 100, timestamp 1970-01-01T00:00:00\.000Z\) was allowed by rule \d/,
  );
  assert.is(lines.at(-1), '$ban has m.room.member of @bob:y: it was the last that was allowed.');
});

test('a key that was not in question is said to have stayed', () => {
  const text = explainKey(traceOfBan('10'), 'm.room.name', '').join('\n');
  assert.match(text, 'All of them agreed on m.room.name, or none had it.');
  assert.match(text, 'It stayed as it was.');
});

test('one state has nothing to explain', () => {
  const trace = { ...traceOfBan('10'), inputs: ['a'] };
  assert.equal(explainKey(trace, 'm.room.topic', ''), [
    'There was one state only, so nothing had to be merged.',
  ]);
});

test('an event from outside the states is said to be from there', () => {
  const trace = traceOfBan('10');
  const key = {
    type: 'm.room.topic',
    stateKey: '',
    candidates: [null, null],
    winner: trace.steps[2]?.eventId ?? null,
  };
  const steps = trace.steps.map((step) => ({ ...step, allowed: true }));
  const pulledIn = steps.slice(2).map((step) => step.eventId);
  const text = explainKey({ ...trace, keys: [key], steps, pulledIn }, 'm.room.topic', '').join('\n');
  assert.match(text, 'None of them had m.room.topic.');
  assert.match(text, '$topic was no conflicting value of any of them');
  assert.match(text, 'though it came from outside the states');
});

test('version 1 is told by depth', () => {
  const text = explainKey(traceOfBan('1'), 'm.room.member', BOB).join('\n');
  assert.match(text, 'Events are tried from the least depth upwards');
  assert.match(text, /\$bob \(depth 5\) was allowed by rule v1\.first: least depth: taken unchecked\./);
  const topic = explainKey(traceOfBan('1'), 'm.room.topic', '').join('\n');
  assert.match(topic, '$topic has m.room.topic: every state that had the key agreed on it.');
});

test.run();
