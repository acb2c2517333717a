// What the HTTP edge promises, on routes made for it.

import { connect } from 'node:net';
import { Type } from 'typebox';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { forbidden, MatrixError } from '../../src/client/errors.js';
import { Reply, type Route } from '../../src/client/route.js';
import { ask, type Mounted, mounted } from './support.js';

const test = suite('server/http');

const PREFIX = '/_matrix/client/v3/test';
const route = (path: string, rest: Partial<Route>): Route => ({
  method: 'GET',
  path: `${PREFIX}/${path}`,
  auth: 'none',
  rateLimit: 'none',
  handler: () => ({}),
  ...rest,
});

const waits: Array<AbortSignal> = [];
const routes: readonly Route[] = [
  route('echo/:a/:b', {
    handler: ({ params, query }) => ({
      params: { ...params },
      query: { ...query } as Record<string, string>,
    }),
  }),
  route('body', { method: 'POST', handler: ({ body }) => ({ body }) }),
  route('small', { method: 'POST', bodyBytesMax: 100 }),
  route('shape', {
    method: 'PUT',
    body: Type.Object({ name: Type.String(), n: Type.Optional(Type.Integer()) }),
  }),
  route('who', { auth: 'user', handler: ({ user }) => ({ user_id: user.userId }) }),
  route('private', { method: 'POST', auth: 'user' }),
  route('maybe', {
    auth: 'optional',
    handler: ({ requester }) => ({ user_id: requester?.userId ?? 'nobody' }),
  }),
  route('no', {
    handler: () => {
      throw forbidden('Not you.');
    },
  }),
  route('bug', {
    handler: () => {
      throw new Error('the secret plan failed');
    },
  }),
  route('later', {
    handler: () => {
      throw new MatrixError(503, 'ORG.EXAMPLE_LATER', 'Not all is there yet.', { retry_after_ms: 4_200 });
    },
  }),
  route('reply', { handler: () => new Reply(302, '', { location: 'https://example.org/' }) }),
  route('teapot', { handler: () => new Reply(418, { errcode: 'M_TEAPOT' }) }),
  route('limited', { auth: 'optional', rateLimit: 'login' }),
  route('forever', {
    handler: ({ signal }) =>
      new Promise((resolve) => {
        waits.push(signal);
        signal.addEventListener('abort', () => resolve({ answered: true }));
      }),
  }),
];

let server: Mounted;
let token = '';
test.before(async () => {
  server = await mounted(routes, {
    'limits.body_bytes': 65_536,
    'rate_limits.login.burst': 2,
    'rate_limits.login.per_second': 0.1,
    'log.level': 'trace',
  });
  token = (await server.harness.user('alice')).accessToken;
});
test.after(() => server.close());

const at = (path: string, options?: Parameters<typeof ask>[2]) =>
  ask(server.address, `${PREFIX}/${path}`, options);

test('path parameters come decoded once, whatever is in them', async () => {
  const { body } = await at('echo/%21a%2Fb%3Ax.org/%2525%20%F0%9F%98%80?k=1&k=2&e=%26');
  assert.equal(body, { params: { a: '!a/b:x.org', b: '%25 😀' }, query: { k: ['1', '2'], e: '&' } });
});

test('a path that is no percent-encoded UTF-8, or far too long, is refused in JSON with CORS', async () => {
  const bad = await at('echo/%ff/x');
  assert.is(bad.status, 400);
  assert.is(bad.body['errcode'], 'M_INVALID_PARAM');
  assert.is(bad.headers['access-control-allow-origin'], '*');
  const long = await at(`echo/${'a'.repeat(3_000)}/x`);
  assert.is(long.status, 414);
  assert.is(long.body['errcode'], 'M_TOO_LARGE');
  assert.is((await at(`echo/${'%F0%9F%98%80'.repeat(63)}/x`)).status, 200);
});

test('what is under v3 is under r0 too', async () => {
  assert.is((await ask(server.address, '/_matrix/client/r0/test/maybe')).body['user_id'], 'nobody');
});

