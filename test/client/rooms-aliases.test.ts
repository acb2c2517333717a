import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Harness, itemsOf, type TestUser, textOf } from './harness.js';
import { Rooms, v3 } from './rooms.js';

const test = suite<{ harness: Harness; rooms: Rooms; alice: TestUser; bob: TestUser }>(
  'aliases and directory',
);

test.before.each(async (context) => {
  context.harness = await Harness.open();
  context.rooms = new Rooms(context.harness);
  context.alice = await context.harness.user('alice');
  context.bob = await context.harness.user('bob');
});
test.after.each(({ harness }) => harness.close());

const alias = (name: string) => v3`directory/room/${`#${name}:example.org`}`;

test('an alias is given to a room, read by anybody, and taken away', async ({ rooms, alice }) => {
  const roomId = await rooms.create(alice);
  await rooms.refused([404, 'M_NOT_FOUND'], undefined, 'GET', alias('pub'));
  await rooms.ask(alice, 'PUT', alias('pub'), { room_id: roomId });
  const found = await rooms.ask(undefined, 'GET', alias('pub'));
  assert.equal(found, { room_id: roomId, servers: ['example.org'] });
  await rooms.ask(alice, 'PUT', alias('bar'), { room_id: roomId });
  const all = await rooms.ask(alice, 'GET', v3`rooms/${roomId}/aliases`);
  assert.equal(itemsOf(all['aliases']).map(textOf), ['#pub:example.org', '#bar:example.org']);
  await rooms.ask(alice, 'DELETE', alias('pub'));
  await rooms.refused([404, 'M_NOT_FOUND'], undefined, 'GET', alias('pub'));
  await rooms.refused([404, 'M_NOT_FOUND'], alice, 'DELETE', alias('pub'));
});

test('an alias is well formed, of this server, and given once', async ({ rooms, alice, bob }) => {
  const roomId = await rooms.create(alice);
  const body = { room_id: roomId };
  await rooms.refused([400, 'M_INVALID_PARAM'], alice, 'PUT', v3`directory/room/${'pub:example.org'}`, body);
  await rooms.refused([400, 'M_INVALID_PARAM'], alice, 'PUT', v3`directory/room/${'#pub'}`, body);
  await rooms.refused([400, 'M_INVALID_PARAM'], alice, 'PUT', v3`directory/room/${'#:example.org'}`, body);
  await rooms.refused([400, 'M_INVALID_PARAM'], alice, 'PUT', v3`directory/room/${'#a:else.org'}`, body);
  await rooms.refused([400, 'M_BAD_JSON'], alice, 'PUT', alias('pub'), {});
  await rooms.ask(alice, 'PUT', alias('pub'), body);
  await rooms.refused([409, 'M_UNKNOWN'], alice, 'PUT', alias('pub'), body);
  const other = await rooms.create(bob);
  await rooms.refused([409, 'M_UNKNOWN'], bob, 'PUT', alias('pub'), { room_id: other });
});

test('an alias is taken away by who made it, or who may name the room', async ({
  harness,
  rooms,
  alice,
  bob,
}) => {
  const carol = await harness.user('carol');
  const roomId = await rooms.create(alice, { preset: 'public_chat' });
  await rooms.join(bob, roomId);
  await rooms.join(carol, roomId);
  await rooms.ask(bob, 'PUT', alias('a'), { room_id: roomId });
  await rooms.ask(bob, 'PUT', alias('b'), { room_id: roomId });
  await rooms.refused([403, 'M_FORBIDDEN'], carol, 'DELETE', alias('a'));
  await rooms.ask(bob, 'DELETE', alias('a'));
  await rooms.ask(alice, 'DELETE', alias('b'));
});

test('a canonical alias is one that points to the room', async ({ rooms, alice }) => {
  const roomId = await rooms.create(alice, { room_alias_name: 'pub' });
  const other = await rooms.create(alice, { room_alias_name: 'other' });
  const path = v3`rooms/${roomId}/state/m.room.canonical_alias/`;
  const put = (content: object) => rooms.ask(alice, 'PUT', path, content);
  const refused = (errcode: string, content: object) =>
    rooms.refused([400, errcode], alice, 'PUT', path, content);
  await refused('M_BAD_ALIAS', { alias: '#other:example.org' });
  await refused('M_BAD_ALIAS', { alias: '#none:example.org' });
  await refused('M_BAD_ALIAS', { alias: '#pub:example.org', alt_aliases: ['#none:example.org'] });
  await refused('M_INVALID_PARAM', { alias: 'pub' });
  await refused('M_INVALID_PARAM', { alt_aliases: [5] });
  await refused('M_BAD_JSON', { alt_aliases: '#pub:example.org' });
  await put({ alias: '#pub:example.org', alt_aliases: ['#pub:example.org'] });
  // What the room says already may stay, though it points elsewhere by now.
  await rooms.ask(alice, 'DELETE', alias('pub'));
  await put({ alias: '#pub:example.org' });
  await put({});
  await refused('M_BAD_ALIAS', { alias: '#pub:example.org' });
  assert.is.not(other, roomId);
});

