import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Harness, itemsOf, textOf } from './harness.js';
import { Rooms, v3 } from './rooms.js';

const test = suite<{ harness: Harness; rooms: Rooms }>('createRoom');

/** How many rooms there are, internal ones too. */
function roomsOf({ home }: Harness): number {
  return home.engine.store.counters().rooms;
}

test.before.each(async (context) => {
  context.harness = await Harness.open();
  context.rooms = new Rooms(context.harness);
});
test.after.each(({ harness }) => harness.close());

test('a room begins with the events of the specification, in its order', async ({ harness, rooms }) => {
  const alice = await harness.user('alice');
  const bob = await harness.user('bob');
  const roomId = await rooms.create(alice, {
    name: 'Name',
    topic: 'Topic',
    room_alias_name: 'pub',
    invite: [bob.userId],
    is_direct: true,
    initial_state: [{ type: 'm.room.encryption', content: { algorithm: 'm.megolm.v1.aes-sha2' } }],
  });
  assert.equal(await rooms.history(alice, roomId), [
    'm.room.create|',
    `m.room.member|${alice.userId}`,
    'm.room.power_levels|',
    'm.room.canonical_alias|',
    'm.room.join_rules|',
    'm.room.history_visibility|',
    'm.room.guest_access|',
    'm.room.encryption|',
    'm.room.name|',
    'm.room.topic|',
    `m.room.member|${bob.userId}`,
  ]);
  const invite = await rooms.ask(alice, 'GET', v3`rooms/${roomId}/state/m.room.member/${bob.userId}`);
  assert.equal(invite, { membership: 'invite', is_direct: true });
});

test('version 12 is the default: the id is a hash, the creator stands in no power levels', async ({
  harness,
  rooms,
}) => {
  const alice = await harness.user('alice');
  const roomId = await rooms.create(alice);
  assert.match(roomId, /^![A-Za-z0-9_-]{43}$/);
  const create = await rooms.ask(alice, 'GET', v3`rooms/${roomId}/state/m.room.create/`);
  assert.equal(create, { room_version: '12' });
  const levels = await rooms.ask(alice, 'GET', v3`rooms/${roomId}/state/m.room.power_levels`);
  assert.equal(levels['users'], {});
  assert.is(Number(levels['events']?.['m.room.tombstone']), 150);
});

for (const version of ['1', '2', '3', '6', '8', '9', '10', '11', '12']) {
  test(`a room of version ${version} can be made and talked in`, async ({ harness, rooms }) => {
    const alice = await harness.user('alice');
    const bob = await harness.user('bob');
    const roomId = await rooms.create(alice, { room_version: version, preset: 'public_chat', name: 'N' });
    await rooms.join(bob, roomId);
    await rooms.say(bob, roomId, 'hello');
    assert.equal(await rooms.heard(alice, roomId), ['hello']);
    const create = await rooms.ask(alice, 'GET', v3`rooms/${roomId}/state/m.room.create`);
    assert.is(textOf(create['room_version']), version);
    assert.is('creator' in create, Number(version) < 11);
  });
}

test('an unknown room version is refused by its code', async ({ harness, rooms }) => {
  const alice = await harness.user('alice');
  await rooms.refused([400, 'M_UNSUPPORTED_ROOM_VERSION'], alice, 'POST', '/v3/createRoom', {
    room_version: '99',
  });
  await rooms.refused([400, 'M_BAD_JSON'], alice, 'POST', '/v3/createRoom', { room_version: 12 });
  const internal = { room_version: 'stateroom.internal' };
  await rooms.refused([400, 'M_UNSUPPORTED_ROOM_VERSION'], alice, 'POST', '/v3/createRoom', internal);
});

