// Is there anybody who claims to redact an event? One point read, or none: nearly always the answer is no.
//
// Whether a claim counts is not the store's question. Answers are kept, and corrected with each group that is
// written; before the group is released, so that no reader sees a redaction and not its effect.

import { ClockCache } from '../lib/clock-cache.js';
import type { CommitGroup } from './commit-group.js';
import type { Database } from './database.js';
import { redactedKey } from './keys.js';

/** Answers kept, in events: about 200 bytes each. */
const KEPT_MAX = 50_000;

export class RedactedIndex {
  readonly #database: Database;
  readonly #kept = new ClockCache<string, boolean>(KEPT_MAX);

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Does an event of a room claim to redact this one? One of another room never can.
   * @param roomNumber of the room that both are in
   */
  isClaimed(roomNumber: number, eventId: string): boolean {
    const kept = this.#kept.get(eventId);
    if (kept !== undefined) return kept;
    const isClaimed = this.#database.getSync(redactedKey(roomNumber, eventId)) !== undefined;
    this.#kept.set(eventId, isClaimed, 1);
    return isClaimed;
  }

  /** A group was written. */
  note({ events }: CommitGroup): void {
    for (const { redacts } of events) if (redacts !== undefined) this.#kept.delete(redacts);
  }
}
