import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ServerName } from '../../../src/event/ids.js';
import type { JsonObject } from '../../../src/event/json.js';
import { rulesOf } from '../../../src/event/rules.js';
import { createSigningKey, signJson } from '../../../src/event/signing.js';
import { readKeyAnswer } from '../../../src/federation/identity/key-answer.js';
import { toBase64 } from '../../../src/lib/base64.js';
import { network, type Network, type Stranger } from '../network.js';

const test = suite('federation/key-ring');

const DAY_MS = 86_400_000;
const KEY_ID = 'ed25519:t';

/** What a stranger says of its keys, with changes. */
function told(stranger: Stranger, changes: JsonObject): JsonObject {
  const { signatures: _signatures, ...rest } = stranger.keys();
  return signJson({ ...rest, ...changes }, stranger.name, stranger.key);
}

function asks(net: Network, uri: string): number {
  return net.asked.filter((asked) => asked.uri.startsWith(uri)).length;
}

async function withStranger(work: (net: Network, stranger: Stranger) => Promise<void>): Promise<void> {
  const net = await network({ servers: 1 });
  await work(net, net.stranger('other.test'));
  await net.close();
}

test('a key is good for seven days at most, whatever its server says', () =>
  withStranger(async (net, stranger) => {
    stranger.answers = () => ({ body: told(stranger, { valid_until_ts: net.clock.now + 300 * DAY_MS }) });
    const ring = net.site(0).federation.keyRing;
    const from = net.clock.now;
    await ring.fetch([{ server: stranger.name, keyId: KEY_ID }]);
    assert.ok(ring.lookup(stranger.name, KEY_ID, from + 7 * DAY_MS));
    assert.is(ring.lookup(stranger.name, KEY_ID, from + 7 * DAY_MS + 1), undefined);
    assert.ok(ring.lookup(stranger.name, KEY_ID), 'rooms of before version 5 do not ask');
  }));

test('a key that is needed for later than it is good for is asked for anew', () =>
  withStranger(async (net, stranger) => {
    const ring = net.site(0).federation.keyRing;
    await ring.fetch([{ server: stranger.name, keyId: KEY_ID }]);
    net.advance(3 * DAY_MS);
    const need = { server: stranger.name, keyId: KEY_ID, validAt: net.clock.now };
    assert.is(ring.lookup(need.server, need.keyId, need.validAt), undefined);
    await ring.fetch([need]);
    assert.ok(ring.lookup(need.server, need.keyId, need.validAt));
    assert.is(net.asked.length, 2);
  }));

test('an old key is good until it expired, and is never asked for again for later', () =>
  withStranger(async (net, stranger) => {
    const old = createSigningKey('ed25519:old', new Uint8Array(32).fill(3));
    const expired = net.clock.now - DAY_MS;
    const oldKeys = { 'ed25519:old': { key: toBase64(old.publicKey), expired_ts: expired } };
    stranger.answers = () => ({ body: told(stranger, { old_verify_keys: oldKeys }) });
    const ring = net.site(0).federation.keyRing;
    await ring.fetch([{ server: stranger.name, keyId: 'ed25519:old', validAt: expired }]);
    assert.equal(ring.lookup(stranger.name, 'ed25519:old', expired), old.publicKey);
    assert.is(ring.lookup(stranger.name, 'ed25519:old', expired + 1), undefined);
    await ring.fetch([{ server: stranger.name, keyId: 'ed25519:old', validAt: expired + 1 }]);
    assert.is(net.asked.length, 1);
  }));

test('keys that are not signed by themselves, or are of another server, are not taken', () =>
  withStranger(async (net, stranger) => {
    const other = createSigningKey(KEY_ID, new Uint8Array(32).fill(8));
    const forged: ReadonlyArray<readonly [json: JsonObject, why: RegExp]> = [
      [{ ...stranger.keys(), valid_until_ts: 1 }, /not signed by the keys/],
      [told(stranger, { server_name: 'victim.test' }), /another server/],
      [told(stranger, { verify_keys: {} }), /no Ed25519 key/],
      [told(stranger, { verify_keys: { [KEY_ID]: { key: 'AAAA' } } }), /no Ed25519 key/],
      [told(stranger, { verify_keys: { [KEY_ID]: { key: toBase64(other.publicKey) } } }), /not signed by/],
      [told(stranger, { valid_until_ts: 'soon' }), /valid_until_ts/],
      [{}, /another server/],
    ];
    for (const [json, why] of forged) {
      const read = readKeyAnswer(json, stranger.name);
      assert.match(typeof read === 'string' ? read : 'taken', why);
    }
    stranger.answers = () => ({ body: { ...stranger.keys(), valid_until_ts: 1 } });
    const ring = net.site(0).federation.keyRing;
    await ring.fetch([{ server: stranger.name, keyId: KEY_ID }]);
    assert.is(ring.lookup(stranger.name, KEY_ID), undefined);
  }));

