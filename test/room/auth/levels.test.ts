// How levels are read, compared and shown; and that nothing a stranger writes makes a rule throw.

import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { JsonNumber, type JsonObject, type JsonValue } from '../../../src/event/json.js';
import { ROOM_VERSIONS } from '../../../src/event/rules.js';
import { authStateOf, checkAuthEvents } from '../../../src/room/auth/auth-events.js';
import { authorise } from '../../../src/room/auth/authorise.js';
import {
  compareLevels,
  readLevel,
  showLevel,
  UNREADABLE,
  type PowerLevel,
} from '../../../src/room/auth/levels.js';
import { creatorsOf, powerLevelsOf } from '../../../src/room/auth/power-levels.js';
import { ALICE, BOB, CAROL, event, room } from './helpers.js';

const levels = suite('levels');

levels("strings are read as Python's int() reads them", () => {
  const read: Array<[string, PowerLevel]> = [
    ['50', 50],
    ['+50', 50],
    ['-50', -50],
    ['-0', 0],
    ['000100', 100],
    [' \t\n 50 \r', 50],
    ['\u00a0\u3000\u000b50\u0085\u2029', 50],
    ['1_000', 1000],
    ['٥٠', 50],
    ['𝟓𝟎', 50],
    ['9007199254740993', 9007199254740993n],
    ['-9007199254740993', -9007199254740993n],
    ['0'.repeat(4299) + '7', 7],
  ];
  for (const [text, level] of read) assert.is(readLevel(text), level, JSON.stringify(text));
  const unreadable = [
    '',
    ' ',
    '+',
    '5.0',
    '5e3',
    '0x10',
    '+ 5',
    '--5',
    '_5',
    '5_',
    '5__0',
    '5 0',
    '\ufeff50',
    '\u001c50',
    'Infinity',
    'NaN',
    '½',
  ];
  for (const text of [...unreadable, '0'.repeat(4301)]) {
    assert.ok(Number.isNaN(readLevel(text)), JSON.stringify(text));
  }
});

levels('numbers lose their fraction, big ones stay exact, true and false are 1 and 0', () => {
  const read: Array<[JsonValue, PowerLevel]> = [
    [50, 50],
    [new JsonNumber('50.57', 50.57), 50],
    [new JsonNumber('-0.9', -0.9), 0],
    [new JsonNumber('5.114698E4', 51146.98), 51146],
    [new JsonNumber('9007199254740993', 9007199254740992), 9007199254740993n],
    [new JsonNumber('1e22', 1e22), 10000000000000000000000n],
    [true, 1],
    [false, 0],
  ];
  for (const [value, level] of read) assert.is(readLevel(value), level);
  assert.is(readLevel(null), undefined);
  assert.is(readLevel(undefined), undefined);
  for (const value of [
    [],
    {},
    [50],
    new JsonNumber('1e400', Infinity),
    new JsonNumber('9'.repeat(5000), Infinity),
  ]) {
    assert.ok(Number.isNaN(readLevel(value)));
  }
});

levels("their order is total: unreadable below all, a creator's above all", () => {
  const rising = [
    UNREADABLE,
    -(10n ** 30n),
    -1,
    0,
    1,
    9007199254740991,
    9007199254740993n,
    10n ** 4000n,
    Infinity,
  ];
  for (const [i, a] of rising.entries()) {
    for (const [j, b] of rising.entries()) assert.is(Math.sign(compareLevels(a, b)), Math.sign(i - j));
  }
  assert.is(showLevel(10n ** 4000n).length < 60, true);
});

levels(
  'without power levels the creator has 100 and everyone else 0; in version 12 creators stand above all',
  () => {
    for (const { version, authorisation } of ROOM_VERSIONS) {
      const [create] = room(version, { create: { additional_creators: [BOB] } });
      const without = powerLevelsOf(create, undefined);
      const { creatorsArePrivileged } = authorisation;
      assert.is(without.user(ALICE), creatorsArePrivileged ? Infinity : 100);
      assert.is(without.user(BOB), creatorsArePrivileged ? Infinity : 0);
      assert.is(without.user(CAROL), 0);
      assert.equal(
        [without.named('ban'), without.named('kick'), without.named('redact'), without.named('invite')],
        [50, 50, 50, 0],
      );
      assert.equal([without.toSend('x', true), without.toSend('x', false)], [50, 0]);
      const content = { users: { [ALICE]: 1, [BOB]: 2 }, users_default: 3 };
      const given = powerLevelsOf(
        create,
        event(version, { type: 'm.room.power_levels', stateKey: '', content }),
      );
      assert.is(given.user(ALICE), creatorsArePrivileged ? Infinity : 1);
      assert.is(given.user(CAROL), 3);
      assert.ok(create);
      assert.equal([...creatorsOf(create)], creatorsArePrivileged ? [ALICE, BOB] : [ALICE]);
    }
    assert.is(powerLevelsOf(undefined, undefined).user(ALICE), 0);
  },
);

