// Invites through a third party: an identity server vouches that the invited address is now this Matrix user.
//
// Source: rooms/v1 to v12, "Authorisation rules", "If content has a third_party_invite property";
// client-server API, "Third-party invites"; spec appendices, "Signing JSON".

import { fromBase64, fromBase64Url } from '../../lib/base64.js';
import { utf8 } from '../../lib/bytes.js';
import { isArray, isObject, own, type JsonObject, type JsonValue } from '../../event/json.js';
import type { Pdu } from '../../event/pdu.js';
import { signedJsonText, verifySignature } from '../../event/signing.js';
import { shown, type AuthCase } from './case.js';
import type { AuthVerdict } from './verdict.js';

/**
 * Verifications tried for one invite. An event of 65,536 bytes has room for about 1,000 public keys, and
 * every one of them is tried with the first signature; only an attacker comes near.
 */
const VERIFICATIONS_MAX = 1024;
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

/** @param rule the number of the rule whose parts these are, e.g. `5.3.1` */
export function thirdPartyRule(
  hearing: AuthCase,
  target: string,
  thirdParty: JsonValue,
  rule: string,
): AuthVerdict {
  const { sender } = hearing.event;
  if (hearing.membershipOf(target) === 'ban') {
    return hearing.reject(`${rule}.1`, `${target} is banned`, `unban ${target}`);
  }
  const signed = isObject(thirdParty) ? own(thirdParty, 'signed') : undefined;
  if (!isObject(signed)) return hearing.reject(`${rule}.2`, 'the third-party invite holds no signed part');

  const user = own(signed, 'mxid');
  const token = own(signed, 'token');
  if (user === undefined || typeof token !== 'string') {
    return hearing.reject(`${rule}.3`, 'the signed part of the third-party invite lacks mxid or token');
  }
  if (user !== target)
    return hearing.reject(`${rule}.4`, `the third-party invite is for ${shown(user)}, not ${target}`);

  const invite = hearing.stateEvent('m.room.third_party_invite', token);
  if (invite === undefined) {
    return hearing.reject(
      `${rule}.5`,
      `the room has no third-party invite with token ${shown(token)}`,
      `an m.room.third_party_invite by ${sender} with that token`,
    );
  }
  if (sender !== invite.sender) {
    return hearing.reject(
      `${rule}.6`,
      `the third-party invite is ${invite.sender}'s, not ${sender}'s`,
      `${invite.sender} sends it`,
    );
  }
  return isSigned(signed, invite, hearing.event)
    ? hearing.allow(`${rule}.7`, `${target} is invited through the third-party invite of ${sender}`)
    : hearing.reject(
        `${rule}.8`,
        "no signature of the third-party invite matches a public key of the room's invite",
      );
}

/**
 * "Any signature in signed matches any public key". State resolution asks again and again about the same two
 * events, so the answer is kept as long as they are.
 */
function isSigned(signed: JsonObject, invite: Pdu, event: Pdu): boolean {
  const known = answers.get(event)?.get(invite);
  if (known !== undefined) return known;
  const answer = verifyAny(signed, publicKeys(invite.content));
  const ofEvent = answers.get(event) ?? new WeakMap<Pdu, boolean>();
  answers.set(event, ofEvent.set(invite, answer));
  return answer;
}

const answers = new WeakMap<Pdu, WeakMap<Pdu, boolean>>();

function verifyAny(signed: JsonObject, keys: readonly Uint8Array[]): boolean {
  const message = signedMessage(signed);
  if (message === undefined) return false;
  let left = VERIFICATIONS_MAX;
  for (const signature of signatures(signed)) {
    for (const key of keys) {
      if (left-- === 0) return false;
      if (verifySignature(key, signature, message)) return true;
    }
  }
  return false;
}

/** The bytes that were signed, or undefined where the object has no canonical form. */
function signedMessage(signed: JsonObject): Uint8Array | undefined {
  try {
    return utf8(signedJsonText(signed));
  } catch {
    return undefined;
  }
}

function* signatures(signed: JsonObject): Generator<Uint8Array> {
  const servers = own(signed, 'signatures');
  if (!isObject(servers)) return;
  for (const byKey of Object.values(servers)) {
    if (!isObject(byKey)) continue;
    for (const [keyId, text] of Object.entries(byKey)) {
      const signature = keyId.startsWith('ed25519:') ? decode(text, SIGNATURE_BYTES) : undefined;
      if (signature !== undefined) yield signature;
    }
  }
}

/** The keys of `public_key` and of `public_keys`, those that are keys, each once. */
function publicKeys(content: JsonObject): Uint8Array[] {
  const texts = new Set([own(content, 'public_key')]);
  const list = own(content, 'public_keys');
  if (isArray(list)) {
    for (const entry of list) if (isObject(entry)) texts.add(own(entry, 'public_key'));
  }
  return [...texts].flatMap((text) => decode(text, KEY_BYTES) ?? []);
}

/** Bytes of unpadded base64 in either alphabet: identity servers write both. */
function decode(text: JsonValue | undefined, length: number): Uint8Array | undefined {
  if (typeof text !== 'string') return undefined;
  const bytes = fromBase64(text) ?? fromBase64Url(text);
  return bytes?.length === length ? bytes : undefined;
}
