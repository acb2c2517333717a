// Durable queues: rows that wait to be worked off and survive a restart, written with the commit groups.
//
// Positions are given out by the writer and only grow, over all queues; a queue's rows lie in their order.

import type { QueueChange } from '../store/commit-group.js';
import type { Store } from '../store/store.js';
import type { Writer } from './writer.js';

/** A named queue of rows: plain data and byte strings. */
export class DurableQueue<T> {
  readonly name: string;
  readonly #store: Store;
  readonly #writer: Writer;

  constructor(name: string, store: Store, writer: Writer) {
    this.name = name;
    this.#store = store;
    this.#writer = writer;
  }

  /**
   * Adds rows at the end, all or none; resolves with their positions when they are on disk.
   * @throws STORE_WRITE_FAILED
   */
  async add(values: readonly T[]): Promise<number[]> {
    const changes = values.map((value) => ({
      queue: this.name,
      position: this.#writer.nextQueuePosition(),
      value,
    }));
    await this.#write(changes);
    return changes.map(({ position }) => position);
  }

  /** Takes rows away; those not there are passed over. @throws STORE_WRITE_FAILED */
  async remove(positions: readonly number[]): Promise<void> {
    await this.#write(positions.map((position) => ({ queue: this.name, position, value: undefined })));
  }

  /** Writes rows anew where they lie. @throws STORE_WRITE_FAILED */
  async replace(rows: ReadonlyArray<readonly [position: number, value: T]>): Promise<void> {
    await this.#write(rows.map(([position, value]) => ({ queue: this.name, position, value })));
  }

  /** One row, once it is written. */
  get(position: number): T | undefined {
    return this.#store.queued<T>(this.name, position);
  }

  /** The rows that are written, oldest first. */
  entries(): AsyncGenerator<readonly [position: number, value: T]> {
    return this.#store.queue<T>(this.name);
  }

  #write(queues: readonly QueueChange[]): Promise<void> {
    if (queues.length === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#writer.submit({
        stored: undefined,
        room: undefined,
        queues,
        settle: (error) => (error === undefined ? resolve() : reject(error)),
      });
    });
  }
}
