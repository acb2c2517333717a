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

const SENT_MAX = 200_000;
const DEVICES_MAX = 20_000;
const RETURNS_MAX = 100_000;
/** Answers of a device that it may yet come back from. */
const ANSWERS_MAX = 8;

export type Device = Pick<Requester, 'userId' | 'deviceId'>;

/** The syncs of a device since it began anew. */
interface Run {
  readonly number: number;
  /** By the seq of an answer's token: events that it held and the client is not known to have, once there are any. */
  answers: Map<number, Set<EventId>> | undefined;
}

export class SentMembers {
  /** Seq of the token that came with an event, by the device's run and the event. */
  readonly #sent = new ClockCache<string, number>(SENT_MAX);
  readonly #runs = new ClockCache<string, Run>(DEVICES_MAX);
  /** Seq of the first answer that a device got of a room that it came back into. */
  readonly #returns = new ClockCache<string, number>(RETURNS_MAX);
  #lastRun = 0;

  /** The device begins anew. */
  restart(device: Device): void {
    this.#runs.set(deviceName(device), { number: ++this.#lastRun, answers: undefined }, 1);
  }

  /** The device comes with the token of this seq: it has what that answer held. */
  received(device: Device, since: number): void {
    const { number, answers } = this.#run(device);
    if (answers === undefined) return;
    for (const id of answers.get(since) ?? []) this.#sent.set(nameOf(number, id), since, 1);
    for (const seq of answers.keys()) if (seq <= since) answers.delete(seq);
  }

  /** The device gets a room whole, in an answer whose token has this seq. */
  enter(device: Device, roomId: RoomId, seq: number): void {
    this.#returns.set(nameOf(this.#run(device).number, roomId), seq, 1);
  }

  /** Does a client that comes with this token have the event? */
  has(device: Device, roomId: RoomId, eventId: EventId, since: number): boolean {
    const { number } = this.#run(device);
    const sentAt = this.#sent.get(nameOf(number, eventId));
    const entered = this.#returns.get(nameOf(number, roomId)) ?? 0;
    return sentAt !== undefined && sentAt <= since && sentAt >= entered;
  }

  /** The event goes out in an answer whose token has this seq. */
  add(device: Device, eventId: EventId, seq: number): void {
    const answers = (this.#run(device).answers ??= new Map<number, Set<EventId>>());
    const events = answers.get(seq);
    if (events !== undefined) {
      events.add(eventId);
      return;
    }
    answers.set(seq, new Set([eventId]));
    const [oldest] = answers.keys();
    if (answers.size > ANSWERS_MAX && oldest !== undefined) answers.delete(oldest);
  }

  #run(device: Device): Run {
    const name = deviceName(device);
    const known = this.#runs.get(name);
    if (known !== undefined) return known;
    const run: Run = { number: ++this.#lastRun, answers: undefined };
    this.#runs.set(name, run, 1);
    return run;
  }
}

function nameOf(run: number, id: EventId | RoomId): string {
  return `${run}\0${id}`;
}

function deviceName({ userId, deviceId }: Device): string {
  return `${userId}\0${deviceId}`;
}
