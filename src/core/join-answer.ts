// The events of a send_join answer, read and verified: what is kept of each until it is stored.
//
// They are many, so they come as streams, go to the verifier in batches, and no more than bytes and references
// stay of them. What is malformed, unsigned or of another room is left out and named.

import { hash } from 'node:crypto';
import { type CanonicalRules, canonicalJson } from '../event/canonical.js';
import { createIdOfRoom, type EventId, type RoomId } from '../event/ids.js';
import { type JsonObject, own } from '../event/json.js';
import type { Pdu } from '../event/pdu.js';
import type { RoomVersionRules } from '../event/rules.js';
import { utf8 } from '../lib/bytes.js';
import { readEvent } from './conform.js';
import { JoinRefusedError } from './errors.js';
import { VERDICT_CODES, type VerdictCode } from './outcome.js';
import type { Refusal } from './refusal.js';
import type { CheckedPdu, Unverified, Verifier } from './verifier.js';

/** An event in federation format: bytes, text, or parsed JSON. */
export type PduInput = Uint8Array | string | JsonObject;

/** Events one after the other, all at once or as they come. */
export type PduStream = Iterable<PduInput> | AsyncIterable<PduInput>;

/** An event that was left out. */
export interface DroppedEvent {
  /** Undefined when it is too malformed to have one. */
  readonly eventId: EventId | undefined;
  readonly code: string;
  readonly reason: string;
}

/** Events left out: all counted, the first so many named. */
export class DroppedEvents {
  readonly list: DroppedEvent[] = [];
  count = 0;

  readonly add = (eventId: EventId | undefined, code: string, reason: string): void => {
    this.count++;
    if (this.list.length < DROPPED_NAMED_MAX) this.list.push({ eventId, code, reason });
  };

  /** One for a reason that has a code of its own. */
  addFor(eventId: EventId | undefined, code: VerdictCode): void {
    this.add(eventId, code, VERDICT_CODES[code]);
  }
}

const DROPPED_NAMED_MAX = 1_000;

/** A verified event, as small as can be. */
export interface AnswerEvent {
  readonly eventId: EventId;
  readonly bytes: Uint8Array;
  readonly isRedacted: boolean;
  /** What it cites; where the create event is implied, that too. */
  readonly authEvents: readonly EventId[];
}

/** All verified events of an answer by id, and which of them make up the state. */
export interface AnswerEvents {
  readonly events: ReadonlyMap<EventId, AnswerEvent>;
  readonly state: ReadonlySet<EventId>;
}

export interface AnswerReader {
  readonly verifier: Verifier;
  readonly rules: RoomVersionRules;
  readonly roomId: RoomId;
  /** The event is stored: it was verified when it came. */
  readonly isKnown: (id: EventId) => boolean;
  readonly dropped: DroppedEvents;
}

/** Events of an answer and their bytes, at most. */
const EVENTS_MAX = 1_000_000;
const BYTES_MAX = 512 * 1024 * 1024;

/** Events read before the verifier is asked, and such batches that it has at a time. */
const BATCH_EVENTS = 512;
const BATCHES_AHEAD = 4;

/** Reads and verifies the auth chain and the state. @throws CORE_JOIN_REFUSED when they are too large */
export async function readAnswer(
  reader: AnswerReader,
  authChain: PduStream,
  state: PduStream,
): Promise<AnswerEvents> {
  const answer = new Answer(reader);
  for (const { pdus, isOfState } of [
    { pdus: authChain, isOfState: false },
    { pdus: state, isOfState: true },
  ]) {
    if (Symbol.asyncIterator in pdus) {
      for await (const pdu of pdus) await answer.add(pdu, isOfState);
      continue;
    }
    for (const pdu of pdus) {
      const flushed = answer.add(pdu, isOfState);
      if (flushed !== undefined) await flushed;
    }
  }
  return answer.finish();
}

/** One event by itself, of whatever room. */
export async function readOne(
  { verifier, rules }: Pick<AnswerReader, 'verifier' | 'rules'>,
  bytes: Uint8Array,
): Promise<CheckedPdu | Refusal> {
  const read = readEvent(bytes);
  return 'code' in read ? read : verifier.verify({ bytes, json: read.json, rules });
}

/** The bytes of an event; parsed JSON is written with its numbers as they were, for they are hashed so. */
export function bytesOfPdu(pdu: PduInput): Uint8Array {
  if (pdu instanceof Uint8Array) return pdu;
  return utf8(typeof pdu === 'string' ? pdu : canonicalJson(pdu, LOOSE));
}

const LOOSE: CanonicalRules = { strictCanonicalJson: false };

/** An event that was read: once its id is known, that stands for it. */
interface Read {
  isOfState: boolean;
  eventId: EventId | undefined;
}

interface Waiting extends Unverified {
  readonly read: Read;
}

