// The whole homeserver: what it keeps, how it starts and ends, and its own endpoints.

import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectSocket } from 'node:net';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { StateroomError } from '../../src/lib/errors.js';
import { type AdminClient, connectAdmin } from '../../src/server/admin/client.js';
import type { RunningHomeserver } from '../../src/server/start.js';
import { type Answered, ask, KeptLog, serve, tempFolder } from './support.js';

const test = suite('server/homeserver');
const folder = tempFolder();
test.after(() => folder.remove());
let folders = 0;
const freshData = (): string => join(folder.path, `data-${++folders}`);

const V3 = '/_matrix/client/v3';

async function faultOf(work: Promise<unknown>): Promise<StateroomError> {
  const [outcome] = await Promise.allSettled([work]);
  if (outcome?.status === 'rejected' && outcome.reason instanceof StateroomError) return outcome.reason;
  throw new Error('nothing was refused');
}

async function login(server: RunningHomeserver, user: string, password: string): Promise<Answered> {
  return ask(server.address, `${V3}/login`, {
    body: { type: 'm.login.password', identifier: { type: 'm.id.user', user }, password },
  });
}

test('a first run makes the folder and a key for its owner alone; a second run keeps both', async () => {
  const data = freshData();
  const log = new KeptLog();
  const first = await serve(data, {}, log);
  assert.is(first.isFirstRun, true);
  assert.is(first.home.options.serverName, 'localhost');
  assert.is(first.home.options.publicBaseUrl, first.address);
  const keyFile = join(data, 'signing.key');
  const key = readFileSync(keyFile, 'utf8');
  assert.match(key, /^ed25519 a_[a-z0-9]{4} \S{43}\n$/);
  assert.is(statSync(keyFile).mode & 0o777, 0o600);
  assert.is(statSync(join(data, 'admin.sock')).mode & 0o777, 0o600);
  await first.close();
  assert.is(existsSync(join(data, 'admin.sock')), false);
  assert.not.match(log.text, key.split(' ')[2]?.trim() ?? '');

  const second = await serve(data);
  assert.is(second.isFirstRun, false);
  assert.is(readFileSync(keyFile, 'utf8'), key);
  await second.close();
});

test('a server keeps its name, and data of another name is refused', async () => {
  const data = freshData();
  await (await serve(data, { server_name: 'one.example' })).close();
  const fault = await faultOf(serve(data, { server_name: 'two.example' }));
  assert.is(fault.code, 'SERVER_NAME_CHANGED');
  const again = await serve(data);
  assert.is(again.home.options.serverName, 'one.example');
  await again.close();
});

test('a start that fails says why and leaves nothing open', async () => {
  const data = freshData();
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const { port } = taken.address() as AddressInfo;
  const fault = await faultOf(serve(data, { 'listen.port': port }));
  assert.is(fault.code, 'SERVER_LISTEN_FAILED');
  assert.match(fault.message, String(port));
  taken.close();
  writeFileSync(join(data, 'signing.key'), 'nonsense');
  assert.is((await faultOf(serve(data))).code, 'SERVER_KEY_INVALID');
  writeFileSync(join(data, 'signing.key'), `ed25519 a_1 ${'A'.repeat(43)}\n`);
  const server = await serve(data);
  assert.is((await ask(server.address, '/_stateroom/health')).status, 200);
  await server.close();
});

test('users made on the socket log in, and are still there after a restart', async () => {
  const data = freshData();
  const first = await serve(data);
  const admin = await connectAdmin(data);
  assert.equal(await admin.call('user.create', { user_id: 'alice', password: 'wonderland', admin: true }), {
    user_id: '@alice:localhost',
  });
  const made = await admin.call<{ password: string }>('user.create', { user_id: '@bob:localhost' });
  assert.is((await login(first, 'alice', 'wonderland')).status, 200);
  const { body } = await login(first, 'bob', made.password);
  const token = String(body['access_token']);
  assert.is((await ask(first.address, `${V3}/account/whoami`, { token })).body['user_id'], '@bob:localhost');

  const reset = await admin.call<{ password: string }>('user.reset_password', { user_id: 'bob' });
  assert.is((await ask(first.address, `${V3}/account/whoami`, { token })).status, 401);
  assert.is((await login(first, 'bob', made.password)).status, 403);
  admin.close();
  await first.close();

  const second = await serve(data);
  assert.is((await login(second, 'bob', reset.password)).status, 200);
  const again = await connectAdmin(data);
  assert.equal(await again.call('user.make_admin', { user_id: 'bob' }), {
    user_id: '@bob:localhost',
    admin: true,
  });
  assert.equal(await again.call('user.make_admin', { user_id: 'alice', admin: false }), {
    user_id: '@alice:localhost',
    admin: false,
  });
  await again.call('user.deactivate', { user_id: 'bob' });
  assert.is((await login(second, 'bob', reset.password)).status, 403);
  const users =
    await again.call<Array<{ user_id: string; admin: boolean; deactivated: boolean }>>('user.list');
  assert.equal(
    users.map(({ user_id, admin: isAdmin, deactivated }) => [user_id, isAdmin, deactivated]),
    [
      ['@alice:localhost', false, false],
      ['@bob:localhost', true, true],
    ],
  );
  const status = await again.call<Record<string, unknown>>('status');
  assert.equal([status['server_name'], status['users'], status['writes']], ['localhost', 1, 'ok']);
  again.close();
  await second.close();
});

