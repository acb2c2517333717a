// Which membership events a device was sent already, so that lazy loading need not send them again.
//
// A membership event counts as sent once the client has come back with the token of the answer that held it: an
// answer that was lost on the way is then repeated in full. A sync without a token begins anew: whoever makes it
// has nothing. Memory is bounded; what is forgotten is sent again.
//
// Source: client-server API, "Lazy-loading room members", "redundant membership events".

import type { EventId } from '../../event/ids.js';
import { ClockCache } from '../../lib/clock-cache.js';
import type { Requester } from '../requester.js';

const SENT_MAX = 200_000;
const DEVICES_MAX = 20_000;

export type Device = Pick<Requester, 'userId' | 'deviceId'>;

export class SentMembers {
  /** Seq of the token that came with the event, by the device's run of syncs and the event. */
  readonly #sent = new ClockCache<string, number>(SENT_MAX);
  /** A number for each run of syncs that began without a token. */
  readonly #runs = new ClockCache<string, number>(DEVICES_MAX);
  #lastRun = 0;

  /** The device begins anew. */
  restart(device: Device): void {
    this.#runs.set(deviceName(device), ++this.#lastRun, 1);
  }

  /** Does a client that comes with this token have the event? */
  has(device: Device, eventId: EventId, since: number): boolean {
    const sentAt = this.#sent.get(this.#name(device, eventId));
    return sentAt !== undefined && sentAt <= since;
  }

  /** The event goes out in an answer whose token has this seq. */
  add(device: Device, eventId: EventId, seq: number): void {
    const name = this.#name(device, eventId);
    if ((this.#sent.get(name) ?? Number.POSITIVE_INFINITY) > seq) this.#sent.set(name, seq, 1);
  }

  #name(device: Device, eventId: EventId): string {
    let run = this.#runs.get(deviceName(device));
    if (run === undefined) {
      run = ++this.#lastRun;
      this.#runs.set(deviceName(device), run, 1);
    }
    return `${run}\0${eventId}`;
  }
}

function deviceName({ userId, deviceId }: Device): string {
  return `${userId}\0${deviceId}`;
}
