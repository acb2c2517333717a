// What a stranger may hand to the engine: each is answered by one verdict with a stable code, none by an
// exception, and the room is as good after it as before.
//
// The fuzzer among them ("any field of an event made into anything"):
// Model:      none; only the form of the answer is known beforehand.
// Strategy:   up to three fields of a good event replaced by odd values, signed anew or not.
// Invariants: one verdict, with a known code and a short reason; afterwards Alice can still send.

import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { canonicalJson } from '../../src/event/canonical.js';
import { eventIdOf } from '../../src/event/hash.js';
import type { EventId } from '../../src/event/ids.js';
import { JsonNumber, type JsonObject, type JsonValue } from '../../src/event/json.js';
import { ROOM_VERSIONS } from '../../src/event/rules.js';
import { signEvent } from '../../src/event/signing.js';
import { rulesFor } from '../event/samples.js';
import { keyOf } from '../simulator/cast.js';
import {
  alice,
  answer,
  checkAlive,
  forged,
  give,
  leave,
  mallory,
  MEGABYTE,
  note,
  type Stage,
  signed,
  stage,
} from './stage.js';

const test = suite('hostile input');

for (const rules of ROOM_VERSIONS) {
  const { version, referencesAreHashed } = rules;
  const reference = (id: string): JsonValue => (referencesAreHashed ? [id, {}] : id);
  const someIds = (count: number): JsonValue[] =>
    Array.from({ length: count }, (_, i) =>
      reference(referencesAreHashed ? `$x${i}:beta.test` : `$${String(i).padEnd(43, 'x')}`),
    );

  test(`version ${version}: auth_events that are missing, rejected, doubled, unrelated or foreign`, async () => {
    const at = await stage(rules);
    const { server, evil, create, levels, join } = at;
    const root = server.engine.currentState(server.roomId).root;
    const proper = evil.build(note()).authEvents;
    const withAuth = (authEvents: readonly EventId[]): string =>
      JSON.stringify(evil.build(note({ authEvents })).json);

    const refused = evil.build(note({ type: 'x' }));
    assert.is(await answer(at, refused.json), 'rejected AUTH_BY_AUTH_EVENTS');
    await evil.receive(refused);
    const invalid = 'rejected AUTH_EVENTS_INVALID';
    assert.is(await answer(at, withAuth([...proper, refused.eventId])), invalid);
    assert.is(await answer(at, withAuth([...proper, join.eventId])), invalid);
    assert.is(await answer(at, withAuth([...proper, proper[0] as EventId])), invalid);
    const alicesJoin = evil.current('m.room.member', alice)?.eventId as EventId;
    assert.is(await answer(at, withAuth([...proper, alicesJoin])), invalid);
    const { createIsImplied } = rules.authorisation;
    assert.is(await answer(at, withAuth([])), createIsImplied ? 'rejected AUTH_BY_AUTH_EVENTS' : invalid);
    if (createIsImplied) assert.is(await answer(at, withAuth([...proper, create.eventId])), invalid);
    else assert.is(await answer(at, withAuth([levels.eventId, join.eventId])), invalid);
    assert.is(await answer(at, forged(at, { auth_events: someIds(3) })), 'waiting WAITING');
    assert.is(
      await answer(at, forged(at, { auth_events: someIds(11) })),
      'dropped EVENT_TOO_MANY_AUTH_EVENTS',
    );
    assert.is(await answer(at, forged(at, { auth_events: 'all' })), 'dropped EVENT_BAD_AUTH_EVENTS');
    assert.is(await answer(at, forged(at, { auth_events: [null, 1] })), 'dropped EVENT_BAD_AUTH_EVENTS');
    await checkAlive(at, root);
    await leave(at);
  });

  test(`version ${version}: predecessors that are missing, none, too many or of another room`, async () => {
    const at = await stage(rules);
    const { server, evil } = at;
    const root = server.engine.currentState(server.roomId).root;
    assert.is(await answer(at, evil.build(note({ prevEvents: [] })).json), 'dropped GRAPH_NO_HISTORY');
    assert.is(await answer(at, forged(at, { prev_events: someIds(20) })), 'waiting WAITING');
    assert.is(
      await answer(at, forged(at, { prev_events: someIds(21) })),
      'dropped EVENT_TOO_MANY_PREV_EVENTS',
    );
    assert.is(await answer(at, forged(at, { prev_events: undefined })), 'dropped EVENT_BAD_PREV_EVENTS');
    const otherRoom = otherCreate(at);
    assert.is(await answer(at, otherRoom.text), 'accepted OK');
    const prev = [reference(otherRoom.id)];
    assert.is(await answer(at, forged(at, { prev_events: prev })), 'dropped GRAPH_OTHER_ROOM');
    await checkAlive(at, root);
    await leave(at);
  });

  test(`version ${version}: create events where there is a room, with predecessors, of another server`, async () => {
    const at = await stage(rules);
    const { server, create } = at;
    const root = server.engine.currentState(server.roomId).root;
    const beginning = {
      type: 'm.room.create',
      prev_events: [],
      auth_events: [],
      content: { creator: mallory, room_version: version },
    };
    if (rules.roomIdIsCreateHash) {
      assert.is(await answer(at, forged(at, beginning)), 'dropped EVENT_BAD_ROOM_ID');
      const rest = { ...beginning, room_id: undefined };
      const follows = { ...rest, prev_events: [create.eventId] };
      assert.is(await answer(at, forged(at, follows)), 'dropped AUTH_BY_AUTH_EVENTS');
      assert.is(await answer(at, forged(at, { ...rest, state_key: undefined })), 'dropped GRAPH_NO_HISTORY');
      assert.is(await answer(at, forged(at, { ...rest, state_key: 'x' })), 'dropped GRAPH_NO_HISTORY');
    } else {
      assert.is(await answer(at, forged(at, beginning)), 'dropped GRAPH_SECOND_CREATE');
      const elsewhere = { ...beginning, room_id: '!else:alpha.test' };
      assert.is(await answer(at, forged(at, elsewhere)), 'dropped AUTH_BY_AUTH_EVENTS');
      const own = { ...beginning, room_id: '!else:beta.test' };
      const follows = { ...own, prev_events: [reference(create.eventId)] };
      assert.is(await answer(at, forged(at, follows)), 'dropped AUTH_BY_AUTH_EVENTS');
      assert.is(await answer(at, forged(at, { ...own, state_key: undefined })), 'dropped GRAPH_NO_HISTORY');
      assert.is(await answer(at, forged(at, { ...own, state_key: 'x' })), 'dropped GRAPH_NO_HISTORY');
    }
    await checkAlive(at, root);
    await leave(at);
  });

  test(`version ${version}: depths of any size, sign and kind`, async () => {
    const at = await stage(rules);
    const give = async (depth: JsonValue | undefined): Promise<string> => answer(at, forged(at, { depth }));
    const loose = rules.strictCanonicalJson
      ? 'dropped EVENT_NOT_CANONICAL|dropped EVENT_BAD_DEPTH'
      : 'accepted OK';
    assert.is(await give(0), 'accepted OK');
    assert.is(await give(Number.MAX_SAFE_INTEGER), 'accepted OK');
    const greatest = await give(new JsonNumber('9223372036854775807', 2 ** 63)).catch(refusedToSign);
    assert.ok(loose.includes(greatest), greatest);
    for (const depth of [-1, '7', null, undefined, [7], true]) {
      assert.is(await give(depth), 'dropped EVENT_BAD_DEPTH', String(depth));
    }
    const { server } = at;
    await server.send({ type: 'm.room.message', sender: alice, content: { body: 'deeper still' } });
    await leave(at);
  });

  test(`version ${version}: power levels of strange kinds`, async () => {
    const at = await stage(rules);
    const { server, evil } = at;
    const founder = rules.authorisation.creatorsArePrivileged ? {} : { [alice]: 100 };
    const strange: JsonValue[] = ['50', ' 50 ', '5_0', '٥', '1e2', '', 'x', null, true, [], {}, [50], -0];
    strange.push(Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER, '9'.repeat(4_000), '9'.repeat(5_000));
    let refused = 0;
    for (const level of strange) {
      for (const content of [
        { users: { ...founder, [mallory]: level } },
        { users: founder, events: { x: level }, notifications: { room: level } },
        { users: founder, ban: level, users_default: level },
        { users: level },
      ]) {
        const before = server.engine.currentState(server.roomId).root;
        const verdict = await give(at, evil.build(note({ type: 'm.room.power_levels', content })).json);
        await server.engine.core.idle();
        if (verdict.verdict === 'rejected') refused++;
        assert.ok(['accepted', 'rejected', 'soft_failed'].includes(verdict.verdict), verdict.verdict);
        const isNumber = typeof level === 'number' && !('users' in content && content.users === level);
        if (rules.authorisation.requiresIntegerLevels && !isNumber) assert.is(verdict.verdict, 'rejected');
        if (verdict.verdict !== 'accepted') assert.is(server.engine.currentState(server.roomId).root, before);
      }
    }
    assert.ok(refused > 0);
    await leave(at);
  });

  test(`version ${version}: types, keys and users named like what every object has`, async () => {
    const at = await stage(rules);
    const { server, evil } = at;
    const names = ['toString', '__proto__', 'constructor', 'hasOwnProperty', 'valueOf', ''];
    for (const type of names) {
      for (const stateKey of names) {
        const content: JsonObject = JSON.parse('{"__proto__": {"membership": "join"}, "toString": 1}');
        const event = evil.build(note({ type, stateKey, content }));
        assert.is(await answer(at, event.json), 'accepted OK', `${type} ${stateKey}`);
        await evil.receive(event);
        assert.is(server.engine.currentState(server.roomId).get(type, stateKey), event.eventId);
      }
    }
    assert.is(server.engine.currentState(server.roomId).count('__proto__'), names.length);
    const poisoned = `{"users": {"__proto__": 100${rules.authorisation.creatorsArePrivileged ? '' : `, "${alice}": 100`}}}`;
    const levels = evil.build(note({ type: 'm.room.power_levels', content: JSON.parse(poisoned) }));
    assert.match(await answer(at, levels.json), /^(accepted|rejected) /);
    assert.is(({} as { membership?: string }).membership, undefined, 'no prototype was touched');
    await leave(at);
  });

  test(`version ${version}: any field of an event made into anything`, async () => {
    const at = await stage(rules);
    const base = at.evil.build(note()).json;
    const member = at.join.json;
    const value: fc.Arbitrary<JsonValue> = fc.oneof(
      fc.constantFrom<JsonValue>(
        null,
        true,
        0,
        -1,
        '',
        '$',
        '!',
        '@',
        '\u0000',
        [],
        {},
        [[]],
        'm.room.member',
      ),
      fc.constantFrom<JsonValue>('m.room.create', 'join', 'ban', alice, mallory, at.server.roomId, {
        users: { a: 1 },
      }),
      fc.string({ maxLength: 300 }),
      fc.integer(),
      fc.jsonValue({ maxDepth: 3 }).map((json) => JSON.parse(JSON.stringify(json)) as JsonValue),
    );
    const field = fc.constantFrom(...Object.keys({ ...base, ...member, redacts: 0, event_id: 0, origin: 0 }));
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(base, member),
        fc.array(fc.tuple(field, value), { minLength: 1, maxLength: 3 }),
        fc.boolean(),
        async (json, changes, isSigned) => {
          const changed: JsonObject = { ...json, ...Object.fromEntries(changes) };
          const input = isSigned ? trySigned(at, changed) : JSON.stringify(changed);
          await give(at, input);
        },
      ),
      { numRuns: 150 },
    );
    await at.server.engine.core.idle();
    await at.server.send({ type: 'm.room.message', sender: alice, content: { body: 'still here' } });
    await leave(at);
  });
}