test('the socket refuses what it does not know, and lets a hostile line end only its own connection', async () => {
  const data = freshData();
  const server = await serve(data);
  const admin = await connectAdmin(data);
  const refused: ReadonlyArray<readonly [method: string, params: Record<string, unknown>, code: string]> = [
    ['nothing', {}, 'SERVER_ADMIN_REQUEST'],
    ['constructor', {}, 'SERVER_ADMIN_REQUEST'],
    ['user.create', {}, 'SERVER_ADMIN_REQUEST'],
    ['user.create', { user_id: 'not a name' }, 'ACCOUNT_INVALID_USERNAME'],
    ['user.create', { user_id: 'a', password: 'x'.repeat(600) }, 'SERVER_ADMIN_REQUEST'],
    ['user.deactivate', { user_id: 'nobody' }, 'SERVER_ADMIN_REQUEST'],
    ['store.get', {}, 'SERVER_ADMIN_REQUEST'],
  ];
  for (const [method, params, code] of refused)
    assert.is((await faultOf(admin.call(method, params))).code, code, method);
  await admin.call('user.create', { user_id: 'a', password: 'password' });
  assert.is((await faultOf(admin.call('user.create', { user_id: 'a' }))).code, 'ACCOUNT_USER_IN_USE');

  const hostile = connectSocket(join(data, 'admin.sock'));
  const ended = new Promise((resolve) => hostile.once('close', resolve));
  hostile.on('error', () => undefined);
  hostile.write('x'.repeat(2 * 1024 * 1024));
  await ended;
  const nonsense = connectSocket(join(data, 'admin.sock'));
  const said = new Promise<string>((resolve) =>
    nonsense.once('data', (chunk) => resolve(chunk.toString('utf8'))),
  );
  nonsense.write('[1]\n');
  assert.match(await said, 'SERVER_ADMIN_REQUEST');
  nonsense.destroy();
  assert.is((await admin.call<unknown[]>('user.list')).length, 1);
  admin.close();
  await server.close();
  assert.is((await faultOf(connectAdmin(data))).code, 'SERVER_NOT_RUNNING');
});

test('a connection to the socket sees the store as of one moment, whatever is written meanwhile', async () => {
  const data = freshData();
  const server = await serve(data);
  const rows = async (client: AdminClient) =>
    (await client.call<{ rows: unknown[] }>('store.range', { values: false })).rows.length;
  const first = await connectAdmin(data);
  const before = await rows(first);
  await server.home.accounts.register({ username: 'alice', password: 'password' });
  assert.is(await rows(first), before);
  const second = await connectAdmin(data);
  assert.ok((await rows(second)) > before);
  first.close();
  second.close();
  await server.close();
});

test('logs are text where that is wanted, and metrics have a port of their own where one is given', async () => {
  const log = new KeptLog();
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  const server = await serve(freshData(), { 'log.format': 'text', 'metrics.port': port }, log);
  assert.match(log.text, /^\d\d:\d\d:\d\d\.\d{3} INFO {2}listening address=http:\/\/127/m);
  const metrics = await ask(`http://127.0.0.1:${port}`, '/metrics');
  assert.match(metrics.text, 'stateroom_committed_seq');
  assert.is((await ask(`http://127.0.0.1:${port}`, '/')).status, 404);
  await server.close();
});

test('a client of the socket learns that the server ended', async () => {
  const data = freshData();
  const server = await serve(data);
  const admin: AdminClient = await connectAdmin(data);
  await admin.call('status');
  await server.close();
  assert.is((await faultOf(admin.call('status'))).code, 'SERVER_NOT_RUNNING');
});

