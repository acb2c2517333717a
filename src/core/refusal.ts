// Why an event goes no further: nothing of it is stored.

import type { EventId, RoomId } from '../event/ids.js';
import type { SignatureVerdict } from '../event/verify.js';
import { StateroomError } from '../lib/errors.js';
import { VERDICT_CODES } from './outcome.js';

/** Why an event is dropped. */
export interface Refusal {
  /** Code of the error, or one of `VERDICT_CODES`. */
  readonly code: string;
  readonly reason: string;
  readonly eventId: EventId | undefined;
  readonly roomId: RoomId | undefined;
}

/** An error as the reason to drop an event. @throws what is no fault of the event */
export function refusalOf(error: unknown, roomId: RoomId | undefined): Refusal {
  if (!(error instanceof StateroomError)) throw error;
  return { code: error.code, reason: error.message, eventId: undefined, roomId };
}

/** The refusal of an event for its signatures: names the first fault. */
export function badSignature(verdict: SignatureVerdict, eventId: EventId): Refusal {
  const [first] = verdict.faults;
  const key = first?.keyId === undefined ? '' : ` ${first.keyId}`;
  const fault = first === undefined ? '' : ` (${first.server}${key}: ${first.fault})`;
  return {
    code: 'SIGNATURE_INVALID',
    reason: `${VERDICT_CODES.SIGNATURE_INVALID}${fault}`,
    eventId,
    roomId: undefined,
  };
}
