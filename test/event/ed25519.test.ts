// The edges at which Ed25519 verifiers differ, and one verdict on them from both of ours.
//
// Vectors: "Taming the many EdDSAs" (Chalkias, Garillot, Nikolaenko; SSR 2020), table 5. Verdicts: libsodium's.

import { createPublicKey, sign, verify, createPrivateKey } from 'node:crypto';
import { Point, getPublicKey } from '@noble/ed25519';
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { verifySignature, verifySignaturePortable } from '../../src/event/signing.js';
import { toBase64Url } from '../../src/lib/base64.js';
import { concatBytes, fromHex, utf8 } from '../../src/lib/bytes.js';
import { createHash } from 'node:crypto';
import { key } from './samples.js';

const test = suite('ed25519');
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
const FIELD = 2n ** 255n - 19n;

function hex(text: string): Uint8Array {
  const bytes = fromHex(text);
  assert.ok(bytes);
  return bytes;
}

/** The one verdict of both verifiers. */
function verdict(publicKey: Uint8Array, signature: Uint8Array, message: Uint8Array): boolean {
  const fast = verifySignature(publicKey, signature, message);
  assert.is(verifySignaturePortable(publicKey, signature, message), fast, 'the two verifiers differ');
  return fast;
}

/** What node alone says, to show that the checks of ours are needed. */
function nodeAlone(publicKey: Uint8Array, signature: Uint8Array, message: Uint8Array): boolean {
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: toBase64Url(publicKey) };
  return verify(null, message, createPublicKey({ key: jwk, format: 'jwk' }), signature);
}

function bytesOf(value: bigint): Uint8Array {
  return new Uint8Array(Buffer.from(value.toString(16).padStart(64, '0'), 'hex').reverse());
}

function numberOf(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
}

function challenge(r: Uint8Array, publicKey: Uint8Array, message: Uint8Array): bigint {
  return numberOf(createHash('sha512').update(r).update(publicKey).update(message).digest()) % ORDER;
}

/** A point of order 8, and so all points of small order as its multiples. */
const TORSION = Point.fromBytes(hex('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05'));
const smallOrder = Array.from({ length: 8 }, (_, times) =>
  times === 0 ? Point.ZERO : TORSION.multiply(BigInt(times), false),
);

/** The published vectors: message, key, signature, verdict, and what the case is about. */
const PUBLISHED: ReadonlyArray<readonly [string, string, string, boolean, string]> = [
  [
    '8c93255d71dcab10e8f379c26200f3c7bd5f09d9bc3068d3ef4edeb4853022b6',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a0000000000000000000000000000000000000000000000000000000000000000',
    false,
    'S = 0, A and R small',
  ],
  [
    '9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
    'f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04',
    false,
    'A small, R mixed',
  ],
  [
    'aebf3f2601a0c8c5d39cc7d8911642f740b78168218da8471772b35f9d35b9ab',
    'f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa8c4bd45aecaca5b24fb97bc10ac27ac8751a7dfe1baff8b953ec9f5833ca260e',
    false,
    'A mixed, R small',
  ],
  [
    '9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79',
    'cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d',
    '9046a64750444938de19f227bb80485e92b83fdb4b6506c160484c016cc1852f87909e14428a7a1d62e9f22f3d3ad7802db02eb2e688b6c52fcd6648a98bd009',
    true,
    'A and R mixed, the equation holds',
  ],
  [
    'e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c',
    'cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d',
    '160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed5125ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09',
    false,
    'holds with cofactor only',
  ],
  [
    'e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c',
    'cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d',
    '21122a84e0b5fca4052f5b1235c80a537878b38f3142356b2c2384ebad4668b7e40bc836dac0f71076f9abe3a53f9c03c1ceeeddb658d0030494ace586687405',
    false,
    'holds with cofactor only, 8h reduced first',
  ],
  [
    '85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40',
    '442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623',
    'e96f66be976d82e60150baecff9906684aebb1ef181f67a7189ac78ea23b6c0e547f7690a0e2ddcd04d87dbc3490dc19b3b3052f7ff0538cb68afb369ba3a514',
    false,
    'S above L',
  ],
  [
    '85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40',
    '442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623',
    '8ce5b96c8f26d0ab6c47958c9e68b937104cd36e13c33566acd2fe8d38aa19427e71f98a473474f2f13f06f97c20d58cc3f54b8bd0d272f42b695dd7e89a8c22',
    false,
    'S far above L',
  ],
  [
    'fdaebc429f4a735932a160da1301080c13280eea8bc280d1b392c6b9e6ba3a5a',
    'f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f454d370c8d9fc323a41450f8d513eafeb5b0697390c1e505a0d4ddc71f566607',
    false,
    'R not canonical',
  ],
  [
    '84b698d39be126ff55fe45079e6c8bf64a0d7db6994560b4e96b7021eb39c1a1',
    'f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f084d5b99c2a9463d9c8bd5026916996984eeec87ddf1d3be329006ace1b37b09',
    false,
    'R not canonical, hashed as canonical',
  ],
];

