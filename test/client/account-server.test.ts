import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { clientRoutes } from '../../src/client/routes.js';
import { Harness, textOf } from './harness.js';

const test = suite<{ server: Harness }>('what the server says of itself, and to whom');

test.before.each(async (context) => {
  context.server = await Harness.open();
});
test.after.each(async ({ server }) => server.close());

test('GET /versions names the versions and unstable features without a token', async ({ server }) => {
  const { body } = await server.call(undefined, 'GET', '/versions');
  assert.is(body.versions?.['0'], 'v1.1');
  assert.is(body.versions?.['15'], 'v1.16');
  assert.is(body.unstable_features?.['org.matrix.msc4222'], true);
  assert.is(body.unstable_features?.['org.matrix.e2e_cross_signing'], true);
});

test('the well-known document names the base URL', async ({ server }) => {
  const { body } = await server.call(undefined, 'GET', '/.well-known/matrix/client');
  assert.equal(body, { 'm.homeserver': { base_url: 'https://example.org' } });
});

test('capabilities name the room versions and what users may change', async ({ server }) => {
  const alice = await server.user('alice');
  const { capabilities } = (await server.call(alice, 'GET', '/v3/capabilities')).body;
  assert.is(capabilities?.['m.room_versions']?.default, '12');
  assert.is(Object.keys(capabilities?.['m.room_versions']?.available ?? {}).length, 12);
  assert.is(capabilities?.['m.change_password']?.enabled, true);
  assert.is(capabilities?.['m.3pid_changes']?.enabled, false);
});

test('what there is none of is told as none, not as an error', async ({ server }) => {
  const alice = await server.user('alice');
  for (const [path, answer] of [
    ['pushers', { pushers: [] }],
    ['account/3pid', { threepids: [] }],
    ['thirdparty/protocols', {}],
    ['voip/turnServer', {}],
  ] as const) {
    const { status, body } = await server.call(alice, 'GET', `/v3/${path}`);
    assert.is(status, 200, path);
    assert.equal(body, answer, path);
  }
});

test('every endpoint that needs a user refuses a stranger with 401', async ({ server }) => {
  let asked = 0;
  for (const { method, path, auth } of clientRoutes) {
    if (auth !== 'user') continue;
    const missing = await server.call(undefined, method, path.replaceAll(':', 'x'));
    assert.is(missing.body.errcode, 'M_MISSING_TOKEN', path);
    const wrong = await server.call('sra_wrong', method, path.replaceAll(':', 'x'));
    assert.is(wrong.body.errcode, 'M_UNKNOWN_TOKEN', path);
    asked++;
  }
  assert.ok(asked > 30);
});

test('no two endpoints have the same method and path', () => {
  const names = clientRoutes.map(({ method, path }) => `${method} ${path.replaceAll(/:[A-Za-z]+/g, ':')}`);
  assert.is(new Set(names).size, names.length);
});

test('internal rooms are not to be read or written through any endpoint with a room in its path', async ({
  server,
}) => {
  const alice = await server.user('alice');
  await server.call(alice, 'PUT', `/v3/user/${alice.userId}/account_data/a`, { secret: 'hidden' });
  const internal = ['!users', '!tokens', `!user/${alice.userId.replace(':', '/')}`];
  const password = server.home.engine.currentState(textOf(internal[2])).get('stateroom.password', '');
  assert.type(password, 'string', 'the room is there');
  let asked = 0;
  for (const { method, path } of clientRoutes) {
    if (!/:room/i.test(path)) continue;
    for (const roomId of internal) {
      const filled = path
        .replaceAll(/:roomId(?:OrAlias)?/g, encodeURIComponent(roomId))
        .replaceAll(':userId', encodeURIComponent(alice.userId))
        .replaceAll(':eventId', encodeURIComponent(textOf(password)))
        .replaceAll(':eventType', 'stateroom.password')
        .replaceAll(/:[A-Za-z]+/g, 'x');
      const before = server.home.engine.reader.room(roomId).events;
      const { status, body } = await server.call(alice, method, filled, {
        user_id: alice.userId,
        event_id: password,
      });
      assert.ok(status >= 400, `${method} ${filled} gave ${status}`);
      assert.not.match(JSON.stringify(body), /argon2|hidden/);
      // Asking is noted as the device having been seen at most once, before the first of these.
      assert.is(server.home.engine.reader.room(roomId).events, before, `${method} ${filled} wrote`);
      asked++;
    }
  }
  assert.ok(asked > 30);
});

test('internal rooms are in no list of rooms', async ({ server }) => {
  const alice = await server.user('alice');
  assert.equal((await server.call(alice, 'GET', '/v3/joined_rooms')).body, { joined_rooms: [] });
  assert.equal([...(await server.home.accounts.memberships.ofUser(alice.userId))], []);
});

test.run();
