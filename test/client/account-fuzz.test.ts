import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Route } from '../../src/client/route.js';
import { clientRoutes } from '../../src/client/routes.js';
import { Harness, type TestUser } from './harness.js';

// Model: every endpoint of accounts and of what users keep, asked with parameters and bodies that a stranger might
// send: right names with wrong values, wrong names, ids of every kind. Invariant: an answer or a refusal with an
// errcode, never a fault; the harness throws whatever is no refusal.

const test = suite<{ server: Harness; alice: TestUser }>('hostile requests to account endpoints');

test.before(async (context) => {
  context.server = await Harness.open();
  context.alice = await context.server.user('alice');
});
test.after(async ({ server }) => server.close());

const OURS =
  /versions|well-known|capabilities|login|register|refresh|logout|account|device|profile|user\/|pushrules/;
/** They would end the session that the other requests are made with, or wait. */
const ENDING = /logout|sync|sendToDevice/;
const routes = clientRoutes.filter(({ path }) => OURS.test(path) && !ENDING.test(path));

const word = fc.oneof(
  fc.constantFrom(
    '',
    '.',
    '..',
    '__proto__',
    'constructor',
    'toString',
    'a\0b',
    '%',
    '%2F',
    '\ud800',
    '💥',
    'global',
  ),
  fc.constantFrom(
    'override',
    'content',
    '.m.rule.master',
    'displayname',
    'avatar_url',
    'm.tz',
    'm.push_rules',
  ),
  fc.constantFrom(
    '@alice:example.org',
    '@nobody:example.org',
    '!room:example.org',
    '!users',
    '$event',
    '#a:b',
  ),
  fc.string({ maxLength: 20 }),
  fc.string({ minLength: 300, maxLength: 400 }),
);
const value = fc.oneof(
  word,
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom('m.login.password', 'm.login.dummy', 'm.id.user', 'notify', true, -0, 0.1, 2 ** 60),
  fc.constant([{ kind: 'event_match', key: 'x', pattern: 5 }, { set_tweak: 'sound' }]),
);
const FIELDS =
  'auth type identifier user password new_password username device_id devices token refresh_token erase session ' +
  'initial_device_display_name inhibit_login logout_devices display_name displayname avatar_url order actions ' +
  'conditions pattern enabled room event_fields presence account_data event_format __proto__';
const field = fc.constantFrom(...FIELDS.split(' '));
const flat = fc.uniqueArray(fc.tuple(field, value), { maxLength: 5, selector: ([name]) => name });
const body = fc.tuple(flat, fc.option(flat), fc.option(flat)).map(([top, auth, identifier]) => ({
  ...Object.fromEntries(top),
  ...(auth === null ? {} : { auth: Object.fromEntries(auth) }),
  ...(identifier === null ? {} : { identifier: Object.fromEntries(identifier) }),
}));

test('every endpoint answers or refuses, whatever it is sent', async ({ server, alice }) => {
  assert.ok(routes.length > 35);
  const request = fc.record({
    route: fc.constantFrom(...routes),
    words: fc.array(word, { minLength: 4, maxLength: 4 }),
    isOwn: fc.boolean(),
    query: fc.dictionary(fc.constantFrom('kind', 'username', 'before', 'after', 'token'), word),
    body,
  });
  await fc.assert(
    fc.asyncProperty(request, async ({ route, words, isOwn, query, body: sent }) => {
      const params = paramsOf(route, words, isOwn ? alice.userId : undefined);
      const { status, body: answer } = await server.ask(alice, route, params, sent, { query });
      assert.ok(status >= 200 && status < 500, `${route.method} ${route.path} gave ${status}`);
      if (status >= 400 && status !== 401) assert.type(answer.errcode, 'string');
    }),
    { numRuns: 2_000 },
  );
  const { body: whoami } = await server.call(alice, 'GET', '/v3/account/whoami');
  assert.is(whoami.user_id, alice.userId, 'the session has survived');
});

function paramsOf(
  { path }: Route,
  words: readonly string[],
  userId: string | undefined,
): Record<string, string> {
  const names = [...path.matchAll(/:([A-Za-z]+)/g)].map(([, name]) => name ?? '');
  return Object.fromEntries(
    names.map((name, i) => [name, name === 'userId' && userId !== undefined ? userId : (words[i] ?? '')]),
  );
}

test.run();
