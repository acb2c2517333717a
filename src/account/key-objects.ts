// Key objects: JSON that a device or a cross-signing key signed, and what is asked of every kind of them.
//
// Source: appendices, "Signing JSON"; client-server API, "Device keys", "Cross-signing".

import { canonicalJson } from '../event/canonical.js';
import { verifySignature } from '../event/ed25519.js';
import { isObject, type JsonObject, type JsonValue, own } from '../event/json.js';
import { signedJsonText } from '../event/signing.js';
import { fromBase64, toBase64 } from '../lib/base64.js';
import { utf8 } from '../lib/bytes.js';
import { StateroomError } from '../lib/errors.js';
import { EventNotCanonicalError } from '../event/errors.js';
import { KeysInvalidError, KeysTooLargeError } from './errors.js';

export const ED25519 = 'ed25519:';
const PUBLIC_KEY_BYTES = 32;
/** Longest name of a key: algorithm and id. */
const KEY_NAME_LENGTH_MAX = 255;

/** The public key that a text writes down, exactly as unpadded base64 has it, or undefined. */
export function publicKeyOf(text: JsonValue | undefined): Uint8Array | undefined {
  const bytes = typeof text === 'string' ? fromBase64(text) : undefined;
  return bytes?.length === PUBLIC_KEY_BYTES && toBase64(bytes) === text ? bytes : undefined;
}

/** Did the key sign the object, as the user's? @throws ACCOUNT_KEYS_INVALID for what has no canonical JSON */
export function isSignedBy(json: JsonObject, userId: string, keyId: string, publicKey: Uint8Array): boolean {
  const signature = own(signaturesOf(json, userId), keyId);
  const bytes = typeof signature === 'string' ? fromBase64(signature) : undefined;
  return bytes !== undefined && verifySignature(publicKey, bytes, utf8(signedText(json)));
}

/** The signatures that an object holds of one user. */
export function signaturesOf(json: JsonObject, userId: string): JsonObject {
  const all = own(json, 'signatures');
  const ofUser = isObject(all) ? own(all, userId) : undefined;
  return isObject(ofUser) ? ofUser : {};
}

/** The object with further signatures of a user. */
export function withSignatures(json: JsonObject, userId: string, added: JsonObject): JsonObject {
  if (Object.keys(added).length === 0) return json;
  const all = own(json, 'signatures');
  const signatures = Object.entries(isObject(all) ? all : {}).filter(([signer]) => signer !== userId);
  const merged = Object.fromEntries([
    ...Object.entries(signaturesOf(json, userId)),
    ...Object.entries(added),
  ]);
  return { ...json, signatures: Object.fromEntries([...signatures, [userId, merged]]) };
}

/** Do two objects say the same, whoever signed them? */
export function saysTheSame(a: JsonValue, b: JsonValue): boolean {
  if (isObject(a) && isObject(b)) return signedText(a) === signedText(b);
  return !isObject(a) && !isObject(b) && canonicalText(a) === canonicalText(b);
}

/** Are two objects the same, signatures and all? */
export function isSame(a: JsonObject, b: JsonObject): boolean {
  return canonicalText(a) === canonicalText(b);
}

/** The key as it is stored: without what servers add. @throws ACCOUNT_KEYS_INVALID, ACCOUNT_KEYS_TOO_LARGE */
export function storedKey<Key extends JsonValue>(key: Key, bytesMax: number): Key | JsonObject {
  const stored = isObject(key)
    ? Object.fromEntries(Object.entries(key).filter(([name]) => name !== 'unsigned'))
    : key;
  if (Buffer.byteLength(canonicalText(stored)) > bytesMax) {
    throw new KeysTooLargeError(`a key takes ${bytesMax} bytes at most`);
  }
  return stored;
}

/** The algorithm of a key's name, `algorithm:id`. @throws ACCOUNT_KEYS_INVALID */
export function algorithmOf(name: string): string {
  const colon = name.indexOf(':');
  const isName = colon > 0 && colon < name.length - 1 && name.length <= KEY_NAME_LENGTH_MAX;
  if (!isName || name.includes('\0')) {
    throw new KeysInvalidError(
      'a key is named by its algorithm, a colon and its id, in 255 characters at most',
    );
  }
  canonicalText(name);
  return name.slice(0, colon);
}

function signedText(json: JsonObject): string {
  return canonical(() => signedJsonText(json));
}

function canonicalText(json: JsonValue): string {
  return canonical(() => canonicalJson(json));
}

function canonical(write: () => string): string {
  try {
    return write();
  } catch (error) {
    if (error instanceof StateroomError && error.code === EventNotCanonicalError.code) {
      throw new KeysInvalidError(`keys must have a canonical JSON: ${error.message}`, {}, error);
    }
    throw error;
  }
}
