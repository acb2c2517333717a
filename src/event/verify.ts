// Who must have signed an event, and whether they did.
//
// Source: server-server API, "Validating hashes and signatures on received events"; rooms/v8, rule 4.2.
// Where the text leaves room, Synapse's reading is taken: an invite is a third-party invite when its content
// has the key at all; the authorising server must sign joins, not other memberships that carry the key.

import { fromBase64 } from '../lib/base64.js';
import { utf8 } from '../lib/bytes.js';
import { verifySignature } from './ed25519.js';
import { essentialText, takeApart } from './hash.js';
import { parseEventId, parseUserId, serverOf, type ServerName } from './ids.js';
import { isObject, own, type JsonObject } from './json.js';
import type { RoomVersionRules } from './rules.js';
import { signedJsonText } from './signing.js';

/**
 * The public key of a server, or undefined when it is not known, or was not valid at `validAt` where one is
 * given: the event's own time, in room versions that enforce validity (`enforcesKeyValidity`).
 */
export type PublicKeys = (server: string, keyId: string, validAt?: number) => Uint8Array | undefined;

/** Keys as they were when the event was sent, where the room version asks for that. */
export function keysAtEvent(json: JsonObject, rules: RoomVersionRules, keys: PublicKeys): PublicKeys {
  const time = rules.enforcesKeyValidity ? own(json, 'origin_server_ts') : undefined;
  return typeof time === 'number' ? (server, keyId) => keys(server, keyId, time) : keys;
}

/** Why a required signature does not count. */
export type SignatureFault =
  /** The server has signed with no Ed25519 key at all. */
  | 'unsigned'
  /** It has, but none of its keys is known to us or valid. */
  | 'unknown-key'
  /** The signature is no base64, or not that of this event under a known key. */
  | 'wrong-signature';

/** Outcome of checking the required signatures. */
export interface SignatureVerdict {
  readonly ok: boolean;
  /** The signatures that hold. */
  readonly verified: ReadonlyArray<{ readonly server: ServerName; readonly keyId: string }>;
  /** What is missing or wrong, one entry a server or key. Empty exactly when `ok`. */
  readonly faults: ReadonlyArray<{
    readonly server: ServerName;
    readonly keyId?: string;
    readonly fault: SignatureFault;
  }>;
}

/**
 * The servers without whose signatures the event is dropped. Ask it of the event as received: redaction
 * may remove what exempts a third-party invite or names an authorising server.
 */
export function requiredSigners(json: JsonObject, rules: RoomVersionRules): ServerName[] {
  const signers = new Set<ServerName>();
  const content = own(json, 'content');
  const member = own(json, 'type') === 'm.room.member' && isObject(content) ? content : undefined;
  const membership = member === undefined ? undefined : own(member, 'membership');

  const isThirdPartyInvite =
    member !== undefined && membership === 'invite' && own(member, 'third_party_invite') !== undefined;
  if (!isThirdPartyInvite) addServerOfUser(signers, own(json, 'sender'));

  if (rules.eventIdServerSigns) {
    const field = own(json, 'event_id');
    const eventId = typeof field === 'string' ? parseEventId(field, 'field') : undefined;
    const server = eventId === undefined ? undefined : serverOf(eventId);
    if (server !== undefined) signers.add(server);
  }

  if (rules.authorisation.allowsRestricted && member !== undefined && membership === 'join') {
    addServerOfUser(signers, own(member, 'join_authorised_via_users_server'));
  }
  return [...signers];
}

function addServerOfUser(signers: Set<ServerName>, value: unknown): void {
  const user = typeof value === 'string' ? parseUserId(value) : undefined;
  if (user !== undefined) signers.add(serverOf(user));
}

/** Are all required signatures there and right? @throws EVENT_NOT_CANONICAL */
export function verifyEventSignatures(
  json: JsonObject,
  rules: RoomVersionRules,
  keys: PublicKeys,
): SignatureVerdict {
  const text = essentialText(takeApart(json, rules), rules);
  return verifySigned(json, requiredSigners(json, rules), utf8(text), keysAtEvent(json, rules, keys));
}

/** Has the server signed this object, which is no event (a key answer, a request, `signed` of an invite)? */
export function verifyJsonSignature(
  json: JsonObject,
  server: ServerName,
  keys: PublicKeys,
): SignatureVerdict {
  return verifySigned(json, [server], utf8(signedJsonText(json)), keys);
}

/**
 * Checks signatures over bytes that were made before.
 *
 * Of each signer at least one known key must have signed, and no known key's signature may be wrong;
 * keys that are not known, or of other algorithms, are skipped.
 */
export function verifySigned(
  json: JsonObject,
  signers: readonly ServerName[],
  message: Uint8Array,
  keys: PublicKeys,
): SignatureVerdict {
  const signatures = own(json, 'signatures');
  const verified: Array<SignatureVerdict['verified'][number]> = [];
  const faults: Array<SignatureVerdict['faults'][number]> = [];
  for (const server of signers) {
    const ofServer = isObject(signatures) ? own(signatures, server) : undefined;
    const keyIds = isObject(ofServer)
      ? Object.keys(ofServer).filter((keyId) => keyId.startsWith('ed25519:'))
      : [];
    let known = 0;
    for (const keyId of keyIds) {
      const publicKey = keys(server, keyId);
      if (publicKey === undefined) continue;
      known++;
      const text = isObject(ofServer) ? own(ofServer, keyId) : undefined;
      const signature = typeof text === 'string' ? fromBase64(text) : undefined;
      const holds = signature !== undefined && verifySignature(publicKey, signature, message);
      if (holds) verified.push({ server, keyId });
      else faults.push({ server, keyId, fault: 'wrong-signature' });
    }
    if (keyIds.length === 0) faults.push({ server, fault: 'unsigned' });
    else if (known === 0) faults.push({ server, fault: 'unknown-key' });
  }
  return { ok: faults.length === 0, verified, faults };
}
