import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Harness, itemsOf, type TestUser, textOf } from './harness.js';

const test = suite<{ server: Harness; alice: TestUser; bob: TestUser }>('devices, password, deactivation');

test.before.each(async (context) => {
  context.server = await Harness.open();
  context.alice = await context.server.user('alice');
  context.bob = await context.server.user('bob');
});
test.after.each(async ({ server }) => server.close());

const isAlive = async (server: Harness, who: Pick<TestUser, 'accessToken'>): Promise<boolean> =>
  (await server.call(who, 'GET', '/v3/account/whoami')).status === 200;

function passwordOf({ userId, password }: TestUser, session?: unknown) {
  return { type: 'm.login.password', identifier: { type: 'm.id.user', user: userId }, password, session };
}

test('a user lists, reads and renames their devices, and no others', async ({ server, alice, bob }) => {
  const one = `/v3/devices/${alice.deviceId}`;
  assert.equal((await server.call(alice, 'PUT', one, { display_name: 'Laptop' })).body, {});
  assert.is((await server.call(alice, 'GET', one)).body.display_name, 'Laptop');
  assert.equal((await server.call(alice, 'PUT', one, {})).body, {}, 'without a name it is unchanged');
  const listed = itemsOf((await server.call(alice, 'GET', '/v3/devices')).body.devices);
  assert.is(listed.length, 1);
  assert.is(listed[0]?.display_name, 'Laptop');
  assert.is(listed[0]?.last_seen_ip, '127.0.0.1');
  assert.is((await server.call(bob, 'GET', one)).status, 404);
  assert.is((await server.call(bob, 'PUT', one, { display_name: 'Mine' })).status, 404);
  assert.is((await server.call(alice, 'PUT', one, { display_name: 'x'.repeat(256) })).status, 400);
});

test('deleting a device asks for the password, then ends its tokens', async ({ server, alice }) => {
  const phone = await server.device(alice.userId, 'PHONE');
  const first = await server.call(alice, 'DELETE', '/v3/devices/PHONE');
  assert.is(first.status, 401);
  assert.is(await isAlive(server, phone), true);
  const wrong = { ...passwordOf(alice, first.body.session), password: 'guess' };
  const refused = await server.call(alice, 'DELETE', '/v3/devices/PHONE', { auth: wrong });
  assert.is(refused.status, 401);
  assert.is(refused.body.errcode, 'M_FORBIDDEN');
  assert.is(await isAlive(server, phone), true);
  const auth = passwordOf(alice, first.body.session);
  assert.equal((await server.call(alice, 'DELETE', '/v3/devices/PHONE', { auth })).body, {});
  assert.is(await isAlive(server, phone), false);
  assert.is((await server.call(alice, 'GET', '/v3/devices/PHONE')).status, 404);
});

test('another user’s password deletes nothing', async ({ server, alice, bob }) => {
  const phone = await server.device(alice.userId, 'PHONE');
  const answer = await server.call(alice, 'DELETE', '/v3/devices/PHONE', { auth: passwordOf(bob) });
  assert.is(answer.status, 401);
  assert.is(await isAlive(server, phone), true);
});

test('what was shown for one device counts for no other', async ({ server, alice }) => {
  const laptop = await server.device(alice.userId, 'LAPTOP');
  const first = await server.call(alice, 'DELETE', '/v3/devices/PHONE');
  const { session } = first.body;
  const moved = await server.call(alice, 'DELETE', '/v3/devices/LAPTOP', { auth: { session } });
  assert.is(moved.status, 401);
  assert.is.not(moved.body.session, session);
  assert.is(await isAlive(server, laptop), true);
});

test('a device that was removed before is removed again without a fault', async ({ server, alice }) => {
  const auth = passwordOf(alice);
  assert.is((await server.call(alice, 'DELETE', '/v3/devices/NEVER', { auth })).status, 200);
});

