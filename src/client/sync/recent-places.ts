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

const ROOMS_MAX = 20_000;
/** Places of one room: it is cut to so many whenever there are twice as many. */
const PLACES_KEPT = 64;

export class RecentPlaces {
  readonly #rooms = new ClockCache<RoomId, number[]>(ROOMS_MAX);

  /** An event got its place at a seq. */
  add(roomId: RoomId, seq: number): void {
    const seqs = this.#rooms.get(roomId);
    if (seqs === undefined) {
      this.#rooms.set(roomId, [seq], 1);
      return;
    }
    let at = seqs.length;
    while (at > 0 && (seqs[at - 1] ?? 0) > seq) at--;
    // Older than all that are known here: between it and them there may be others. Twice the same is once.
    if (at === 0 || seqs[at - 1] === seq) return;
    seqs.splice(at, 0, seq);
    if (seqs.length >= 2 * PLACES_KEPT) seqs.splice(0, seqs.length - PLACES_KEPT);
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
