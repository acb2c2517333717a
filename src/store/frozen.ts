// A store as it was at one moment, for maintenance that reads all of it while a writer goes on.
//
// Commit groups are atomic, so what is seen here is whole: every root with its nodes, every event with its rows.

import type { AbstractSnapshot } from 'abstract-level';
import type { RecordSource } from '../tree/types.js';
import { inChunks } from './chunks.js';
import type { Database } from './database.js';
import { type KeyRange, nodesKey } from './keys.js';
import type { Store } from './store.js';

export class FrozenStore implements RecordSource {
  readonly #database: Database;
  readonly #snapshot: AbstractSnapshot;

  /** Freezes the view; to be closed. */
  constructor(store: Store) {
    this.#database = store.database;
    this.#snapshot = store.database.snapshot();
  }

  get(key: Buffer): Buffer | undefined {
    return this.#database.getSync(key, { snapshot: this.#snapshot });
  }

  readRecord(record: number): Uint8Array | undefined {
    return this.get(nodesKey(record));
  }

  async *rows(range: KeyRange, reverse = false): AsyncGenerator<readonly [key: Buffer, value: Buffer]> {
    yield* inChunks(this.#database.iterator({ ...range, reverse, snapshot: this.#snapshot }));
  }

  async *keys(range: KeyRange): AsyncGenerator<Buffer> {
    yield* inChunks(this.#database.keys({ ...range, snapshot: this.#snapshot }));
  }

  async close(): Promise<void> {
    await this.#snapshot.close();
  }
}
