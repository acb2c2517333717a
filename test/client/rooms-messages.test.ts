import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { buildEvent } from '../../src/event/build.js';
import { redacts } from '../../src/engine/redactions.js';
import type { EventId, RoomId, UserId } from '../../src/event/ids.js';
import type { JsonObject } from '../../src/event/json.js';
import type { Pdu } from '../../src/event/pdu.js';
import { createSigningKey } from '../../src/event/signing.js';
import { authEventKeys } from '../../src/room/auth/selection.js';
import { Harness, itemsOf, SERVER, type TestUser, textOf } from './harness.js';
import { bodies, leaf, Rooms, v3 } from './rooms.js';

const test = suite<{ harness: Harness; rooms: Rooms; alice: TestUser; bob: TestUser; roomId: string }>(
  'messages',
);

test.before.each(async (context) => {
  context.harness = await Harness.open();
  context.rooms = new Rooms(context.harness);
  context.alice = await context.harness.user('alice');
  context.bob = await context.harness.user('bob');
  context.roomId = await context.rooms.create(context.alice, { preset: 'public_chat' });
  await context.rooms.join(context.bob, context.roomId);
});
test.after.each(({ harness }) => harness.close());

/** A page, its texts, and where it ends. */
async function page(rooms: Rooms, who: TestUser, roomId: string, query: Record<string, string>) {
  const answer = await rooms.ask(
    who,
    'GET',
    `${v3`rooms/${roomId}/messages`}?${new URLSearchParams(query).toString()}`,
  );
  const end = answer['end'] === undefined ? undefined : textOf(answer['end']);
  return { answer, texts: bodies(answer['chunk']), end, start: textOf(answer['start']) };
}

/** An event on predecessors of one's choice, as another server of ours would have built it. */
function build(
  { home }: Harness,
  roomId: string,
  sender: TestUser,
  prevEvents: readonly EventId[],
  event: { readonly type: string; readonly content: JsonObject },
): Pdu {
  const view = home.engine.stateAt(prevEvents[0] ?? '');
  const template = { ...event, sender: sender.userId };
  const keys = authEventKeys({ ...template, stateKey: undefined, rules: view.rules });
  return buildEvent(
    {
      ...template,
      roomId: roomId as RoomId,
      prevEvents,
      authEvents: keys.flatMap(([type, stateKey]) => view.get(type, stateKey) ?? []),
      depth: 100,
      originServerTs: home.now(),
    },
    { rules: view.rules, server: SERVER, key: createSigningKey('ed25519:1', new Uint8Array(32).fill(7)) },
  );
}

/** Lets it in, as if it came from elsewhere. */
async function receive({ home }: Harness, pdu: Pdu, verdict = 'accepted'): Promise<EventId> {
  assert.is((await home.engine.receive(pdu.json, { from: 'test' })).verdict, verdict);
  return pdu.eventId;
}

const message = (body: string) => ({ type: 'm.room.message', content: { msgtype: 'm.text', body } });

test('pages backwards meet without gap or overlap and end at the beginning', async ({
  rooms,
  alice,
  roomId,
}) => {
  for (let n = 0; n < 25; n++) await rooms.say(alice, roomId, String(n));
  const seen: string[] = [];
  let from: string | undefined;
  for (let pages = 0; pages < 20; pages++) {
    const { answer, end, start } = await page(rooms, alice, roomId, {
      dir: 'b',
      limit: '7',
      ...(from === undefined ? {} : { from }),
    });
    if (from !== undefined) assert.is(start, from);
    seen.push(...itemsOf(answer['chunk']).map((event) => textOf(event['event_id'])));
    from = end;
    if (end === undefined) break;
  }
  assert.is(from, undefined);
  const forward = await page(rooms, alice, roomId, { dir: 'f', limit: '1000' });
  assert.equal(
    [...seen].reverse(),
    itemsOf(forward.answer['chunk']).map((event) => textOf(event['event_id'])),
  );
  assert.is(new Set(seen).size, seen.length);
  assert.is(forward.end, undefined);
});

test('a token means the same place after more was said, and bounds a page with `to`', async ({
  rooms,
  alice,
  roomId,
}) => {
  for (const body of ['1', '2', '3', '4']) await rooms.say(alice, roomId, body);
  const first = await page(rooms, alice, roomId, { dir: 'b', limit: '2' });
  assert.equal(first.texts, ['4', '3']);
  await rooms.say(alice, roomId, '5');
  const from = first.end ?? '';
  assert.equal((await page(rooms, alice, roomId, { dir: 'b', limit: '2', from })).texts, ['2', '1']);
  assert.equal((await page(rooms, alice, roomId, { dir: 'f', limit: '9', from })).texts, ['3', '4', '5']);
  assert.equal((await page(rooms, alice, roomId, { dir: 'f', limit: '9', from, to: first.start })).texts, [
    '3',
    '4',
  ]);
  assert.equal((await page(rooms, alice, roomId, { dir: 'b', limit: '9', to: from })).texts, ['5', '4', '3']);
});

