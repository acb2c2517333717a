import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { userRoom } from '../../src/account/parts.js';
import { Harness, itemsOf, textOf } from './harness.js';

const test = suite<{ server: Harness }>('login and tokens');

test.before.each(async (context) => {
  context.server = await Harness.open();
});
test.after.each(async ({ server }) => server.close());

const HOUR_MS = 3_600_000;

function login(server: Harness, body: object) {
  return server.call(undefined, 'POST', '/v3/login', { type: 'm.login.password', ...body });
}

const byName = (user: string, password: string) => ({ identifier: { type: 'm.id.user', user }, password });

const whoami = (server: Harness, token: unknown) => server.call(String(token), 'GET', '/v3/account/whoami');

test('GET /login offers the password flow', async ({ server }) => {
  const { body } = await server.call(undefined, 'GET', '/v3/login');
  assert.equal(
    itemsOf(body.flows).map(({ type }) => textOf(type)),
    ['m.login.password'],
  );
});

test('a user logs in by user id or localpart, capitals or not, or by the deprecated field', async ({
  server,
}) => {
  await server.user('alice', 'secret');
  for (const user of ['alice', '@alice:example.org', 'Alice', '@ALICE:example.org']) {
    const { status, body } = await login(server, byName(user, 'secret'));
    assert.is(status, 200, user);
    assert.is(body.user_id, '@alice:example.org');
    assert.is((await whoami(server, body.access_token)).body.device_id, body.device_id);
  }
  assert.is((await login(server, { user: 'alice', password: 'secret' })).status, 200);
});

test('the answer carries the well-known data', async ({ server }) => {
  await server.user('alice', 'secret');
  const { body } = await login(server, byName('alice', 'secret'));
  assert.is(body.well_known?.['m.homeserver']?.base_url, 'https://example.org');
});

test('a wrong password, an unknown user, another server and an identifier of another kind are told alike', async ({
  server,
}) => {
  await server.user('alice', 'secret');
  const refusals = await Promise.all([
    login(server, byName('alice', 'wrong')),
    login(server, byName('nobody', 'secret')),
    login(server, byName('@alice:elsewhere.org', 'secret')),
    login(server, byName('alice', 'x'.repeat(100_000))),
    login(server, { identifier: { type: 'm.id.phone', country: 'GB', phone: '1' }, password: 'secret' }),
    login(server, { password: 'secret' }),
  ]);
  for (const { status, body } of refusals) {
    assert.is(status, 403);
    assert.equal(body, refusals[0]?.body);
    assert.is(body.errcode, 'M_FORBIDDEN');
  }
});

test('unknown login types and malformed bodies are refused with 400', async ({ server }) => {
  await server.user('alice', 'secret');
  for (const body of [
    { type: 'm.login.token', token: 'x' },
    { type: undefined },
    { type: 5 },
    { identifier: 'alice', password: 'secret' },
    { identifier: { type: 'm.id.user', user: 7 }, password: 'secret' },
    { ...byName('alice', 'secret'), password: 5 },
    { identifier: { type: 'm.id.user', user: 'alice' } },
    { ...byName('alice', 'secret'), device_id: 3 },
  ]) {
    assert.is((await login(server, body)).status, 400, JSON.stringify(body));
  }
});

test('a known device keeps its name, and its earlier tokens end', async ({ server }) => {
  await server.user('alice', 'secret');
  const device = { device_id: 'PHONE', initial_device_display_name: 'Old name' };
  const first = await login(server, { ...byName('alice', 'secret'), ...device });
  const again = { ...device, initial_device_display_name: 'New name' };
  const second = await login(server, { ...byName('alice', 'secret'), ...again });
  assert.is(second.body.device_id, 'PHONE');
  const ended = await whoami(server, first.body.access_token);
  assert.is(ended.status, 401);
  assert.is(ended.body.errcode, 'M_UNKNOWN_TOKEN');
  assert.is(ended.body.soft_logout, false);
  const { body } = await server.call(textOf(second.body.access_token), 'GET', '/v3/devices/PHONE');
  assert.is(body.display_name, 'Old name');
});

