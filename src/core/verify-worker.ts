// The verifier's worker thread: a batch of events in one buffer, an answer for each.

import { receivePdu, verifyReceived } from '../event/receive.js';
import { type RoomVersion, rulesOf } from '../event/rules.js';
import type { PublicKeys } from '../event/verify.js';
import { badSignature, refusalOf } from './refusal.js';

/** What a worker is asked: flat arrays, because a message of many objects takes long to copy. */
export interface VerifyBatch {
  /** The events' bytes, one after the other, then the keys'. */
  readonly bytes: Uint8Array;
  /** How many bytes each event takes, then each key. */
  readonly lengths: readonly number[];
  /** The room version of each event. */
  readonly versions: readonly RoomVersion[];
  /** `keyName` of each key. */
  readonly keyNames: readonly string[];
  /** `overdueName` of keys that an event may not use: they were not good any more when it was sent. */
  readonly overdue: readonly string[];
  /** Are signatures to be verified at all? */
  readonly verifies: boolean;
}

/**
 * What a worker says of one event, its bare id where all is as it should be. Errors lose their class between
 * threads, so they come as plain data.
 */
export type CheckedOne =
  | string
  | { readonly redactedId: string }
  | { readonly code: string; readonly reason: string; readonly eventId: string | undefined };

/** What a key is called in a batch. */
export function keyName(server: string, keyId: string): string {
  return `${server} ${keyId}`;
}

/** What a key is called that the event of that number in its batch may not use. */
export function overdueName(index: number, name: string): string {
  return `${index} ${name}`;
}

/** The thread's task. */
export default function checkBatch({
  bytes,
  lengths,
  versions,
  keyNames,
  overdue,
  verifies,
}: VerifyBatch): CheckedOne[] {
  let at = 0;
  const parts = lengths.map((length) => {
    at += length;
    return bytes.subarray(at - length, at);
  });
  const known = new Map(keyNames.map((name, i) => [name, parts[versions.length + i]]));
  const refused = new Set(overdue);
  const keysOf = (index: number): PublicKeys | undefined => {
    if (!verifies) return undefined;
    return (server, keyId) => {
      const name = keyName(server, keyId);
      return refused.size > 0 && refused.has(overdueName(index, name)) ? undefined : known.get(name);
    };
  };
  return versions.map((version, i) => checkOne(parts[i] ?? NO_BYTES, version, keysOf(i)));
}

const NO_BYTES = new Uint8Array(0);

function checkOne(bytes: Uint8Array, version: RoomVersion, keys: PublicKeys | undefined): CheckedOne {
  const rules = rulesOf(version);
  if (rules === undefined) throw new Error(`the main thread named the unknown room version ${version}`);
  try {
    const received = receivePdu(bytes, rules);
    const verdict = keys === undefined ? undefined : verifyReceived(received, keys);
    if (verdict?.ok === false) return badSignature(verdict, received.pdu.eventId);
    const { eventId } = received.pdu;
    return received.wasRedacted ? { redactedId: eventId } : eventId;
  } catch (error) {
    return refusalOf(error, undefined);
  }
}