test('a connection without a request does not hold up the end', async () => {
  const log = new KeptLog();
  const server = await serve(freshData(), {}, log);
  const unused = connectSocket(Number(new URL(server.address).port), '127.0.0.1');
  await once(unused, 'connect');
  // The server has taken it when it answers what came after it.
  assert.is((await ask(server.address, `${V3}/login`)).status, 200);
  const ended = once(unused.resume(), 'close');
  await server.close();
  await ended;
  assert.not.match(log.text, 'cut off');
});

test('health, landing page and metrics say what they should, and metrics to this machine only', async () => {
  const server = await serve(freshData(), {
    server_name: 'example.org',
    public_base_url: 'https://m.example.org/',
  });
  const { address } = server;
  assert.equal((await ask(address, '/_stateroom/health')).body, { status: 'ok' });
  const page = await ask(address, '/');
  assert.is(page.status, 200);
  assert.match(String(page.headers['content-type']), 'text/html');
  for (const part of ['example.org', 'https://m.example.org', 'stateroom 0.']) assert.match(page.text, part);
  assert.not.match(page.text, /<script|src=|@import/);
  assert.equal((await ask(address, '/.well-known/matrix/client')).body, {
    'm.homeserver': { base_url: 'https://m.example.org' },
  });
  await ask(address, `${V3}/login`);
  const metrics = await ask(address, '/_stateroom/metrics');
  assert.match(metrics.text, /^stateroom_commit_groups_total \d+$/m);
  assert.match(metrics.text, /^stateroom_sync_waiters 0$/m);
  assert.match(metrics.text, /route="\/_matrix\/client\/v3\/login",status="200"\} 1$/m);
  assert.match(metrics.text, /^stateroom_node_cache_bytes_max \d+$/m);
  for (const phase of ['evaluate', 'judge', 'commit', 'release']) {
    assert.match(
      metrics.text,
      new RegExp(`^stateroom_core_phase_seconds_count{phase="${phase}"} \\d+$`, 'm'),
    );
  }
  for (const name of ['lanes', 'lane_arrivals', 'unwritten_decisions', 'horizon_events', 'node_hits_total']) {
    assert.match(metrics.text, new RegExp(`^stateroom_${name} \\d+$`, 'm'));
  }
  assert.match(metrics.text, /^stateroom_resolution_conflicts_count \d+$/m);
  const proxied = await ask(address, '/_stateroom/metrics', { headers: { 'x-forwarded-for': '1.2.3.4' } });
  assert.is(proxied.status, 404);
  await server.close();
});

test('the address of a client is believed from a proxy that is trusted, and from nobody else', async () => {
  const limit = { 'rate_limits.login.burst': 1, 'rate_limits.login.per_second': 0.01 };
  const from = (address: string, ip: string) =>
    ask(address, `${V3}/login`, { body: {}, headers: { 'x-forwarded-for': ip } }).then(
      ({ status }) => status,
    );
  const open = await serve(freshData(), limit);
  await from(open.address, '1.1.1.1');
  assert.is(await from(open.address, '2.2.2.2'), 429);
  await open.close();
  const behind = await serve(freshData(), { ...limit, 'listen.trusted_proxies': ['127.0.0.0/8'] });
  await from(behind.address, '1.1.1.1');
  assert.is.not(await from(behind.address, '2.2.2.2'), 429);
  assert.is(await from(behind.address, '1.1.1.1'), 429);
  await behind.close();
});

test('wrong passwords for one account are limited wherever they come from; right ones, and other accounts, are not', async () => {
  const server = await serve(freshData(), {
    'listen.trusted_proxies': ['127.0.0.0/8'],
    'rate_limits.password.burst': 2,
    'rate_limits.password.per_second': 0.01,
  });
  const { home } = server;
  for (const username of ['alice', 'bob']) await home.accounts.register({ username, password: 'right' });
  let address = 0;
  const login = async (user: string, password: string): Promise<number> => {
    const body = { type: 'm.login.password', identifier: { type: 'm.id.user', user }, password };
    const headers = { 'x-forwarded-for': `10.0.0.${++address}` };
    return (await ask(server.address, `${V3}/login`, { body, headers })).status;
  };
  for (let i = 0; i < 5; i++) assert.is(await login('alice', 'right'), 200, 'a right one does not count');
  assert.equal(
    await Promise.all(['1', '2', '3', '4'].map((guess) => login('alice', guess))),
    [403, 403, 429, 429],
  );
  assert.is(await login('@ALICE:localhost', 'right'), 429, 'by whatever name');
  assert.is(await login('bob', 'right'), 200);
  assert.equal(
    [await login('nobody', '1'), await login('nobody', '2'), await login('nobody', '3')],
    [403, 403, 429],
    'there is no telling who is nobody',
  );
  const refused = await ask(server.address, `${V3}/login`, {
    body: { type: 'm.login.password', identifier: { type: 'm.id.user', user: 'alice' }, password: 'right' },
  });
  assert.ok(Number(refused.headers['retry-after']) > 0);
  await server.close();
});

