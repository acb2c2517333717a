// One stored event, checked against itself: its bytes must still give the id and the hash that were accepted.

import { parseInternalEvent } from '../../event/internal.js';
import { receivePdu } from '../../event/receive.js';
import { storedRulesOf } from '../../event/rules.js';
import { StateroomError } from '../../lib/errors.js';
import type { StoreProblem } from '../../store/check-nodes.js';
import type { EventRow } from '../../store/records.js';

/** What is wrong with an event's row, or undefined. Costs what receiving the event cost, without signatures. */
export function faultOfEvent(seq: number, row: EventRow): StoreProblem | undefined {
  const fields = { seq, event_id: row.eventId, room_id: row.roomId };
  const damaged = (message: string): StoreProblem => ({
    code: 'EVENT_DAMAGED',
    message: `event ${row.eventId}: ${message}`,
    fields,
  });
  if (
    typeof row.eventId !== 'string' ||
    typeof row.roomId !== 'string' ||
    !(row.bytes instanceof Uint8Array)
  ) {
    return { code: 'EVENT_UNREADABLE', message: `the event at seq ${seq} cannot be read`, fields: { seq } };
  }
  const rules = storedRulesOf(row.roomVersion);
  if (rules === undefined) return damaged(`there is no room version ${row.roomVersion}`);
  try {
    const { pdu, wasRedacted } = rules.isInternal
      ? { pdu: parseInternalEvent(row.bytes), wasRedacted: false }
      : receivePdu(row.bytes, rules);
    if (pdu.eventId !== row.eventId) return damaged(`its bytes are those of ${pdu.eventId}`);
    if (pdu.roomId !== row.roomId) return damaged(`its bytes are of room ${pdu.roomId}`);
    if (wasRedacted !== row.isRedacted) {
      return damaged(
        wasRedacted
          ? 'its content does not match its hash'
          : 'it counts as redacted and its content is right',
      );
    }
    return undefined;
  } catch (error) {
    if (error instanceof StateroomError || error instanceof TypeError) return damaged(error.message);
    throw error;
  }
}