test('a key that could not be had is not asked for again for a while', () =>
  withStranger(async (net, stranger) => {
    const ring = net.site(0).federation.keyRing;
    const need = { server: stranger.name, keyId: 'ed25519:nobody_has_it' };
    await ring.fetch([need]);
    await ring.fetch([need]);
    assert.is(net.asked.length, 1);
    net.advance(11 * 60_000);
    await ring.fetch([need]);
    assert.is(net.asked.length, 2);
  }));

test('who needs keys of one server at the same time waits for one request', () =>
  withStranger(async (net, stranger) => {
    const ring = net.site(0).federation.keyRing;
    const need = { server: stranger.name, keyId: KEY_ID };
    await Promise.all([ring.fetch([need]), ring.fetch([need]), ring.fetch([need, need])]);
    assert.is(net.asked.length, 1);
  }));

test('keys survive a restart only in what is written, and the ring reads them from there', async () => {
  const net = await network({ servers: 1 });
  const stranger = net.stranger('other.test');
  const { engine } = net.site(0).harness.home;
  await net.site(0).federation.keyRing.fetch([{ server: stranger.name, keyId: KEY_ID }]);
  const { KeyStore } = await import('../../../src/federation/identity/key-store.js');
  assert.equal(new KeyStore(engine).get(stranger.name, KEY_ID)?.publicKey, stranger.key.publicKey);
  await net.close();
});

test('a notary gives the keys of a server that is gone, and only what both signed', async () => {
  const net = await network({
    servers: 1,
    options: { trustedKeyServers: ['notary.test' as ServerName] },
  });
  const gone = net.stranger('gone.test', () => ({ status: 500, body: {} }));
  const notary = net.stranger('notary.test');
  let answer = signJson(gone.keys(), notary.name, createSigningKey(KEY_ID, new Uint8Array(32).fill(6)));
  notary.answers = ({ uri }) => (uri.includes('/query') ? { body: { server_keys: [answer] } } : undefined);
  const ring = net.site(0).federation.keyRing;
  const need = { server: gone.name, keyId: KEY_ID };
  await ring.fetch([need]);
  assert.is(ring.lookup(gone.name, KEY_ID), undefined, 'signed by somebody else than the notary');
  net.advance(DAY_MS / 2);
  answer = signJson(gone.keys(), notary.name, notary.key);
  await ring.fetch([need]);
  assert.equal(ring.lookup(gone.name, KEY_ID), gone.key.publicKey);
  assert.is(asks(net, '/_matrix/key/v2/query'), 2);
  await net.close();
});

test('events are looked through for the keys of those who must have signed them', () =>
  withStranger(async (net, stranger) => {
    const rules = rulesOf('12');
    assert.ok(rules);
    const event = {
      type: 'm.room.message',
      sender: `@a:${stranger.name}`,
      origin_server_ts: net.clock.now,
      signatures: {
        [stranger.name]: Object.fromEntries([
          [KEY_ID, 'x'],
          ...Array.from({ length: 99 }, (_, i) => [`ed25519:${i}`, 'x']),
        ]),
        'nobody.test': { [KEY_ID]: 'x' },
      },
    };
    const { keyRing } = net.site(0).federation;
    await keyRing.fetchFor([event, event, { sender: 5 }, {}], rules);
    assert.ok(keyRing.lookup(stranger.name, KEY_ID, net.clock.now));
    assert.equal(
      net.asked.map(({ to }) => to),
      [stranger.name],
    );
  }));

test('our own keys are told, the old ones as old, and others are told of as a notary', async () => {
  const net = await network({ servers: 2 });
  const [a, b] = [net.site(0), net.site(1)];
  const answers = await b.federation.remote.notaryQuery(a.name, {
    [b.name]: {},
    [a.name]: {},
    'gone.test': {},
  });
  assert.equal(answers.map((answer) => answer['server_name']).sort(), [a.name, b.name]);
  for (const answer of answers) {
    const read = readKeyAnswer(answer, answer['server_name'] as ServerName);
    assert.ok(typeof read !== 'string');
    const signers = Object.keys(answer['signatures'] as JsonObject);
    assert.ok(signers.includes(a.name));
  }
  const many = Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`s${i}.test`, {}]));
  const fault = await b.federation.remote.notaryQuery(a.name, many).catch((error: unknown) => error);
  assert.match(String(fault), 'M_TOO_LARGE');
  await net.close();
});

test.run();
