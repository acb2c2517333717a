import { getPublicKey, sign } from '@noble/ed25519';
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { canonicalJson } from '../../src/event/canonical.js';
import type { JsonObject } from '../../src/event/json.js';
import { createSigningKey, signEvent, signJson, verifySignature } from '../../src/event/signing.js';
import { verifyEventSignatures, verifyJsonSignature } from '../../src/event/verify.js';
import { toBase64 } from '../../src/lib/base64.js';
import { codeOf, key, keys, rulesFor, server } from './samples.js';

const test = suite('signing');

test('the empty object of the specification is signed byte for byte', () => {
  assert.equal(signJson({}, server, key), {
    signatures: {
      domain: {
        'ed25519:1': 'K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ',
      },
    },
  });
});

test('the object with data of the specification is signed byte for byte', () => {
  const expected =
    '{"one":1,"signatures":{"domain":{"ed25519:1":"KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw"}},"two":"Two"}';
  assert.is(canonicalJson(signJson({ one: 1, two: 'Two' }, server, key)), expected);
});

test('the minimal event of the specification is hashed and signed byte for byte', () => {
  const event: JsonObject = {
    room_id: '!x:domain',
    sender: '@a:domain',
    origin: 'domain',
    origin_server_ts: 1000000,
    signatures: {},
    hashes: {},
    type: 'X',
    content: {},
    prev_events: [],
    auth_events: [],
    depth: 3,
    unsigned: { age_ts: 1000000 },
  };
  const expected =
    '{"auth_events":[],"content":{},"depth":3,"hashes":{"sha256":"5jM4wQpv6lnBo7CLIghJuHdW+s2CMBJPUOGOC89ncos"},"origin":"domain","origin_server_ts":1000000,"prev_events":[],"room_id":"!x:domain","sender":"@a:domain","signatures":{"domain":{"ed25519:1":"KxwGjPSDEtvnFgU00fwFz+l6d2pJM6XBIaMEn81SXPTRl16AqLAYqfIReFGZlHi5KLjAWbOoMszkwsQma+lYAg"}},"type":"X","unsigned":{"age_ts":1000000}}';
  assert.is(canonicalJson(signEvent(event, rulesFor('1'), server, key)), expected);
});

test('the event with redactable content of the specification is hashed and signed byte for byte', () => {
  const event: JsonObject = {
    content: { body: 'Here is the message content' },
    event_id: '$0:domain',
    origin: 'domain',
    origin_server_ts: 1000000,
    type: 'm.room.message',
    room_id: '!r:domain',
    sender: '@u:domain',
    signatures: {},
    unsigned: { age_ts: 1000000 },
  };
  const expected =
    '{"content":{"body":"Here is the message content"},"event_id":"$0:domain","hashes":{"sha256":"onLKD1bGljeBWQhWZ1kaP9SorVmRQNdN5aM2JYU2n/g"},"origin":"domain","origin_server_ts":1000000,"room_id":"!r:domain","sender":"@u:domain","signatures":{"domain":{"ed25519:1":"Wm+VzmOUOz08Ds+0NTWb1d4CZrVsJSikkeRxh6aCcUwu6pNC78FunoD7KNWzqFn241eYHYMGCA5McEiVPdhzBA"}},"type":"m.room.message","unsigned":{"age_ts":1000000}}';
  const signed = signEvent(event, rulesFor('1'), server, key);
  assert.is(canonicalJson(signed), expected);
  assert.ok(verifyEventSignatures(signed, rulesFor('1'), keys).ok);
});

test('a signature over JSON covers all but signatures and unsigned, and stands beside others', () => {
  const first = signJson({ a: 1, unsigned: { b: 2 } }, server, key);
  const other = createSigningKey('ed25519:2', new Uint8Array(32).fill(9));
  const second = signJson(first, 'elsewhere', other);
  assert.ok(verifyJsonSignature(second, server, keys).ok);
  assert.ok(verifyJsonSignature({ ...second, unsigned: { c: 3 } }, server, keys).ok);
  assert.not(verifyJsonSignature({ ...second, a: 2 }, server, keys).ok);
  assert.not(verifyJsonSignature({ ...second, more: true }, server, keys).ok);
});

test('signing changes none of its arguments', () => {
  const json: JsonObject = { a: 1, signatures: { x: { 'ed25519:y': 'z' } } };
  const before = JSON.stringify(json);
  signJson(json, 'x', key);
  signEvent(json, rulesFor('11'), 'x', key);
  assert.is(JSON.stringify(json), before);
});

test('public keys and signatures are those of an independent implementation', () => {
  const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
    fc.uint8Array({ minLength: length, maxLength: length });
  fc.assert(
    fc.property(bytes(32), fc.uint8Array({ maxLength: 300 }), (seed, message) => {
      const made = createSigningKey('ed25519:k', seed);
      assert.is(toBase64(made.publicKey), toBase64(getPublicKey(seed)));
      assert.is(toBase64(made.sign(message)), toBase64(sign(message, seed)));
      assert.ok(verifySignature(made.publicKey, made.sign(message), message));
    }),
    { numRuns: 25 },
  );
});

test('keys of another algorithm, without a version or with a seed of another length are refused', () => {
  for (const keyId of ['', 'ed25519', 'ed25519:', 'rsa:1', 'ed25519:a b', 'ed25519:é']) {
    assert.is(
      codeOf(() => createSigningKey(keyId, new Uint8Array(32))),
      'EVENT_BAD_KEY',
      keyId,
    );
  }
  assert.is(
    codeOf(() => createSigningKey('ed25519:1', new Uint8Array(31))),
    'EVENT_BAD_KEY',
  );
});

test.run();
