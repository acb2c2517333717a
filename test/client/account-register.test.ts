import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Harness, type HarnessOptions, itemsOf, type Json, textOf } from './harness.js';

const test = suite('registration');

const DUMMY = { type: 'm.login.dummy' };

async function on(options: HarnessOptions, work: (server: Harness) => Promise<void>): Promise<void> {
  const server = await Harness.open(options);
  try {
    await work(server);
  } finally {
    await server.close();
  }
}

function register(server: Harness, body: object, query = '') {
  return server.call(undefined, 'POST', `/v3/register${query}`, body);
}

const stagesOf = (body: Json): string[] =>
  itemsOf(body.flows).map(({ stages }) => itemsOf(stages).map(String).join());

test('a request with no auth data is answered 401 with flows and a session, and no error', () =>
  on({}, async (server) => {
    const { status, body } = await register(server, { username: 'alice', password: 'secret' });
    assert.is(status, 401);
    assert.equal(stagesOf(body), ['m.login.dummy']);
    assert.type(body.session, 'string');
    assert.equal(body.params, {});
    assert.is(body.errcode, undefined);
    assert.is(server.home.accounts.users.get('@alice:example.org'), undefined);
  }));

test('a client that only asks for the flows, with an empty body, gets them; a password is missed with the stages', () =>
  on({}, async (server) => {
    const { status, body } = await register(server, {});
    assert.is(status, 401);
    assert.equal(stagesOf(body), ['m.login.dummy']);
    const bare = await register(server, { auth: { ...DUMMY, session: body.session } });
    assert.is(bare.status, 400);
    assert.is(bare.body.errcode, 'M_MISSING_PARAM');
    const auth = { ...DUMMY, session: body.session };
    assert.is((await register(server, { username: 'alice', password: 'secret', auth })).status, 200);
  }));

test('with all stages done, an account, a device and a token are made, and the token is good', () =>
  on({}, async (server) => {
    const first = await register(server, { username: 'alice', password: 'secret' });
    const auth = { ...DUMMY, session: first.body.session };
    const second = await register(server, {
      username: 'alice',
      password: 'secret',
      device_id: 'PHONE',
      initial_device_display_name: 'My phone',
      auth,
    });
    assert.is(second.status, 200);
    assert.is(second.body.user_id, '@alice:example.org');
    assert.is(second.body.device_id, 'PHONE');
    assert.is(second.body.refresh_token, undefined);
    const token = textOf(second.body.access_token);
    assert.is((await server.call(token, 'GET', '/v3/account/whoami')).body.user_id, '@alice:example.org');
    const device = await server.call(token, 'GET', '/v3/devices/PHONE');
    assert.is(device.body.display_name, 'My phone');
  }));

test('a session is used up by what it was for', () =>
  on({}, async (server) => {
    const { body } = await register(server, { username: 'alice', password: 'secret' });
    const auth = { session: body.session };
    const done = await register(server, {
      username: 'alice',
      password: 'secret',
      auth: { ...DUMMY, ...auth },
    });
    assert.is(done.status, 200);
    const again = await register(server, { username: 'bob', password: 'secret', auth });
    assert.is(again.status, 401);
    assert.is.not(again.body.session, body.session);
  }));

test('a session ends after a while, and the client is given another', () =>
  on({}, async (server) => {
    const { body } = await register(server, { username: 'alice', password: 'secret' });
    server.advance(16 * 60_000);
    const late = await register(server, {
      username: 'alice',
      password: 'secret',
      auth: { session: body.session },
    });
    assert.is(late.status, 401);
    assert.is.not(late.body.session, body.session);
  }));

test('sessions that nobody goes on with are bounded in number', () =>
  on({}, async (server) => {
    for (let i = 0; i < 10_200; i++) server.home.uiaSessions.begin('register');
    assert.is(server.home.uiaSessions.size, 10_000);
  }));

test('guests are refused with M_GUEST_ACCESS_FORBIDDEN', () =>
  on({}, async (server) => {
    const { status, body } = await register(server, {}, '?kind=guest');
    assert.is(status, 403);
    assert.is(body.errcode, 'M_GUEST_ACCESS_FORBIDDEN');
  }));

test('with inhibit_login neither access_token nor device_id is returned', () =>
  on({}, async (server) => {
    const { status, body } = await register(server, {
      username: 'alice',
      password: 'secret',
      inhibit_login: true,
      auth: DUMMY,
    });
    assert.is(status, 200);
    assert.is(body.user_id, '@alice:example.org');
    assert.is(body.access_token, undefined);
    assert.is(body.device_id, undefined);
    assert.equal(server.home.accounts.devices.list('@alice:example.org' as never), []);
  }));

test('without a username the server makes one', () =>
  on({}, async (server) => {
    const { status, body } = await register(server, { password: 'secret', auth: DUMMY });
    assert.is(status, 200);
    assert.match(textOf(body.user_id), /^@u[0-9a-f]{12}:example\.org$/);
  }));

test('capitals of a username become small letters', () =>
  on({}, async (server) => {
    const { body } = await register(server, { username: 'Alice', password: 'secret', auth: DUMMY });
    assert.is(body.user_id, '@alice:example.org');
    const taken = await register(server, { username: 'aLiCe', password: 'secret', auth: DUMMY });
    assert.is(taken.body.errcode, 'M_USER_IN_USE');
  }));