levels('what rests on a level that cannot be read is refused', () => {
  const of = (content: JsonObject) =>
    powerLevelsOf(undefined, event('1', { type: 'm.room.power_levels', content }));
  assert.ok(Number.isNaN(of({ ban: 'x' }).named('ban')));
  assert.ok(Number.isNaN(of({ users: 'x' }).user(BOB)));
  assert.ok(Number.isNaN(of({ users_default: {} }).user(BOB)));
  assert.ok(Number.isNaN(of({ events: 5 }).toSend('x', false)));
  assert.ok(Number.isNaN(of({ state_default: null }).toSend('x', true)));
  assert.is(of({ users: { [BOB]: null }, users_default: 7 }).user(BOB), 7);
  assert.is(of({ events: { x: null } }).toSend('x', true), 50);
  assert.is(of({ ban: null, users_default: null }).named('ban'), 50);
});

const NAMES = [
  'membership',
  'users',
  'events',
  'ban',
  'kick',
  'invite',
  'join_rule',
  'signed',
  'token',
  'mxid',
];
const MORE = [
  'third_party_invite',
  'public_keys',
  'additional_creators',
  'creator',
  'm.federate',
  '__proto__',
];
const TEXTS = [
  'join',
  'invite',
  'leave',
  'ban',
  'knock',
  'restricted',
  'public',
  ALICE,
  BOB,
  CAROL,
  '',
  '@',
  '$x:y',
  '1e3',
  ' 7 ',
];
const TYPES = [
  'create',
  'member',
  'power_levels',
  'join_rules',
  'third_party_invite',
  'aliases',
  'redaction',
  'topic',
];

const anyJson = fc.letrec<{ json: JsonValue; object: JsonObject }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom<JsonValue>(
      ...TEXTS,
      null,
      true,
      50,
      -1,
      new JsonNumber('1e400', Infinity),
      new JsonNumber('5.5', 5.5),
    ),
    fc.bigInt().map(String),
    tie('object'),
    fc.array(tie('json'), { maxLength: 3 }),
  ),
  object: fc.dictionary(fc.constantFrom(...NAMES, ...MORE, ...TEXTS), tie('json'), { maxKeys: 5 }),
}));

levels('no event and no state makes a rule throw, and every verdict names a rule and a sentence', () => {
  const draft = fc.record({
    type: fc.constantFrom(...TYPES.map((name) => `m.room.${name}`), 'toString', ''),
    sender: fc.constantFrom(ALICE, BOB, CAROL),
    stateKey: fc.constantFrom('', ALICE, BOB, 'token', 'b.example'),
    content: anyJson.object,
  });
  const property = fc.property(
    fc.constantFrom(...ROOM_VERSIONS),
    draft,
    fc.array(draft, { maxLength: 6 }),
    fc.boolean(),
    ({ version }, tried, others, isState) => {
      const { stateKey, ...message } = tried;
      const state = [
        ...room(version, { joinRule: 'public' }),
        ...others.map((other) => event(version, other)),
      ];
      const judged = event(version, { ...message, ...(isState ? { stateKey } : {}), json: tried.content });
      for (const verdict of [
        authorise(judged, authStateOf(state)),
        checkAuthEvents(judged, state, () => false),
      ]) {
        assert.match(verdict.rule, /^\d+(\.\d+)*$/);
        assert.ok(verdict.reason.length > 0 && verdict.reason.length < 2000);
      }
    },
  );
  fc.assert(property, { numRuns: 3000 });
});

levels('power levels of thousands of users are judged', () => {
  const users = Object.fromEntries(
    Array.from({ length: 5000 }, (_, index) => [`@user${index}:a.example`, index % 100]),
  );
  const state = authStateOf(room('11', { levels: { users: { ...users, [ALICE]: 100 } } }));
  const draft = { type: 'm.room.power_levels', stateKey: '', content: { users: { [ALICE]: 100 } } };
  assert.ok(authorise(event('11', draft), state).allowed);
});

levels.run();
