// The checks on receipt that need no other event, done again on the stored bytes: form, signatures, content hash.
//
// Source: server-server API, "Checks performed on receipt of a PDU", 1 to 3.

import type { JsonObject } from '../../event/json.js';
import { isObject, parseJson } from '../../event/json.js';
import { type ReceivedPdu, receivePdu } from '../../event/receive.js';
import { rulesOf } from '../../event/rules.js';
import { requiredSigners, type PublicKeys, verifySigned } from '../../event/verify.js';
import { StateroomError } from '../../lib/errors.js';
import type { EventRow } from '../../store/records.js';

/** One of these checks and its outcome. */
export interface ReceiptCheck {
  readonly check: 'format' | 'signatures' | 'content_hash';
  /** Place in the specification's list of checks. */
  readonly rule: string;
  readonly passed: boolean;
  readonly reason: string;
}

/**
 * Checks the bytes of a stored event.
 * @param keys without them signatures are left out
 */
export function checkReceipt(row: EventRow, keys: PublicKeys | undefined): ReceiptCheck[] {
  const received = receive(row);
  if (typeof received === 'string')
    return [{ check: 'format', rule: 'receipt 1', passed: false, reason: received }];
  const { rules } = received.pdu;
  const format: ReceiptCheck = {
    check: 'format',
    rule: 'receipt 1',
    passed: received.pdu.eventId === row.eventId,
    reason:
      received.pdu.eventId === row.eventId
        ? `it is an event as room version ${rules.version} wants it, and its id is right`
        : `its bytes have the id ${received.pdu.eventId}`,
  };
  const checks = [format];
  if (keys !== undefined) checks.push(checkSignatures(row, received, keys));
  checks.push({
    check: 'content_hash',
    rule: 'receipt 3',
    passed: !received.wasRedacted,
    reason: received.wasRedacted
      ? 'the content is not what hashes.sha256 says, so the event counts as redacted'
      : 'the content is what hashes.sha256 says',
  });
  return checks;
}

function receive(row: EventRow): ReceivedPdu | string {
  const rules = rulesOf(row.roomVersion);
  if (rules === undefined) return `room version ${row.roomVersion} is not known`;
  try {
    return receivePdu(row.bytes, rules);
  } catch (error) {
    if (error instanceof StateroomError) return `${error.code}: ${error.message}`;
    throw error;
  }
}

function checkSignatures(row: EventRow, received: ReceivedPdu, keys: PublicKeys): ReceiptCheck {
  const json = jsonOf(row);
  const { rules } = received.pdu;
  const signers = requiredSigners(json, rules);
  const verdict = verifySigned(json, signers, received.signedBytes, keys);
  const faults = verdict.faults.map(
    ({ server, keyId, fault }) => `${server}${keyId === undefined ? '' : ` ${keyId}`}: ${fault}`,
  );
  return {
    check: 'signatures',
    rule: 'receipt 2',
    passed: verdict.ok,
    reason: verdict.ok ? `signed by ${signers.join(', ') || 'nobody, and nobody must'}` : faults.join('; '),
  };
}

function jsonOf(row: EventRow): JsonObject {
  const json = parseJson(row.bytes);
  return isObject(json) ? json : {};
}