test('usernames outside the grammar are refused with M_INVALID_USERNAME before authentication', () =>
  on({}, async (server) => {
    for (const username of ['', '_hidden', 'a b', 'a:b', '@a', 'älice', 'a\0b', 'x'.repeat(250), 'a!']) {
      const { status, body } = await register(server, { username, password: 'secret' });
      assert.is(status, 400, username);
      assert.is(body.errcode, 'M_INVALID_USERNAME', username);
    }
  }));

test('a name that is taken is refused with M_USER_IN_USE before authentication', () =>
  on({}, async (server) => {
    await server.user('alice');
    const { status, body } = await register(server, { username: 'alice', password: 'secret' });
    assert.is(status, 400);
    assert.is(body.errcode, 'M_USER_IN_USE');
  }));

test('of many who race for one name exactly one gets it', () =>
  on({}, async (server) => {
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, i) =>
        register(server, { username: 'alice', password: `secret ${i}`, auth: DUMMY }),
      ),
    );
    const winners = answers.filter(({ status }) => status === 200);
    assert.is(winners.length, 1);
    for (const { status, body } of answers) if (status !== 200) assert.is(body.errcode, 'M_USER_IN_USE');
    const winner = answers.findIndex(({ status }) => status === 200);
    const user = await server.home.accounts.checkPassword('alice', `secret ${winner}`);
    assert.is(user?.userId, '@alice:example.org', 'the password is the winner’s');
  }));

test('empty and endless passwords are refused', () =>
  on({}, async (server) => {
    const empty = await register(server, { username: 'alice', password: '', auth: DUMMY });
    assert.is(empty.body.errcode, 'M_WEAK_PASSWORD');
    const long = await register(server, { username: 'alice', password: 'x'.repeat(513), auth: DUMMY });
    assert.is(long.body.errcode, 'M_INVALID_PARAM');
    const none = await register(server, { username: 'alice', auth: DUMMY });
    assert.is(none.body.errcode, 'M_MISSING_PARAM');
  }));

test('fields of the wrong type are refused, never a fault', () =>
  on({}, async (server) => {
    const good = { username: 'alice', password: 'secret', auth: DUMMY };
    for (const [name, value] of [
      ['username', 5],
      ['password', ['x']],
      ['device_id', {}],
      ['device_id', 'a\0b'],
      ['device_id', ''],
      ['initial_device_display_name', 'x'.repeat(256)],
      ['inhibit_login', 'yes'],
      ['refresh_token', 1],
      ['auth', 'password'],
      ['auth', { type: 7 }],
      ['auth', { session: [] }],
    ] as const) {
      const { status } = await register(server, { ...good, [name]: value });
      assert.is(status, 400, name);
    }
  }));

test('where registration is closed everybody is refused with 403', () =>
  on({ isRegistrationOpen: false }, async (server) => {
    const { status, body } = await register(server, { username: 'alice', password: 'secret', auth: DUMMY });
    assert.is(status, 403);
    assert.is(body.errcode, 'M_FORBIDDEN');
    const path = '/v1/register/m.login.registration_token/validity?token=x';
    assert.is((await server.call(undefined, 'GET', path)).status, 403);
  }));

test('a registration token opens a closed server, a wrong one and a dummy do not', () =>
  on({ isRegistrationOpen: false, registrationTokens: ['golden', 'silver'] }, async (server) => {
    const wanted = { username: 'alice', password: 'secret' };
    const first = await register(server, wanted);
    assert.equal(stagesOf(first.body), ['m.login.registration_token']);
    const { session } = first.body;
    const type = 'm.login.registration_token';
    const wrong = await register(server, { ...wanted, auth: { type, token: 'brass', session } });
    assert.is(wrong.status, 401);
    assert.is(wrong.body.errcode, 'M_FORBIDDEN');
    assert.is(wrong.body.session, session, 'the client may try again');
    const dummy = await register(server, { ...wanted, auth: { ...DUMMY, session } });
    assert.is(dummy.status, 401);
    const right = await register(server, { ...wanted, auth: { type, token: 'silver', session } });
    assert.is(right.status, 200);
    for (const [token, valid] of [
      ['golden', true],
      ['gold', false],
    ] as const) {
      const path = `/v1/register/m.login.registration_token/validity?token=${token}`;
      assert.equal((await server.call(undefined, 'GET', path)).body, { valid });
    }
  }));

test('/register/available says whether a name is free and valid', () =>
  on({}, async (server) => {
    await server.user('alice');
    const ask = (name: string) =>
      server.call(undefined, 'GET', `/v3/register/available?username=${encodeURIComponent(name)}`);
    assert.equal((await ask('bob')).body, { available: true });
    assert.is((await ask('alice')).body.errcode, 'M_USER_IN_USE');
    assert.is((await ask('a b')).body.errcode, 'M_INVALID_USERNAME');
    assert.is(
      (await server.call(undefined, 'GET', '/v3/register/available')).body.errcode,
      'M_MISSING_PARAM',
    );
  }));

test.run();
