// What a room's row must say, counted up from its events in their order, and compared in the end.

import type { EventId, RoomId } from '../../event/ids.js';
import type { Pdu } from '../../event/pdu.js';
import { INTERNAL_VERSION } from '../../event/rules.js';
import { compareCodePoints, toHex } from '../../lib/bytes.js';
import { extremitiesAfter } from '../../room/graph/extremities.js';
import { isBackfilled } from '../../room/graph/known-events.js';
import { keyspaceRange, nameOfKey } from '../../store/keys.js';
import { decodeRoom, type EventRow, type RoomRow } from '../../store/records.js';
import type { NodeTable } from '../../store/node-table.js';
import { EMPTY_ROOT } from '../../tree/tree.js';
import type { Problems } from './problems.js';
import { readable, type StoredRows } from './stored-rows.js';

interface Tally {
  readonly version: string;
  readonly createEventId: EventId;
  forward: ReadonlySet<EventId>;
  readonly backward: Set<EventId>;
  timelineFirst: number;
  depth: number;
  events: number;
  stateEvents: number;
  rejected: number;
  softFailed: number;
}

export class RoomCheck {
  readonly #rows: StoredRows;
  readonly #problems: Problems;
  readonly #tallies = new Map<RoomId, Tally>();

  constructor(rows: StoredRows, problems: Problems) {
    this.#rows = rows;
    this.#problems = problems;
  }

  /** Takes the next event, or an outlier once more, where it has its place. */
  add(seq: number, row: EventRow, pdu: Pdu): void {
    const tally = this.#tally(row, pdu);
    const { verdict, outlierSeq } = row;
    const outlier = outlierSeq === undefined ? undefined : this.#rows.event(outlierSeq);
    if (outlierSeq === undefined) {
      tally.events++;
      if (pdu.stateKey !== undefined) tally.stateEvents++;
    }
    // As an outlier it was counted; a completed state may have let it in.
    tally.rejected += Number(verdict === 'rejected') - Number(outlier?.verdict === 'rejected');
    if (verdict === 'soft_failed') tally.softFailed++;
    if (!row.isOutlier) this.#place(seq, row, pdu, tally);
  }

