import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ServerName } from '../../../src/event/ids.js';
import { JsonNumber, type JsonObject } from '../../../src/event/json.js';
import { createSigningKey } from '../../../src/event/signing.js';
import { FederationError } from '../../../src/federation/errors.js';
import {
  parseXMatrix,
  type RequestKeys,
  signRequest,
  verifyRequest,
} from '../../../src/federation/identity/x-matrix.js';
import { fromBase64, toBase64 } from '../../../src/lib/base64.js';

const test = suite('federation/x-matrix');

const ORIGIN = 'origin.hs.example.com' as ServerName;
const DESTINATION = 'destination.hs.example.com' as ServerName;
const KEY = createSigningKey('ed25519:key1', new Uint8Array(32).fill(1));
const OTHER_KEY = createSigningKey('ed25519:key2', new Uint8Array(32).fill(2));
const SIGNATURE = toBase64(new Uint8Array(64).fill(9));

function keysWith(known: Record<string, Uint8Array>, fetched: Record<string, Uint8Array> = {}): RequestKeys {
  const have = new Map(Object.entries(known));
  return {
    lookup: (server, keyId) => (server === ORIGIN ? have.get(keyId) : undefined),
    fetch: async () => {
      for (const [keyId, key] of Object.entries(fetched)) have.set(keyId, key);
    },
  };
}

const KEYS = keysWith({ 'ed25519:key1': KEY.publicKey, 'ed25519:key2': OTHER_KEY.publicKey });

function sign(content?: JsonObject, key = KEY, destination = DESTINATION): string {
  return signRequest({ method: 'PUT', uri: '/target?a=%20', origin: ORIGIN, destination, content }, key);
}

async function verdict(
  authorization: readonly string[],
  content?: JsonObject,
  keys = KEYS,
  uri = '/target?a=%20',
): Promise<string> {
  try {
    return await verifyRequest({ method: 'PUT', uri, authorization, content }, DESTINATION, keys, 0);
  } catch (error) {
    if (error instanceof FederationError) return `${error.status} ${error.errcode} ${error.message}`;
    throw error;
  }
}

test('the header of the specification is read, in any order, with and without quotes', () => {
  const spelled = [
    `X-Matrix origin="${ORIGIN}",destination="${DESTINATION}",key="ed25519:key1",sig="${SIGNATURE}"`,
    `X-Matrix sig="${SIGNATURE}",key=ed25519:key1,origin=${ORIGIN},destination=${DESTINATION}`,
    `x-matrix   Origin="${ORIGIN}" ,\tKEY="ed25519:key1"  , sig="${SIGNATURE}",destination="${DESTINATION}"`,
    `X-Matrix origin="origin\\.hs.example.com",destination="${DESTINATION}",key="ed25519:key1",sig="${SIGNATURE}",new=thing`,
    `X-Matrix origin=${ORIGIN},destination=${DESTINATION},key=ed25519:key1,sig=${SIGNATURE}`,
  ];
  for (const header of spelled) {
    assert.equal(
      parseXMatrix(header),
      { origin: ORIGIN, destination: DESTINATION, keyId: 'ed25519:key1', signature: fromBase64(SIGNATURE) },
      header,
    );
  }
});

test('a header that is malformed, doubled, too long or of another scheme is none', () => {
  const good = `origin="${ORIGIN}",key="ed25519:key1",sig="${SIGNATURE}"`;
  for (const header of [
    '',
    'Bearer abc',
    'X-Matrix',
    `Basic ${good}`,
    `X-Matrix ${good},origin="b.org"`,
    `X-Matrix ${good},sig="${SIGNATURE}"`,
    `X-Matrix origin="a b",key="ed25519:key1",sig="${SIGNATURE}"`,
    `X-Matrix origin="${ORIGIN}",key="rsa:1",sig="${SIGNATURE}"`,
    `X-Matrix origin="${ORIGIN}",key="ed25519:key1",sig="AAAA"`,
    `X-Matrix origin="${ORIGIN}",key="ed25519:key1",sig="${SIGNATURE}`,
    `X-Matrix ${good};destination=x`,
    `X-Matrix ${good},x="${'y'.repeat(3_000)}"`,
    `X-Matrix ${Array.from({ length: 30 }, (_, i) => `p${i}=1`).join(',')},${good}`,
  ]) {
    assert.is(parseXMatrix(header), undefined, header.slice(0, 80));
  }
});

test('whatever a stranger sends as a header is read or refused, never an error', () => {
  fc.assert(fc.property(fc.string(), (text) => void parseXMatrix(`X-Matrix ${text}`)));
});

test('a signed request names its server', async () => {
  assert.is(await verdict([sign()]), ORIGIN);
  const content = { pdus: [{ depth: new JsonNumber('1.0', 1) }], edus: [] };
  assert.is(await verdict([sign(content)], content), ORIGIN);
  assert.is(await verdict([sign({})], {}), ORIGIN);
});

test('a request that differs in anything from what was signed is refused', async () => {
  const refused = /^401 M_UNAUTHORIZED/;
  assert.match(await verdict([sign({ a: 1 })], { a: 2 }), refused);
  assert.match(await verdict([sign({})]), refused);
  assert.match(await verdict([sign()], undefined, KEYS, '/target?a=+'), refused);
  assert.match(await verdict([sign(undefined, OTHER_KEY).replace('key2', 'key1')]), refused);
  assert.match(await verdict([]), refused);
  assert.match(await verdict(['Bearer x']), refused);
  assert.match(await verdict(['X-Matrix nonsense']), refused);
});

test('a request for another server is refused, one that names none is taken', async () => {
  assert.match(await verdict([sign(undefined, KEY, 'other.org' as ServerName)]), /signed for another server/);
  assert.is(await verdict([sign().replace(/destination="[^"]*",/, '')]), ORIGIN);
});

test('of several signatures one must be by a known key, and none by a known key may be wrong', async () => {
  const [one, two] = [sign(), sign(undefined, OTHER_KEY)];
  const onlyOne = keysWith({ 'ed25519:key1': KEY.publicKey });
  assert.is(await verdict([one, two]), ORIGIN);
  assert.is(await verdict([two, one], undefined, onlyOne), ORIGIN);
  assert.match(await verdict([one, sign({}, OTHER_KEY)]), /is not that of this request/);
  assert.match(await verdict([one, one.replaceAll(ORIGIN, 'b.org')]), /more than one server/);
  assert.match(await verdict([one, one, one, one, one]), /too many/);
});

test('keys that are not known are fetched, and without any the request is refused', async () => {
  assert.is(await verdict([sign()], undefined, keysWith({}, { 'ed25519:key1': KEY.publicKey })), ORIGIN);
  assert.match(await verdict([sign()], undefined, keysWith({})), /^401 M_UNAUTHORIZED No valid key/);
});

test.run();