test('a shared secret registers users, each nonce once; without a secret there is no such endpoint', async () => {
  const path = '/_synapse/admin/v1/register';
  const closed = await serve(freshData());
  assert.is((await ask(closed.address, path)).body['errcode'], 'M_UNRECOGNIZED');
  await closed.close();

  const secret = 'a secret of the server';
  const server = await serve(freshData(), { 'registration.shared_secret': secret });
  const nonce = async () => String((await ask(server.address, path)).body['nonce']);
  const signed = (of: string, user: string, admin: boolean, key = secret) => ({
    nonce: of,
    username: user,
    password: 'pass',
    admin,
    mac: createHmac('sha1', key)
      .update([of, user, 'pass', admin ? 'admin' : 'notadmin'].join('\0'))
      .digest('hex'),
  });
  const first = await nonce();
  const made = await ask(server.address, path, { body: signed(first, 'alice', true) });
  assert.is(made.status, 200);
  assert.is(made.body['user_id'], '@alice:localhost');
  const token = String(made.body['access_token']);
  assert.is((await ask(server.address, `${V3}/account/whoami`, { token })).status, 200);
  assert.is(server.home.accounts.users.get('@alice:localhost')?.isAdmin, true);

  const again = await ask(server.address, path, { body: signed(first, 'bob', false) });
  assert.is(again.status, 400);
  const forged = await ask(server.address, path, { body: signed(await nonce(), 'bob', true, 'a guess') });
  assert.equal([forged.status, forged.body['errcode']], [403, 'M_FORBIDDEN']);
  const raised = { ...signed(await nonce(), 'bob', false), admin: true };
  assert.is((await ask(server.address, path, { body: raised })).status, 403);
  const twin = await ask(server.address, path, { body: signed(await nonce(), 'alice', false) });
  assert.equal([twin.status, twin.body['errcode']], [400, 'M_USER_IN_USE']);
  assert.is((await ask(server.address, path, { body: { nonce: 1 } })).body['errcode'], 'M_BAD_JSON');
  await server.close();
});

test('ending answers long polls, refuses what comes after, and loses nothing acknowledged', async () => {
  const data = freshData();
  const server = await serve(data);
  await server.home.accounts.register({ username: 'alice', password: 'password' });
  const token = String((await login(server, 'alice', 'password')).body['access_token']);
  const first = await ask(server.address, `${V3}/sync`, { token });
  assert.is(first.status, 200);
  const since = String(first.body['next_batch']);
  const poll = ask(server.address, `${V3}/sync?timeout=60000&since=${since}`, { token });
  while (server.home.notifier.listeners === 0) await new Promise((resolve) => setImmediate(resolve));
  const room = await ask(server.address, `${V3}/createRoom`, { token, body: {} });
  assert.is(room.status, 200);
  assert.is((await poll).status, 200);

  const next = String((await ask(server.address, `${V3}/sync`, { token })).body['next_batch']);
  const waiting = ask(server.address, `${V3}/sync?timeout=60000&since=${next}`, { token });
  while (server.home.notifier.listeners === 0) await new Promise((resolve) => setImmediate(resolve));
  const closing = server.close();
  const answered = await waiting;
  assert.is(answered.status, 200);
  assert.type(answered.body['next_batch'], 'string');
  await closing;
  assert.ok(
    await ask(server.address, '/_stateroom/health').then(
      () => false,
      () => true,
    ),
  );

  const again = await serve(data);
  const rooms = await ask(again.address, `${V3}/joined_rooms`, { token });
  assert.equal(rooms.body, { joined_rooms: [room.body['room_id']] });
  const later = await ask(
    again.address,
    `${V3}/sync?timeout=0&since=${String(answered.body['next_batch'])}`,
    { token },
  );
  assert.is(later.status, 200);
  await again.close();
});

test.run();
