// What was read from one internal room's records, kept as long as nothing in the room changes.
//
// The room's root stands for all that it says: what was read of the same root holds, and with another root all is
// forgotten. So nothing that is taken away or changed is ever found here, not even for one request.

import type { InternalRooms } from '../core/internal.js';
import type { RoomId } from '../event/ids.js';
import { fromUtf8, utf8 } from '../lib/bytes.js';
import { ClockCache } from '../lib/clock-cache.js';
import type { RootRef } from '../tree/types.js';

const KEPT_MAX = 10_000;

export class RecordCache<Value> {
  readonly #internal: Pick<InternalRooms, 'root'>;
  readonly #roomId: RoomId;
  readonly #read: (key: string) => Value | undefined;
  readonly #kept = new ClockCache<string, Value>(KEPT_MAX);
  /** The root that the kept values were read of. */
  #root: RootRef | undefined;

  /**
   * @param read reads a value of the room's records and of nothing else that changes; what is not there is not kept,
   *   so that a stranger's guesses take no place
   */
  constructor(
    internal: Pick<InternalRooms, 'root'>,
    roomId: RoomId,
    read: (key: string) => Value | undefined,
  ) {
    this.#internal = internal;
    this.#roomId = roomId;
    this.#read = read;
  }

  /** The value as the room's records are now. */
  get(key: string): Value | undefined {
    const root = this.#internal.root(this.#roomId);
    if (root !== this.#root) {
      this.#kept.clear();
      this.#root = root;
    }
    const kept = this.#kept.get(key);
    if (kept !== undefined) return kept;
    const value = this.#read(key);
    // A copy: a key from a request may be a slice of something much longer, which it would keep in memory.
    if (value !== undefined) this.#kept.set(fromUtf8(utf8(key)), value, 1);
    return value;
  }
}
