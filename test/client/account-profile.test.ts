import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { JsonObject } from '../../src/event/json.js';
import { Harness, type TestUser, textOf } from './harness.js';

const test = suite<{ server: Harness; alice: TestUser; bob: TestUser }>('profiles');

test.before.each(async (context) => {
  context.server = await Harness.open();
  context.alice = await context.server.user('alice');
  context.bob = await context.server.user('bob');
});
test.after.each(async ({ server }) => server.close());

const of = ({ userId }: TestUser, field = ''): string => `/v3/profile/${encodeURIComponent(userId)}${field}`;

/** What the room's current member event says. */
function memberContent(server: Harness, roomId: string, { userId }: TestUser): JsonObject {
  const { engine } = server.home;
  const eventId = engine.currentState(roomId).get('m.room.member', userId);
  return engine.reader.event(textOf(eventId)).pdu.content;
}

async function room(server: Harness, creator: TestUser, body: object = {}): Promise<string> {
  const answer = await server.call(creator, 'POST', '/v3/createRoom', body);
  assert.is(answer.status, 200, JSON.stringify(answer.body));
  return textOf(answer.body.room_id);
}

test('a field is set, read by anybody, and deleted', async ({ server, alice }) => {
  assert.equal(
    (await server.call(alice, 'PUT', of(alice, '/displayname'), { displayname: 'Alice' })).body,
    {},
  );
  await server.call(alice, 'PUT', of(alice, '/m.tz'), { 'm.tz': 'Europe/London' });
  await server.call(alice, 'PUT', of(alice, '/org.example.job'), {
    'org.example.job': { title: ['x', null, 0.5] },
  });
  assert.equal((await server.call(undefined, 'GET', of(alice, '/displayname'))).body, {
    displayname: 'Alice',
  });
  assert.equal((await server.call(undefined, 'GET', of(alice))).body, {
    displayname: 'Alice',
    'm.tz': 'Europe/London',
    'org.example.job': { title: ['x', null, 0.5] },
  });
  assert.equal((await server.call(alice, 'DELETE', of(alice, '/m.tz'))).body, {});
  assert.is(
    (await server.call(alice, 'DELETE', of(alice, '/m.tz'))).status,
    200,
    'also when it is not there',
  );
  assert.is((await server.call(undefined, 'GET', of(alice, '/m.tz'))).status, 404);
});

test('users who are not there have no profile; who has set nothing has an empty one', async ({
  server,
  alice,
}) => {
  assert.is((await server.call(alice, 'GET', '/v3/profile/@nobody:example.org')).body.errcode, 'M_NOT_FOUND');
  assert.is((await server.call(alice, 'GET', '/v3/profile/@far:elsewhere.org/displayname')).status, 404);
  assert.is((await server.call(alice, 'GET', '/v3/profile/nonsense')).status, 400);
  assert.equal((await server.call(alice, 'GET', of(alice))).body, {});
});

test('only the user themselves may change a profile', async ({ server, alice, bob }) => {
  const put = await server.call(bob, 'PUT', of(alice, '/displayname'), { displayname: 'Mallory' });
  assert.is(put.body.errcode, 'M_FORBIDDEN');
  assert.is((await server.call(bob, 'DELETE', of(alice, '/displayname'))).status, 403);
  assert.is((await server.call(undefined, 'PUT', of(alice, '/displayname'), {})).status, 401);
});

test('names and values of the wrong form are refused', async ({ server, alice }) => {
  const put = async (field: string, body: object) =>
    (await server.call(alice, 'PUT', of(alice, `/${encodeURIComponent(field)}`), body)).body.errcode;
  assert.is(await put('displayname', {}), 'M_MISSING_PARAM');
  assert.is(await put('displayname', { displayname: 5 }), 'M_BAD_JSON');
  assert.is(await put('displayname', { displayname: 'x'.repeat(2_000) }), 'M_INVALID_PARAM');
  assert.is(await put('avatar_url', { avatar_url: 'https://example.org/x.png' }), 'M_INVALID_PARAM');
  assert.is(await put('nickname', { nickname: 'x' }), 'M_INVALID_PARAM');
  assert.is(await put('__proto__', { a: 1 }), 'M_INVALID_PARAM');
  assert.is(await put(`a.${'b'.repeat(300)}`, {}), 'M_KEY_TOO_LARGE');
});

test('a profile must be under 64 KiB', async ({ server, alice }) => {
  const big = (field: string, length: number) =>
    server.call(alice, 'PUT', of(alice, `/${field}`), { [field]: 'x'.repeat(length) });
  assert.is((await big('org.example.a', 40_000)).status, 200);
  assert.is((await big('org.example.b', 30_000)).body.errcode, 'M_PROFILE_TOO_LARGE');
  assert.is(
    (await big('org.example.a', 60_000)).status,
    200,
    'a field that is replaced does not count twice',
  );
});

test('a new name or picture goes into every joined room as a member event', async ({
  server,
  alice,
  bob,
}) => {
  const rooms = [await room(server, alice), await room(server, alice, { preset: 'public_chat' })];
  const picture = 'mxc://example.org/abc';
  await server.call(alice, 'PUT', of(alice, '/displayname'), { displayname: 'Alice' });
  await server.call(alice, 'PUT', of(alice, '/avatar_url'), { avatar_url: picture });
  for (const roomId of rooms) {
    const { membership, displayname, avatar_url } = memberContent(server, roomId, alice);
    assert.equal([membership, displayname, avatar_url], ['join', 'Alice', picture]);
  }
  await server.call(alice, 'DELETE', of(alice, '/displayname'));
  for (const roomId of rooms) {
    const { displayname, avatar_url } = memberContent(server, roomId, alice);
    assert.equal([displayname, avatar_url], [undefined, picture]);
  }
  const before = server.home.engine.currentState(textOf(rooms[0])).get('m.room.member', alice.userId);
  await server.call(alice, 'PUT', of(alice, '/m.tz'), { 'm.tz': 'Europe/London' });
  await server.call(alice, 'PUT', of(alice, '/avatar_url'), { avatar_url: picture });
  const after = server.home.engine.currentState(textOf(rooms[0])).get('m.room.member', alice.userId);
  assert.is(before, after, 'what no member event says sends none');
  assert.is(server.home.engine.currentState(textOf(rooms[0])).membership(bob.userId), undefined);
});

test('a room the user has left hears nothing of a new name', async ({ server, alice, bob }) => {
  const roomId = await room(server, alice, { preset: 'public_chat' });
  await server.call(bob, 'POST', `/v3/join/${encodeURIComponent(roomId)}`);
  await server.call(bob, 'POST', `/v3/rooms/${encodeURIComponent(roomId)}/leave`);
  await server.call(bob, 'PUT', of(bob, '/displayname'), { displayname: 'Bob' });
  const { membership, displayname } = memberContent(server, roomId, bob);
  assert.equal([membership, displayname], ['leave', undefined]);
});

test('an empty name is no name', async ({ server, alice }) => {
  await server.call(alice, 'PUT', of(alice, '/displayname'), { displayname: 'Alice' });
  await server.call(alice, 'PUT', of(alice, '/displayname'), { displayname: '' });
  assert.is((await server.call(alice, 'GET', of(alice, '/displayname'))).status, 404);
});

test.run();
