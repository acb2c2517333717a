// Every event against itself and every row that follows from it, in commit order.
//
// The rows that must be there come from the code that writes them. Each is looked for and counted, so that
// afterwards a keyspace with more rows than were found holds superfluous ones.

import type { EventId } from '../../event/ids.js';
import type { Pdu } from '../../event/pdu.js';
import { type Citations, chainOf, groupEvent } from '../../core/decision.js';
import { knownEventOf } from '../../room/graph/known-events.js';
import { putEvent } from '../../store/commit-group.js';
import { KEYSPACES, type Keyspace, keyspaceRange, numberOfKey } from '../../store/keys.js';
import type { NodeTable } from '../../store/node-table.js';
import { decodeEvent, decodeNumber, type EventRow, type RootsRow } from '../../store/records.js';
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
  'given',
] as const satisfies Keyspace[];

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
  readonly #found = new Map<string, number>();
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
      events++;
      const seq = numberOfKey(key);
      const row = readable(() => decodeEvent(value));
      if (row === undefined)
        this.#tell('EVENT_UNREADABLE', `the event at seq ${seq} cannot be read`, { seq });
      else if (this.#checkEvent(seq, row)?.stateKey !== undefined) stateEvents++;
      if (events % PROGRESS_EVENTS === 0) onProgress(events);
    }
    return { events, stateEvents, rooms: await this.#rooms.finish(this.#table) };
  }

  /** Rows of indexes that no event asks for. */
  async checkSuperfluous(): Promise<void> {
    await this.#checkCited();
    if (!this.#isEveryRoomKnown) return;
    for (const keyspace of OF_EVENTS) {
      let count = 0;
      for await (const _ of this.#rows.frozen.keys(keyspaceRange(keyspace))) count++;
      if (count > (this.#found.get(keyspace) ?? 0)) await this.#nameSuperfluous(keyspace);
    }
  }

  // Citations, as they stood before the event that is being checked.

  seqOf(eventId: EventId): number | undefined {
    return this.#rows.seqOf(eventId);
  }

  newestCiter(seq: number): number {
    return this.#citers.get(seq);
  }

  #checkEvent(seq: number, row: EventRow): Pdu | undefined {
    const fault = faultOfEvent(seq, row);
    if (fault !== undefined) this.#problems.add(fault);
    const pdu = this.#rows.pdu(row);
    if (pdu === undefined) return undefined;
    this.#rooms.add(row, pdu);
    this.#checkReferences(seq, row, pdu);
    const roots = this.#rows.roots(seq);
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
    this.#isEveryIdRight &&= this.#rows.seqOf(row.eventId) === seq;
    const needed =
      row.isOutlier || row.hasGivenState ? pdu.authEvents : [...pdu.authEvents, ...pdu.prevEvents];
    for (const id of needed) {
      const known = this.#rows.seqOf(id);
      if ((known !== undefined && known < seq) || !this.#isEveryIdRight) continue;
      const message = `event ${row.eventId} refers to ${id}, which is not stored before it`;
      this.#tell('EVENT_REFERENCE_UNKNOWN', message, this.#fields(seq, row));
    }
    if (!row.hasGivenState) return;
    const given = this.#rows.given(seq);
    if (given?.every((at) => at < seq && this.#rows.event(at)?.roomId === row.roomId) === true) return;
    const message = `the state before event ${row.eventId} was given and is not stored, or names unknown events`;
    this.#tell('GIVEN_STATE_DAMAGED', message, this.#fields(seq, row));
  }

  #checkRows(seq: number, row: EventRow, roots: RootsRow | undefined): void {
    const expected = this.#expectedRows(seq, row, roots);
    if (expected === undefined) {
      this.#isEveryRoomKnown = false;
      return;
    }
    if (roots === undefined && !row.isOutlier) this.#missing('roots', seq, row);
    for (const { key, value } of expected.values()) {
      const keyspace = KEYSPACE_OF.get(key[0] as number) ?? '';
      if (keyspace === 'events') continue;
      const stored = this.#rows.frozen.get(key);
      if (stored === undefined) {
        this.#missing(keyspace, seq, row);
        continue;
      }
      this.#found.set(keyspace, (this.#found.get(keyspace) ?? 0) + 1);
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
    const chain = chainOf(known, this);
    for (const cited of chain?.authSeqs ?? []) this.#citers.set(cited, seq);
    const given = row.hasGivenState ? this.#rows.given(seq) : undefined;
    const expected = new Map<string, { key: Buffer; value: Buffer }>();
    putEvent(groupEvent(known, row.bytes, room.number, chain, given), (key, value) => {
      expected.set(key.toString('latin1'), { key, value });
    });
    return expected;
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
      const isNamedByValue = keyspace === 'ids' || keyspace === 'timeline';
      const seq = isNamedByValue ? readable(() => decodeNumber(value)) : numberOfKey(key);
      if (seq === undefined || !this.#asksFor(seq, key)) this.#superfluous(keyspace, seq);
    }
  }

  #asksFor(seq: number, key: Buffer): boolean {
    const row = this.#rows.event(seq);
    if (row === undefined) return false;
    const expected = readable(() => this.#expectedRows(seq, row, this.#rows.roots(seq)));
    return expected?.has(key.toString('latin1')) === true;
  }

  #missing(keyspace: string, seq: number, row: EventRow): void {
    const message = `a row in ${keyspace} of event ${row.eventId} is missing`;
    this.#tell('INDEX_ROW_MISSING', message, { ...this.#fields(seq, row), keyspace });
  }

  #superfluous(keyspace: string, seq: number | undefined): void {
    const message = `a row in ${keyspace} (seq ${seq ?? 'unreadable'}) follows from no event`;
    this.#tell('INDEX_ROW_SUPERFLUOUS', message, { seq, keyspace });
  }

  #fields(seq: number, { eventId, roomId }: EventRow) {
    return { seq, event_id: eventId, room_id: roomId };
  }

  #tell(code: string, message: string, fields: Parameters<Problems['add']>[0]['fields']): void {
    this.#problems.add({ code, message, fields });
  }
}
