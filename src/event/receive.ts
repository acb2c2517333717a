// An event from another server, taken in one go: parse, check its form, compare its content hash, name it.
//
// Everything here is computation on the event alone, so that batches of it can run in worker threads; the
// canonical JSON is written once and serves size, content hash, id and signatures. A worker sends back the
// id, `wasRedacted` and the verdict, not the Pdu, whose classes do not survive the way: the other side makes
// its own by `parsePdu` with `trustedId` and `redacted`, which hashes nothing.

import { equalBytes, utf8 } from '../lib/bytes.js';
import { EventNotObjectError, EventTooLargeError } from './errors.js';
import { claimedContentHash, contentText, sha256 } from './hash.js';
import type { ServerName } from './ids.js';
import { isObject, parseJson, type JsonObject, type JsonValue } from './json.js';
import { checkEvent, MAX_EVENT_BYTES } from './parse.js';
import type { Pdu } from './pdu.js';
import type { RoomVersionRules } from './rules.js';
import {
  keysAtEvent,
  requiredSigners,
  verifySigned,
  type PublicKeys,
  type SignatureVerdict,
} from './verify.js';

/** Escapes make JSON text up to six times as long as its canonical form, and `unsigned` comes on top. */
export const MAX_RECEIVED_BYTES = 8 * MAX_EVENT_BYTES;

/** An event that has the right form; its signatures are still to be verified. */
export interface ReceivedPdu {
  /** The event: the redacted one when its content hash did not match. */
  readonly pdu: Pdu;
  /** Did the content hash not match, so that the event was redacted? */
  readonly wasRedacted: boolean;
  /** The servers that must have signed, by the event as received. */
  readonly signers: readonly ServerName[];
  /** The bytes that they signed. */
  readonly signedBytes: Uint8Array;
}

/**
 * Takes the bytes of one event.
 *
 * @throws EVENT_BAD_JSON, EVENT_NOT_OBJECT, EVENT_TOO_LARGE and whatever `parsePdu` throws
 */
export function receivePdu(bytes: Uint8Array, rules: RoomVersionRules): ReceivedPdu {
  if (bytes.length > MAX_RECEIVED_BYTES) {
    throw new EventTooLargeError(`the event's JSON is larger than ${MAX_RECEIVED_BYTES} bytes`, {
      bytes: bytes.length,
    });
  }
  return receiveJson(parseJson(bytes), rules);
}

/** The same for JSON that `parseJson` has read, of a transaction for instance. @throws as `receivePdu` */
export function receiveJson(json: JsonValue, rules: RoomVersionRules): ReceivedPdu {
  if (!isObject(json)) throw new EventNotObjectError('an event is a JSON object');
  const event = checkEvent(json, rules);
  const wasRedacted = !matchesClaim(json, contentText(event.parts));
  return {
    pdu: event.toPdu(wasRedacted),
    wasRedacted,
    signers: requiredSigners(json, rules),
    signedBytes: utf8(event.essential),
  };
}

/** Verifies the required signatures of a received event. */
export function verifyReceived(received: ReceivedPdu, keys: PublicKeys): SignatureVerdict {
  const { json, rules } = received.pdu;
  return verifySigned(json, received.signers, received.signedBytes, keysAtEvent(json, rules, keys));
}

function matchesClaim(json: JsonObject, content: string): boolean {
  const claimed = claimedContentHash(json);
  return claimed !== undefined && equalBytes(claimed, sha256(content));
}
