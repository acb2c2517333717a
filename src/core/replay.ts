// Stored events taken through the commit path once more, with the verdicts that they have: a rebuild's heart.
//
// No signature is verified and nothing is authorised again. States, resolutions, nodes and index rows come from
// the code that made them first, in the same order, so that the same come out, down to the record numbers
// (but for what was made for events that were refused).

import type { EventId } from '../event/ids.js';
import { pduOfRow } from '../room/graph/known-events.js';
import { StoreCorruptError } from '../store/errors.js';
import type { EventRow } from '../store/records.js';
import type { Store } from '../store/store.js';
import type { StateTree } from '../tree/tree.js';
import { type CommitPath, openCommitPath } from './commit-path.js';
import { chainOf, groupEvent, knownEvent, withRoomState } from './decision.js';
import type { VerifiedEvent } from './judge.js';

export class Replay {
  readonly #store: Store;
  readonly #path: CommitPath;

  /** @param store holds events and nothing that follows from them */
  constructor(store: Store, tree: StateTree) {
    this.#store = store;
    this.#path = openCommitPath(store, tree, { onCommit: () => undefined });
  }

  /**
   * Takes the next event, in the order of seq; what follows from it is written by `flush`.
   * @throws STORE_CORRUPT when an event it refers to is not there
   */
  add(seq: number, row: EventRow): void {
    const { known, writer, judge } = this.#path;
    const event = this.#event(seq, row);
    const { judgement, room } = judge.replay(event, row);
    const { outlier } = event;
    const fields = { event_id: row.eventId, room_id: row.roomId };
    if (room === undefined || judgement.kind !== 'stored') {
      throw new StoreCorruptError(`event ${row.eventId} comes before its room begins`, fields);
    }
    writer.takeSeq(seq);
    let decided = { ...knownEvent(seq, event, judgement, room), isPartial: row.isPartial };
    const chain = chainOf(decided, known);
    known.addPending(decided, chain);
    room.add(decided, outlier);
    decided = withRoomState(decided, room);
    known.addPending(decided, chain);
    const given = this.#store.given(seq);
    writer.submit({
      stored: { known: decided, row: groupEvent(decided, row.bytes, room.number, chain, given) },
      room,
      queues: [],
      settle: () => undefined,
    });
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
    const given = row.hasGivenState ? this.#store.given(seq) : undefined;
    const needed =
      row.isOutlier || given !== undefined || pdu.rules.isInternal
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
      givenState: given?.map((at) => this.#idAt(at, row)),
      backfilled: row.timelineOrder !== undefined,
      rewrites: row.rewrites === true,
      ...(row.timelineOrder === undefined ? {} : { timelineOrder: row.timelineOrder }),
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
