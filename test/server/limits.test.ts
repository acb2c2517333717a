// Rate limits and bodies, without HTTP.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { MatrixError } from '../../src/client/errors.js';
import { utf8 } from '../../src/lib/bytes.js';
import { parseBody } from '../../src/server/http/body.js';
import { Paths } from '../../src/server/http/paths.js';
import { networkOf, RateLimits } from '../../src/server/http/rate-limits.js';

const test = suite('server/limits');

const rate = { perSecond: 2, burst: 3 };
const rates = {
  login: rate,
  password: rate,
  register: rate,
  message: rate,
  join: rate,
  other: rate,
  federation: rate,
};

test('so many at once, then so many a second, and the wait that is told is enough', () => {
  let now = 0;
  const limits = new RateLimits(rates, () => now);
  for (let i = 0; i < 3; i++) assert.is(limits.take('login', 'a'), 0);
  const wait = limits.take('login', 'a');
  assert.is(wait, 500);
  now += wait - 1;
  assert.ok(limits.take('login', 'a') > 0);
  now += 1;
  assert.is(limits.take('login', 'a'), 0);
  assert.ok(limits.take('login', 'a') > 0);
  now += 3_600_000;
  for (let i = 0; i < 3; i++) assert.is(limits.take('login', 'a'), 0);
  assert.ok(limits.take('login', 'a') > 0, 'a long rest gives no more than a burst');
});

test('classes and askers are counted apart, and what is not limited is not counted', () => {
  const limits = new RateLimits(rates, () => 0);
  for (let i = 0; i < 4; i++) limits.take('login', 'a');
  assert.ok(limits.take('login', 'a') > 0);
  assert.is(limits.take('message', 'a'), 0);
  assert.is(limits.take('login', 'b'), 0);
  for (let i = 0; i < 100; i++) assert.is(limits.take('none', 'a'), 0);
  const open = new RateLimits(undefined, () => 0);
  for (let i = 0; i < 100; i++) assert.is(open.take('login', 'a'), 0);
  assert.is(open.size, 0);
});

test('buckets have a bound, and who is busy keeps theirs', () => {
  const limits = new RateLimits(rates, () => 0, 10);
  for (let i = 0; i < 4; i++) limits.take('login', 'busy');
  for (let i = 0; i < 1_000; i++) {
    limits.take('login', `stranger ${i}`);
    if (i % 5 === 0) assert.ok(limits.take('login', 'busy') > 0);
    assert.ok(limits.size <= 10);
  }
});

test('addresses of one IPv6 network count as one, IPv4 addresses each', () => {
  assert.is(networkOf('2001:db8:1:2:3:4:5:6'), networkOf('2001:db8:1:2::9'));
  assert.is.not(networkOf('2001:db8:1:2::1'), networkOf('2001:db8:1:3::1'));
  assert.is(networkOf('::1'), networkOf('::1'));
  assert.is(networkOf('::ffff:1.2.3.4'), '1.2.3.4');
  assert.is.not(networkOf('1.2.3.4'), networkOf('1.2.3.5'));
});

function refusal(bytes: Uint8Array | string, depth = 5): string {
  try {
    parseBody(typeof bytes === 'string' ? utf8(bytes) : bytes, depth);
  } catch (error) {
    if (error instanceof MatrixError) return `${error.status} ${error.errcode}`;
    throw error;
  }
  return 'taken';
}

test('a body is an object, or it is refused in the words of the specification', () => {
  assert.equal(parseBody(undefined, 5), {});
  assert.equal(parseBody(utf8(''), 5), {});
  assert.is(refusal('{'), '400 M_NOT_JSON');
  assert.is(refusal('{"a":1}x'), '400 M_NOT_JSON');
  assert.is(refusal(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d)), '400 M_NOT_JSON');
  assert.is(refusal('{"a":"\\ud800"}'), '400 M_NOT_JSON');
  for (const text of ['[]', '1', '"a"', 'null', 'true']) assert.is(refusal(text), '400 M_BAD_JSON');
});

test('JSON may nest so deep and no deeper', () => {
  const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
  assert.is(refusal(nested(5)), 'taken');
  assert.is(refusal(nested(6)), '400 M_BAD_JSON');
  assert.is(refusal(`{"a":${'['.repeat(5)}${']'.repeat(5)}}`), '400 M_BAD_JSON');
  assert.is(refusal(nested(100_000)), '400 M_NOT_JSON');
});

test('numbers are plain numbers, and own keys stay own keys', () => {
  const body = parseBody(utf8('{"a":[1.5,-0,1e2],"__proto__":{"b":0.25},"c":9007199254740993}'), 5);
  assert.is(JSON.stringify(body), '{"a":[1.5,0,100],"__proto__":{"b":0.25},"c":9007199254740992}');
  assert.is(Object.getPrototypeOf(body), Object.prototype);
  assert.is(refusal('{"a":1e999}'), '400 M_BAD_JSON');
});

test('the methods of a path are those of all routes that match it', () => {
  const paths = new Paths([
    { method: 'GET', path: '/a/:id' },
    { method: 'PUT', path: '/a/:id' },
    { method: 'POST', path: '/a/fixed' },
  ]);
  assert.equal(paths.methods('/a/x'), ['GET', 'PUT']);
  assert.equal(paths.methods('/a/fixed'), ['GET', 'POST', 'PUT']);
  assert.equal(paths.methods('/a/'), []);
  assert.equal(paths.methods('/a/x/y'), []);
});

test.run();