test('the device ID must not be the same as a cross-signing key ID', async ({ server }) => {
  const { userId } = await server.user('alice', 'secret');
  const content = { user_id: userId, usage: ['master'], keys: { 'ed25519:MASTER': 'MASTER' } };
  await server.home.engine.internal.write([
    { roomId: userRoom(userId), type: 'stateroom.cross_signing', stateKey: 'master', content },
  ]);
  const refused = await login(server, { ...byName('alice', 'secret'), device_id: 'MASTER' });
  assert.is(refused.status, 403);
  assert.is(refused.body.errcode, 'M_FORBIDDEN');
  assert.is((await login(server, { ...byName('alice', 'secret'), device_id: 'OTHER' })).status, 200);
});

test('without a device id each login makes a device of its own', async ({ server }) => {
  const alice = await server.user('alice', 'secret');
  await login(server, byName('alice', 'secret'));
  await login(server, byName('alice', 'secret'));
  const { body } = await server.call(alice, 'GET', '/v3/devices');
  assert.is(new Set(itemsOf(body.devices).map(({ device_id }) => device_id)).size, 3);
});

test('no token is M_MISSING_TOKEN, a made-up one M_UNKNOWN_TOKEN, and a refresh token is no access token', async ({
  server,
}) => {
  await server.user('alice', 'secret');
  const { body } = await login(server, { ...byName('alice', 'secret'), refresh_token: true });
  const missing = await server.call(undefined, 'GET', '/v3/account/whoami');
  assert.is(missing.status, 401);
  assert.is(missing.body.errcode, 'M_MISSING_TOKEN');
  for (const token of ['sra_made-up', 'x'.repeat(10_000), body.refresh_token]) {
    assert.is((await whoami(server, token)).body.errcode, 'M_UNKNOWN_TOKEN');
  }
});

test('clients that cannot refresh get tokens that do not expire', async ({ server }) => {
  const alice = await server.user('alice', 'secret');
  const { body } = await login(server, byName('alice', 'secret'));
  assert.is(body.expires_in_ms, undefined);
  server.advance(1_000 * HOUR_MS);
  assert.is((await whoami(server, body.access_token)).status, 200);
  assert.is((await whoami(server, alice.accessToken)).status, 200);
});

test('an access token that has expired is refused with soft_logout, and can be refreshed', async ({
  server,
}) => {
  await server.user('alice', 'secret');
  const { body: session } = await login(server, { ...byName('alice', 'secret'), refresh_token: true });
  assert.is(session.expires_in_ms, HOUR_MS);
  server.advance(HOUR_MS - 1);
  assert.is((await whoami(server, session.access_token)).status, 200);
  server.advance(1);
  const expired = await whoami(server, session.access_token);
  assert.is(expired.status, 401);
  assert.is(expired.body.errcode, 'M_UNKNOWN_TOKEN');
  assert.is(expired.body.soft_logout, true);
  const { body: fresh } = await refresh(server, session.refresh_token);
  assert.is((await whoami(server, fresh.access_token)).body.device_id, session.device_id);
  server.advance(HOUR_MS);
  assert.is((await whoami(server, fresh.access_token)).body.soft_logout, true);
});

function refresh(server: Harness, token: unknown) {
  return server.call(undefined, 'POST', '/v3/refresh', { refresh_token: token });
}

test('the old refresh token remains valid until the new access token is used', async ({ server }) => {
  await server.user('alice', 'secret');
  const { body: session } = await login(server, { ...byName('alice', 'secret'), refresh_token: true });
  const lost = await refresh(server, session.refresh_token);
  const { status, body: got } = await refresh(server, session.refresh_token);
  assert.is(status, 200, 'the answer that was lost can be asked for again');
  assert.is((await whoami(server, lost.body.access_token)).status, 401, 'what was lost is worth nothing');
  assert.is((await whoami(server, session.access_token)).status, 200, 'and the old one still works');
  assert.is((await whoami(server, got.access_token)).status, 200);
  assert.is((await whoami(server, session.access_token)).status, 401, 'until the new one is used');
  const replayed = await refresh(server, session.refresh_token);
  assert.is(replayed.status, 401);
  assert.is(replayed.body.errcode, 'M_UNKNOWN_TOKEN');
});

