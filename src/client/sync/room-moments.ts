// A room at any moment of the commit order, by point reads: when something last happened in it, and its state
// as this server saw it after a seq.
//
// The newest seq of each room is kept in memory, so that a room in which nothing happened costs one lookup.

import type { Engine } from '../../engine/engine.js';
import type { EventId, RoomId } from '../../event/ids.js';
import { INTERNAL_VERSION } from '../../event/rules.js';
import type { StateView } from '../../reader/state-view.js';
import { isBackfilled, type KnownEvent, orderOf } from '../../room/graph/known-events.js';
import type { RoomRow } from '../../store/records.js';
import { EMPTY_ROOT } from '../../tree/tree.js';
import { stateAfter } from '../visibility.js';
import { RecentPlaces } from './recent-places.js';

export class RoomMoments {
  readonly #engine: Engine;
  readonly #newest = new Map<RoomId, number>();
  readonly #recent = new RecentPlaces();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** An accepted event was committed. */
  note(event: KnownEvent): void {
    if (event.verdict !== 'accepted' || event.isOutlier || isBackfilled(event)) return;
    const { roomId } = event.pdu;
    // One that was accepted later than it came is not where its seq is; `completed` is called after it.
    if (orderOf(event) !== event.seq) return;
    this.#newest.set(roomId, Math.max(event.seq, this.#newest.get(roomId) ?? 0));
    this.#recent.add(roomId, event.seq);
  }

  /** The state of a room was known in part, and is whole now: events may have lost their places, or got new ones. */
  completed(roomId: RoomId): void {
    this.#recent.forget(roomId);
  }

  /**
   * Seq of the newest accepted event of a room, or of the completion of its state if that came later; 0 where there
   * is none. Two lookups.
   */
  newestSeq(roomId: RoomId): number {
    let newest = this.#newest.get(roomId);
    if (newest === undefined) {
      newest = this.#read(roomId);
      this.#newest.set(roomId, newest);
    }
    return Math.max(newest, this.#engine.partial.completedSeq(roomId));
  }

  /** The place of an event in the timeline of its room; 0 where it is not known. A point read. */
  placeOf(roomId: RoomId, eventId: EventId): number {
    const { partial, reader, store } = this.#engine;
    if (partial.completedSeq(roomId) === 0) return store.seqOf(eventId) ?? 0;
    const event = reader.events.get(eventId);
    return event === undefined ? 0 : orderOf(event);
  }

  /** The newest accepted event is a forward extremity: nothing can have come after it. */
  #read(roomId: RoomId): number {
    const { store } = this.#engine;
    const extremities = store.room(roomId)?.forwardExtremities ?? [];
    return Math.max(0, ...extremities.map((id) => store.seqOf(id) ?? 0));
  }

  /** The event committed at a seq, parsed once for all who ask soon. */
  at(seq: number): KnownEvent | undefined {
    return this.#engine.reader.events.at(seq);
  }

  /** The room's state as this server saw it when everything up to a seq was committed. O(1) reads. */
  async stateAt(room: RoomRow, seq: number): Promise<StateView> {
    const view = this.#engine.reader.viewOf(room, room.root);
    for await (const [, at] of this.newestFirst(room, { from: 0, to: seq + 1 })) {
      const event = this.at(at);
      if (event?.verdict === 'accepted' && this.#hasPlace(room, at)) return stateAfter(view, event);
    }
    return view.at(EMPTY_ROOT);
  }

  /**
   * A room's timeline, orders in `[from, to)`, newest first. The newest events of a room are yielded without
   * reading a range.
   */
  async *newestFirst(
    room: Pick<RoomRow, 'roomId' | 'number'>,
    { from, to }: { readonly from?: number; readonly to: number },
  ): AsyncGenerator<readonly [order: number, seq: number]> {
    let left = to;
    for (const seq of this.#recent.before(room.roomId, to)) {
      if (from !== undefined && seq < from) return;
      yield [seq, seq];
      left = seq;
    }
    if (from !== undefined && left <= from) return;
    const range = { to: left, reverse: true, ...(from === undefined ? {} : { from }) };
    yield* this.#engine.store.timeline(room.number, range);
  }

  /** Places in internal rooms are taken away when their history is collected. One point read for those. */
  #hasPlace({ version }: RoomRow, seq: number): boolean {
    return version !== INTERNAL_VERSION || this.#engine.store.roots(seq) !== undefined;
  }
}
