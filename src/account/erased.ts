// Users who asked, when they left for good, that what they said be forgotten.
//
//   !users    stateroom.erased / user id    { after }
//
// `after` is the newest seq there was then: who comes into a room later is not shown what they said. There are few
// of them, and every event that is shown is asked about, so all are kept in memory.
//
// Source: client-server API, "POST /account/deactivate", `erase`.

import type { InternalRecord } from '../core/internal.js';
import type { UserId } from '../event/ids.js';
import { type AccountParts, numberOf, USERS_ROOM } from './parts.js';

const ERASED = 'stateroom.erased';

export class ErasedUsers {
  readonly #parts: AccountParts;
  readonly #after = new Map<string, number>();

  /** Reads who is erased. */
  constructor(parts: AccountParts) {
    this.#parts = parts;
    for (const { stateKey, content } of parts.engine.internal.entries(USERS_ROOM, ERASED)) {
      this.#after.set(stateKey, numberOf(content, 'after') ?? 0);
    }
  }

  /** Is there anybody who is? */
  get isEmpty(): boolean {
    return this.#after.size === 0;
  }

  /** Seq of the newest event there was when the user was erased; undefined for everybody else. */
  after(userId: string): number | undefined {
    return this.#after.get(userId);
  }

  /** The record of a user who is erased from now on, unless they are already. To be written by the caller. */
  records(userId: UserId): readonly InternalRecord[] {
    if (this.#after.has(userId)) return [];
    const after = this.#parts.engine.watermark;
    this.#after.set(userId, after);
    return [{ roomId: USERS_ROOM, type: ERASED, stateKey: userId, content: { after } }];
  }
}
