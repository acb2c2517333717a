// Which membership events a device was sent already, so that lazy loading need not send them again.
//
// A membership event counts as sent once the client has come back with the very token of the answer that held it: an
// answer that was lost on the way is repeated in full, also where the client has got another one since. A sync
// without a token begins anew: whoever makes it has nothing. So does who comes back into a room: what a client had
// of it went when the user left. Memory is bounded; what is forgotten is sent again.
//
//   answer with token 120 holds A ── lost            answer with token 125 holds B ── received
//                                                    sync since 125: B was sent, A was not
//
// Source: client-server API, "Lazy-loading room members", "redundant membership events".

import type { EventId, RoomId } from '../../event/ids.js';
import { ClockCache } from '../../lib/clock-cache.js';
import type { Requester } from '../requester.js';

/** What is kept of all devices may take in memory, about; what a device takes, and each event or room in it. */
const BYTES_MAX = 12 * 1024 * 1024;
const DEVICE_BYTES = 600;
const ENTRY_BYTES = 120;
/** Of one device: events that it was sent, and rooms that it came back into. The oldest are forgotten. */
const ENTRIES_MAX = 20_000;
/** Answers of a device that it may yet come back from. */
const ANSWERS_MAX = 8;

export type Device = Pick<Requester, 'userId' | 'deviceId'>;

/** The syncs of a device since it began anew. */
interface Run {
  /** Seq of the token that came with an event. */
  readonly sent: Map<EventId, number>;
  /** By the seq of an answer's token: events that it held and the client is not known to have. */
  readonly answers: Map<number, Set<EventId>>;
  /** Seq of the first answer that the device got of a room that it came back into. */
  readonly returns: Map<RoomId, number>;
}

export class SentMembers {
  readonly #runs: ClockCache<string, Run>;

  /** @param bytesMax what is kept may take in memory, about */
  constructor(bytesMax = BYTES_MAX) {
    this.#runs = new ClockCache(bytesMax);
  }

  /** The device begins anew. */
  restart(device: Device): void {
    this.#runs.delete(deviceName(device));
  }

  /** The device comes with the token of this seq: it has what that answer held. */
  received(device: Device, since: number): void {
    const run = this.#runs.get(deviceName(device));
    if (run === undefined || run.answers.size === 0) return;
    const { sent, answers } = run;
    for (const id of answers.get(since) ?? []) sent.set(id, since);
    for (const seq of answers.keys()) if (seq <= since) answers.delete(seq);
    forgetOldest(sent);
    this.#keep(device, run);
  }

  /** The device gets a room whole, in an answer whose token has this seq. */
  enter(device: Device, roomId: RoomId, seq: number): void {
    const run = this.#run(device);
    run.returns.set(roomId, seq);
    if (run.returns.size > ENTRIES_MAX) {
      // What the client has of a room that it came back into is no longer known without this.
      run.returns.clear();
      run.sent.clear();
    }
    this.#keep(device, run);
  }

  /** Does a client that comes with this token have the event? */
  has(device: Device, roomId: RoomId, eventId: EventId, since: number): boolean {
    const run = this.#runs.get(deviceName(device));
    const sentAt = run?.sent.get(eventId);
    const entered = run?.returns.get(roomId) ?? 0;
    return sentAt !== undefined && sentAt <= since && sentAt >= entered;
  }

  /** The event goes out in an answer whose token has this seq. */
  add(device: Device, eventId: EventId, seq: number): void {
    const run = this.#run(device);
    const { answers } = run;
    const events = answers.get(seq);
    if (events !== undefined) events.add(eventId);
    else {
      answers.set(seq, new Set([eventId]));
      const [oldest] = answers.keys();
      if (answers.size > ANSWERS_MAX && oldest !== undefined) answers.delete(oldest);
    }
    this.#keep(device, run);
  }

  #run(device: Device): Run {
    return this.#runs.get(deviceName(device)) ?? { sent: new Map(), answers: new Map(), returns: new Map() };
  }

  /** Weighs what is kept of a device. One whose sync is too much for all there is room for is forgotten. */
  #keep(device: Device, run: Run): void {
    let entries = run.sent.size + run.returns.size;
    for (const events of run.answers.values()) entries += events.size;
    this.#runs.set(deviceName(device), run, DEVICE_BYTES + ENTRY_BYTES * entries);
  }
}

function forgetOldest(sent: Map<EventId, number>): void {
  for (const id of sent.keys()) {
    if (sent.size <= ENTRIES_MAX) return;
    sent.delete(id);
  }
}

function deviceName({ userId, deviceId }: Device): string {
  return `${userId}\0${deviceId}`;
}
