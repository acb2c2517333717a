// Every event against itself and every row that follows from it, in commit order.
//
// The rows that must be there come from the code that writes them. Each is looked for and counted, so that
// afterwards a keyspace with more rows than were found holds superfluous ones.

import type { EventId } from '../../event/ids.js';
import { isRemoval } from '../../event/internal.js';
import type { Pdu } from '../../event/pdu.js';
import { type Citations, chainOf, groupEvent, revisedChainOf } from '../../core/decision.js';
import { PARTIAL_ROOM, roomOfPartial } from '../../core/partial-states.js';
import { knownEventOf } from '../../room/graph/known-events.js';
import { putEvent } from '../../store/commit-group.js';
import { chainKey, KEYSPACES, type Keyspace, keyspaceRange, numberOfKey } from '../../store/keys.js';
import type { NodeTable } from '../../store/node-table.js';
import {
  type ChainRow,
  decodeEvent,
  decodeNumber,
  encodeChain,
  type EventRow,
  type RootsRow,
  type StoredVerdict,
} from '../../store/records.js';
import { RoomCheck } from './check-rooms.js';
import { RootsCheck } from './check-roots.js';
import type { Problems } from './problems.js';
import { SeqNumbers } from './seq-numbers.js';
import { faultOfEvent } from './stored-event.js';
import { readable, type StoredRows } from './stored-rows.js';

/** Keyspaces whose rows each follow from one event. */
const OF_EVENTS = [
  'ids',
  'roots',
  'chains',
  'timeline',
  'edges',
  'versions',
  'transactions',
  'given',
] as const satisfies Keyspace[];

/** Of these the value is the seq. */
const NAMED_BY_VALUE: ReadonlySet<Keyspace> = new Set(['ids', 'timeline', 'transactions']);

const KEYSPACE_OF = new Map(Object.entries(KEYSPACES).map(([name, prefix]) => [prefix as number, name]));
const PROGRESS_EVENTS = 1_000;

export interface CheckedEvents {
  readonly events: number;
  readonly stateEvents: number;
  readonly rooms: number;
}

export class EventCheck implements Citations {
  readonly #rows: StoredRows;
  readonly #problems: Problems;
  readonly #table: NodeTable;
  readonly #rooms: RoomCheck;
  readonly #roots: RootsCheck;
  /** The newest citer of each event so far. */
  readonly #citers = new SeqNumbers();
  /** Of events that were outliers: the seq as such, by that of their place. */
  readonly #outlierSeqs = new SeqNumbers();
  /** The row that is being checked. */
  #seq = 0;
  /** Events whose chain was stored when their verdict was revised, by the seq of the record of that. */
  readonly #revised = new Map<number, { readonly seq: number; readonly row: EventRow }[]>();
  readonly #found = new Map<string, number>();
  /** Keys of `redacted`: several events may ask for one row. */
  readonly #redacted = new Set<string>();
  /** Internal rooms of which an event with a place was seen. */
  readonly #begun = new Set<string>();
  /** Records of internal rooms that keep a key without a place. */
  readonly #settled = new Map<string, number>();
  #isEveryRoomKnown = true;
  #isEveryIdRight = true;

  constructor(rows: StoredRows, table: NodeTable, problems: Problems) {
    this.#rows = rows;
    this.#problems = problems;
    this.#table = table;
    this.#rooms = new RoomCheck(rows, problems);
    this.#roots = new RootsCheck(rows, table);
  }