test('an endpoint that there is not is 404, a method that it has not is 405, both M_UNRECOGNIZED', async () => {
  for (const path of ['/nothing', `${PREFIX}/nothing`, '/_matrix/client/v3/test', `${PREFIX}/echo/a/`]) {
    const { status, body, headers } = await ask(server.address, path, { method: 'POST', body: '{' });
    assert.equal([status, body['errcode']], [404, 'M_UNRECOGNIZED'], path);
    assert.match(String(headers['content-type']), 'application/json');
  }
  for (const method of ['GET', 'PUT', 'DELETE', 'PATCH']) {
    const { status, body, headers } = await at('body', { method });
    assert.equal(
      [status, body['errcode'], headers['allow']],
      [405, 'M_UNRECOGNIZED', 'POST, OPTIONS'],
      method,
    );
  }
});

test('every response has the CORS headers, and OPTIONS runs nothing', async () => {
  const told = await Promise.all([
    at('maybe'),
    at('no'),
    at('bug'),
    at('nothing'),
    at('body', { method: 'PUT' }),
    at('body', { body: '{' }),
    at('who'),
    at('who', { method: 'OPTIONS' }),
    ask(server.address, '/anything', { method: 'OPTIONS', headers: { origin: 'https://app.example' } }),
  ]);
  for (const { headers } of told) {
    assert.is(headers['access-control-allow-origin'], '*');
    assert.is(headers['access-control-allow-methods'], 'GET, POST, PUT, DELETE, OPTIONS');
    assert.is(headers['access-control-allow-headers'], 'X-Requested-With, Content-Type, Authorization');
  }
  assert.equal(
    told.slice(-2).map(({ status, text }) => [status, text]),
    [
      [204, ''],
      [204, ''],
    ],
  );
});

test('a body is JSON whatever its content type says, or none', async () => {
  const types = [
    undefined,
    'application/json',
    'text/plain',
    'application/x-www-form-urlencoded',
    '///;;',
    'a',
  ];
  for (const type of types) {
    const headers: Record<string, string> = type === undefined ? {} : { 'content-type': type };
    const { status, body } = await at('body', { body: { a: 1.5 }, headers });
    assert.equal([status, body], [200, { body: { a: 1.5 } }], type);
  }
  assert.equal((await at('body', { method: 'POST' })).body, { body: {} });
});

test('bodies that are no JSON, no object, too deep or too large have their errcodes', async () => {
  const cases: ReadonlyArray<
    readonly [path: string, body: string | Uint8Array, status: number, errcode: string]
  > = [
    ['body', '{"a":', 400, 'M_NOT_JSON'],
    ['body', Uint8Array.of(0x7b, 0x22, 0xc3, 0x22, 0x3a, 0x31, 0x7d), 400, 'M_NOT_JSON'],
    ['body', '[1]', 400, 'M_BAD_JSON'],
    ['body', `{"a":${'['.repeat(200)}${']'.repeat(200)}}`, 400, 'M_BAD_JSON'],
    ['body', `{"a":${'['.repeat(30_000)}`, 400, 'M_NOT_JSON'],
    ['body', `{"a":"${'x'.repeat(70_000)}"}`, 413, 'M_TOO_LARGE'],
    ['small', `{"a":"${'x'.repeat(200)}"}`, 413, 'M_TOO_LARGE'],
  ];
  for (const [path, body, status, errcode] of cases) {
    const answer = await at(path, { body });
    assert.equal([answer.status, answer.body['errcode']], [status, errcode], String(body).slice(0, 30));
  }
});

test('a body of another shape than the route declares is M_BAD_JSON and names the place', async () => {
  const wrong = await at('shape', { method: 'PUT', body: { name: 'a', n: 'b' } });
  assert.equal([wrong.status, wrong.body['errcode']], [400, 'M_BAD_JSON']);
  assert.match(String(wrong.body['error']), 'n must be integer');
  assert.is((await at('shape', { method: 'PUT', body: {} })).body['errcode'], 'M_BAD_JSON');
  assert.is((await at('shape', { method: 'PUT', body: { name: 'a', more: 1 } })).status, 200);
});

test('the access token is taken from the header, else from the query', async () => {
  const userId = '@alice:example.org';
  assert.is((await at('who', { token })).body['user_id'], userId);
  assert.is((await at(`who?access_token=${token}`)).body['user_id'], userId);
  assert.is((await at('who', { headers: { authorization: `bearer ${token}` } })).body['user_id'], userId);
  assert.is((await at('maybe', { token })).body['user_id'], userId);
  for (const headers of [{}, { authorization: 'Basic abc' }]) {
    const { status, body } = await at('who', { headers });
    assert.equal([status, body['errcode']], [401, 'M_MISSING_TOKEN']);
  }
  for (const path of ['who', 'maybe']) {
    const { status, body } = await at(path, { token: 'sra_wrong' });
    assert.equal([status, body['errcode'], body['soft_logout']], [401, 'M_UNKNOWN_TOKEN', false]);
  }
});

