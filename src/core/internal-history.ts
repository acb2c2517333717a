// The history of internal rooms, collected: receipts, tokens and messages to devices replace one another all the
// time, and nobody asks for what was replaced, but for the clients whose tokens name an older state.
//
//   before   s1  s2  s3  s4  s5 │ s6  s7  s8 ...      events with their place: roots, a row of the timeline
//   after    s1      s3    (s5) │ s6  s7  s8 ...      s1, s3: records that hold a key: only their keys
//                                                     s5: the first place that is left
//
// A slice moves the first place forward. What is not in the state there goes; what is loses its place and keeps its
// key: it becomes an outlier that counts. So the records kept are exactly the entries of the state at the first
// place, `rebuild` makes that state of them, and a state before it is empty for whoever asks: everything is then told
// as changed. One batch holds all of a slice, so that a crash leaves it done or not begun.
//
// Nodes: what follows the first place builds on its tree and shares nothing older (see store/gc.ts), so of the
// records of nodes that the slice's events made, and of those that the tree at the old first place needs, all goes
// that the tree at the new one does not need.

import type { RoomId } from '../event/ids.js';
import { isRemoval } from '../event/internal.js';
import type { Pdu } from '../event/pdu.js';
import { toError } from '../lib/errors.js';
import { knownEventOf, pduOfRow } from '../room/graph/known-events.js';
import type { Rooms } from '../room/graph/rooms.js';
import type { RoomStates } from '../room/state/room-states.js';
import { putEvent, type RecordChange, type RowChange } from '../store/commit-group.js';
import { inSlice } from '../store/exclusive.js';
import { eventKey, rootsKey, timelineKey } from '../store/keys.js';
import { encodeEvent, encodeRoots, type EventRow, type RootsRow } from '../store/records.js';
import type { Store } from '../store/store.js';
import { reach, type Reached } from '../tree/reach.js';
import { rewriteRecord } from '../tree/record.js';
import type { RootRef } from '../tree/types.js';
import { groupEvent } from './decision.js';
import type { Writer } from './writer.js';

/** What is kept whatever happens: what the tokens of clients that come regularly may name. */
export interface HistoryKept {
  /** Places that the newest events of a room keep. */
  readonly events: number;
  /** Milliseconds for which a place is kept, unless there are more than `events` newer ones. */
  readonly ageMs: number;
  /** Less than so many are left for later: a slice has costs of its own. */
  readonly sliceMin: number;
}

export interface HistoryReport {
  readonly events: number;
  readonly records: number;
  readonly bytes: number;
}

export interface HistoryParts {
  readonly store: Store;
  readonly rooms: Rooms;
  readonly writer: Writer;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** An event with its place. */
interface Placed {
  readonly seq: number;
  readonly row: EventRow;
  readonly roots: RootsRow;
  readonly pdu: Pdu;
}

/** Events of one slice at most. */
const SLICE_EVENTS_MAX = 1_000;
/** Others run after so many events or nodes. */
const TURN = 50;

export class InternalHistory {
  readonly #parts: HistoryParts;

  constructor(parts: HistoryParts) {
    this.#parts = parts;
  }

  /**
   * Collects a slice of an internal room's history.
   * @returns undefined when there is not enough to collect, or other maintenance runs
   * @throws TREE_NODE_MISSING, TREE_NODE_CORRUPT, STORE_WRITE_FAILED: then nothing was collected
   */
  collect(roomId: RoomId, kept: HistoryKept): Promise<HistoryReport | undefined> {
    return inSlice(this.#parts.store, async () => {
      const room = this.#parts.rooms.find(roomId);
      if (room?.rules.isInternal !== true) return undefined;
      const seqs = await this.#collectable(room.number, kept);
      // What is walked is the room's tree, twice: as much as it holds should come of it.
      if (
        seqs.length < Math.max(2, kept.sliceMin, Math.min(SLICE_EVENTS_MAX, room.current().root.count / 8))
      ) {
        return undefined;
      }
      const events = await this.#placed(seqs);
      const [first, last] = [events[0], events.at(-1)];
      if (first === undefined || last === undefined || first === last) return undefined;
      const collected = await this.#collected(events, first, last, room.number, room.states);
      const changedRecords = await this.#deadNodes(events, last.roots.after);
      room.forget(collected.events, collected.stateEvents);
      await new Promise<void>((resolve, reject) => {
        const settle = (error?: unknown): void => (error === undefined ? resolve() : reject(toError(error)));
        this.#parts.writer.submit({ stored: undefined, room, queues: [], changedRecords, collected, settle });
      });
      const bytes = changedRecords.reduce(
        (sum, change) => sum + change.lengthBefore - (change.bytes?.length ?? 0),
        0,
      );
      return { events: collected.events, records: changedRecords.length, bytes };
    });
  }