for (const [body, joinRule, guestAccess] of [
  [{}, 'invite', 'can_join'],
  [{ visibility: 'public' }, 'public', 'forbidden'],
  [{ preset: 'private_chat', visibility: 'public' }, 'invite', 'can_join'],
  [{ preset: 'trusted_private_chat' }, 'invite', 'can_join'],
  [{ preset: 'public_chat' }, 'public', 'forbidden'],
] as const) {
  test(`${JSON.stringify(body)} sets join rule ${joinRule}`, async ({ harness, rooms }) => {
    const alice = await harness.user('alice');
    const roomId = await rooms.create(alice, body);
    const content = (type: string) => rooms.ask(alice, 'GET', v3`rooms/${roomId}/state/${type}`);
    assert.equal(await content('m.room.join_rules'), { join_rule: joinRule });
    assert.equal(await content('m.room.guest_access'), { guest_access: guestAccess });
    assert.equal(await content('m.room.history_visibility'), { history_visibility: 'shared' });
  });
}

test('trusted_private_chat makes invitees creators in version 12, each once', async ({ harness, rooms }) => {
  const alice = await harness.user('alice');
  const bob = await harness.user('bob');
  const carol = await harness.user('carol');
  const roomId = await rooms.create(alice, {
    preset: 'trusted_private_chat',
    invite: [bob.userId, bob.userId],
    creation_content: { additional_creators: [carol.userId, bob.userId] },
  });
  const create = await rooms.ask(alice, 'GET', v3`rooms/${roomId}/state/m.room.create`);
  assert.equal(itemsOf(create['additional_creators']), [carol.userId, bob.userId]);
});

test('trusted_private_chat gives invitees level 100 before version 12', async ({ harness, rooms }) => {
  const alice = await harness.user('alice');
  const bob = await harness.user('bob');
  const roomId = await rooms.create(alice, {
    preset: 'trusted_private_chat',
    invite: [bob.userId],
    room_version: '10',
  });
  const levels = await rooms.ask(alice, 'GET', v3`rooms/${roomId}/state/m.room.power_levels`);
  assert.equal(levels['users'], { [alice.userId]: 100, [bob.userId]: 100 });
  const create = await rooms.ask(alice, 'GET', v3`rooms/${roomId}/state/m.room.create`);
  assert.not('additional_creators' in create);
});

test('creation_content is kept but for what the server says itself', async ({ harness, rooms }) => {
  const alice = await harness.user('alice');
  const roomId = await rooms.create(alice, {
    creation_content: {
      'm.federate': false,
      type: 'm.space',
      creator: '@eve:example.org',
      room_version: '1',
    },
  });
  const create = await rooms.ask(alice, 'GET', v3`rooms/${roomId}/state/m.room.create`);
  assert.equal(create, { 'm.federate': false, type: 'm.space', room_version: '12' });
});

test('initial_state wins over the preset, name and topic win over it', async ({ harness, rooms }) => {
  const alice = await harness.user('alice');
  const roomId = await rooms.create(alice, {
    name: 'Wins',
    initial_state: [
      { type: 'm.room.join_rules', content: { join_rule: 'knock' } },
      { type: 'm.room.name', content: { name: 'Loses' } },
      { type: 'org.example', state_key: 'key', content: { a: 1 } },
    ],
  });
  const rule = await rooms.ask(alice, 'GET', v3`rooms/${roomId}/state/m.room.join_rules`);
  assert.equal(rule, { join_rule: 'knock' });
  assert.equal(await rooms.ask(alice, 'GET', v3`rooms/${roomId}/state/m.room.name`), { name: 'Wins' });
  assert.equal(await rooms.ask(alice, 'GET', v3`rooms/${roomId}/state/org.example/key`), { a: 1 });
  assert.is((await rooms.history(alice, roomId)).filter((event) => event === 'm.room.join_rules|').length, 1);
});

test('power_level_content_override replaces keys of the default levels', async ({ harness, rooms }) => {
  const alice = await harness.user('alice');
  const bob = await harness.user('bob');
  const roomId = await rooms.create(alice, {
    power_level_content_override: { users: { [bob.userId]: 50 }, events_default: 25 },
  });
  const levels = await rooms.ask(alice, 'GET', v3`rooms/${roomId}/state/m.room.power_levels`);
  assert.equal(levels['users'], { [bob.userId]: 50 });
  assert.is(Number(levels['events_default']), 25);
  assert.is(Number(levels['ban']), 50);
});

