// `stateroom serve` as a process: its signals, its crash, and commands that speak to it through its socket.

import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ask } from '../server/support.js';
import { fixture, jsonLinesOf, jsonOf, makeWorkplace } from './run.js';

const test = suite('cli/serve');
const place = makeWorkplace();
const children = new Set<ChildProcessWithoutNullStreams>();
test.after(() => {
  for (const child of children) child.kill('SIGKILL');
  place.remove();
});

interface Served {
  readonly child: ChildProcessWithoutNullStreams;
  readonly address: string;
  /** Everything on stdout so far. */
  readonly log: () => string;
  /** Everything on stderr so far. */
  readonly said: () => string;
}

/** Starts a server and waits until it listens. */
async function start(...args: string[]): Promise<Served> {
  const child = place.start(['serve', '--port', '0', ...args]);
  children.add(child);
  let log = '';
  let said = '';
  await new Promise<void>((resolve, reject) => {
    const look = (): void => {
      if (log.includes('"listening"') && said.includes('stateroom serves')) resolve();
    };
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString('utf8');
      look();
    });
    child.stdout.on('data', (chunk: Buffer) => {
      log += chunk.toString('utf8');
      look();
    });
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}: ${said}`)));
  });
  const address = /"address":"([^"]+)"/.exec(log)?.[1] ?? '';
  return { child, address, log: () => log, said: () => said };
}

async function end({ child }: Served, signal: NodeJS.Signals): Promise<number | null> {
  const exited = once(child, 'exit') as Promise<[number | null]>;
  child.kill(signal);
  const [code] = await exited;
  children.delete(child);
  return code;
}

const V3 = '/_matrix/client/v3';

async function login({ address }: Served, user: string, password: string): Promise<string> {
  const { status, body } = await ask(address, `${V3}/login`, {
    body: { type: 'm.login.password', identifier: { type: 'm.id.user', user }, password },
  });
  assert.is(status, 200);
  return String(body['access_token']);
}

/** What each question answers, as its exit code and stdout. */
const answersOf = (questions: ReadonlyArray<readonly string[]>) =>
  questions.map((args) => {
    const { code, stdout } = place.run(args);
    return [args.join(' '), code, stdout];
  });

test('a server is started, told what to do next, given users, killed, and has lost none of it', async () => {
  const first = await start();
  assert.match(first.said(), 'stateroom serves localhost');
  assert.match(first.said(), 'a name can never be changed');
  assert.match(first.said(), 'admin user create');

  const made = jsonOf<{ user_id: string; password: string }>(
    place.run(['admin', 'user', 'create', 'alice', '--json']),
  );
  assert.is(made.user_id, '@alice:localhost');
  const given = place.run(
    ['admin', 'user', 'create', 'bob', '--admin', '--password-stdin'],
    'builder of things\n',
  );
  assert.equal([given.code, given.stdout], [0, '@bob:localhost created\n']);
  const token = await login(first, 'alice', made.password);
  const room = await ask(first.address, `${V3}/createRoom`, { token, body: { name: 'Kept' } });
  const roomId = String(room.body['room_id']);
  const send = `${V3}/rooms/${encodeURIComponent(roomId)}/send/m.room.message/m1`;
  const message = { token, method: 'PUT', body: { msgtype: 'm.text', body: 'once' } };
  const sent = String((await ask(first.address, send, message)).body['event_id']);
  await end(first, 'SIGKILL');

  const second = await start();
  assert.not.match(second.said(), 'admin user create');
  const whoami = await ask(second.address, `${V3}/account/whoami`, { token });
  assert.is(whoami.body['user_id'], '@alice:localhost');
  const name = await ask(second.address, `${V3}/rooms/${encodeURIComponent(roomId)}/state/m.room.name/`, {
    token,
  });
  assert.equal(name.body, { name: 'Kept' });
  assert.is((await ask(second.address, send, message)).body['event_id'], sent, 'sent again, it is the same');
  const device = String(whoami.body['device_id']);
  const { transaction } = jsonOf<{ transaction: unknown }>(place.run(['event', sent, '--json']));
  assert.equal(transaction, { device_id: device, txn_id: 'm1' });
  assert.match(place.run(['event', sent]).stdout, `by device ${device}, transaction m1`);
  await login(second, 'bob', 'builder of things');

  const users = jsonOf<Array<{ user_id: string; admin: boolean }>>(
    place.run(['admin', 'user', 'list', '--json']),
  );
  assert.equal(
    users.map(({ user_id, admin }) => [user_id, admin]),
    [
      ['@alice:localhost', false],
      ['@bob:localhost', true],
    ],
  );
  assert.is(
    place.run(['admin', 'user', 'make-admin', 'alice']).stdout,
    '@alice:localhost is an administrator\n',
  );
  const reset = place.run(['admin', 'user', 'reset-password', 'alice', '--password', 'another one']);
  assert.is(reset.stdout, '@alice:localhost has a new password\n');
  assert.is((await ask(second.address, `${V3}/account/whoami`, { token })).status, 401);
  assert.is(place.run(['admin', 'user', 'deactivate', 'bob']).code, 0);
  assert.is(jsonOf<{ users: number }>(place.run(['admin', 'status', '--json'])).users, 1);
  const rooms = jsonOf<Array<Record<string, unknown>>>(place.run(['admin', 'rooms', '--json']));
  assert.equal(
    rooms.map(({ room_id, name, joined, servers }) => [room_id, name, joined, servers]),
    [[roomId, 'Kept', 1, 0]],
  );
  assert.equal(jsonOf(place.run(['admin', 'federation', '--json'])), []);
  assert.match(place.run(['admin', 'federation']).stdout, 'No server fails');
  assert.is(place.run(['admin', 'federation', '--retry', 'fine.example']).code, 3);
  const unknown = place.run(['admin', 'user', 'deactivate', 'nobody']);
  assert.is(unknown.code, 3);
  assert.match(unknown.stderr, 'there is no user nobody');

  assert.is(await end(second, 'SIGTERM'), 0);
  assert.match(second.log(), '"ended"');
  for (const secret of [token, made.password]) assert.not.match(first.log() + second.log(), secret);
});

test('questions give the same answers while a server holds the store as when none does', async () => {
  const imported = place.run(['import', fixture('rejects-v11', 'events.jsonl'), '--no-verify', '--json']);
  assert.is(imported.code, 0, imported.stderr);
  const rooms = jsonOf<Array<{ room_id: string; room_version: string }>>(place.run(['rooms', '--json']));
  const roomId = rooms.find(({ room_version: version }) => version === '11')?.room_id ?? '';
  const state = jsonOf<Array<{ event_id: string }>>(place.run(['state', roomId, '--json']));
  const eventId = state.at(-1)?.event_id ?? '';
  const creator = state[0]?.event_id ?? '';
  const questions = [
    ['rooms', '--json'],
    ['room', roomId, '--json'],
    ['event', eventId, '--json'],
    ['state', roomId, '--json'],
    ['state', eventId, '--before', '--json'],
    ['members', roomId, '--json'],
    ['count', roomId, '--json'],
    ['diff', creator, eventId, '--json'],
    ['log', roomId, 'm.room.member', '--json'],
    ['why', eventId, '--json'],
    ['blame', roomId, '--json'],
    ['graph', roomId, '--json'],
    ['prove', eventId, 'm.room.topic', '', '--json'],
    ['export', roomId],
    ['fsck', '--json'],
    ['event', '$nothing', '--json'],
  ];
  const alone = answersOf(questions);
  assert.equal(
    alone.slice(-1).map(([, code]) => code),
    [1],
  );

  const server = await start();
  assert.equal(answersOf(questions), alone);
  const ids = state.map(({ event_id: id }) => id).join('\n');
  const lines = jsonLinesOf<{ event_id: string }>(place.run(['state', '--events', '-'], ids));
  assert.is(lines.length, state.length);
  assert.is(place.run(['stats', '--json']).code, 0);

  for (const args of [['gc'], ['rebuild'], ['gc', '--purge-room', roomId], ['import', '-', '--no-verify']]) {
    const refused = place.run([...args, '--json']);
    assert.equal([refused.code, refused.stdout], [3, ''], args.join(' '));
    assert.match(refused.stderr, 'STORE_LOCKED');
  }
  const twin = place.run(['serve', '--port', '0']);
  assert.is(twin.code, 3);
  assert.match(twin.stderr, 'STORE_LOCKED');
  assert.is(await end(server, 'SIGINT'), 0);
});

test('without a server admin says so', () => {
  const { code, stdout, stderr } = place.run(['admin', 'user', 'list', '--json']);
  assert.equal([code, stdout], [3, '']);
  assert.match(stderr, 'SERVER_NOT_RUNNING');
});

test('a wrong configuration ends the start with the keys that are wrong', () => {
  const wrong = place.run(['serve', '--server-name', 'not a name']);
  assert.is(wrong.code, 3);
  assert.match(wrong.stderr, 'server_name is a server name');
  assert.is(place.run(['serve', '--port', 'x']).code, 2);
  const missing = place.run(['serve', '--config', 'gone.yaml']);
  assert.match(missing.stderr, 'SERVER_CONFIG_UNREADABLE');
});

test('the configuration file is printed with every setting', () => {
  const { code, stdout } = place.run(['serve', '--print-config']);
  assert.is(code, 0);
  for (const key of ['server_name:', 'listen:', '  port: 8008', 'rate_limits:', 'durability: sync']) {
    assert.match(stdout, key);
  }
});

test('a second signal ends a server at once', async () => {
  const server = await start('--enable-registration');
  const { address, child } = server;
  const user = place.run(['admin', 'user', 'create', 'carol', '--password', 'password']);
  assert.is(user.code, 0);
  const token = await login(server, 'carol', 'password');
  // A body that never ends keeps the first signal waiting.
  const { hostname, port } = new URL(address);
  const { connect } = await import('node:net');
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined);
  const head = `POST ${V3}/createRoom HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Length: 9\r\n\r\n`;
  socket.write(`${head}{`);
  await ask(address, `${V3}/account/whoami`, { token });
  child.kill('SIGTERM');
  while (!server.log().includes('ending')) await new Promise((resolve) => setImmediate(resolve));
  assert.is(await end(server, 'SIGTERM'), 3);
  socket.destroy();
});

test.run();
