// Which membership events a device was sent already, so that lazy loading need not send them again.
//
// A membership event counts as sent once the client has come back with the token of the answer that held it: an
// answer that was lost on the way is then repeated in full. A sync without a token begins anew: whoever makes it
// has nothing. So does who comes back into a room: what a client had of it went when the user left. Memory is bounded; what is forgotten is sent again.
//
// Source: client-server API, "Lazy-loading room members", "redundant membership events".

import type { EventId, RoomId } from '../../event/ids.js';
import { ClockCache } from '../../lib/clock-cache.js';
import type { Requester } from '../requester.js';

const SENT_MAX = 200_000;
const DEVICES_MAX = 20_000;
const RETURNS_MAX = 100_000;

export type Device = Pick<Requester, 'userId' | 'deviceId'>;

export class SentMembers {
  /** Seq of the token that came with the event, by the device's run of syncs and the event. */
  readonly #sent = new ClockCache<string, number>(SENT_MAX);
  /** A number for each run of syncs that began without a token. */
  readonly #runs = new ClockCache<string, number>(DEVICES_MAX);
  /** Seq of the first answer that a device got of a room that it came back into. */
  readonly #returns = new ClockCache<string, number>(RETURNS_MAX);
  #lastRun = 0;

  /** The device begins anew. */
  restart(device: Device): void {
    this.#runs.set(deviceName(device), ++this.#lastRun, 1);
  }

  /** The device gets a room whole, in an answer whose token has this seq. */
  enter(device: Device, roomId: RoomId, seq: number): void {
    this.#returns.set(this.#name(device, roomId), seq, 1);
  }

  /** Does a client that comes with this token have the event? */
  has(device: Device, roomId: RoomId, eventId: EventId, since: number): boolean {
    const sentAt = this.#sent.get(this.#name(device, eventId));
    return sentAt !== undefined && sentAt <= since && sentAt >= this.#entered(device, roomId);
  }

  /** The event goes out in an answer whose token has this seq. */
  add(device: Device, roomId: RoomId, eventId: EventId, seq: number): void {
    const name = this.#name(device, eventId);
    const sentAt = this.#sent.get(name);
    const counts = sentAt !== undefined && sentAt >= this.#entered(device, roomId);
    if (!counts || sentAt > seq) this.#sent.set(name, seq, 1);
  }

  #entered(device: Device, roomId: RoomId): number {
    return this.#returns.get(this.#name(device, roomId)) ?? 0;
  }

  #name(device: Device, id: EventId | RoomId): string {
    let run = this.#runs.get(deviceName(device));
    if (run === undefined) {
      run = ++this.#lastRun;
      this.#runs.set(deviceName(device), run, 1);
    }
    return `${run}\0${id}`;
  }
}

function deviceName({ userId, deviceId }: Device): string {
  return `${userId}\0${deviceId}`;
}
