// Events that clients send, each once for its transaction id, across restarts too.
//
// The request is stored with the event that it made, in the same row, and is found by an index of the store. So it
// costs no record of its own, lands with the event or not at all, and is remembered as long as the event is there.
//
// Source: client-server API, "Transaction identifiers".

import type { EventId } from '../event/ids.js';
import { blake3 } from '../lib/blake3.js';
import { utf8 } from '../lib/bytes.js';
import type { ClientTransaction } from '../store/records.js';
import type { Devices } from './devices.js';
import { type AccountParts, joinKey } from './parts.js';
import type { Transaction } from './transactions.js';

const KEY_BYTES = 16;

export class SentEvents {
  readonly #parts: AccountParts;
  readonly #devices: Pick<Devices, 'beganAt'>;
  readonly #underWay = new Map<string, Promise<EventId>>();

  constructor(parts: AccountParts, devices: Pick<Devices, 'beganAt'>) {
    this.#parts = parts;
    this.#devices = devices;
  }

  /**
   * Sends an event, unless the request was made before or is under way: then gives the event that it made.
   * @param send must store what it is given with the event that it sends
   * @throws what `send` throws: then the request may be made again
   */
  async once(
    request: Transaction,
    send: (transaction: ClientTransaction) => Promise<EventId>,
  ): Promise<EventId> {
    const key = this.#keyOf(request);
    const name = Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1');
    const known = this.#underWay.get(name) ?? this.#parts.engine.eventOfTransaction(key);
    if (known !== undefined) return known;
    const { deviceId, txnId } = request;
    const sending = send({ deviceId, txnId, key });
    this.#underWay.set(name, sending);
    try {
      return await sending;
    } finally {
      this.#underWay.delete(name);
    }
  }

  /** A device that comes again under the id of one that is gone is another. */
  #keyOf({ userId, deviceId, endpoint, txnId }: Transaction): Uint8Array {
    const beganAt = this.#devices.beganAt(userId, deviceId) ?? 0;
    const text = joinKey(userId, deviceId, String(beganAt), endpoint, txnId);
    return blake3(utf8(text)).subarray(0, KEY_BYTES);
  }
}