test('a token of /sync is a place as well', async ({ harness, rooms, alice, roomId }) => {
  await rooms.say(alice, roomId, '1');
  const from = `s${harness.home.engine.core.release.watermark}_3_4`;
  await rooms.say(alice, roomId, '2');
  assert.equal((await page(rooms, alice, roomId, { dir: 'f', from })).texts, ['2']);
  assert.equal((await page(rooms, alice, roomId, { dir: 'b', from, limit: '1' })).texts, ['1']);
});

test('what a request asks wrongly is refused', async ({ rooms, alice, roomId }) => {
  const refused = (errcode: string, query: string) =>
    rooms.refused([400, errcode], alice, 'GET', `${v3`rooms/${roomId}/messages`}?${query}`);
  await refused('M_MISSING_PARAM', '');
  await refused('M_INVALID_PARAM', 'dir=x');
  await refused('M_INVALID_PARAM', 'dir=b&limit=-1');
  await refused('M_INVALID_PARAM', 'dir=b&limit=many');
  await refused('M_INVALID_PARAM', 'dir=b&from=odd');
  await refused('M_INVALID_PARAM', 'dir=b&to=t1.5');
  await refused('M_BAD_JSON', 'dir=b&filter=odd');
  await refused('M_BAD_JSON', 'dir=b&filter=[]');
  await refused('M_BAD_JSON', `dir=b&filter=${encodeURIComponent('{"types":"m.room.message"}')}`);
  for (const place of ['t999999999999999', 't-999999999999999', 's999999999999999_1']) {
    for (const dir of ['b', 'f']) await page(rooms, alice, roomId, { dir, from: place, to: place });
  }
});

const filters: readonly (readonly [filter: object, texts: readonly string[]])[] = [
  [{ types: ['m.room.message'] }, ['bob', 'url', 'alice']],
  [{ types: ['m.*.message', 'x'] }, ['bob', 'url', 'alice']],
  [{ types: [] }, []],
  [{ types: ['m.room.member'] }, []],
  [{ not_types: ['m.room.mess*'] }, []],
  [{ senders: ['@alice:example.org'] }, ['url', 'alice']],
  [{ senders: ['@alice:example.org'], not_senders: ['@alice:example.org'] }, []],
  [{ not_senders: ['@alice:example.org'] }, ['bob']],
  [{ contains_url: true }, ['url']],
  [{ contains_url: false, types: ['m.room.message'] }, ['bob', 'alice']],
  [{ rooms: ['!other:example.org'] }, []],
  [{ not_rooms: ['!other:example.org'] }, ['bob', 'url', 'alice']],
  [{ limit: 1 }, ['bob']],
];
for (const [filter, texts] of filters) {
  test(`the filter ${JSON.stringify(filter)} lets through: ${texts.join(', ')}`, async ({
    rooms,
    alice,
    bob,
    roomId,
  }) => {
    await rooms.say(alice, roomId, 'alice');
    const withUrl = { msgtype: 'm.image', body: 'url', url: 'mxc://x/y' };
    await rooms.ask(alice, 'PUT', v3`rooms/${roomId}/send/m.room.message/${'url'}`, withUrl);
    await rooms.say(bob, roomId, 'bob');
    const query = { dir: 'b', limit: '100', filter: JSON.stringify(filter) };
    assert.equal((await page(rooms, alice, roomId, query)).texts, texts);
  });
}

test('a page that a filter leaves empty goes on until something is found', async ({
  rooms,
  alice,
  roomId,
}) => {
  await rooms.say(alice, roomId, 'first');
  for (let n = 0; n < 30; n++) await rooms.ask(alice, 'PUT', v3`rooms/${roomId}/send/noise/${`n${n}`}`, {});
  const filter = JSON.stringify({ types: ['m.room.message'] });
  assert.equal((await page(rooms, alice, roomId, { dir: 'b', limit: '1', filter })).texts, ['first']);
});

test('members of the senders come with the page, as they were, where the client loads lazily', async ({
  rooms,
  alice,
  bob,
  roomId,
}) => {
  await rooms.say(bob, roomId, 'before');
  await rooms.set(bob, roomId, 'm.room.member', { membership: 'join', displayname: 'B' }, bob.userId);
  await rooms.say(alice, roomId, 'after');
  const lazy = { dir: 'b', filter: JSON.stringify({ lazy_load_members: true, types: ['m.room.message'] }) };
  const membersOf = async (query: Record<string, string>) =>
    itemsOf((await page(rooms, alice, roomId, query)).answer['state']).map((event) => [
      textOf(event['state_key']),
      leaf(event['content']?.['displayname']),
    ]);
  assert.equal(await membersOf(lazy), [
    [alice.userId, ''],
    [bob.userId, ''],
  ]);
  assert.equal(await membersOf({ ...lazy, limit: '1' }), [[alice.userId, '']]);
  assert.equal(await membersOf({ dir: 'b' }), []);
});

