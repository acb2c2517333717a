// Stored events taken through the commit path once more, with the verdicts that they have: a rebuild's heart.
//
// No signature is verified and nothing is authorised again. States, resolutions, nodes and index rows come from
// the code that made them first, in the same order, so that the same come out, down to the record numbers
// (but for what was made for events that were refused).

import type { EventId } from '../event/ids.js';
import { firstVerdict, isBackfilled, pduOfRow } from '../room/graph/known-events.js';
import { StoreCorruptError } from '../store/errors.js';
import type { EventRow } from '../store/records.js';
import type { Store } from '../store/store.js';
import type { StateTree } from '../tree/tree.js';
import { type CommitPath, openCommitPath } from './commit-path.js';
import { Completion, eventsToRevise } from './completion.js';
import { chainOf, groupEvent, knownEvent, withRoomState } from './decision.js';
import type { VerifiedEvent } from './judge.js';
import { PARTIAL_ROOM } from './partial-states.js';
import { type GivenEntry, givenEntryOf } from './state-entry.js';

export class Replay {
  readonly #store: Store;
  readonly #path: CommitPath;

  /** @param store holds events and nothing that follows from them */
  constructor(store: Store, tree: StateTree) {
    this.#store = store;
    this.#path = openCommitPath(store, tree, { onCommit: () => undefined });
  }

  /**
   * Takes the next event, in the order of seq; what follows from it is written by `flush`. It is taken as it was when
   * it was stored: a verdict that was revised is revised again when the record of that comes.
   * @throws STORE_CORRUPT when an event it refers to is not there; STORE_WRITE_FAILED
   */
  async add(seq: number, row: EventRow): Promise<void> {
    if (row.roomId === PARTIAL_ROOM && row.hasGivenState) {
      await this.flush();
      await this.#complete(seq, row);
    } else this.#add(seq, row);
  }

  #add(seq: number, row: EventRow): void {
    const { known, writer, judge } = this.#path;
    const event = this.#event(seq, row);
    const { judgement, room } = judge.replay(event, firstVerdict(row));
    const { outlier } = event;
    const fields = { event_id: row.eventId, room_id: row.roomId };
    if (room === undefined || judgement.kind !== 'stored') {
      throw new StoreCorruptError(`event ${row.eventId} comes before its room begins`, fields);
    }
    writer.takeSeq(seq);
    let decided = { ...knownEvent(seq, event, judgement, room), wasPartial: row.isPartial };
    const chain = chainOf(decided, outlier?.verdict, known);
    known.addPending(decided, chain);
    room.add(decided, outlier);
    decided = withRoomState(decided, room);
    known.addPending(decided, chain);
    const given = this.#store.given(seq);
    const rows = groupEvent(decided, row.bytes, room.number, chain, given);
    writer.submit({
      // The event's own row stays as it is, with what was revised.
      stored: { known: decided, row: { ...rows, row } },
      room,
      queues: [],
      settle: () => undefined,
    });
  }

  /** A record that says which state was completed: what that changed is changed again. */
  async #complete(seq: number, row: EventRow): Promise<void> {
    const { known, rooms, writer } = this.#path;
    const { stateKey } = pduOfRow(row);
    const base = known.get(stateKey as EventId);
    const room = base === undefined ? undefined : rooms.find(base.pdu.roomId);
    if (base?.isPartial !== true || room === undefined) {
      // The room was purged.
      this.#add(seq, row);
      return;
    }
    const store = this.#store;
    const entries = new Map<EventId, GivenEntry>();
    for (const at of store.given(seq) ?? []) {
      const pdu = known.at(at)?.pdu;
      const entry = pdu === undefined ? undefined : givenEntryOf(pdu);
      if (pdu !== undefined && entry !== undefined) entries.set(pdu.eventId, entry);
    }
    const { roomId, eventId } = base.pdu;
    const seqs = await eventsToRevise({ store, known }, base, room.number, seq);
    const completion = new Completion(
      {
        ...this.#path,
        store,
        numbers: { place: (event) => store.event(event.seq)?.timelineOrder ?? event.seq, record: () => seq },
      },
      { roomId, eventId, entries },
      seqs,
    );
    const { revised } = completion.swap();
    this.#add(seq, row);
    await writer.written({ room, revised });
  }

  /** Writes what was taken in. @throws STORE_WRITE_FAILED */
  async flush(): Promise<void> {
    const { writer } = this.#path;
    await writer.idle();
    if (writer.failure !== undefined) throw writer.failure;
  }

  /** Writes all that is left; the next event will have a seq after `seqLast`. @throws STORE_WRITE_FAILED */
  async finish(seqLast: number): Promise<void> {
    const { writer } = this.#path;
    writer.skipSeqs(seqLast);
    writer.submit({ stored: undefined, room: undefined, queues: [], settle: () => undefined });
    await this.flush();
  }

  #event(seq: number, row: EventRow): VerifiedEvent {
    const pdu = pduOfRow(row);
    const { isInternal } = pdu.rules;
    const given = row.hasGivenState ? this.#store.given(seq) : undefined;
    const needed =
      row.isOutlier || given !== undefined || isInternal
        ? pdu.authEvents
        : [...pdu.authEvents, ...pdu.prevEvents];
    const { known } = this.#path;
    const missing = needed.find((id) => !known.has(id));
    const outlier = row.outlierSeq === undefined ? undefined : known.get(row.eventId);
    if (outlier?.seq !== row.outlierSeq) {
      throw new StoreCorruptError(`event ${row.eventId} was an outlier that is not stored before it`, {
        event_id: row.eventId,
        room_id: row.roomId,
        seq: row.outlierSeq,
      });
    }
    if (missing !== undefined || (row.hasGivenState && given === undefined)) {
      const what = missing ?? 'the state before it that was given';
      throw new StoreCorruptError(`event ${row.eventId} refers to ${what}, which is not stored before it`, {
        event_id: row.eventId,
        room_id: row.roomId,
        missing,
      });
    }
    return {
      pdu,
      bytes: row.bytes,
      isRedacted: row.isRedacted,
      receivedFrom: row.receivedFrom,
      receivedAt: row.receivedAt,
      asOutlier: row.isOutlier,
      // What an internal record gives is the state of another room: see `#complete`.
      givenState: isInternal && given !== undefined ? [] : given?.map((at) => this.#idAt(at, row)),
      backfilled: isBackfilled(row),
      rewrites: row.rewrites === true,
      isPartial: row.isPartial && given !== undefined,
      transaction: row.transaction,
      ...(isBackfilled(row) ? { timelineOrder: row.timelineOrder } : {}),
      ...(outlier === undefined ? {} : { outlier }),
    };
  }

  #idAt(seq: number, { eventId, roomId }: EventRow): EventId {
    const event = this.#path.known.at(seq);
    if (event !== undefined) return event.pdu.eventId;
    throw new StoreCorruptError(`event ${eventId} was given a state with an event that is not stored`, {
      event_id: eventId,
      room_id: roomId,
      seq,
    });
  }
}
