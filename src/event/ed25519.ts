// Ed25519 with one verdict: the same signature is valid here and on every server, or nowhere.
//
// Verifiers differ at the edges, and two servers that differ no longer share a room. The verdict is
// libsodium's, which most servers use: S below L; key and R canonical and not of small order; and the
// equation without cofactor, [S]B = R + [h]A. `node:crypto` checks S, R and the equation like this, and
// takes non-canonical and small-order points: these are refused first, by looking at their bytes.
// `verifySignaturePortable` gives the same verdict from curve arithmetic in JavaScript.
//
// Source: RFC 8032; "Taming the many EdDSAs" (Chalkias, Garillot, Nikolaenko), section 5, for the edges.

import { createHash, createPublicKey, verify, type KeyObject } from 'node:crypto';
import { Point, hashes } from '@noble/ed25519';
import { equalBytes } from '../lib/bytes.js';
import { toBase64Url } from '../lib/base64.js';
import { ClockCache } from '../lib/clock-cache.js';

hashes.sha512 = (message) => new Uint8Array(sha512(message));

const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

/** L, the order of the base point. */
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
const ORDER_BYTES = littleEndian(ORDER);

/** p = 2^255 - 19: the y coordinate of a canonical point is below. */
const FIELD_BYTES = littleEndian(2n ** 255n - 19n);

/**
 * y coordinates of the eight points of small order: 0, 1, -1 and the two of order 8. Their non-canonical
 * forms (p, p + 1) are refused as non-canonical.
 */
const SMALL_ORDER: readonly Uint8Array[] = [
  littleEndian(0n),
  littleEndian(1n),
  littleEndian(2n ** 255n - 20n),
  littleEndian(0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n),
  littleEndian(0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n),
];

/**
 * Is this the signature of the message under the public key?
 *
 * @returns false, never an error, for whatever is malformed
 */
export function verifySignature(publicKey: Uint8Array, signature: Uint8Array, message: Uint8Array): boolean {
  if (!isAcceptable(publicKey, signature)) return false;
  return verify(null, message, keyObject(publicKey), signature);
}

/** The same verdict as `verifySignature`, without `node:crypto`'s Ed25519. About fifteen times slower. */
export function verifySignaturePortable(
  publicKey: Uint8Array,
  signature: Uint8Array,
  message: Uint8Array,
): boolean {
  if (!isAcceptable(publicKey, signature)) return false;
  const r = signature.subarray(0, KEY_BYTES);
  const s = integer(signature.subarray(KEY_BYTES));
  const h = integer(sha512(r, publicKey, message)) % ORDER;
  let a: Point;
  try {
    a = Point.fromBytes(publicKey);
  } catch {
    return false;
  }
  const expected = Point.BASE.multiply(s, false).subtract(a.multiply(h, false));
  return equalBytes(expected.toBytes(), r);
}

/** The checks that need only the bytes: lengths, S below L, key and R canonical and not of small order. */
function isAcceptable(publicKey: Uint8Array, signature: Uint8Array): boolean {
  return (
    publicKey.length === KEY_BYTES &&
    signature.length === SIGNATURE_BYTES &&
    isBelow(signature, KEY_BYTES, ORDER_BYTES, 0xff) &&
    isAcceptablePoint(publicKey) &&
    isAcceptablePoint(signature)
  );
}

/** Looks at the first 32 bytes. The sign of x, the highest bit, is no part of y. */
function isAcceptablePoint(bytes: Uint8Array): boolean {
  return isBelow(bytes, 0, FIELD_BYTES, 0x7f) && !SMALL_ORDER.some((point) => hasY(bytes, point));
}

function hasY(bytes: Uint8Array, y: Uint8Array): boolean {
  for (let i = 0; i < KEY_BYTES - 1; i++) if (bytes[i] !== y[i]) return false;
  return ((bytes[KEY_BYTES - 1] as number) & 0x7f) === y[KEY_BYTES - 1];
}

/** Is the little-endian number of 32 bytes below the bound? `topMask`: which bits of the top byte count. */
function isBelow(bytes: Uint8Array, offset: number, bound: Uint8Array, topMask: number): boolean {
  for (let i = KEY_BYTES - 1; i >= 0; i--) {
    const byte = (bytes[offset + i] as number) & (i === KEY_BYTES - 1 ? topMask : 0xff);
    const limit = bound[i] as number;
    if (byte !== limit) return byte < limit;
  }
  return false;
}

// Making a KeyObject costs as much as a good part of a verification. A large room has thousands of servers,
// and a cache a little too small for them is of no use; an entry takes about a kilobyte.
const KEYS_CACHED = 8_192;
const keyObjects = new ClockCache<string, KeyObject>(KEYS_CACHED);

function keyObject(publicKey: Uint8Array): KeyObject {
  const x = toBase64Url(publicKey);
  const known = keyObjects.get(x);
  if (known !== undefined) return known;
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  keyObjects.set(x, key, 1);
  return key;
}

function sha512(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha512');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

function integer(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
}

function littleEndian(value: bigint): Uint8Array {
  return new Uint8Array(Buffer.from(value.toString(16).padStart(64, '0'), 'hex').reverse());
}
