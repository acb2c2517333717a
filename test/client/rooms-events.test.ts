import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { internalRoomId } from '../../src/event/internal.js';
import { Harness, itemsOf, type Json, type TestUser, textOf } from './harness.js';
import { bodies, Rooms, v3 } from './rooms.js';

const test = suite<{ harness: Harness; rooms: Rooms; alice: TestUser; bob: TestUser; roomId: string }>(
  'events',
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

const text = (body: string) => ({ msgtype: 'm.text', body });

test('a transaction sent twice is one event; so are two that race', async ({ rooms, alice, roomId }) => {
  const path = v3`rooms/${roomId}/send/m.room.message/${'once'}`;
  const first = await rooms.ask(alice, 'PUT', path, text('one'));
  const again = await rooms.ask(alice, 'PUT', path, text('another'));
  assert.equal(again, first);
  const race = v3`rooms/${roomId}/send/m.room.message/${'race'}`;
  const raced = await Promise.all([1, 2, 3].map((n) => rooms.ask(alice, 'PUT', race, text(`race ${n}`))));
  assert.is(new Set(raced.map((answer) => textOf(answer['event_id']))).size, 1);
  assert.equal(await rooms.heard(alice, roomId), ['one', 'race 1']);
});

test('a transaction id counts for one device, room and type', async ({
  harness,
  rooms,
  alice,
  bob,
  roomId,
}) => {
  const other = await rooms.create(alice);
  const phone = { ...(await harness.device(alice.userId)), password: '' };
  const path = v3`rooms/${roomId}/send/m.room.message/${'1'}`;
  await rooms.ask(alice, 'PUT', path, text('laptop'));
  await rooms.ask(phone, 'PUT', path, text('phone'));
  await rooms.ask(bob, 'PUT', path, text('bob'));
  await rooms.ask(alice, 'PUT', v3`rooms/${other}/send/m.room.message/${'1'}`, text('other'));
  await rooms.ask(alice, 'PUT', v3`rooms/${roomId}/send/org.other/${'1'}`, text('type'));
  assert.equal(await rooms.heard(alice, roomId), ['laptop', 'phone', 'bob']);
  assert.equal(await rooms.heard(alice, other), ['other']);
});

test('only the device that sent an event is told its transaction id', async ({
  harness,
  rooms,
  alice,
  bob,
  roomId,
}) => {
  const path = v3`rooms/${roomId}/send/m.room.message/${'mine'}`;
  const eventId = textOf((await rooms.ask(alice, 'PUT', path, text('x')))['event_id']);
  const phone = { ...(await harness.device(alice.userId)), password: '' };
  const seenBy = async (who: TestUser) =>
    (await rooms.ask(who, 'GET', v3`rooms/${roomId}/event/${eventId}`))['unsigned']?.['transaction_id'];
  assert.is(textOf(await seenBy(alice)), 'mine');
  assert.is(await seenBy(phone), undefined);
  assert.is(await seenBy(bob), undefined);
});

test('what cannot be sent is refused by its cause', async ({ rooms, alice, bob, roomId }) => {
  const path = v3`rooms/${roomId}/send/m.room.message/${'big'}`;
  await rooms.refused([413, 'M_TOO_LARGE'], alice, 'PUT', path, text('x'.repeat(70_000)));
  await rooms.refused([413, 'M_TOO_LARGE'], alice, 'PUT', v3`rooms/${roomId}/send/${'t'.repeat(256)}/1`, {});
  await rooms.refused([400, 'M_BAD_JSON'], alice, 'PUT', v3`rooms/${roomId}/send/x/${'float'}`, { n: 1.5 });
  await rooms.refused(
    [400, 'M_INVALID_PARAM'],
    alice,
    'PUT',
    v3`rooms/${roomId}/send/x/${'t'.repeat(256)}`,
    {},
  );
  await rooms.refused([403, 'M_FORBIDDEN'], bob, 'PUT', v3`rooms/${roomId}/state/m.room.name/`, {
    name: 'mine',
  });
  await rooms.refused([403, 'M_FORBIDDEN'], alice, 'PUT', v3`rooms/${roomId}/send/m.room.create/1`, {});
  await rooms.refused([403, 'M_FORBIDDEN'], alice, 'PUT', v3`rooms/${roomId}/send/m.room.member/1`, {});
  const odd = v3`rooms/${roomId}/send/${'__proto__'}/1`;
  const eventId = textOf((await rooms.ask(alice, 'PUT', odd, { toString: 'x' }))['event_id']);
  const event = await rooms.ask(alice, 'GET', v3`rooms/${roomId}/event/${eventId}`);
  assert.is(textOf(event['type']), '__proto__');
});

test('internal rooms are no rooms', async ({ harness, rooms, alice }) => {
  await harness.home.accounts.profiles.set(alice.userId, 'displayname', 'Alice');
  const nowhere = [403, 'M_FORBIDDEN'] as const;
  const internal = [internalRoomId('users'), internalRoomId('tokens'), internalRoomId('user', alice.userId)];
  for (const roomId of internal) {
    assert.is.not(harness.home.engine.store.room(roomId), undefined);
    await rooms.refused(nowhere, alice, 'GET', v3`rooms/${roomId}/state`);
    await rooms.refused(nowhere, alice, 'GET', v3`rooms/${roomId}/members`);
    await rooms.refused(nowhere, alice, 'PUT', v3`rooms/${roomId}/send/x/1`, {});
    await rooms.refused(nowhere, alice, 'PUT', v3`rooms/${roomId}/state/x/`, {});
    await rooms.refused(nowhere, alice, 'PUT', v3`rooms/${roomId}/state/m.room.member/${alice.userId}`, {
      membership: 'join',
    });
    await rooms.refused([404, 'M_NOT_FOUND'], alice, 'POST', v3`join/${roomId}`);
    await rooms.refused([404, 'M_NOT_FOUND'], alice, 'POST', v3`knock/${roomId}`);
    await rooms.refused([404, 'M_NOT_FOUND'], alice, 'GET', v3`directory/list/room/${roomId}`);
  }
});

test('one key of the state is read with and without a slash, as content or as event', async ({
  rooms,
  alice,
  roomId,
}) => {
  const eventId = await rooms.set(alice, roomId, 'm.room.name', { name: 'N' });
  await rooms.set(alice, roomId, 'org.keyed', { v: 1 }, 'a/key');
  const room = v3`rooms/${roomId}`;
  assert.equal(await rooms.ask(alice, 'GET', `${room}/state/m.room.name`), { name: 'N' });
  assert.equal(await rooms.ask(alice, 'GET', `${room}/state/m.room.name/`), { name: 'N' });
  assert.equal(await rooms.ask(alice, 'GET', v3`rooms/${roomId}/state/org.keyed/${'a/key'}`), { v: 1 });
  await rooms.refused([404, 'M_NOT_FOUND'], alice, 'GET', `${room}/state/org.keyed`);
  await rooms.refused([404, 'M_NOT_FOUND'], alice, 'GET', `${room}/state/toString/__proto__`);
  const event = await rooms.ask(alice, 'GET', `${room}/state/m.room.name?format=event`);
  assert.is(textOf(event['event_id']), eventId);
  assert.is(textOf(event['room_id']), roomId);
  assert.is(textOf(event['sender']), alice.userId);
  await rooms.refused([400, 'M_INVALID_PARAM'], alice, 'GET', `${room}/state/m.room.name?format=odd`);
  const all = JSON.parse(textOf(await rooms.ask(alice, 'GET', `${room}/state`))) as Json;
  assert.is(itemsOf(all).length, 9);
  const name = itemsOf(all).find((each) => textOf(each['type']) === 'm.room.name');
  assert.equal(name?.['content'], { name: 'N' });
});

test('state that says what it said before is no new event', async ({ rooms, alice, roomId }) => {
  const first = await rooms.set(alice, roomId, 'm.room.name', { name: 'N' });
  assert.is(await rooms.set(alice, roomId, 'm.room.name', { name: 'N' }), first);
  const second = await rooms.set(alice, roomId, 'm.room.name', { name: 'M' });
  assert.is.not(await rooms.set(alice, roomId, 'm.room.name', { name: 'N' }), first);
  assert.is.not(second, first);
});

test('state events tell what they replaced', async ({ harness, rooms, alice, roomId }) => {
  const first = await rooms.set(alice, roomId, 'm.room.name', { name: 'N' });
  const second = await rooms.set(alice, roomId, 'm.room.name', { name: 'M' });
  harness.advance(1_234);
  const event = await rooms.ask(alice, 'GET', v3`rooms/${roomId}/event/${second}`);
  assert.equal(event['unsigned'], {
    age: 1_234,
    membership: 'join',
    replaces_state: first,
    prev_content: { name: 'N' },
    prev_sender: alice.userId,
  });
});

for (const version of ['2', '6', '10', '11', '12']) {
  test(`a redacted event is served without what redaction removes (version ${version})`, async ({
    rooms,
    alice,
    bob,
  }) => {
    const roomId = await rooms.create(alice, { preset: 'public_chat', room_version: version });
    await rooms.join(bob, roomId);
    const eventId = await rooms.say(bob, roomId, 'secret');
    await rooms.heard(alice, roomId);
    const path = v3`rooms/${roomId}/redact/${eventId}/${'r'}`;
    const redaction = textOf((await rooms.ask(alice, 'PUT', path, { reason: 'spam' }))['event_id']);
    const event = await rooms.ask(bob, 'GET', v3`rooms/${roomId}/event/${eventId}`);
    assert.equal(event['content'], {});
    const because = event['unsigned']?.['redacted_because'];
    assert.is(textOf(because?.['event_id']), redaction);
    assert.is(textOf(because?.['redacts']), eventId);
    assert.is(textOf(because?.['content']?.['redacts']), eventId);
    assert.is(textOf(because?.['content']?.['reason']), 'spam');
    const page = await rooms.ask(bob, 'GET', `${v3`rooms/${roomId}/messages`}?dir=b&limit=2`);
    assert.not.match(JSON.stringify(page), 'secret');
    const [first] = itemsOf(page['chunk']);
    assert.equal([textOf(first?.['type']), textOf(first?.['redacts'])], ['m.room.redaction', eventId]);
  });
}

test('who may redact: the sender, and who has the level; nobody else', async ({
  rooms,
  alice,
  bob,
  roomId,
}) => {
  const ofAlice = await rooms.say(alice, roomId, 'from alice');
  const ofBob = await rooms.say(bob, roomId, 'from bob');
  await rooms.refused([403, 'M_FORBIDDEN'], bob, 'PUT', v3`rooms/${roomId}/redact/${ofAlice}/${'1'}`);
  await rooms.refused([403, 'M_FORBIDDEN'], bob, 'PUT', v3`rooms/${roomId}/send/m.room.redaction/${'2'}`, {
    redacts: ofAlice,
  });
  await rooms.refused([404, 'M_NOT_FOUND'], bob, 'PUT', v3`rooms/${roomId}/redact/${'$none'}/${'3'}`);
  await rooms.refused(
    [400, 'M_INVALID_PARAM'],
    bob,
    'PUT',
    v3`rooms/${roomId}/send/m.room.redaction/${'4'}`,
    {},
  );
  await rooms.ask(bob, 'PUT', v3`rooms/${roomId}/redact/${ofBob}/${'5'}`);
  assert.equal(await rooms.heard(alice, roomId), ['from alice', '']);
  await rooms.ask(alice, 'PUT', v3`rooms/${roomId}/send/m.room.redaction/${'6'}`, { redacts: ofAlice });
  assert.equal(await rooms.heard(alice, roomId), ['', '']);
});

test('an event of another room cannot be redacted from here', async ({ rooms, alice, roomId }) => {
  const other = await rooms.create(alice);
  const eventId = await rooms.say(alice, other, 'there');
  await rooms.refused([404, 'M_NOT_FOUND'], alice, 'PUT', v3`rooms/${roomId}/redact/${eventId}/${'1'}`);
});

test('redacted state is redacted wherever it is read', async ({ rooms, alice, bob, roomId }) => {
  const named = await rooms.set(alice, roomId, 'm.room.name', { name: 'secret' });
  await rooms.set(bob, roomId, 'm.room.member', { membership: 'join', displayname: 'secret' }, bob.userId);
  const member = await rooms.ask(
    bob,
    'GET',
    `${v3`rooms/${roomId}/state/m.room.member/${bob.userId}`}?format=event`,
  );
  await rooms.ask(alice, 'PUT', v3`rooms/${roomId}/redact/${named}/${'1'}`);
  await rooms.ask(alice, 'PUT', v3`rooms/${roomId}/redact/${textOf(member['event_id'])}/${'2'}`);
  assert.equal(await rooms.ask(bob, 'GET', v3`rooms/${roomId}/state/m.room.name`), {});
  for (const path of [
    'state',
    'members',
    'joined_members',
    'messages?dir=b',
    `context/${encodeURIComponent(named)}`,
  ]) {
    const answer = await rooms.ask(bob, 'GET', `${v3`rooms/${roomId}`}/${path}`);
    assert.not.match(JSON.stringify(answer), 'secret', path);
  }
  assert.is.not(await rooms.set(alice, roomId, 'm.room.name', { name: 'secret' }), named);
  const again = await rooms.ask(alice, 'GET', `${v3`rooms/${roomId}/state/m.room.name`}?format=event`);
  assert.equal(again['content'], { name: 'secret' });
  const seen = await rooms.ask(alice, 'GET', v3`rooms/${roomId}/event/${textOf(again['event_id'])}`);
  assert.equal(seen['unsigned']?.['prev_content'], {});
});

test('members are asked by membership, and at a place', async ({ harness, rooms, alice, bob, roomId }) => {
  const carol = await harness.user('carol');
  const dave = await harness.user('dave');
  await rooms.invite(alice, roomId, carol);
  await rooms.join(dave, roomId);
  await rooms.leave(dave, roomId);
  const place = textOf(
    (await rooms.ask(alice, 'GET', `${v3`rooms/${roomId}/messages`}?dir=b&limit=1`))['start'],
  );
  await rooms.leave(bob, roomId);
  const members = async (query: string) => {
    const answer = await rooms.ask(alice, 'GET', `${v3`rooms/${roomId}/members`}${query}`);
    return itemsOf(answer['chunk'])
      .map((event) => textOf(event['state_key']).slice(1, 4))
      .sort();
  };
  assert.equal(await members(''), ['ali', 'bob', 'car', 'dav']);
  assert.equal(await members('?membership=join'), ['ali']);
  assert.equal(await members('?not_membership=leave'), ['ali', 'car']);
  assert.equal(await members('?membership=leave&not_membership=join'), ['bob', 'car', 'dav']);
  assert.equal(await members(`?membership=join&at=${place}`), ['ali', 'bob']);
  await rooms.refused(
    [400, 'M_INVALID_PARAM'],
    alice,
    'GET',
    `${v3`rooms/${roomId}/members`}?membership=odd`,
  );
  await rooms.refused([400, 'M_INVALID_PARAM'], alice, 'GET', `${v3`rooms/${roomId}/members`}?at=odd`);
});

test('context is what lies around an event, with tokens to go on', async ({ rooms, alice, roomId }) => {
  const ids: string[] = [];
  for (const body of ['1', '2', '3', '4', '5']) ids.push(await rooms.say(alice, roomId, body));
  const path = v3`rooms/${roomId}/context/${ids[2] ?? ''}`;
  const context = await rooms.ask(alice, 'GET', `${path}?limit=2`);
  assert.equal(bodies(context['events_before']), ['2']);
  assert.is(textOf(context['event']?.['content']?.['body']), '3');
  assert.equal(bodies(context['events_after']), ['4']);
  const on = async (token: string, dir: string) =>
    bodies(
      (await rooms.ask(alice, 'GET', `${v3`rooms/${roomId}/messages`}?dir=${dir}&from=${token}&limit=1`))[
        'chunk'
      ],
    );
  assert.equal(await on(textOf(context['start']), 'b'), ['1']);
  assert.equal(await on(textOf(context['end']), 'f'), ['5']);
  const alone = await rooms.ask(alice, 'GET', `${path}?limit=0`);
  assert.equal([itemsOf(alone['events_before']), itemsOf(alone['events_after'])], [[], []]);
  assert.equal(await on(textOf(alone['start']), 'b'), ['2']);
  assert.equal(await on(textOf(alone['end']), 'f'), ['4']);
});

test('context gives the state at its last event, of lazy members only those who are shown', async ({
  rooms,
  alice,
  bob,
  roomId,
}) => {
  const eventId = await rooms.say(alice, roomId, 'x');
  await rooms.set(alice, roomId, 'm.room.name', { name: 'later' });
  const path = v3`rooms/${roomId}/context/${eventId}`;
  const typesOf = (context: Json) =>
    itemsOf(context['state']).map((event) => `${textOf(event['type'])}|${textOf(event['state_key'])}`);
  const at = typesOf(await rooms.ask(alice, 'GET', `${path}?limit=0`));
  assert.not(at.includes('m.room.name|'));
  assert.ok(at.includes(`m.room.member|${bob.userId}`));
  const filter = encodeURIComponent(JSON.stringify({ lazy_load_members: true }));
  const lazy = typesOf(await rooms.ask(alice, 'GET', `${path}?limit=0&filter=${filter}`));
  assert.ok(lazy.includes(`m.room.member|${alice.userId}`));
  assert.not(lazy.includes(`m.room.member|${bob.userId}`));
  assert.ok(typesOf(await rooms.ask(alice, 'GET', path)).includes('m.room.name|'));
});

test('an event is found by its time, in both directions', async ({ harness, rooms, alice, roomId }) => {
  const start = harness.home.now();
  const ids: string[] = [];
  for (let n = 0; n < 20; n++) {
    harness.advance(100);
    ids.push(await rooms.say(alice, roomId, String(n)));
  }
  const ask = (ts: number, dir: string) =>
    harness.call(
      alice,
      'GET',
      `/_matrix/client/v1/rooms/${encodeURIComponent(roomId)}/timestamp_to_event?ts=${ts}&dir=${dir}`,
    );
  const found = async (ts: number, dir: string) => textOf((await ask(ts, dir)).body['event_id']);
  assert.is(await found(start + 850, 'f'), ids[8]);
  assert.is(await found(start + 850, 'b'), ids[7]);
  assert.is(await found(start + 900, 'f'), ids[8]);
  assert.is(await found(start + 900, 'b'), ids[8]);
  assert.is((await ask(start + 99_999, 'f')).status, 404);
  assert.is((await ask(0, 'b')).status, 404);
  assert.is((await ask(start, 'x')).status, 400);
});

test.run();