/** A create event of Mallory's that begins another room on the same server. */
function otherCreate({ evil }: Stage): { readonly text: string; readonly id: string } {
  const { rules } = evil;
  const content = { room_version: rules.version, creator: mallory, n: 1 };
  const json: JsonObject = {
    type: 'm.room.create',
    sender: mallory,
    state_key: '',
    content,
    prev_events: [],
    auth_events: [],
    depth: 1,
    origin_server_ts: 1,
    ...(rules.roomIdIsCreateHash ? {} : { room_id: '!other:beta.test' }),
    ...(rules.eventIdFormat === 'field' ? { event_id: '$other:beta.test' } : {}),
  };
  const full = signEvent(json, rules, evil.name, keyOf(evil.name));
  return { text: canonicalJson(full, rules), id: eventIdOf(full, rules) };
}

function trySigned(at: Stage, json: JsonObject): string {
  try {
    return signed(at, json);
  } catch {
    // What has no canonical form cannot be signed; it is handed in as it is.
    return JSON.stringify(json);
  }
}

function refusedToSign(error: unknown): string {
  return error instanceof Error && 'code' in error ? `dropped ${String(error.code)}` : String(error);
}

test('bytes that are no JSON, no object, too many, too deep or not UTF-8 are dropped, each by its code', async () => {
  const at = await stage(rulesFor('11'));
  const root = at.server.engine.currentState(at.server.roomId).root;
  const deep = (depth: number): string => `{"content":${'['.repeat(depth)}${']'.repeat(depth)}}`;
  const cases: ReadonlyArray<readonly [input: string | Uint8Array, code: string]> = [
    ['', 'EVENT_BAD_JSON'],
    ['{', 'EVENT_BAD_JSON'],
    ['{"a":1}}', 'EVENT_BAD_JSON'],
    ['\ufeff{}', 'EVENT_BAD_JSON'],
    ['null', 'EVENT_NOT_OBJECT'],
    ['[]', 'EVENT_NOT_OBJECT'],
    ['1e999', 'EVENT_NOT_OBJECT'],
    ['"event"', 'EVENT_NOT_OBJECT'],
    ['{}', 'EVENT_BAD_TYPE'],
    [deep(100_000), 'EVENT_BAD_JSON'],
    ['{"a":"\\ud800"}', 'EVENT_BAD_JSON'],
    [Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d), 'EVENT_BAD_JSON'],
    [new Uint8Array(1_000), 'EVENT_BAD_JSON'],
    [new Uint8Array(20 * MEGABYTE), 'EVENT_TOO_LARGE'],
    [`{"a":"${'x'.repeat(MEGABYTE)}"}`, 'EVENT_TOO_LARGE'],
  ];
  for (const [input, code] of cases) {
    assert.is(await answer(at, input), `dropped ${code}`, String(input).slice(0, 20));
  }
  await checkAlive(at, root);
  await leave(at);
});

