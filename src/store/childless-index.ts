// Does any event relate to an event? Nearly none does to nearly any, and to find that out costs a range: so those
// to which none does are kept, and forgotten with each group that is written and holds a relation to them.
//
// A range is read while groups are written: what it found counts only if no relation was written meanwhile.

import { ClockCache } from '../lib/clock-cache.js';
import { inChunks } from './chunks.js';
import type { CommitGroup } from './commit-group.js';
import type { Database } from './database.js';
import { edgeRange } from './keys.js';

/** Answers kept, in events: about 200 bytes each. */
const KEPT_MAX = 20_000;

export class ChildlessIndex {
  readonly #database: Database;
  readonly #kept = new ClockCache<string, true>(KEPT_MAX);
  #relationsWritten = 0;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Does no event, visible or not, relate to this one? */
  async has(eventId: string): Promise<boolean> {
    if (this.#kept.get(eventId) === true) return true;
    const writtenBefore = this.#relationsWritten;
    for await (const _ of inChunks(this.#database.keys({ ...edgeRange(eventId, 'relation'), limit: 1 })))
      return false;
    if (this.#relationsWritten === writtenBefore) this.#kept.set(eventId, true, 1);
    return true;
  }

  /** A group was written. */
  note({ events }: CommitGroup): void {
    for (const { relatesTo } of events) {
      if (relatesTo === undefined) continue;
      this.#relationsWritten++;
      this.#kept.delete(relatesTo);
    }
  }
}