  /** Seqs of the oldest places, of which the last stays the first one. */
  async #collectable(roomNumber: number, { events, ageMs }: HistoryKept): Promise<number[]> {
    const { store, now } = this.#parts;
    const oldest: number[] = [];
    let places = 0;
    for await (const [, seq] of store.timeline(roomNumber)) {
      if (oldest.length < SLICE_EVENTS_MAX) oldest.push(seq);
      places++;
      if (places >= SLICE_EVENTS_MAX + events) break;
    }
    const before = now() - ageMs;
    const isOld = (seq: number): boolean => (store.event(seq)?.receivedAt ?? now()) < before;
    const tooMany = Math.max(0, places - events);
    let count = Math.min(oldest.length, tooMany);
    while (count < oldest.length && count < places - 1 && isOld(oldest[count] ?? 0)) count++;
    return oldest.slice(0, count);
  }

  async #placed(seqs: readonly number[]): Promise<Placed[]> {
    const { store } = this.#parts;
    const events: Placed[] = [];
    for (const seq of seqs) {
      const row = store.event(seq);
      const roots = store.roots(seq);
      // A row that is missing is fsck's to tell; what lies before it is collected.
      if (row === undefined || roots === undefined) break;
      events.push({ seq, row, roots, pdu: pduOfRow(row) });
      if (events.length % TURN === 0) await turn();
    }
    return events;
  }

  async #collected(
    events: readonly Placed[],
    first: Placed,
    last: Placed,
    roomNumber: number,
    states: RoomStates,
  ): Promise<{ rows: RowChange[]; events: number; stateEvents: number }> {
    const { store } = this.#parts;
    const rows: RowChange[] = [];
    let gone = 0;
    let stateEvents = 0;
    const forget = (seq: number, row: EventRow, roots: RootsRow | undefined): void => {
      const known = knownEventOf(seq, row, roots);
      putEvent(groupEvent(known, row.bytes, roomNumber, undefined, undefined), (key) =>
        rows.push({ key, value: undefined }),
      );
      gone++;
      if (known.pdu.stateKey !== undefined) stateEvents++;
    };
    let done = 0;
    for (const { seq, row, roots, pdu } of events) {
      const { type, stateKey, eventId } = pdu;
      if (seq !== last.seq) {
        const holdsKey =
          stateKey !== undefined &&
          !isRemoval(pdu) &&
          states.get(last.roots.after, type, stateKey) === eventId;
        if (holdsKey) {
          rows.push({ key: eventKey(seq), value: encodeEvent({ ...row, isOutlier: true }) });
          for (const key of [rootsKey(seq), timelineKey(roomNumber, seq)])
            rows.push({ key, value: undefined });
        } else forget(seq, row, roots);
      }
      // The record that this one replaced may have lost its place in an earlier slice.
      const replaced =
        seq === first.seq || stateKey === undefined ? undefined : states.get(roots.before, type, stateKey);
      const replacedSeq = replaced === undefined ? undefined : store.seqOf(replaced);
      const replacedRow = replacedSeq === undefined ? undefined : store.event(replacedSeq);
      if (replacedSeq !== undefined && replacedRow !== undefined && replacedSeq < first.seq) {
        forget(replacedSeq, replacedRow, undefined);
      }
      if (++done % TURN === 0) await turn();
    }
    // Nothing is left of the state before the first place.
    const { after } = last.roots;
    rows.push({ key: rootsKey(last.seq), value: encodeRoots({ ...last.roots, before: after }) });
    return { rows, events: gone, stateEvents };
  }

  async #deadNodes(events: readonly Placed[], to: RootRef): Promise<RecordChange[]> {
    const { store } = this.#parts;
    const needed = await this.#reach(to);
    const records = new Set<number>();
    for (const { roots } of events.slice(0, 1)) {
      for (const from of [roots.before, roots.after]) {
        for (const record of (await this.#reach(from)).records()) records.add(record);
      }
    }
    for (const { roots } of events) if (roots.after.record !== 0) records.add(roots.after.record);
    const changes: RecordChange[] = [];
    let done = 0;
    for (const record of records) {
      const stored = store.readRecord(record);
      if (stored === undefined) continue;
      const bytes = rewriteRecord(stored, (index) => needed.has(record, index));
      if (bytes?.length !== stored.length) changes.push({ record, bytes, lengthBefore: stored.length });
      if (++done % TURN === 0) await turn();
    }
    return changes;
  }

  async #reach(root: RootRef): Promise<Reached> {
    const walk = reach(this.#parts.store, root);
    for (let nodes = 1; ; nodes++) {
      const step = walk.next();
      if (step.done === true) return step.value;
      if (nodes % TURN === 0) await turn();
    }
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
