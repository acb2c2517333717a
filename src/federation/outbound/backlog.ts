// All destinations that something is known of, and what of it is on disk.

import type { Engine } from '../../engine/engine.js';
import type { EventId, ServerName } from '../../event/ids.js';
import { Destination, newestMissed, type Transaction } from './destination.js';
import { type BegunTransaction, keyOfRow, Ledger, type LedgerRow } from './ledger.js';
import type { ToDeviceOutbox } from './to-device-outbox.js';

export class Backlog {
  readonly destinations = new Map<ServerName, Destination>();
  /** Everything up to this seq was handed out. */
  position = 0;
  /** Everything up to this seq is delivered, or in a row: as it is on disk, or about to be. */
  positionKept = 0;
  readonly #engine: Engine;
  readonly #ledger: Ledger;
  readonly #outbox: ToDeviceOutbox;
  #keeping: Promise<void> | undefined;

  constructor(engine: Engine, outbox: ToDeviceOutbox) {
    this.#engine = engine;
    this.#ledger = new Ledger(engine);
    this.#outbox = outbox;
  }

  /** What was left, once, at start. */
  async load(): Promise<void> {
    const rows = await this.#ledger.load();
    const { watermark } = this.#engine;
    const kept = rows.find((row) => row.kind === 'position');
    this.position = this.positionKept = kept?.seq ?? watermark;
    for (const row of rows) this.#take(row);
    if (kept !== undefined) return;
    // What was committed before there was federation concerns nobody else.
    this.#ledger.put({ kind: 'position', seq: watermark });
    await this.#ledger.flush();
  }

  #take(row: LedgerRow): void {
    if (row.kind === 'position') return;
    const destination = this.destination(row.server);
    if (row.kind === 'room') destination.missedRooms.set(row.roomId, row);
    else if (row.kind === 'user') destination.missedUsers.set(row.userId, row.seq);
    else {
      const { sent, isBehind, transaction } = row;
      destination.sent = sent;
      destination.isBehind = isBehind;
      if (transaction !== undefined) destination.transaction = { ...transaction, typing: [], presence: [] };
    }
  }

  destination(server: ServerName): Destination {
    const existing = this.destinations.get(server);
    if (existing !== undefined) return existing;
    const destination = new Destination(server, 0);
    this.destinations.set(server, destination);
    return destination;
  }

  isOutboxEmpty({ server }: Destination): boolean {
    return this.#outbox.count(server) === 0;
  }

  hasRow(server: ServerName): boolean {
    return this.#ledger.has(rowKey(server));
  }

  // Changes; all of them are on disk after the next `keep`.

  put(row: LedgerRow | undefined): void {
    if (row !== undefined) this.#ledger.put(row);
  }

  putRow(destination: Destination): void {
    const { server, isBehind, transaction } = destination;
    // Whoever is behind missed, as the rows say, all that was handed out.
    if (isBehind) destination.sent = Math.max(destination.sent, this.position);
    const { sent } = destination;
    this.#ledger.put({
      kind: 'destination',
      server,
      sent,
      isBehind,
      transaction: transaction && begun(transaction),
    });
  }

  deleteRow(server: ServerName): void {
    this.#ledger.delete(rowKey(server));
  }

  /** What the transaction was to make up for is missed no more, but for what was missed after it was made. */
  madeUp({ server, missedRooms, missedUsers }: Destination, { rooms, users }: Transaction): void {
    for (const [roomId, seq] of rooms) {
      const missed = missedRooms.get(roomId);
      if (missed === undefined || newestMissed(missed).seq !== seq) continue;
      missedRooms.delete(roomId);
      missed.audience?.caughtUp(server);
      this.#ledger.delete(keyOfRow({ kind: 'room', server, roomId, seq, eventId: '' as EventId }));
    }
    for (const [userId, seq] of users) {
      if (missedUsers.get(userId) !== seq) continue;
      missedUsers.delete(userId);
      this.#ledger.delete(keyOfRow({ kind: 'user', server, userId, seq }));
    }
  }

  /** Everything up to here is delivered, or in a row. */
  lowest(): number {
    let lowest = this.position;
    for (const { isBehind, waitingFrom } of this.destinations.values()) {
      if (!isBehind && waitingFrom !== undefined) lowest = Math.min(lowest, waitingFrom);
    }
    return lowest;
  }

  /** Resolves when all changes are on disk, with the position. @throws STORE_WRITE_FAILED */
  async keep(): Promise<void> {
    // Thousands may ask for it in one turn, and each time all destinations are looked at.
    this.#keeping ??= Promise.resolve().then(() => this.#notePosition());
    await this.#keeping;
    await this.#ledger.flush();
  }

  #notePosition(): void {
    this.#keeping = undefined;
    const seq = this.lowest();
    if (seq > this.positionKept) {
      this.positionKept = seq;
      this.#ledger.put({ kind: 'position', seq });
    }
    for (const destination of this.destinations.values()) {
      if (destination.running !== undefined || !destination.isIdle || destination.sent > seq) continue;
      this.deleteRow(destination.server);
      if (this.isOutboxEmpty(destination)) this.destinations.delete(destination.server);
    }
  }
}

function rowKey(server: ServerName): string {
  return keyOfRow({ kind: 'destination', server, sent: 0, isBehind: false, transaction: undefined });
}

/** What of a transaction is kept on disk. */
function begun({ id, upTo, pdus, edus, toDevice, rooms, users }: Transaction): BegunTransaction {
  return { id, upTo, pdus, edus, toDevice, rooms, users };
}