test('an event of 65,536 bytes is taken, one of a byte more is dropped', async () => {
  const at = await stage(rulesFor('11'));
  const { evil } = at;
  const sizeWith = (body: string): number =>
    canonicalJson(evil.build(note({ content: { body } })).json, evil.rules).length;
  const body = 'x'.repeat(65_536 - sizeWith(''));
  assert.is(await answer(at, evil.build(note({ content: { body } })).json), 'accepted OK');
  assert.throws(() => evil.build(note({ content: { body: `${body}x` } })));
  assert.is(await answer(at, forged(at, { content: { body: `${body}x` } })), 'dropped EVENT_TOO_LARGE');
  await leave(at);
});

test('signatures that are missing, wrong, foreign or a thousand', async () => {
  const at = await stage(rulesFor('11'));
  const { server, evil } = at;
  const root = server.engine.currentState(server.roomId).root;
  const { json } = evil.build(note());
  const of = (signatures: JsonValue): JsonObject => ({ ...json, signatures });
  const invalid = 'dropped SIGNATURE_INVALID';
  assert.is(await answer(at, of({})), invalid);
  assert.is(await answer(at, of({ 'beta.test': {} })), invalid);
  assert.is(await answer(at, of({ 'beta.test': { 'ed25519:cast': 'AAAA' } })), invalid);
  assert.is(await answer(at, of({ 'beta.test': { 'ed25519:other': 'AAAA' } })), invalid);
  assert.is(await answer(at, of({ __proto__: { 'ed25519:cast': 'AAAA' } })), invalid);
  assert.is(await answer(at, of({ 'beta.test': 'mine' })), 'dropped EVENT_BAD_SIGNATURES');
  assert.is(await answer(at, { ...json, sender: alice }), invalid);
  const many = Object.fromEntries(
    Array.from({ length: 1_000 }, (_, i) => [`s${i}.test`, { 'ed25519:1': 'AAAA' }]),
  );
  assert.is(await answer(at, of(many)), invalid);
  assert.is(await answer(at, evil.build(note({ sender: alice })).json), invalid);
  await checkAlive(at, root);
  await leave(at);
});