class Answer {
  readonly #reader: AnswerReader;
  readonly #events = new Map<EventId, AnswerEvent>();
  readonly #state = new Set<EventId>();
  /** By a hash of their bytes, so that what comes in both lists is read once. */
  readonly #read = new Map<string, Read>();
  #batch: Waiting[] = [];
  #verifying: Promise<void>[] = [];
  #count = 0;
  #bytes = 0;

  constructor(reader: AnswerReader) {
    this.#reader = reader;
  }

  /** Takes the next event; a promise when there is something to wait for. */
  add(pdu: PduInput, isOfState: boolean): Promise<void> | undefined {
    const bytes = bytesOfPdu(pdu);
    const { dropped, roomId } = this.#reader;
    const name = hash('sha256', bytes, 'base64');
    const twin = this.#read.get(name);
    if (twin !== undefined) {
      twin.isOfState ||= isOfState;
      if (twin.isOfState && twin.eventId !== undefined) this.#state.add(twin.eventId);
      return undefined;
    }
    const unverified = unverifiedOf(this.#reader, bytes, pdu);
    if ('code' in unverified) {
      dropped.add(unverified.eventId, unverified.code, unverified.reason);
      return undefined;
    }
    this.#count++;
    this.#bytes += bytes.length;
    if (this.#count > EVENTS_MAX || this.#bytes > BYTES_MAX) {
      throw new JoinRefusedError(`the state and auth chain of ${roomId} are larger than allowed`, {
        room_id: roomId,
        events: this.#count,
        bytes: this.#bytes,
      });
    }
    const read: Read = { isOfState, eventId: undefined };
    this.#read.set(name, read);
    this.#batch.push({ ...unverified, read });
    return this.#batch.length < BATCH_EVENTS ? undefined : this.#flush();
  }

  async finish(): Promise<AnswerEvents> {
    await this.#flush();
    await Promise.all(this.#verifying);
    return { events: this.#events, state: this.#state };
  }

  async #flush(): Promise<void> {
    const batch = this.#batch;
    this.#batch = [];
    const verifying = this.#verify(batch);
    // Its fault is met where it is waited for.
    verifying.catch(() => undefined);
    this.#verifying.push(verifying);
    if (this.#verifying.length > BATCHES_AHEAD) await this.#verifying.shift();
  }

  async #verify(batch: readonly Waiting[]): Promise<void> {
    const results = await this.#reader.verifier.verifyAll(batch);
    batch.forEach((waiting, i) => {
      const result = results[i];
      if (result !== undefined) this.#take(waiting, result);
    });
  }

  #take({ bytes, read }: Waiting, result: CheckedPdu | Refusal): void {
    const { dropped, isKnown, roomId } = this.#reader;
    if ('code' in result) {
      const { eventId, code, reason } = result;
      // Its key may be gone; it was verified when it came first.
      if (eventId !== undefined && isKnown(eventId)) this.#note(eventId, read);
      else dropped.add(eventId, code, reason);
      return;
    }
    const { pdu, isRedacted } = result;
    const { eventId } = pdu;
    if (pdu.roomId !== roomId) {
      dropped.addFor(eventId, 'OTHER_ROOM');
      return;
    }
    if (pdu.stateKey === undefined) {
      dropped.addFor(eventId, 'NOT_STATE');
      return;
    }
    this.#note(eventId, read);
    if (this.#events.has(eventId)) return;
    this.#events.set(eventId, { eventId, bytes, isRedacted, authEvents: citedBy(pdu) });
  }

  #note(eventId: EventId, read: Read): void {
    read.eventId = eventId;
    if (read.isOfState) this.#state.add(eventId);
  }
}

/** Its JSON, and the rules of the room that it is to be of. */
function unverifiedOf(
  { rules, roomId }: AnswerReader,
  bytes: Uint8Array,
  pdu: PduInput,
): Unverified | Refusal {
  const isParsed = typeof pdu === 'object' && !(pdu instanceof Uint8Array);
  const read = readEvent(bytes, isParsed ? pdu : undefined);
  if ('code' in read) return read;
  const { json } = read;
  const named = own(json, 'room_id');
  const isImplied = rules.roomIdIsCreateHash && own(json, 'type') === 'm.room.create';
  if (named === roomId || (named === undefined && isImplied)) return { bytes, json, rules };
  return { code: 'OTHER_ROOM', reason: VERDICT_CODES.OTHER_ROOM, eventId: undefined, roomId };
}

/** All that an event cites, the create event too where that is implied. */
function citedBy({ authEvents, rules, type, roomId }: Pdu): readonly EventId[] {
  const isImplied = rules.authorisation.createIsImplied && type !== 'm.room.create';
  return isImplied ? [...authEvents, createIdOfRoom(roomId)] : authEvents;
}
