// What the sender must know after a restart: small rows by key, in a durable queue.
//
// A row that changes is written anew and the old one taken away, in one commit group with all others that changed
// meanwhile: so what is written together is true together, and many destinations share one write.

import type { Engine } from '../../engine/engine.js';
import type { EventId, RoomId, ServerName, UserId } from '../../event/ids.js';

/** A transaction that was begun: the same again, under the same id, until it is answered. */
export interface BegunTransaction {
  readonly id: string;
  /** What concerned the destination up to this seq is in it, or was before it. */
  readonly upTo: number;
  readonly pdus: readonly EventId[];
  /** The EDUs that must arrive, but for messages to devices: as JSON text. */
  readonly edus: readonly string[];
  /** Places of messages to devices. */
  readonly toDevice: readonly number[];
  /** What is made up for with it, when catching up: the newest seq of each that it covers. */
  readonly rooms: ReadonlyArray<readonly [roomId: RoomId, seq: number]>;
  readonly users: ReadonlyArray<readonly [userId: UserId, seq: number]>;
}

export type LedgerRow =
  /** Everything up to this seq was handed to its destinations' queues, and is delivered or in a row. */
  | { readonly kind: 'position'; readonly seq: number }
  | {
      readonly kind: 'destination';
      readonly server: ServerName;
      /** What concerned it up to this seq is delivered, or in another row. */
      readonly sent: number;
      readonly isBehind: boolean;
      readonly transaction: BegunTransaction | undefined;
    }
  /** A destination that is behind missed something in this room. */
  | {
      readonly kind: 'room';
      readonly server: ServerName;
      readonly roomId: RoomId;
      readonly seq: number;
      /** The first that it missed, or the one with which it left the room. */
      readonly eventId: EventId;
    }
  /** A destination that is behind missed a change of this user's devices. */
  | { readonly kind: 'user'; readonly server: ServerName; readonly userId: UserId; readonly seq: number };

const QUEUE = 'outbound';

export function keyOfRow(row: LedgerRow): string {
  switch (row.kind) {
    case 'position':
      return row.kind;
    case 'destination':
      return `${row.kind} ${row.server}`;
    case 'room':
      return `${row.kind} ${row.server} ${row.roomId}`;
    case 'user':
      return `${row.kind} ${row.server} ${row.userId}`;
  }
}

export class Ledger {
  readonly #queue;
  /** Where the row of a key lies. */
  readonly #places = new Map<string, number>();
  #changed = new Map<string, LedgerRow | undefined>();
  #writing: Promise<void> | undefined;

  constructor(engine: Engine) {
    this.#queue = engine.queue<LedgerRow>(QUEUE);
  }

  /** All rows, once, at start. */
  async load(): Promise<LedgerRow[]> {
    const rows = new Map<string, LedgerRow>();
    for await (const [place, row] of this.#queue.entries()) {
      const key = keyOfRow(row);
      rows.set(key, row);
      this.#places.set(key, place);
    }
    return [...rows.values()];
  }

  /** Has it a row, written or about to be? */
  has(key: string): boolean {
    return this.#changed.has(key) ? this.#changed.get(key) !== undefined : this.#places.has(key);
  }

  /** Is written with the next `flush`. */
  put(row: LedgerRow): void {
    this.#changed.set(keyOfRow(row), row);
  }

  /** Is taken away with the next `flush`. */
  delete(key: string): void {
    if (this.has(key)) this.#changed.set(key, undefined);
  }

  /** Resolves when everything that was changed by now is on disk. @throws STORE_WRITE_FAILED */
  async flush(): Promise<void> {
    // Who comes while one group is on its way shares the next.
    while (this.#changed.size > 0 || this.#writing !== undefined) {
      if (this.#writing !== undefined) {
        const isMine = this.#changed.size === 0;
        await this.#writing;
        if (isMine) return;
        continue;
      }
      this.#writing = this.#write().finally(() => {
        this.#writing = undefined;
      });
    }
  }

  async #write(): Promise<void> {
    const changed = [...this.#changed];
    this.#changed = new Map();
    const rows = changed.flatMap(([, row]) => row ?? []);
    const old = changed.flatMap(([key]) => this.#places.get(key) ?? []);
    // Handed to the writer in one turn: they land in one group.
    const [places] = await Promise.all([this.#queue.add(rows), this.#queue.remove(old)]);
    for (const [key] of changed) this.#places.delete(key);
    rows.forEach((row, i) => {
      const place = places[i];
      if (place !== undefined) this.#places.set(keyOfRow(row), place);
    });
  }
}
