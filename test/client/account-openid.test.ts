import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Harness, SERVER, textOf } from './harness.js';

const test = suite('client OpenID');

test('a user gets a token that tells a service who they are, and opens nothing else', async () => {
  const harness = await Harness.open();
  const alice = await harness.user('alice');
  const path = `/v3/user/${encodeURIComponent(alice.userId)}/openid/request_token`;
  const { status, body } = await harness.call(alice, 'POST', path);
  assert.is(status, 200);
  assert.is(textOf(body['token_type']), 'Bearer');
  assert.is(textOf(body['matrix_server_name']), SERVER);
  assert.is(Number(body['expires_in']), 3_600);
  const token = textOf(body['access_token']);
  assert.is(harness.home.accounts.openId.check(token), alice.userId);
  assert.is((await harness.call(token, 'GET', '/v3/account/whoami')).status, 401);
  await harness.close();
});

test('nobody gets a token for somebody else', async () => {
  const harness = await Harness.open();
  const alice = await harness.user('alice');
  const bob = await harness.user('bob');
  const path = `/v3/user/${encodeURIComponent(alice.userId)}/openid/request_token`;
  assert.is((await harness.call(bob, 'POST', path)).status, 403);
  assert.is((await harness.call(undefined, 'POST', path)).status, 401);
  await harness.close();
});

test('a user has fifty tokens at most: the oldest make room', async () => {
  const harness = await Harness.open();
  const { userId } = await harness.user('alice');
  const { openId } = harness.home.accounts;
  const tokens: string[] = [];
  for (let i = 0; i < 52; i++) {
    harness.advance(1);
    tokens.push((await openId.issue(userId)).token);
  }
  const good = tokens.map((token) => openId.check(token) === userId);
  assert.equal(good, [false, false, ...Array.from({ length: 50 }, () => true)]);
  await harness.close();
});

test.run();