test('who may not ask is refused before the body is looked at', async () => {
  for (const body of ['{', `"${'x'.repeat(70_000)}"`]) {
    const { status, body: refusal } = await at('private', { body });
    assert.equal([status, refusal['errcode']], [401, 'M_MISSING_TOKEN']);
  }
  assert.is((await at('private', { body: '{', token })).body['errcode'], 'M_NOT_JSON');
});

test('handlers answer with a status, headers and bodies of their own', async () => {
  const moved = await at('reply');
  assert.equal([moved.status, moved.headers['location'], moved.text], [302, 'https://example.org/', '']);
  const teapot = await at('teapot');
  assert.equal([teapot.status, teapot.body], [418, { errcode: 'M_TEAPOT' }]);
  const no = await at('no');
  assert.equal([no.status, no.body], [403, { errcode: 'M_FORBIDDEN', error: 'Not you.' }]);
});

test('a fault of ours is 500 without a word of it, and logged under the id that is told', async () => {
  const { status, body, headers, text } = await at('bug?access_token=sra_very_secret');
  assert.equal([status, body['errcode']], [500, 'M_UNKNOWN']);
  assert.not.match(text, 'plan');
  const line =
    server.log.text.split('\n').findLast((logged) => logged.includes('the secret plan failed')) ?? '';
  assert.match(line, String(headers['x-request-id']));
});

test('what cannot be answered yet is 503 with when to come back, and no fault in the log', async () => {
  const { status, body, headers } = await at('later');
  assert.equal([status, body['errcode'], body['retry_after_ms']], [503, 'ORG.EXAMPLE_LATER', 4_200]);
  assert.is(headers['retry-after'], '5');
  assert.not.match(server.log.text, 'Not all is there yet');
});

test('no token gets into the log', async () => {
  await at(`who?access_token=${token}`, { token });
  await at('who', { token: 'sra_another_secret' });
  assert.match(server.log.text, `${PREFIX}/who`);
  for (const secret of [token, 'sra_another_secret', 'sra_very_secret'])
    assert.not.match(server.log.text, secret);
});

test('who asks too often is told when to come back, and others are not held up', async () => {
  const { accessToken } = await server.harness.user('bob');
  for (let i = 0; i < 2; i++) assert.is((await at('limited', { token: accessToken })).status, 200);
  const { status, body, headers } = await at('limited', { token: accessToken });
  assert.equal([status, body['errcode']], [429, 'M_LIMIT_EXCEEDED']);
  const retryAfterMs = Number(body['retry_after_ms']);
  assert.ok(retryAfterMs > 0 && retryAfterMs <= 10_000);
  assert.is(headers['retry-after'], String(Math.ceil(retryAfterMs / 1_000)));
  assert.is((await at('limited', { token })).status, 200);
  assert.is((await at('limited')).status, 200);
});

test('the signal of a request is aborted when its client goes', async () => {
  const before = waits.length;
  const { hostname, port } = new URL(server.address);
  const socket = connect(Number(port), hostname);
  socket.write(`GET ${PREFIX}/forever HTTP/1.1\r\nHost: x\r\n\r\n`);
  const signal = await until(() => waits[before]);
  assert.is(signal.aborted, false);
  assert.is(server.app.longRequests.size, 1);
  const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve));
  socket.destroy();
  await aborted;
  assert.is(server.app.longRequests.size, 0);
});

test('what is no HTTP is answered in JSON and the connection ends', async () => {
  const { hostname, port } = new URL(server.address);
  const said = await new Promise<string>((resolve) => {
    const socket = connect(Number(port), hostname);
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('utf8');
    });
    socket.once('close', () => resolve(text));
    socket.write('NONSENSE\r\n\r\n');
  });
  assert.match(said, 'HTTP/1.1 400');
  assert.match(said, '"errcode":"M_UNKNOWN"');
  const large = await ask(server.address, `${PREFIX}/maybe`, { headers: { 'x-large': 'x'.repeat(40_000) } });
  assert.equal([large.status, large.body['errcode']], [431, 'M_TOO_LARGE']);
});

/** What comes about while others run. */
async function until<T>(look: () => T | undefined): Promise<T> {
  for (;;) {
    const found = look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test.run();
