// Every endpoint there is, asked nonsense over real HTTP: refusals are refusals, never faults of the server.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Route } from '../../src/client/route.js';
import { clientRoutes } from '../../src/client/routes.js';
import type { RunningHomeserver } from '../../src/server/start.js';
import { type Answered, ask, KeptLog, serve, tempFolder } from './support.js';

const test = suite('server/nonsense');
const folder = tempFolder();
const log = new KeptLog();
let server: RunningHomeserver;
let token = '';
let roomId = '';

test.before(async () => {
  server = await serve(folder.path, { 'rate_limits.enabled': false, 'log.level': 'error' }, log);
  const userId = await server.home.accounts.register({ username: 'alice', password: 'password' });
  const room = await server.home.engine.createRoom(userId, {});
  roomId = room.roomId;
});
test.after(async () => {
  await server.close();
  folder.remove();
});

/** What stands for the parameters of a path. */
const WORDS: readonly string[] = [
  'x',
  '%00',
  '__proto__',
  'toString',
  '..%2F..%2Fetc%2Fpasswd',
  '@alice:localhost',
  '%F0%9F%98%80',
  `%24${'A'.repeat(43)}`,
  'a'.repeat(300),
  '!users',
  '!user%2F%40alice%2Flocalhost',
];

/** What stands for bodies. */
const BODIES: readonly string[] = [
  '',
  '{',
  '[]',
  '{"__proto__":{"a":1},"constructor":1,"toString":{}}',
  '{"type":1,"user_id":[],"content":"x","membership":{},"auth":1,"limit":-1,"device_keys":[],"messages":[]}',
  '{"type":"m.room.message","content":{"a":1.5},"auth":{"type":"m.login.dummy","session":"x"},"device_keys":{"x":1}}',
  '{"device_keys":{"@alice:localhost":[]},"one_time_keys":{"a":1},"messages":{"@alice:localhost":{"*":1}},"rooms":{"x":[]}}',
  '{"filter":{"room":{"timeline":{"limit":1e9,"types":[1]}}},"invite":[1],"initial_state":[{}],"preset":1,"visibility":{}}',
  `{"a":${'['.repeat(90)}${']'.repeat(90)},"body":"${'\\u0000'.repeat(1_000)}"}`,
  '{"reason":1,"user_id":"@x","displayname":{},"avatar_url":[],"typing":"yes","timeout":"soon","ts":1e300}',
];

const QUERIES: readonly string[] = [
  '',
  '?limit=-1&dir=x&from=%00&to=t&filter=%7B&since=nonsense&timeout=0',
  '?limit=5&dir=b&filter=%7B%22room%22%3A1%7D&timeout=0&at=x&membership=x&set_presence=x&version=9&kind=z',
  '?since=s1_2_3&timeout=0&full_state=maybe&limit=1&limit=2&user_id=%40x&via=a&via=b&ts=1',
];

function pathOf({ path }: Route, word: string): string {
  return path.replaceAll(/:([A-Za-z]+)/g, (_, name: string) =>
    name === 'roomId' && word === 'x' ? encodeURIComponent(roomId) : word,
  );
}

async function login(): Promise<string> {
  const { body } = await ask(server.address, '/_matrix/client/v3/login', {
    body: {
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user: 'alice' },
      password: 'password',
    },
  });
  return String(body['access_token']);
}

function assertRefusalOrAnswer(answer: Answered, what: string): void {
  assert.ok(
    answer.status < 500,
    `${what}: ${answer.status} ${answer.text.slice(0, 200)} ${log.text.slice(0, 2_000)}`,
  );
  if (answer.status < 400) return;
  assert.type(
    answer.body['errcode'] ?? answer.body['flows'] ?? undefined,
    'errcode' in answer.body ? 'string' : 'object',
  );
}

test('no endpoint answers nonsense with a fault of the server', async () => {
  for (const route of clientRoutes) {
    token = await login();
    for (const [i, word] of WORDS.entries()) {
      const { method } = route;
      const path = pathOf(route, word) + (QUERIES[i % QUERIES.length] ?? '');
      const bodies =
        method === 'GET' ? [undefined] : [BODIES[i % BODIES.length], BODIES[(i * 3 + 4) % BODIES.length]];
      for (const body of bodies) {
        const answer = await ask(server.address, path, {
          method,
          token,
          ...(body === undefined ? {} : { body }),
        });
        assertRefusalOrAnswer(answer, `${method} ${path} ${body}`);
      }
    }
  }
});

test('who has no token, or a wrong one, is told so by every endpoint that needs one', async () => {
  for (const route of clientRoutes.filter(({ auth }) => auth === 'user')) {
    const { method } = route;
    const path = pathOf(route, 'x');
    const none = await ask(server.address, path, { method, ...(method === 'GET' ? {} : { body: '{}' }) });
    assert.equal([none.status, none.body['errcode']], [401, 'M_MISSING_TOKEN'], `${method} ${path}`);
    const wrong = await ask(server.address, path, {
      method,
      token: 'x',
      ...(method === 'GET' ? {} : { body: '{}' }),
    });
    assert.equal([wrong.status, wrong.body['errcode']], [401, 'M_UNKNOWN_TOKEN'], `${method} ${path}`);
  }
});

test.run();