test('a wish that the rules refuse leaves nothing behind', async ({ harness, rooms }) => {
  const alice = await harness.user('alice');
  const before = roomsOf(harness);
  const refused = (body: object) =>
    rooms.refused([400, 'M_INVALID_ROOM_STATE'], alice, 'POST', '/v3/createRoom', body);
  await refused({ power_level_content_override: { users: { [alice.userId]: 100 } } });
  await refused({ power_level_content_override: { ban: 'fifty' } });
  await refused({ room_version: '11', power_level_content_override: { users: {} }, name: 'Too high' });
  await refused({ initial_state: [{ type: 'x', state_key: '@eve:example.org', content: {} }] });
  await refused({ creation_content: { additional_creators: ['nobody'] } });
  assert.is(roomsOf(harness), before);
});

test('a wish of the wrong form leaves nothing behind', async ({ harness, rooms }) => {
  const alice = await harness.user('alice');
  const before = roomsOf(harness);
  const refused = (expected: readonly [number, string], body: object) =>
    rooms.refused(expected, alice, 'POST', '/v3/createRoom', body);
  await refused([400, 'M_INVALID_PARAM'], { preset: 'odd' });
  await refused([400, 'M_INVALID_PARAM'], { visibility: 'odd' });
  await refused([400, 'M_INVALID_PARAM'], { invite: ['nobody'] });
  await refused([400, 'M_INVALID_PARAM'], { invite: [alice.userId] });
  await refused([400, 'M_INVALID_PARAM'], { room_alias_name: 'a:b' });
  await refused([400, 'M_BAD_JSON'], { invite: 'nobody' });
  await refused([400, 'M_BAD_JSON'], { initial_state: [{ type: 'x' }] });
  await refused([400, 'M_BAD_JSON'], { initial_state: [{ type: 'x', content: { float: 1.5 } }] });
  await refused([400, 'M_INVALID_PARAM'], { initial_state: [{ type: 'm.room.member', content: {} }] });
  await refused([400, 'M_BAD_ALIAS'], {
    initial_state: [{ type: 'm.room.canonical_alias', content: { alias: '#other:example.org' } }],
  });
  await refused([413, 'M_TOO_LARGE'], { topic: 'x'.repeat(70_000) });
  await refused([403, 'M_FORBIDDEN'], { invite: ['@far:elsewhere.org'] });
  await refused([403, 'M_THREEPID_DENIED'], { invite_3pid: [{ medium: 'email', address: 'a@b.c' }] });
  assert.is(roomsOf(harness), before);
});

test('two rooms made alike in one millisecond are two rooms', async ({ harness, rooms }) => {
  const alice = await harness.user('alice');
  const made = await Promise.all([rooms.create(alice), rooms.create(alice), rooms.create(alice)]);
  assert.is(new Set(made).size, 3);
});

test('an alias in use is refused; of two who race for one, one gets it', async ({ harness, rooms }) => {
  const alice = await harness.user('alice');
  const roomId = await rooms.create(alice, { room_alias_name: 'pub' });
  const found = await rooms.ask(undefined, 'GET', v3`directory/room/${'#pub:example.org'}`);
  assert.is(textOf(found['room_id']), roomId);
  await rooms.refused([400, 'M_ROOM_IN_USE'], alice, 'POST', '/v3/createRoom', { room_alias_name: 'pub' });
  const race = () => harness.call(alice, 'POST', '/v3/createRoom', { room_alias_name: 'race' });
  const answers = await Promise.all([race(), race(), race()]);
  assert.equal(answers.map(({ status }) => status).sort(), [200, 400, 400]);
  const joined = await rooms.ask(alice, 'GET', '/v3/joined_rooms');
  assert.is(itemsOf(joined['joined_rooms']).length, 2);
});

test('a public room is listed, a private one is not', async ({ harness, rooms }) => {
  const alice = await harness.user('alice');
  const roomId = await rooms.create(alice, { visibility: 'public', name: 'Open' });
  await rooms.create(alice, { preset: 'public_chat' });
  const list = await rooms.ask(undefined, 'GET', '/v3/publicRooms');
  assert.equal(
    itemsOf(list['chunk']).map((room) => textOf(room['room_id'])),
    [roomId],
  );
});

test.run();