test('an event whose content is not what was hashed counts as redacted, in any order of the two', async () => {
  const at = await stage(rulesFor('11'));
  const { json, eventId } = at.evil.build(note());
  assert.is(await answer(at, { ...json, content: { body: 'changed' } }), 'accepted OK');
  assert.equal(at.server.known(eventId).pdu.content, {});
  assert.is(await answer(at, json), 'duplicate DUPLICATE');
  await leave(at);
});

test('events of unknown rooms and unknown versions', async () => {
  const at = await stage(rulesFor('11'));
  const { server } = at;
  const text = forged(at, { room_id: '!nowhere:beta.test' });
  assert.is((await server.engine.receive(text)).code, 'ROOM_UNKNOWN');
  assert.is((await server.engine.receive(text, { roomVersion: '99' })).code, 'ROOM_VERSION_UNKNOWN');
  assert.is((await server.engine.receive(text, { roomVersion: '__proto__' })).code, 'ROOM_VERSION_UNKNOWN');
  assert.is(await answer(at, forged(at, { room_id: '!nowhere' })), 'dropped EVENT_BAD_ROOM_ID');
  for (const room_version of ['0', '13', 0, null, '__proto__', 'x'.repeat(10_000)] as JsonValue[]) {
    const create = {
      type: 'm.room.create',
      room_id: '!new:beta.test',
      content: { room_version },
      prev_events: [],
    };
    assert.is(
      (await server.engine.receive(forged(at, create))).code,
      'ROOM_VERSION_UNKNOWN',
      JSON.stringify(room_version).slice(0, 40),
    );
  }
  await leave(at);
});