  #place(seq: number, row: EventRow, pdu: Pdu, tally: Tally): void {
    const { verdict, rewrites, timelineOrder, revisions = [] } = row;
    const isHistory = isBackfilled(row);
    const { forward, backwardNew, backwardGone } = extremitiesAfter(
      { pdu, verdict, rewrites: rewrites === true, isBackfilled: isHistory },
      tally.forward,
      tally.backward,
      (id) => this.#placedBefore(seq, id),
    );
    tally.forward = forward;
    if (backwardGone !== undefined) tally.backward.delete(backwardGone);
    for (const id of backwardNew) tally.backward.add(id);
    // The greatest depth is never taken back.
    const isDeep = verdict === 'accepted' || revisions.some((revision) => revision.verdict === 'accepted');
    if (isDeep && !isHistory) tally.depth = Math.max(tally.depth, pdu.depth);
    tally.timelineFirst = Math.min(tally.timelineFirst, timelineOrder ?? 0);
  }

  #tally(row: EventRow, pdu: Pdu): Tally {
    const known = this.#tallies.get(row.roomId);
    if (known !== undefined) return known;
    if (pdu.type !== 'm.room.create' && !pdu.rules.isInternal) {
      this.#problems.add({
        code: 'EVENT_REFERENCE_UNKNOWN',
        message: `room ${row.roomId} does not begin with a create event`,
        fields: { room_id: row.roomId, event_id: row.eventId },
      });
    }
    const tally = {
      version: row.roomVersion,
      createEventId: row.eventId,
      forward: new Set<EventId>(),
      backward: new Set<EventId>(),
      timelineFirst: 0,
      depth: 0,
      events: 0,
      stateEvents: 0,
      rejected: 0,
      softFailed: 0,
    };
    this.#tallies.set(row.roomId, tally);
    return tally;
  }

  /** An event that had its place before a seq. */
  #placedBefore(
    seq: number,
    id: EventId,
  ): { readonly verdict: EventRow['verdict']; readonly pdu: Pdu } | undefined {
    const place = this.#rows.seqOf(id);
    if (place === undefined || place >= seq) return undefined;
    const row = this.#rows.event(place);
    const pdu = row === undefined || row.isOutlier ? undefined : this.#rows.pdu(row);
    return row === undefined || pdu === undefined ? undefined : { verdict: row.verdict, pdu };
  }

  /** Compares all room rows with their events. @returns how many rooms have events */
  async finish(table: NodeTable): Promise<number> {
    const numbers = new Set<number>();
    const seen = new Set<RoomId>();
    for await (const [key, value] of this.#rows.frozen.rows(keyspaceRange('rooms'))) {
      const roomId = nameOfKey(key) as RoomId;
      seen.add(roomId);
      const row = readable(() => decodeRoom(value));
      const tally = this.#tallies.get(roomId);
      if (row === undefined) this.#wrong(roomId, 'cannot be read');
      else if (tally === undefined) this.#wrong(roomId, 'is of a room that has no events');
      else for (const fault of this.#faults(roomId, row, tally, table)) this.#wrong(roomId, fault);
      if (row !== undefined && numbers.has(row.number)) this.#wrong(roomId, 'has the number of another room');
      if (row !== undefined) numbers.add(row.number);
    }
    for (const roomId of this.#tallies.keys()) if (!seen.has(roomId)) this.#wrong(roomId, 'is not there');
    return this.#tallies.size;
  }

  #wrong(roomId: RoomId, fault: string): void {
    this.#problems.add({
      code: 'ROOM_ROW_WRONG',
      message: `the row of room ${roomId} ${fault}`,
      fields: { room_id: roomId },
    });
  }

  *#faults(roomId: RoomId, row: RoomRow, tally: Tally, table: NodeTable): Generator<string> {
    if (row.roomId !== roomId) yield 'names another room';
    // An internal room has no create event, and what began it may have been collected.
    const isBegun = row.createEventId === tally.createEventId || row.version === INTERNAL_VERSION;
    if (!isBegun) yield `says createEventId ${row.createEventId}, its events say ${tally.createEventId}`;
    for (const field of [
      'version',
      'depth',
      'events',
      'stateEvents',
      'rejected',
      'softFailed',
      'timelineFirst',
    ] as const) {
      if (row[field] !== tally[field]) yield `says ${field} ${row[field]}, its events say ${tally[field]}`;
    }
    const extremities = [...tally.forward].sort(compareCodePoints);
    if ([...tally.backward].sort(compareCodePoints).join(' ') !== row.backwardExtremities.join(' ')) {
      yield `has other backward extremities than its events`;
    }
    if (extremities.join(' ') !== row.forwardExtremities.join(' ')) {
      yield `has other forward extremities than its events`;
    }
    if (row.root.record !== 0 && !table.holds(row.root, row.number))
      yield 'has a root that is not among the nodes, or says it wrong';
    const roots = new Set(extremities.flatMap((id) => this.#rootAfter(id) ?? []));
    const [only] = roots;
    const expected =
      roots.size < 2
        ? (only ?? (extremities.length === 0 ? toHex(EMPTY_ROOT.hash) : undefined))
        : toHexOr(row.traceId === undefined ? undefined : this.#rows.trace(row.traceId)?.root.hash);
    if (expected !== undefined && expected !== toHex(row.root.hash)) {
      yield 'has another root than the state after its forward extremities';
    }
    if (roots.size > 1 && expected === undefined) yield 'lacks the resolution that gave its root';
  }

  #rootAfter(id: EventId): string | undefined {
    const seq = this.#rows.seqOf(id);
    return toHexOr(seq === undefined ? undefined : this.#rows.roots(seq)?.after.hash);
  }
}

function toHexOr(hash: Uint8Array | undefined): string | undefined {
  return hash === undefined ? undefined : toHex(hash);
}
