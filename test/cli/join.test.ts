// `stateroom join` and what shows how far a join is: two homeservers over HTTPS, and the command beside one of them.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { RoomId, UserId } from '../../src/event/ids.js';
import { UnreachableError } from '../../src/federation/errors.js';
import type { RunningHomeserver } from '../../src/server/start.js';
import { Authority } from '../../tools/peers/authority.js';
import { memberEvent } from '../federation/resync/scene.js';
import { serve, tempFolder } from '../server/support.js';
import { jsonOf, type Ran } from './run.js';

const test = suite('cli/join');

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const NAMES = ['a.test', 'b.test'];
/** More than a resident tells of at once. */
const MEMBERS = 60;

const folder = tempFolder();
const authority = new Authority();
test.after(() => folder.remove());

function fileWith(name: string, content: string): string {
  const path = join(folder.path, name);
  writeFileSync(path, content);
  return path;
}

const dataOf = (name: string): string => join(folder.path, name);

/** The command beside the servers that run in this process. */
async function run(...args: readonly string[]): Promise<Ran> {
  const env = { ...process.env, STATEROOM_DATA: dataOf('a.test'), NO_COLOR: '1' };
  const child = spawn(process.execPath, [MAIN, ...args], { env, cwd: folder.path });
  child.stdin.end();
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit') as Promise<[number | null]>,
  ]);
  return { code, stdout, stderr };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function twoServers(): Promise<readonly [RunningHomeserver, RunningHomeserver]> {
  const ports = await Promise.all(NAMES.map(() => freePort()));
  const open = (i: number): Promise<RunningHomeserver> => {
    const name = NAMES[i] ?? '';
    const { cert, key } = authority.issue(name);
    return serve(dataOf(name), {
      server_name: name,
      'federation.tls.port': ports[i],
      'federation.tls.address': '127.0.0.1',
      'federation.tls.cert_file': fileWith(`${name}.crt`, cert),
      'federation.tls.key_file': fileWith(`${name}.key`, key),
      'federation.ca_file': fileWith('ca.pem', authority.cert),
      'federation.resolve': NAMES.map((other, at) => `${other}=127.0.0.1:${ports[at]}`),
      'federation.allow_private_networks': ['127.0.0.0/8'],
    });
  };
  return [await open(0), await open(1)];
}

async function roomAt({ home }: RunningHomeserver, name: string): Promise<RoomId> {
  const { engine, options } = home;
  const owner = `@bob:${options.serverName}` as UserId;
  const { roomId } = await engine.createRoom(owner);
  await engine.send(roomId, memberEvent(owner, 'join'));
  const send = (type: string, content: Record<string, string>) =>
    engine.send(roomId, { type, sender: owner, stateKey: '', content });
  await send('m.room.join_rules', { join_rule: 'public' });
  await send('m.room.name', { name });
  for (let i = 0; i < MEMBERS; i++)
    await engine.send(roomId, memberEvent(`@m${i}:${options.serverName}` as UserId, 'join'));
  return roomId;
}

interface RoomReport {
  readonly partial: boolean;
  readonly members: { readonly join: number };
  readonly incomplete: {
    readonly from: string;
    readonly servers: number;
    readonly progress: { readonly state: string; readonly last_error: string } | null;
  } | null;
}

test('a room is joined and completed, and what is missing of it is told as long as something is', async () => {
  const servers = await twoServers();
  try {
    await joinsOf(servers);
  } finally {
    for (const server of servers) await server.close();
  }
});

async function joinsOf([a, b]: readonly [RunningHomeserver, RunningHomeserver]): Promise<void> {
  const { federation, accounts } = a.home;
  assert.ok(federation);
  await accounts.register({ username: 'alice', password: 'a password of alice' });
  const [first, second] = [await roomAt(b, 'First'), await roomAt(b, 'Second')];

  const whole = await run('join', first, '--as', 'alice', '--via', 'b.test', '--progress', '--json');
  const joined = jsonOf<{ room_id: string; user_id: string; partial: boolean }>(whole);
  assert.equal([joined.room_id, joined.user_id, joined.partial], [first, '@alice:a.test', false]);
  const report = jsonOf<RoomReport>(await run('room', first, '--json'));
  assert.equal([report.partial, report.members.join, report.incomplete], [false, MEMBERS + 2, null]);

  const { remote } = federation;
  const stateIds = remote.stateIds.bind(remote);
  const silence = () => Promise.reject(new UnreachableError('nobody is there', { destination: 'b.test' }));
  Object.defineProperty(remote, 'stateIds', { value: silence, configurable: true, writable: true });
  const partial = await run('join', second, '--as', '@alice:a.test', '--via', 'b.test');
  assert.match(partial.stdout, /is in .*; its members are being fetched/);
  await run('admin', 'resync', second);
  await federation.resyncs.idle();
  const lacking = jsonOf<RoomReport>(await run('room', second, '--json'));
  assert.equal([lacking.partial, lacking.incomplete?.from, lacking.incomplete?.servers], [true, 'b.test', 1]);
  assert.is(lacking.incomplete?.progress?.state, 'waiting');
  assert.is(lacking.incomplete?.progress?.last_error, 'nobody is there');
  const told = (await run('room', second)).stdout;
  for (const words of [
    /incomplete +since .*, as b\.test gave it; 1 server then/,
    /last error +nobody is there/,
  ])
    assert.match(told, words);
  assert.match(
    (await run('admin', 'federation')).stdout,
    new RegExp(`INCOMPLETE ROOM[^]*${second}.*nobody is there`),
  );

  Object.defineProperty(remote, 'stateIds', { value: stateIds });
  assert.match((await run('admin', 'resync', second)).stdout, /is asked for again now/);
  await a.home.engine.partial.whenFull(second);
  await federation.resyncs.idle();
  assert.is((await run('admin', 'resync', second)).code, 3);
}

test('who does not say who joins, or where no server runs, is told so', async () => {
  assert.is((await run('join', '!room:b.test')).code, 2);
  const nobody = await run('join', '!room:b.test', '--as', 'alice');
  assert.is(nobody.code, 3);
  assert.match(nobody.stderr, 'stateroom serve');
});

test.run();
