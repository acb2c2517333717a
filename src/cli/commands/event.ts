// `stateroom event`: one event as it was received, and our record of it.

import type { Command } from 'commander';
import type { EventId } from '../../event/ids.js';
import { toHex } from '../../lib/bytes.js';
import { EventUnknownError } from '../../reader/errors.js';
import type { EventRow, RootsRow } from '../../store/records.js';
import { examples, globalsOf, withStore } from '../context.js';
import { colors, fields, printable, timeText, writeOut } from '../output.js';

export function addEvent(program: Command): void {
  program
    .command('event')
    .description('Shows one event, exactly as received, with its verdict and the roots around it.')
    .argument('<event>', 'event id')
    .addHelpText(
      'after',
      examples(
        ["event '$id'", 'the event and what became of it'],
        ["event '$id' --json", 'the same as JSON'],
      ),
    )
    .action(async (eventId: string, _options: object, command: Command) => {
      const globals = globalsOf(command);
      await withStore(globals, async (store) => {
        const seq = store.seqOf(eventId as EventId);
        const row = seq === undefined ? undefined : store.event(seq);
        if (seq === undefined || row === undefined) {
          throw new EventUnknownError(`no event ${eventId} is stored`, { event_id: eventId });
        }
        const record = recordOf(seq, row, store.roots(seq));
        const pdu = Buffer.from(row.bytes).toString('utf8');
        await writeOut(globals.json ? jsonOf(record, pdu) : textOf(record, pdu));
      });
    });
}

/** Our record of an event, as JSON shows it. */
function recordOf(seq: number, row: EventRow, roots: RootsRow | undefined) {
  return {
    event_id: row.eventId,
    room_id: row.roomId,
    room_version: row.roomVersion,
    seq,
    verdict: row.verdict,
    code: row.code,
    reason: row.reason,
    root_before: roots === undefined ? null : toHex(roots.before.hash),
    root_after: roots === undefined ? null : toHex(roots.after.hash),
    trace: roots?.traceId ?? null,
    outlier: row.isOutlier,
    partial: roots?.isPartial === true,
    revisions: row.revisions ?? [],
    redacted: row.isRedacted,
    given_state: row.hasGivenState,
    received_from: row.receivedFrom,
    received_at: row.receivedAt,
    transaction:
      row.transaction === undefined
        ? null
        : { device_id: row.transaction.deviceId, txn_id: row.transaction.txnId },
  };
}

type EventRecord = ReturnType<typeof recordOf>;

/** The PDU stands in the JSON as its own text: a number beyond 2^53 would not survive being read. */
function jsonOf(record: EventRecord, pdu: string): string {
  return `{"event":${pdu.trim()},${JSON.stringify(record).slice(1)}\n`;
}

function textOf(record: EventRecord, pdu: string): string {
  const flags = (['outlier', 'partial', 'redacted', 'given_state'] as const).filter((flag) => record[flag]);
  const lines = fields([
    ['event', record.event_id],
    ['room', `${record.room_id} (version ${record.room_version})`],
    ['seq', record.seq],
    [
      'verdict',
      record.reason === '' ? record.verdict : `${record.verdict} (${record.code}): ${record.reason}`,
    ],
    ['root before', record.root_before ?? 'none'],
    ['root after', record.root_after ?? 'none'],
    ...(record.trace === null ? [] : [['resolution', record.trace] as const]),
    ...(flags.length === 0 ? [] : [['flags', flags.join(', ')] as const]),
    [
      'received',
      `${timeText(record.received_at)}${record.received_from === '' ? '' : ` from ${record.received_from}`}`,
    ],
    ...(record.transaction === null ? [] : [['sent', sentText(record.transaction)] as const]),
  ]);
  const event = JSON.stringify(JSON.parse(pdu), undefined, 2).split('\n').map(printable).join('\n');
  return `${lines}\n${colors.dim('event')}\n${event}\n`;
}

/** Which device sent it, by which request: clients choose both names. */
function sentText({ device_id: deviceId, txn_id: txnId }: NonNullable<EventRecord['transaction']>): string {
  return `by device ${deviceId}, transaction ${txnId}`;
}