test('of a fork both sides are shown, each event after those it builds on', async ({
  harness,
  rooms,
  alice,
  bob,
  roomId,
}) => {
  const base = (await rooms.say(alice, roomId, 'base')) as EventId;
  const left = await receive(harness, build(harness, roomId, alice, [base], message('left 1')));
  const right = await receive(harness, build(harness, roomId, bob, [base], message('right 1')));
  await receive(harness, build(harness, roomId, alice, [left], message('left 2')));
  await receive(harness, build(harness, roomId, bob, [right], message('right 2')));
  await rooms.say(alice, roomId, 'merge');
  const heard = await rooms.heard(bob, roomId);
  assert.equal([...heard].sort(), ['base', 'left 1', 'left 2', 'merge', 'right 1', 'right 2']);
  const isBefore = (a: string, b: string) => heard.indexOf(a) < heard.indexOf(b);
  assert.ok(isBefore('base', 'left 1') && isBefore('left 1', 'left 2') && isBefore('left 2', 'merge'));
  assert.ok(isBefore('base', 'right 1') && isBefore('right 1', 'right 2') && isBefore('right 2', 'merge'));
  const { chunk } = (await page(rooms, alice, roomId, { dir: 'f', limit: '1000' })).answer;
  assert.equal(bodies(chunk), heard);
});

test('what a branch says of who was banned on another is not theirs to see', async ({
  harness,
  rooms,
  alice,
  bob,
  roomId,
}) => {
  const base = (await rooms.say(alice, roomId, 'base')) as EventId;
  await rooms.ban(alice, roomId, bob);
  const secret = await receive(
    harness,
    build(harness, roomId, alice, [base], message('on the branch without the ban')),
  );
  assert.equal(await rooms.heard(bob, roomId), ['base']);
  await rooms.refused([404, 'M_NOT_FOUND'], bob, 'GET', v3`rooms/${roomId}/event/${secret}`);
  assert.is((await rooms.heard(alice, roomId)).length, 2);
});

test('what a branch says of an invitation that was rejected on another is not theirs to see', async ({
  harness,
  rooms,
  alice,
  bob,
}) => {
  const roomId = await rooms.create(alice, {
    invite: [bob.userId],
    initial_state: [{ type: 'm.room.history_visibility', content: { history_visibility: 'invited' } }],
  });
  await rooms.join(bob, roomId);
  await rooms.leave(bob, roomId);
  await rooms.invite(alice, roomId, bob);
  const base = (await rooms.say(alice, roomId, 'invited')) as EventId;
  // Of the invitation and its rejection the later one wins when the branches meet.
  harness.advance(1_000);
  await rooms.leave(bob, roomId);
  const branch = build(harness, roomId, alice, [base], message('on the branch with the invitation'));
  const eventId = await receive(harness, branch);
  await rooms.refused([404, 'M_NOT_FOUND'], bob, 'GET', v3`rooms/${roomId}/event/${eventId}`);
  assert.equal((await page(rooms, bob, roomId, { dir: 'f', limit: '100' })).texts, ['invited']);
  assert.equal(await rooms.heard(bob, roomId), ['invited']);
  assert.is((await rooms.heard(alice, roomId)).length, 2);
});

test('what was soft failed is shown nowhere', async ({ harness, rooms, alice, bob, roomId }) => {
  const base = (await rooms.say(alice, roomId, 'base')) as EventId;
  const evading = build(harness, roomId, bob, [base], message('evading'));
  await rooms.ban(alice, roomId, bob);
  const eventId = await receive(harness, evading, 'soft_failed');
  assert.equal(await rooms.heard(alice, roomId), ['base']);
  await rooms.refused([404, 'M_NOT_FOUND'], alice, 'GET', v3`rooms/${roomId}/event/${eventId}`);
  await rooms.refused([404, 'M_NOT_FOUND'], alice, 'GET', v3`rooms/${roomId}/context/${eventId}`);
});

test('a redaction counts from any branch, also where it came before its event', async ({
  harness,
  rooms,
  alice,
  bob,
  roomId,
}) => {
  const base = (await rooms.say(alice, roomId, 'base')) as EventId;
  for (const order of ['event first', 'redaction first']) {
    const target = build(harness, roomId, bob, [base], message(order));
    const redaction = build(harness, roomId, alice, [base], {
      type: 'm.room.redaction',
      content: { redacts: target.eventId },
    });
    const both = order === 'event first' ? [target, redaction] : [redaction, target];
    for (const pdu of both) {
      await receive(harness, pdu);
      await rooms.heard(bob, roomId);
    }
    const event = await rooms.ask(bob, 'GET', v3`rooms/${roomId}/event/${target.eventId}`);
    assert.equal(event['content'], {}, order);
  }
});

test('a redaction by somebody without the level, of another server, does not count', async ({
  harness,
  rooms,
  alice,
  bob,
  roomId,
}) => {
  const base = (await rooms.say(alice, roomId, 'base')) as EventId;
  const claim = build(harness, roomId, bob, [base], { type: 'm.room.redaction', content: { redacts: base } });
  await receive(harness, claim);
  const { engine } = harness.home;
  const claimed = engine.reader.event(claim.eventId);
  const target = engine.reader.event(base);
  const elsewhere = { ...target, pdu: { ...target.pdu, sender: '@far:elsewhere.org' as UserId } };
  assert.ok(redacts(engine, claimed, target), 'the same server may');
  assert.not(redacts(engine, claimed, elsewhere));
});

test.run();
