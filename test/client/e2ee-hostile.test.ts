// Whatever a client sends, it is answered or refused: no body makes a handler throw anything but a refusal,
// and names that JavaScript gives a meaning are names like others.

import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Route } from '../../src/client/route.js';
import { ask, claim, oneTimeKeys, sync } from './e2ee-support.js';
import { Harness, itemsOf, type TestUser } from './harness.js';

const test = suite<{ server: Harness; alice: TestUser }>('hostile input to encryption endpoints');

test.before.each(async (context) => {
  context.server = await Harness.open();
  context.alice = await context.server.user('alice');
});
test.after.each(async ({ server }) => server.close());

const ENDPOINTS: readonly (readonly [Route['method'], string, readonly string[]])[] = [
  ['POST', '/v3/keys/upload', ['device_keys', 'one_time_keys', 'fallback_keys']],
  ['POST', '/v3/keys/query', ['device_keys', 'timeout']],
  ['POST', '/v3/keys/claim', ['one_time_keys', 'timeout']],
  ['POST', '/v3/keys/device_signing/upload', ['master_key', 'self_signing_key', 'user_signing_key', 'auth']],
  ['POST', '/v3/keys/signatures/upload', ['@alice:example.org', '@bob:example.org']],
  ['PUT', '/v3/sendToDevice/m.test/txn', ['messages']],
  ['POST', '/v3/room_keys/version', ['algorithm', 'auth_data']],
  ['PUT', '/v3/room_keys/version/1', ['algorithm', 'auth_data', 'version']],
  ['PUT', '/v3/room_keys/keys?version=1', ['rooms']],
  ['PUT', '/v3/room_keys/keys/!a?version=1', ['sessions']],
  ['PUT', '/v3/room_keys/keys/!a/s?version=1', ['is_verified', 'first_message_index', 'session_data']],
];

const name = fc.constantFrom(
  '__proto__',
  'constructor',
  'toString',
  '',
  '*',
  ':',
  '\0',
  '\ud800',
  'x'.repeat(300),
  '@alice:example.org',
  '!a',
  'user_id',
  'usage',
  'keys',
  'signatures',
  'rooms',
  'sessions',
  'ed25519:a',
  'signed_curve25519:A',
);
const leaf = fc.oneof(
  name,
  fc.constantFrom(null, true, 0, -1, 0.5, 1e300, 2 ** 60, '@alice:example.org', 'signed_curve25519'),
);
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    leaf,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.array(fc.tuple(name, tie('value')), { maxLength: 3 }).map((entries) => Object.fromEntries(entries)),
  ),
}));

test('any JSON at all is answered or refused', ({ server, alice }) =>
  fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...ENDPOINTS),
      fc.array(value, { maxLength: 4 }),
      async (endpoint, values) => {
        const [method, path, names] = endpoint;
        const body = Object.fromEntries(names.map((field, i) => [field, values[i]]));
        const { status } = await server.call(alice, method, path, body);
        assert.ok([200, 400, 401, 403, 404, 413].includes(status), String(status));
      },
    ),
    { numRuns: 600 },
  ));

test('__proto__ is a device, an algorithm and a session like any other', async ({ server, alice }) => {
  const proto = await server.device(alice.userId, '__proto__');
  await ask(server, proto, 'POST', '/v3/keys/upload', { one_time_keys: oneTimeKeys('A') });
  assert.equal(await claim(server, alice, proto), ['signed_curve25519:A']);
  const messages = JSON.parse(`{"${alice.userId}":{"__proto__":{"toString":1}}}`) as unknown;
  await ask(server, alice, 'PUT', '/v3/sendToDevice/constructor/__proto__', { messages });
  const events = itemsOf((await sync(server, proto))['to_device']?.['events']);
  assert.equal(events, [{ type: 'constructor', sender: alice.userId, content: { toString: 1 } }]);
  await ask(server, alice, 'POST', '/v3/room_keys/version', { algorithm: 'toString', auth_data: {} });
  const key = { is_verified: true, first_message_index: 0, forwarded_count: 0, session_data: {} };
  await ask(server, alice, 'PUT', '/v3/room_keys/keys/!__proto__/__proto__?version=1', key);
  const sessions = (await ask(server, alice, 'GET', '/v3/room_keys/keys/!__proto__?version=1'))['sessions'];
  assert.equal(Object.keys(sessions ?? {}), ['__proto__']);
});

test('a token is needed everywhere', async ({ server }) => {
  for (const [method, path] of ENDPOINTS) {
    assert.is((await server.call(undefined, method, path)).status, 401, path);
  }
  for (const path of [
    '/v3/keys/changes?from=a&to=b',
    '/v3/room_keys/version',
    '/v3/room_keys/keys?version=1',
  ]) {
    assert.is((await server.call(undefined, 'GET', path)).status, 401, path);
  }
});

test.run();
