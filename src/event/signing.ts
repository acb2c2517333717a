// Signing keys, and the signing of JSON and of events (spec appendices, "Signing JSON";
// server-server API, "Adding hashes and signatures to outgoing events").

import { createPrivateKey, sign } from 'node:crypto';
import { getPublicKey } from '@noble/ed25519';
import { toBase64, toBase64Url } from '../lib/base64.js';
import { utf8 } from '../lib/bytes.js';
import { assert } from '../lib/errors.js';
import { canonicalJson } from './canonical.js';
import './ed25519.js';
import { EventBadKeyError } from './errors.js';
import {
  contentText,
  essentialText,
  type EventParts,
  type HashRules,
  sha256,
  takeApart,
  withMember,
} from './hash.js';
import { isObject, own, type JsonObject, type JsonValue } from './json.js';

export { verifySignature, verifySignaturePortable } from './ed25519.js';

/** A server's key pair. The seed stays inside. */
export interface SigningKey {
  /** `ed25519:version`. */
  readonly keyId: string;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** 64 bytes; the same for the same message, always (RFC 8032). */
  sign(message: Uint8Array): Uint8Array;
  /** The same, made beside what the caller goes on to do. */
  signAsync(message: Uint8Array): Promise<Uint8Array>;
}

const KEY_ID = /^ed25519:[a-zA-Z0-9_]+$/;

/**
 * The key pair of a seed.
 *
 * @param keyId `ed25519:` and letters, digits, underscores
 * @param seed 32 secret bytes
 * @throws EVENT_BAD_KEY
 */
export function createSigningKey(keyId: string, seed: Uint8Array): SigningKey {
  if (!KEY_ID.test(keyId))
    throw new EventBadKeyError('a key id is ed25519: and letters, digits, underscores', { keyId });
  if (seed.length !== 32) throw new EventBadKeyError('the seed of a signing key is 32 bytes', { keyId });
  const publicKey = getPublicKey(seed);
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: toBase64Url(publicKey), d: toBase64Url(seed) };
  const privateKey = createPrivateKey({ key: jwk, format: 'jwk' });
  return {
    keyId,
    publicKey,
    sign: (message) => new Uint8Array(sign(null, message, privateKey)),
    signAsync: (message) =>
      new Promise((resolve, reject) => {
        sign(null, message, privateKey, (error, signature) => {
          if (error === null) resolve(new Uint8Array(signature));
          else reject(error);
        });
      }),
  };
}

/**
 * The object with the server's signature over its canonical JSON without `signatures` and `unsigned` added.
 *
 * @throws EVENT_NOT_CANONICAL
 */
export function signJson(json: JsonObject, server: string, key: SigningKey): JsonObject {
  return withSignature(json, server, key, signedJsonText(json));
}

/** The text of an object, not of an event, that a signature covers. @throws EVENT_NOT_CANONICAL */
export function signedJsonText(json: JsonObject): string {
  const entries = Object.entries(json).filter(([name]) => name !== 'signatures' && name !== 'unsigned');
  return canonicalJson(Object.fromEntries(entries));
}

/**
 * The event with its content hash (made anew) and the server's signature over its redacted form added.
 *
 * @throws EVENT_NOT_CANONICAL
 */
export function signEvent(json: JsonObject, rules: HashRules, server: string, key: SigningKey): JsonObject {
  return signedEvent(json, rules, server, key).parts.json;
}

/** An event that was just signed, with the canonical JSON that was made for it. */
export interface SignedEvent {
  readonly parts: EventParts;
  /** What the reference hash and the signatures cover. */
  readonly essential: string;
}

/** The same as `signEvent`, each member written once. @throws EVENT_NOT_CANONICAL */
export function signedEvent(
  json: JsonObject,
  rules: HashRules,
  server: string,
  key: SigningKey,
): SignedEvent {
  const { hashed, essential } = hashedEvent(json, rules);
  const { signatures } = withSignature(hashed.json, server, key, essential);
  return { parts: withMember(hashed, 'signatures', signatures as JsonValue, rules), essential };
}

/** An event that is whole but for the server's signature, which is being made. */
export interface EventBeingSigned extends SignedEvent {
  /** Canonical JSON. */
  readonly bytes: Uint8Array;
  /** Resolves when `parts.json` and `bytes` hold the signature. Until then there is a text as long in its place. */
  readonly signed: Promise<void>;
}

const SIGNATURE_PLACE = 'A'.repeat(86);
/** What follows a signature in its member. */
const SIGNATURE_END = '"}}';

/**
 * Hashes an event and begins to sign it: its id is known at once, since no signature is part of what the id covers.
 *
 * @param json without `unsigned`, and nobody has signed it
 * @throws EVENT_NOT_CANONICAL
 */
export function beginSigning(
  json: JsonObject,
  rules: HashRules,
  server: string,
  key: SigningKey,
): EventBeingSigned {
  const { hashed, essential } = hashedEvent(json, rules);
  const ofServer = { [key.keyId]: SIGNATURE_PLACE };
  const parts = withMember(hashed, 'signatures', { [server]: ofServer }, rules);
  const bytes = utf8(`{${parts.members.join(',')}}`);
  let end = bytes.length - 1;
  for (let i = parts.keys.indexOf('signatures') + 1; i < parts.keys.length; i++) {
    end -= 1 + Buffer.byteLength(parts.members[i] as string);
  }
  const start = end - SIGNATURE_END.length - SIGNATURE_PLACE.length;
  const sign = async (): Promise<void> => {
    const text = toBase64(await key.signAsync(utf8(essential)));
    assert(text.length === SIGNATURE_PLACE.length, 'an ed25519 signature is 64 bytes');
    ofServer[key.keyId] = text;
    bytes.set(utf8(text), start);
  };
  return { parts, essential, bytes, signed: sign() };
}

function hashedEvent(
  json: JsonObject,
  rules: HashRules,
): { readonly hashed: EventParts; readonly essential: string } {
  const parts = takeApart(json, rules);
  const hashed = withMember(parts, 'hashes', { sha256: toBase64(sha256(contentText(parts))) }, rules);
  return { hashed, essential: essentialText(hashed, rules) };
}

/** The event as it is, hashes and all, with the server's signature over its redacted form added. @throws EVENT_NOT_CANONICAL */
export function cosignEvent(json: JsonObject, rules: HashRules, server: string, key: SigningKey): JsonObject {
  return withSignature(json, server, key, essentialText(takeApart(json, rules), rules));
}

function withSignature(json: JsonObject, server: string, key: SigningKey, text: string): JsonObject {
  const signatures = objectAt(json, 'signatures');
  const ofServer = { ...objectAt(signatures, server), [key.keyId]: toBase64(key.sign(utf8(text))) };
  return { ...json, signatures: { ...signatures, [server]: ofServer } };
}

function objectAt(json: JsonObject, name: string): JsonObject {
  const value: JsonValue | undefined = own(json, name);
  return isObject(value) ? value : {};
}