test("the published edge cases get libsodium's verdict from both verifiers", () => {
  for (const [message, publicKey, signature, expected, about] of PUBLISHED) {
    assert.is(verdict(hex(publicKey), hex(signature), hex(message)), expected, about);
  }
});

test('the first test vectors of RFC 8032 hold', () => {
  const vectors = [
    [
      'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
      '',
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    ],
    [
      '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
      '72',
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    ],
  ] as const;
  for (const [publicKey, message, signature] of vectors)
    assert.ok(verdict(hex(publicKey), hex(signature), hex(message)));
});

test('a key of small order signs nothing, in whatever encoding, though node alone accepts it', () => {
  const message = utf8('anything');
  let acceptedByNode = 0;
  for (const point of smallOrder) {
    for (const r of smallOrder) {
      // With S = 0 the equation is R + [h]A = 0, which holds for about one in eight messages.
      const signature = concatBytes(r.toBytes(), new Uint8Array(32));
      assert.not(verdict(point.toBytes(), signature, message));
      if (nodeAlone(point.toBytes(), signature, message)) acceptedByNode++;
    }
  }
  assert.ok(acceptedByNode > 0);
});

test('a signature whose R is of small order is refused, though node alone accepts it', () => {
  // R = 0 and S = h a: right by the equation.
  const scalar = 7n;
  const publicKey = Point.BASE.multiply(scalar).toBytes();
  const message = utf8('m');
  const r = Point.ZERO.toBytes();
  const s = (challenge(r, publicKey, message) * scalar) % ORDER;
  const signature = concatBytes(r, bytesOf(s));
  assert.ok(nodeAlone(publicKey, signature, message));
  assert.not(verdict(publicKey, signature, message));
});

test('a signature under a key of mixed order counts exactly when the equation without cofactor holds', () => {
  const scalar = 12345n;
  const nonce = 987654321n;
  const publicKey = Point.BASE.multiply(scalar).add(TORSION).toBytes();
  const r = Point.BASE.multiply(nonce).toBytes();
  let held = 0;
  for (let i = 0; i < 40; i++) {
    const message = utf8(`message ${i}`);
    const h = challenge(r, publicKey, message);
    const signature = concatBytes(r, bytesOf((nonce + h * scalar) % ORDER));
    // [S]B - [h]A = R - [h]T: the torsion part vanishes when 8 divides h.
    assert.is(verdict(publicKey, signature, message), h % 8n === 0n);
    if (h % 8n === 0n) held++;
  }
  assert.ok(held > 0 && held < 40, `${held} of 40 held`);
});

test('S is below L: the same signature with L added is refused', () => {
  const message = utf8('m');
  const signature = key.sign(message);
  assert.ok(verdict(key.publicKey, signature, message));
  const s = numberOf(signature.subarray(32));
  for (const other of [s + ORDER, ORDER, ORDER + 1n, 2n ** 256n - 1n]) {
    assert.not(verdict(key.publicKey, concatBytes(signature.subarray(0, 32), bytesOf(other)), message));
  }
});