test('delete_devices removes many at once after one authentication', async ({ server, alice }) => {
  const phone = await server.device(alice.userId, 'PHONE');
  const laptop = await server.device(alice.userId, 'LAPTOP');
  const devices = ['PHONE', 'LAPTOP', 'PHONE', 'NEVER'];
  const first = await server.call(alice, 'POST', '/v3/delete_devices', { devices });
  assert.is(first.status, 401);
  const auth = passwordOf(alice, first.body.session);
  assert.equal((await server.call(alice, 'POST', '/v3/delete_devices', { devices, auth })).body, {});
  assert.is(await isAlive(server, phone), false);
  assert.is(await isAlive(server, laptop), false);
  assert.is(await isAlive(server, alice), true);
  for (const wrong of [undefined, 'PHONE', [5], Array.from({ length: 1_001 }, String)]) {
    assert.is((await server.call(alice, 'POST', '/v3/delete_devices', { devices: wrong, auth })).status, 400);
  }
});

test('changing the password logs the other devices out, not the one that asks', async ({ server, alice }) => {
  const phone = await server.device(alice.userId, 'PHONE');
  const body = { new_password: 'better', auth: passwordOf(alice) };
  assert.equal((await server.call(alice, 'POST', '/v3/account/password', body)).body, {});
  assert.is(await isAlive(server, alice), true);
  assert.is(await isAlive(server, phone), false);
  assert.is(await server.home.accounts.checkPassword('alice', alice.password), undefined);
  assert.is((await server.home.accounts.checkPassword('alice', 'better'))?.userId, alice.userId);
});

test('with logout_devices false the other devices stay', async ({ server, alice }) => {
  const phone = await server.device(alice.userId, 'PHONE');
  const body = { new_password: 'better', logout_devices: false, auth: passwordOf(alice) };
  await server.call(alice, 'POST', '/v3/account/password', body);
  assert.is(await isAlive(server, phone), true);
});

test('the password is changed only by who shows the old one', async ({ server, alice, bob }) => {
  const wanted = { new_password: 'mine now' };
  const ask = (who: TestUser | undefined, auth?: object) =>
    server.call(who, 'POST', '/v3/account/password', { ...wanted, auth });
  assert.is((await ask(bob)).status, 401);
  assert.is((await ask(undefined)).status, 401);
  assert.is((await ask(undefined, { ...passwordOf(alice), password: 'guess' })).status, 401);
  assert.is((await ask(undefined, { ...passwordOf(alice), identifier: undefined })).status, 401);
  assert.is((await ask(bob, passwordOf(alice))).status, 401, 'logged in as somebody else');
  assert.ok(await server.home.accounts.checkPassword('alice', alice.password), 'unchanged so far');
  assert.is((await ask(undefined, passwordOf(alice))).status, 200, 'without a session, by name and password');
  assert.ok(await server.home.accounts.checkPassword('alice', 'mine now'));
});

test('deactivation ends every session, frees no name, and is told by id_server_unbind_result', async ({
  server,
  alice,
}) => {
  const phone = await server.device(alice.userId, 'PHONE');
  await server.call(alice, 'PUT', `/v3/profile/${alice.userId}/displayname`, { displayname: 'Alice' });
  const first = await server.call(alice, 'POST', '/v3/account/deactivate', { erase: true });
  assert.is(first.status, 401);
  const auth = passwordOf(alice, first.body.session);
  const done = await server.call(alice, 'POST', '/v3/account/deactivate', { erase: true, auth });
  assert.equal(done.body, { id_server_unbind_result: 'success' });
  assert.is(await isAlive(server, alice), false);
  assert.is(await isAlive(server, phone), false);
  const login = passwordOf(alice);
  assert.is((await server.call(undefined, 'POST', '/v3/login', login)).status, 403);
  const register = { username: 'alice', password: 'x', auth: { type: 'm.login.dummy' } };
  assert.is((await server.call(undefined, 'POST', '/v3/register', register)).body.errcode, 'M_USER_IN_USE');
  assert.is((await server.call(undefined, 'GET', `/v3/profile/${alice.userId}`)).status, 404);
  assert.is(server.home.accounts.users.get(alice.userId)?.isErased, true);
});

test('who deactivates leaves their rooms', async ({ server, alice, bob }) => {
  const { body } = await server.call(alice, 'POST', '/v3/createRoom', { preset: 'public_chat' });
  const roomId = textOf(body.room_id);
  assert.is((await server.call(bob, 'POST', `/v3/join/${encodeURIComponent(roomId)}`)).status, 200);
  const auth = passwordOf(bob);
  assert.is((await server.call(bob, 'POST', '/v3/account/deactivate', { auth })).status, 200);
  assert.is(server.home.engine.currentState(roomId).membership(bob.userId), 'leave');
});

test.run();
