// The newest places of rooms' timelines, in memory: what syncs ask for nearly always lies among them.
//
// A range of the store answers in another turn of the event loop. A sync asks several for each room, one after
// another, so that on a busy server each costs as much as everything else that is under way; answers from here
// cost nothing of that kind.
//
//   store   ... 3  5  8  9 │ 12  14  15  20      places of one room
//   here                     12  14  15  20      all that are newer than the oldest known
//
// Fed with everything that is committed, in any order within what is not asked for yet.

import type { RoomId } from '../../event/ids.js';
import { ClockCache } from '../../lib/clock-cache.js';

/** What all may take in memory, about; what a room takes, and a place. */
const BYTES_MAX = 8 * 1024 * 1024;
const ROOM_BYTES = 250;
const PLACE_BYTES = 8;
/** Places of one room: it is cut to so many whenever there are twice as many. */
const PLACES_KEPT = 64;

export class RecentPlaces {
  readonly #rooms = new ClockCache<RoomId, number[]>(BYTES_MAX);

  /** An event got its place at a seq. */
  add(roomId: RoomId, seq: number): void {
    const seqs = this.#rooms.get(roomId);
    if (seqs === undefined) {
      this.#keep(roomId, [seq]);
      return;
    }
    let at = seqs.length;
    while (at > 0 && (seqs[at - 1] ?? 0) > seq) at--;
    // Older than all that are known here: between it and them there may be others. Twice the same is once.
    if (at === 0 || seqs[at - 1] === seq) return;
    seqs.splice(at, 0, seq);
    if (seqs.length >= 2 * PLACES_KEPT) seqs.splice(0, seqs.length - PLACES_KEPT);
    this.#keep(roomId, seqs);
  }

  #keep(roomId: RoomId, seqs: number[]): void {
    this.#rooms.set(roomId, seqs, ROOM_BYTES + PLACE_BYTES * seqs.length);
  }

  /** Events of the room got other places than they had. */
  forget(roomId: RoomId): void {
    this.#rooms.delete(roomId);
  }

  /** Seqs from the newest before `to` down to the oldest that is known here: none between them is left out. */
  before(roomId: RoomId, to: number): number[] {
    const seqs = this.#rooms.get(roomId) ?? [];
    return seqs.filter((seq) => seq < to).reverse();
  }
}
