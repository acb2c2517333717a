// The verifier's worker thread: a batch of events in one buffer, an answer for each.

import { receivePdu, verifyReceived } from '../event/receive.js';
import { type RoomVersion, rulesOf } from '../event/rules.js';
import type { PublicKeys } from '../event/verify.js';
import { badSignature, type Refusal, refusalOf } from './refusal.js';

/** What a worker is asked. */
export interface VerifyBatch {
  /** The events' bytes, one after the other. */
  readonly bytes: Uint8Array;
  readonly events: Array<{ readonly length: number; readonly version: RoomVersion }>;
  readonly keys: Array<{ readonly server: string; readonly keyId: string; readonly publicKey: Uint8Array }>;
  /** Are signatures to be verified at all? */
  readonly verifies: boolean;
}

/** What a worker says of one event: errors lose their class between threads, so they come as plain data. */
export type CheckedOne =
  | { readonly eventId: string; readonly isRedacted: boolean }
  | { readonly code: string; readonly reason: string; readonly eventId: string | undefined };

/** The thread's task. */
export default function checkBatch(batch: VerifyBatch): CheckedOne[] {
  const known = new Map(batch.keys.map(({ server, keyId, publicKey }) => [`${server} ${keyId}`, publicKey]));
  const keys: PublicKeys | undefined = batch.verifies
    ? (server, keyId) => known.get(`${server} ${keyId}`)
    : undefined;
  let at = 0;
  return batch.events.map(({ length, version }) => {
    const bytes = batch.bytes.subarray(at, at + length);
    at += length;
    return checkOne(bytes, version, keys);
  });
}

function checkOne(
  bytes: Uint8Array,
  version: RoomVersion,
  keys: PublicKeys | undefined,
): CheckedOne | Refusal {
  const rules = rulesOf(version);
  if (rules === undefined) throw new Error(`the main thread named the unknown room version ${version}`);
  try {
    const received = receivePdu(bytes, rules);
    const verdict = keys === undefined ? undefined : verifyReceived(received, keys);
    if (verdict?.ok === false) return badSignature(verdict, received.pdu.eventId);
    return { eventId: received.pdu.eventId, isRedacted: received.wasRedacted };
  } catch (error) {
    return refusalOf(error, undefined);
  }
}