test('events of another room named as auth events are refused', async () => {
  for (const version of ['6', '11', '12']) {
    const at = await stage(rulesFor(version));
    const { evil } = at;
    const other = otherCreate(at);
    await give(at, other.text);
    const proper = evil.build(note()).authEvents.slice(evil.rules.authorisation.createIsImplied ? 0 : 1);
    assert.is(
      await answer(at, forged(at, { auth_events: [...proper, other.id] })),
      'rejected AUTH_EVENTS_INVALID',
    );
    await leave(at);
  }
});

for (const version of ['1', '2']) {
  test(`version ${version}: events that name themselves, or each other in a circle, wait, bounded, for ever`, async () => {
    const at = await stage(rulesFor(version), { horizon: { eventsMax: 50, bytesMax: MEGABYTE } });
    const { server } = at;
    const root = server.engine.currentState(server.roomId).root;
    const pair = (field: string, id: string, names: string): string =>
      forged(at, { event_id: `$${id}:beta.test`, [field]: [[`$${names}:beta.test`, {}]] });
    assert.is(await answer(at, pair('prev_events', 'self', 'self')), 'waiting WAITING');
    assert.is(await answer(at, pair('auth_events', 'selfauth', 'selfauth')), 'waiting WAITING');
    assert.is(await answer(at, pair('prev_events', 'a', 'b')), 'waiting WAITING');
    assert.is(await answer(at, pair('prev_events', 'b', 'a')), 'waiting WAITING');
    assert.is(await answer(at, pair('auth_events', 'c', 'd')), 'waiting WAITING');
    assert.is(await answer(at, pair('prev_events', 'd', 'c')), 'waiting WAITING');
    for (let i = 0; i < 100; i++) {
      const said = await answer(at, pair('prev_events', `r${i}`, `r${(i + 1) % 100}`));
      assert.is(said, i < 44 ? 'waiting WAITING' : 'dropped HORIZON_FULL');
    }
    assert.is(server.engine.verdicts().waiting, 50);
    await checkAlive(at, root);
    await leave(at);
  });

  test(`version ${version}: a second event with an id that is known is a duplicate, whatever it says`, async () => {
    const at = await stage(rulesFor(version));
    const id = { event_id: '$same:beta.test' };
    assert.is(await answer(at, forged(at, id)), 'accepted OK');
    const root = at.server.engine.currentState(at.server.roomId).root;
    assert.is(await answer(at, forged(at, { ...id, content: { body: 'other' } })), 'duplicate DUPLICATE');
    await checkAlive(at, root);
    await leave(at);
  });
}

test('a redaction, an invite and a join that name nonsense are judged like others', async () => {
  const at = await stage(rulesFor('11'));
  const { evil } = at;
  const member = (stateKey: string, content: JsonObject): JsonObject =>
    evil.build(note({ type: 'm.room.member', stateKey, content })).json;
  const contents: JsonObject[] = [
    {},
    { membership: 1 },
    { membership: 'toString' },
    { membership: 'invite', third_party_invite: { signed: { token: '__proto__' } } },
    { membership: 'invite', third_party_invite: 'x' },
    { membership: 'join', join_authorised_via_users_server: 7 },
    { membership: 'join', join_authorised_via_users_server: { x: 1 } },
  ];
  for (const content of contents) {
    for (const stateKey of [mallory, alice, 'nobody', '__proto__', '@:', '']) {
      const { verdict } = await give(at, member(stateKey, content));
      assert.ok(['accepted', 'rejected', 'soft_failed'].includes(verdict), verdict);
    }
  }
  const authorised = await answer(
    at,
    member(mallory, { membership: 'join', join_authorised_via_users_server: alice }),
  );
  assert.is(authorised, 'dropped SIGNATURE_INVALID');
  for (const redacts of [null, 1, '', '$x', {}, '__proto__'] as JsonValue[]) {
    assert.is(
      await answer(at, forged(at, { type: 'm.room.redaction', state_key: undefined, content: { redacts } })),
      'accepted OK',
    );
  }
  await leave(at);
});

test.run();