test('the old refresh token remains valid until the new refresh token is used', async ({ server }) => {
  await server.user('alice', 'secret');
  const { body: one } = await login(server, { ...byName('alice', 'secret'), refresh_token: true });
  const { body: two } = await refresh(server, one.refresh_token);
  const { status, body: three } = await refresh(server, two.refresh_token);
  assert.is(status, 200);
  assert.is((await refresh(server, one.refresh_token)).status, 401);
  assert.is((await whoami(server, one.access_token)).status, 401);
  assert.is((await whoami(server, two.access_token)).status, 200);
  assert.is((await whoami(server, three.access_token)).status, 200);
});

test('refreshing wants a refresh token', async ({ server }) => {
  const alice = await server.user('alice');
  assert.is((await refresh(server, undefined)).body.errcode, 'M_MISSING_PARAM');
  assert.is((await refresh(server, 5)).status, 400);
  assert.is((await refresh(server, alice.accessToken)).status, 401);
});

test('/logout ends the session and takes the device away; the others stay', async ({ server }) => {
  const phone = await server.user('alice');
  const laptop = await server.device(phone.userId);
  assert.equal((await server.call(phone, 'POST', '/v3/logout')).body, {});
  assert.is((await whoami(server, phone.accessToken)).status, 401);
  const { body } = await server.call(laptop, 'GET', '/v3/devices');
  assert.equal(
    itemsOf(body.devices).map(({ device_id }) => textOf(device_id)),
    [laptop.deviceId],
  );
});

test('/logout ends the refresh token too', async ({ server }) => {
  await server.user('alice', 'secret');
  const { body } = await login(server, { ...byName('alice', 'secret'), refresh_token: true });
  await server.call(textOf(body.access_token), 'POST', '/v3/logout');
  assert.is((await refresh(server, body.refresh_token)).status, 401);
});

test('/logout/all ends every session of the user and nobody else’s', async ({ server }) => {
  const phone = await server.user('alice');
  const laptop = await server.device(phone.userId);
  const bob = await server.user('bob');
  await server.call(phone, 'POST', '/v3/logout/all');
  assert.is((await whoami(server, phone.accessToken)).status, 401);
  assert.is((await whoami(server, laptop.accessToken)).status, 401);
  assert.is((await whoami(server, bob.accessToken)).status, 200);
  assert.equal(server.home.accounts.devices.list(phone.userId), []);
});

test('tokens that are in use are refused from the moment on in which their session or their user ends', async ({
  server,
}) => {
  const phone = await server.user('alice');
  const laptop = await server.device(phone.userId);
  const bob = await server.user('bob');
  const statuses = async (): Promise<number[]> => {
    const answers = await Promise.all([phone, laptop, bob].map((at) => whoami(server, at.accessToken)));
    return answers.map(({ status }) => status);
  };
  assert.equal([await statuses(), await statuses()].flat(), [200, 200, 200, 200, 200, 200]);
  await server.call(phone, 'POST', '/v3/logout');
  assert.equal(await statuses(), [401, 200, 200]);
  await server.home.accounts.deactivate(phone.userId, { erase: false });
  assert.equal(await statuses(), [401, 401, 200]);
  assert.equal(await statuses(), [401, 401, 200]);
});

test('whoami names user and device', async ({ server }) => {
  const alice = await server.user('alice');
  const { body } = await whoami(server, alice.accessToken);
  assert.equal(body, { user_id: alice.userId, device_id: alice.deviceId, is_guest: false });
});

test.run();