test('keys and R that are not canonical are refused', () => {
  const message = utf8('m');
  const signature = key.sign(message);
  for (let y = FIELD; y < 2n ** 255n; y++) {
    for (const encoded of [bytesOf(y), bytesOf(y + 2n ** 255n)]) {
      assert.not(verdict(encoded, signature, message));
      assert.not(verdict(key.publicKey, concatBytes(encoded, signature.subarray(32)), message));
      assert.not(verdict(encoded, concatBytes(encoded, new Uint8Array(32)), message));
    }
  }
});

test('the identity written in another way is no key, though any S fits it and node alone accepts it', () => {
  const message = utf8('m');
  const signature = concatBytes(Point.BASE.multiply(5n).toBytes(), bytesOf(5n));
  const identity = bytesOf(FIELD + 1n);
  assert.ok(nodeAlone(identity, signature, message));
  assert.not(verdict(identity, signature, message));
  assert.not(verdict(Point.ZERO.toBytes(), signature, message));
});

test('a key that is no point of the curve gives false', () => {
  const message = utf8('m');
  const signature = key.sign(message);
  let noPoints = 0;
  for (let y = 2n; y < 30n; y++) {
    assert.not(verdict(bytesOf(y), signature, message));
    assert.not(verdict(key.publicKey, concatBytes(bytesOf(y), signature.subarray(32)), message));
    try {
      Point.fromBytes(bytesOf(y));
    } catch {
      noPoints++;
    }
  }
  assert.ok(noPoints > 5);
});

test('malformed lengths give false and no error', () => {
  const message = utf8('m');
  const signature = key.sign(message);
  for (const length of [0, 1, 31, 33, 64]) assert.not(verdict(new Uint8Array(length), signature, message));
  for (const length of [0, 1, 32, 63])
    assert.not(verdict(key.publicKey, signature.subarray(0, length), message));
  assert.not(verdict(key.publicKey, concatBytes(signature, new Uint8Array(1)), message));
});

test('any other message, and any flipped bit of key or signature, fails on both', () => {
  const bits = fc.integer({ min: 0, max: 96 * 8 - 1 });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), bits, (message, bit) => {
      const whole = concatBytes(key.publicKey, key.sign(message));
      whole[bit >> 3] = (whole[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      assert.not(verdict(whole.subarray(0, 32), whole.subarray(32), message));
      assert.not(verdict(key.publicKey, key.sign(message), concatBytes(message, new Uint8Array(1))));
    }),
    { numRuns: 40 },
  );
});

test('random bytes as key and signature give the same verdict on both', () => {
  const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
    fc.uint8Array({ minLength: length, maxLength: length });
  fc.assert(
    fc.property(bytes(32), bytes(64), (publicKey, signature) => {
      const belowOrder = Uint8Array.from(signature);
      belowOrder[63] = (belowOrder[63] ?? 0) & 0x0f;
      assert.not(verdict(publicKey, belowOrder, utf8('m')));
    }),
    { numRuns: 60 },
  );
});

test('many more keys than are cached still verify', () => {
  const message = utf8('m');
  const first = new Uint8Array(32);
  const signedBy = (seed: Uint8Array): [Uint8Array, Uint8Array] => {
    const publicKey = getPublicKey(seed);
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: toBase64Url(publicKey), d: toBase64Url(seed) };
    return [publicKey, sign(null, message, createPrivateKey({ key: jwk, format: 'jwk' }))];
  };
  const [publicKey, signature] = signedBy(first);
  assert.ok(verifySignature(publicKey, signature, message));
  for (let i = 0; i < 1100; i++) {
    const other = bytesOf(BigInt(i) + 1000n);
    assert.not(verifySignature(other, signature, message));
  }
  assert.ok(verifySignature(publicKey, signature, message));
});

test.run();