test('who may name a room decides whether it is listed', async ({ rooms, alice, bob }) => {
  const roomId = await rooms.create(alice, { preset: 'public_chat', name: 'Room', topic: 'Topic' });
  await rooms.join(bob, roomId);
  const listed = v3`directory/list/room/${roomId}`;
  assert.equal(await rooms.ask(undefined, 'GET', listed), { visibility: 'private' });
  await rooms.refused([403, 'M_FORBIDDEN'], bob, 'PUT', listed, { visibility: 'public' });
  await rooms.refused([400, 'M_INVALID_PARAM'], alice, 'PUT', listed, { visibility: 'odd' });
  await rooms.refused([404, 'M_NOT_FOUND'], alice, 'PUT', v3`directory/list/room/${'!none:example.org'}`, {});
  await rooms.ask(alice, 'PUT', listed, {});
  assert.equal(await rooms.ask(undefined, 'GET', listed), { visibility: 'public' });
  const list = await rooms.ask(undefined, 'GET', '/v3/publicRooms');
  assert.equal(itemsOf(list['chunk']), [
    {
      room_id: roomId,
      num_joined_members: 2,
      world_readable: false,
      guest_can_join: false,
      join_rule: 'public',
      name: 'Room',
      topic: 'Topic',
    },
  ]);
});

test('the list shows the largest rooms first, page by page', async ({ harness, rooms, alice, bob }) => {
  const small = await rooms.create(alice, { visibility: 'public', name: 'Small' });
  const large = await rooms.create(alice, { visibility: 'public', name: 'LARGE' });
  const middle = await rooms.create(alice, { visibility: 'public', topic: 'not so large' });
  const carol = await harness.user('carol');
  for (const user of [bob, carol]) await rooms.join(user, large);
  await rooms.join(bob, middle);
  const page = (query: string) => rooms.ask(undefined, 'GET', `/v3/publicRooms?${query}`);
  const first = await page('limit=2');
  const ids = (list: Awaited<ReturnType<typeof page>>) =>
    itemsOf(list['chunk']).map((room) => textOf(room['room_id']));
  assert.equal(ids(first), [large, middle]);
  assert.is(Number(first['total_room_count_estimate']), 3);
  const second = await page(`limit=2&since=${textOf(first['next_batch'])}`);
  assert.equal(ids(second), [small]);
  assert.is(second['next_batch'], undefined);
  assert.equal(ids(await page(`limit=2&since=${textOf(second['prev_batch'])}`)), [large, middle]);
  const search = { filter: { generic_search_term: 'Large' } };
  assert.equal(ids(await rooms.ask(alice, 'POST', '/v3/publicRooms', search)), [large, middle]);
  const spaces = { filter: { room_types: ['m.space'] } };
  assert.equal(ids(await rooms.ask(alice, 'POST', '/v3/publicRooms', spaces)), []);
  const plain = { filter: { room_types: [null] }, limit: 1 };
  assert.equal(ids(await rooms.ask(alice, 'POST', '/v3/publicRooms', plain)), [large]);
  await rooms.refused([400, 'M_INVALID_PARAM'], undefined, 'GET', '/v3/publicRooms?since=odd');
  await rooms.refused([400, 'M_BAD_JSON'], alice, 'POST', '/v3/publicRooms', { limit: 'many' });
  await rooms.refused([404, 'M_NOT_FOUND'], undefined, 'GET', '/v3/publicRooms?server=elsewhere.org');
});

const summaryOf = (room: string, base = '/v1/room_summary') => `${base}/${encodeURIComponent(room)}`;

test('a room that one could join is told of before, by its id or an alias', async ({ rooms, alice, bob }) => {
  const roomId = await rooms.create(alice, {
    preset: 'public_chat',
    name: 'The garden',
    topic: 'roses',
    room_alias_name: 'garden',
  });
  for (const path of [
    summaryOf(roomId),
    summaryOf('#garden:example.org'),
    summaryOf(roomId, '/_matrix/client/unstable/im.nheko.summary/summary'),
  ]) {
    assert.equal(await rooms.ask(bob, 'GET', path), {
      room_id: roomId,
      name: 'The garden',
      topic: 'roses',
      canonical_alias: '#garden:example.org',
      num_joined_members: 1,
      join_rule: 'public',
      world_readable: false,
      guest_can_join: false,
      room_version: '12',
      membership: 'leave',
    });
  }
  assert.is((await rooms.ask(alice, 'GET', summaryOf(roomId)))['membership'], 'join');
});

test('of a room that one could not join nothing is told', async ({ rooms, alice, bob }) => {
  const roomId = await rooms.create(alice, { name: 'Secret' });
  await rooms.refused([404, 'M_NOT_FOUND'], bob, 'GET', summaryOf(roomId));
  await rooms.refused([404, 'M_NOT_FOUND'], bob, 'GET', summaryOf('!nowhere:example.org'));
  await rooms.refused([404, 'M_NOT_FOUND'], bob, 'GET', summaryOf('#nowhere:example.org'));
  await rooms.invite(alice, roomId, bob);
  const invited = await rooms.ask(bob, 'GET', summaryOf(roomId));
  assert.equal([textOf(invited['name']), textOf(invited['membership'])], ['Secret', 'invite']);
});

test('a restricted room is told of to the members of the rooms that it names', async ({
  rooms,
  alice,
  bob,
}) => {
  const hall = await rooms.create(alice, { preset: 'public_chat' });
  const roomId = await rooms.create(alice);
  const allow = [{ type: 'm.room_membership', room_id: hall }, { type: 'other' }];
  await rooms.set(alice, roomId, 'm.room.join_rules', { join_rule: 'restricted', allow });
  await rooms.refused([404, 'M_NOT_FOUND'], bob, 'GET', summaryOf(roomId));
  await rooms.join(bob, hall);
  const told = await rooms.ask(bob, 'GET', summaryOf(roomId));
  assert.equal(itemsOf(told['allowed_room_ids']).map(textOf), [hall]);
});

test.run();