  async run(onProgress: (done: number) => void): Promise<CheckedEvents> {
    let events = 0;
    let stateEvents = 0;
    for await (const [key, value] of this.#rows.frozen.rows(keyspaceRange('events'))) {
      const seq = numberOfKey(key);
      const row = readable(() => decodeEvent(value));
      const isNew = row?.outlierSeq === undefined;
      if (isNew) events++;
      if (row === undefined)
        this.#tell('EVENT_UNREADABLE', `the event at seq ${seq} cannot be read`, { seq });
      else if (this.#checkEvent(seq, row)?.stateKey !== undefined && isNew) stateEvents++;
      if (events % PROGRESS_EVENTS === 0) onProgress(events);
    }
    return { events, stateEvents, rooms: await this.#rooms.finish(this.#table) };
  }

  /** Rows of indexes that no event asks for. */
  async checkSuperfluous(): Promise<void> {
    await this.#checkCited();
    if (!this.#isEveryRoomKnown) return;
    for await (const key of this.#rows.frozen.keys(keyspaceRange('redacted'))) {
      if (!this.#redacted.has(key.toString('latin1'))) this.#superfluousRedacted(key);
    }
    for (const keyspace of OF_EVENTS) {
      let count = 0;
      for await (const _ of this.#rows.frozen.keys(keyspaceRange(keyspace))) count++;
      if (count > (this.#found.get(keyspace) ?? 0)) await this.#nameSuperfluous(keyspace);
    }
  }

  // Citations, as they stood before the event that is being checked.

  chainSeqOf(eventId: EventId): number | undefined {
    const seq = this.#rows.seqOf(eventId);
    if (seq === undefined) return undefined;
    const outlierSeq = this.#outlierSeqs.get(seq);
    if (outlierSeq !== 0) return outlierSeq;
    return seq > this.#seq ? (this.#rows.event(seq)?.outlierSeq ?? seq) : seq;
  }

  newestCiter(seq: number): number {
    return this.#citers.get(seq);
  }

  #checkEvent(seq: number, row: EventRow): Pdu | undefined {
    this.#seq = seq;
    this.#checkRevisedChains(seq);
    if (row.outlierSeq !== undefined) this.#outlierSeqs.set(seq, row.outlierSeq);
    const fault = faultOfEvent(seq, row);
    if (fault !== undefined) this.#problems.add(fault);
    const pdu = this.#rows.pdu(row);
    if (pdu === undefined) return undefined;
    this.#rooms.add(seq, row, pdu);
    const revisedAt = row.revisions?.[0]?.revisedAt;
    if (revisedAt !== undefined) {
      this.#revised.set(revisedAt, [...(this.#revised.get(revisedAt) ?? []), { seq, row }]);
    }
    const roots = this.#rows.roots(seq);
    this.#checkCollected(seq, row, pdu, roots);
    this.#checkReferences(seq, row, pdu);
    this.#checkRows(seq, row, roots);
    const room = this.#rows.room(row.roomId);
    if (roots !== undefined && !row.isOutlier && room !== undefined) {
      for (const found of this.#roots.faults(row, pdu, roots, room.number)) {
        this.#tell('ROOTS_WRONG', `event ${row.eventId}: ${found}`, this.#fields(seq, row));
      }
    }
    return pdu;
  }

  /** Are the events that it refers to stored before it? Only told while ids can be trusted. */
  #checkReferences(seq: number, row: EventRow, pdu: Pdu): void {
    this.#isEveryIdRight &&= this.#rows.seqOf(row.eventId) === seq || this.#isSuperseded(seq, row);
    const isBefore = (known: number | undefined): boolean => known !== undefined && known < seq;
    const isFree = row.isOutlier || row.hasGivenState || this.#beginsAfterCollection(row, pdu);
    const follows = isFree ? [] : pdu.prevEvents;
    const unknown = [
      ...pdu.authEvents.filter((id) => !isBefore(this.chainSeqOf(id))),
      ...follows.filter((id) => !isBefore(this.#rows.seqOf(id))),
    ];
    for (const id of this.#isEveryIdRight ? unknown : []) {
      const message = `event ${row.eventId} refers to ${id}, which is not stored before it`;
      this.#tell('EVENT_REFERENCE_UNKNOWN', message, this.#fields(seq, row));
    }
    if (row.outlierSeq !== undefined && !this.#isOutlierOf(row.outlierSeq, row, seq)) {
      const message = `event ${row.eventId} was an outlier at seq ${row.outlierSeq}, which is not stored`;
      this.#tell('EVENT_REFERENCE_UNKNOWN', message, this.#fields(seq, row));
    }
    if (!row.hasGivenState) return;
    const given = this.#rows.given(seq);
    const roomId = row.roomId === PARTIAL_ROOM ? roomOfPartial(pdu.content) : row.roomId;
    if (given?.every((at) => at < seq && this.#rows.event(at)?.roomId === roomId) === true) return;
    // What it speaks of may have been purged.
    if (given !== undefined && roomId !== undefined && this.#rows.room(roomId) === undefined) return;
    const message = `the state before event ${row.eventId} was given and is not stored, or names unknown events`;
    this.#tell('GIVEN_STATE_DAMAGED', message, this.#fields(seq, row));
  }

  /** The row of an outlier that got its place later: its id stands for that. */
  #isSuperseded(seq: number, row: EventRow): boolean {
    const place = row.isOutlier ? this.#rows.seqOf(row.eventId) : undefined;
    const now = place === undefined || place <= seq ? undefined : this.#rows.event(place);
    return now?.eventId === row.eventId && now.outlierSeq === seq;
  }

  #isOutlierOf(outlierSeq: number, { eventId }: EventRow, seq: number): boolean {
    const outlier = outlierSeq < seq ? this.#rows.event(outlierSeq) : undefined;
    return outlier?.eventId === eventId && outlier.isOutlier;
  }

  /** The first event with a place in an internal room: what it follows was collected, or there was nothing. */
  #beginsAfterCollection({ roomId }: EventRow, { rules }: Pdu): boolean {
    if (!rules.isInternal || this.#begun.has(roomId)) return false;
    this.#begun.add(roomId);
    return true;
  }

  /** Of collected history those records are left that the first state after it holds, and no others. */
  #checkCollected(seq: number, row: EventRow, pdu: Pdu, roots: RootsRow | undefined): void {
    if (!pdu.rules.isInternal || this.#begun.has(row.roomId)) return;
    const settled = this.#settled.get(row.roomId) ?? 0;
    if (row.isOutlier) {
      this.#settled.set(row.roomId, settled + 1);
      return;
    }
    const count = settled + (pdu.stateKey === undefined || isRemoval(pdu) ? 0 : 1);
    if (roots === undefined || roots.after.count === count) return;
    const message = `event ${row.eventId}: the state after it has ${roots.after.count} records, ${count} are stored`;
    this.#tell('ROOTS_WRONG', message, this.#fields(seq, row));
  }

  #checkRows(seq: number, row: EventRow, roots: RootsRow | undefined): void {
    const isSuperseded = this.#isSuperseded(seq, row);
    const expected = this.#expectedRows(seq, row, roots);
    if (expected === undefined) {
      this.#isEveryRoomKnown = false;
      return;
    }
    if (roots === undefined && !row.isOutlier) this.#missing('roots', seq, row);
    for (const { key, value } of expected.values()) {
      const keyspace = KEYSPACE_OF.get(key[0] as number) ?? '';
      if (keyspace === 'events' || (keyspace === 'ids' && isSuperseded)) continue;
      const stored = this.#rows.frozen.get(key);
      if (stored === undefined) {
        this.#missing(keyspace, seq, row);
        continue;
      }
      this.#found.set(keyspace, (this.#found.get(keyspace) ?? 0) + 1);
      if (keyspace === 'redacted') this.#redacted.add(key.toString('latin1'));
      if (stored.equals(value)) continue;
      const message = `a row in ${keyspace} says something else than event ${row.eventId}`;
      this.#tell('INDEX_ROW_WRONG', message, { ...this.#fields(seq, row), keyspace });
    }
  }

  /** All rows of an event by key; undefined when its room has no number. */
  #expectedRows(
    seq: number,
    row: EventRow,
    roots: RootsRow | undefined,
  ): Map<string, { readonly key: Buffer; readonly value: Buffer }> | undefined {
    const room = this.#rows.room(row.roomId);
    if (room === undefined) return undefined;
    const known = knownEventOf(seq, row, row.isOutlier ? undefined : roots);
    const chain = chainOf(known, this.#verdictAsOutlier(row), this);
    for (const cited of chain?.authSeqs ?? []) this.#citers.set(cited, row.outlierSeq ?? seq);
    const given = row.hasGivenState ? this.#rows.given(seq) : undefined;
    const expected = new Map<string, { key: Buffer; value: Buffer }>();
    putEvent(groupEvent(known, row.bytes, room.number, chain, given), (key, value) => {
      expected.set(key.toString('latin1'), { key, value });
    });
    return expected;
  }

  /** Chains that are stored since a verdict was revised, before the record that says so. */
  #checkRevisedChains(revisedAt: number): void {
    for (const { seq, row } of this.#revised.get(revisedAt) ?? []) {
      const chain = this.#revisedChain(seq, row);
      if (chain === undefined) continue;
      const at = row.outlierSeq ?? seq;
      const stored = this.#rows.frozen.get(chainKey(at));
      if (stored === undefined) this.#missing('chains', seq, row);
      else {
        this.#found.set('chains', (this.#found.get('chains') ?? 0) + 1);
        if (!stored.equals(encodeChain(chain))) {
          const message = `a row in chains says something else than event ${row.eventId}`;
          this.#tell('INDEX_ROW_WRONG', message, { ...this.#fields(seq, row), keyspace: 'chains' });
        }
      }
      for (const cited of chain.authSeqs) this.#citers.set(cited, at);
    }
    this.#revised.delete(revisedAt);
  }

  #revisedChain(seq: number, row: EventRow): ChainRow | undefined {
    return revisedChainOf(knownEventOf(seq, row, undefined), this.#verdictAsOutlier(row), this);
  }

  #verdictAsOutlier({ outlierSeq }: EventRow): StoredVerdict | undefined {
    return outlierSeq === undefined ? undefined : this.#rows.event(outlierSeq)?.verdict;
  }

  async #checkCited(): Promise<void> {
    let right = 0;
    for await (const [key, value] of this.#rows.frozen.rows(keyspaceRange('cited'))) {
      const seq = numberOfKey(key);
      const citer = this.#citers.get(seq);
      if (citer === 0) this.#superfluous('cited', seq);
      else right++;
      if (citer !== 0 && readable(() => decodeNumber(value)) !== citer) {
        this.#tell('INDEX_ROW_WRONG', `the row in cited of seq ${seq} names another citer`, {
          seq,
          keyspace: 'cited',
        });
      }
    }
    if (right === this.#citers.size) return;
    for (const [seq] of this.#citers.entries()) {
      if (this.#rows.citedBy(seq) !== undefined) continue;
      this.#tell('INDEX_ROW_MISSING', `the row in cited of seq ${seq} is missing`, {
        seq,
        keyspace: 'cited',
      });
    }
  }

  async #nameSuperfluous(keyspace: (typeof OF_EVENTS)[number]): Promise<void> {
    for await (const [key, value] of this.#rows.frozen.rows(keyspaceRange(keyspace))) {
      const seq = NAMED_BY_VALUE.has(keyspace) ? readable(() => decodeNumber(value)) : numberOfKey(key);
      if (seq === undefined || !this.#asksFor(seq, key)) this.#superfluous(keyspace, seq);
    }
  }

  #asksFor(seq: number, key: Buffer): boolean {
    const row = this.#rows.event(seq);
    if (row === undefined) return false;
    const expected = readable(() => this.#expectedRows(seq, row, this.#rows.roots(seq)));
    if (expected?.has(key.toString('latin1')) === true) return true;
    if (key.equals(chainKey(row.outlierSeq ?? seq)) && this.#revisedChain(seq, row) !== undefined)
      return true;
    // What is kept under its seq as an outlier may be asked for by its place.
    const place = row.isOutlier ? this.#rows.seqOf(row.eventId) : undefined;
    return place !== undefined && place > seq && this.#asksFor(place, key);
  }

  #missing(keyspace: string, seq: number, row: EventRow): void {
    const message = `a row in ${keyspace} of event ${row.eventId} is missing`;
    this.#tell('INDEX_ROW_MISSING', message, { ...this.#fields(seq, row), keyspace });
  }

  #superfluous(keyspace: string, seq: number | undefined): void {
    const message = `a row in ${keyspace} (seq ${seq ?? 'unreadable'}) follows from no event`;
    this.#tell('INDEX_ROW_SUPERFLUOUS', message, { seq, keyspace });
  }

  #superfluousRedacted(key: Buffer): void {
    const id = key.toString('utf8', 5);
    const message = `a row in redacted (of ${id}) follows from no event`;
    this.#tell('INDEX_ROW_SUPERFLUOUS', message, { event_id: id, keyspace: 'redacted' });
  }

  #fields(seq: number, { eventId, roomId }: EventRow) {
    return { seq, event_id: eventId, room_id: roomId };
  }

  #tell(code: string, message: string, fields: Parameters<Problems['add']>[0]['fields']): void {
    this.#problems.add({ code, message, fields });
  }
}
