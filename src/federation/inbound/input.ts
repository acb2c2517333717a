// What other servers send: the way in. A transaction is answered once its events lie in the durable queue and its
// messages are with those concerned; what becomes of the events is found out afterwards, room by room.
//
//   PUT /send ─▶ each event looked at ─▶ queue, answer remembered, messages to devices: one commit group ─▶ 200
//                                          └▶ lanes, one a room ─▶ engine ─▶ gaps
//
// Source: server-server API, "Transactions".

import { hash } from 'node:crypto';
import type { DurableQueue } from '../../core/queues.js';
import type { RoomId, ServerName } from '../../event/ids.js';
import { fitsBytes, MAX_ID_BYTES } from '../../event/ids.js';
import { isArray, type JsonObject, type JsonValue, own } from '../../event/json.js';
import type { Pdu } from '../../event/pdu.js';
import type { Destinations } from '../destinations.js';
import { badJson, FederationError, invalidParam } from '../errors.js';
import type { KeyRing } from '../identity/key-ring.js';
import type { FederationParts } from '../parts.js';
import { accountSink } from './account-sink.js';
import type { EduSink } from './edu-sink.js';
import { type CheckedEdus, checkEdus } from './edus.js';
import type { InputFailure, InputFailures } from './failures.js';
import { type InputRow, intake } from './intake.js';
import { INPUT_OPTIONS, type InputOptions } from './options.js';
import { RoomLanes, type WaitingEvent } from './room-lanes.js';
import { ServerAcls } from './server-acl.js';
import { UnsureMembers } from './unsure-members.js';
import { type PduAnswers, TransactionMemory } from './transaction-memory.js';

const PDUS_MAX = 50;
const EDUS_MAX = 100;
const QUEUE = 'federation_input';

export interface InputParts extends FederationParts {
  readonly keyRing: Pick<KeyRing, 'fetchFor' | 'lookup'>;
  readonly destinations: Pick<Destinations, 'onRecovered'>;
  /** Told of events that wait for others. */
  readonly gaps: { noticed(event: WaitingEvent): void };
  /** Rooms that this server is about to be in, or is asked into. */
  readonly membership: {
    isJoining(roomId: RoomId): boolean;
    settled(roomId: RoomId): Promise<void>;
    withdrawn(event: Pdu, from: ServerName): Promise<boolean>;
  };
  /** Where events that could not be taken are remembered. */
  readonly failures: InputFailures;
  readonly inputOptions?: Partial<InputOptions>;
}

/** What waits in the queue, of whom. */
interface Queued {
  readonly origin: ServerName;
  readonly bytes: number;
  readonly name: string;
}

export class Input {
  readonly acls: ServerAcls;
  readonly #unsureMembers: UnsureMembers;
  readonly #parts: InputParts;
  readonly #options: InputOptions;
  readonly #queue: DurableQueue<InputRow>;
  readonly #memory: TransactionMemory;
  readonly #lanes: RoomLanes;
  readonly #sink: Partial<EduSink>;
  readonly #queued = new Map<number, Queued>();
  readonly #queuedNames = new Set<string>();
  readonly #eventsOfServer = new Map<ServerName, number>();
  /** Events of transactions that are being written count too. */
  #events = 0;
  #bytes = 0;
  /** Transactions under way: the same one at the same time gets the same answer. */
  readonly #underWay = new Map<string, Promise<JsonObject>>();
  readonly #stopListening: () => void;

  private constructor(parts: InputParts, memory: TransactionMemory) {
    this.#parts = parts;
    this.#options = { ...INPUT_OPTIONS, ...parts.inputOptions };
    this.#queue = parts.engine.queue<InputRow>(QUEUE);
    this.#memory = memory;
    this.#sink = accountSink(parts.engine, parts.accounts);
    this.acls = new ServerAcls(parts.engine);
    this.#unsureMembers = new UnsureMembers(parts.engine);
    const { gaps, membership } = parts;
    this.#lanes = new RoomLanes({
      ...parts,
      queue: this.#queue,
      options: this.#options,
      settled: (roomId) => membership.settled(roomId),
      onWaiting: (event) => gaps.noticed(event),
      onOutside: async (event, from) => void (await membership.withdrawn(event, from)),
      onDone: (positions) => this.#forget(positions),
    });
    this.#stopListening = parts.destinations.onRecovered(() => this.#lanes.unpark());
  }

  /** Takes up what was queued before a restart. */
  static async open(parts: InputParts): Promise<Input> {
    const options = { ...INPUT_OPTIONS, ...parts.inputOptions };
    const memory = await TransactionMemory.open(parts.engine, options);
    const input = new Input(parts, memory);
    for await (const [position, row] of input.#queue.entries()) {
      input.#reserve(row.origin, 1, row.bytes.length);
      input.#lanes.found(position, row.attempts ?? 0);
      input.#note(position, row);
    }
    return input;
  }

  /** Who is told of EDUs; what a sink does not name stays as it was. */
  attach(sink: Partial<EduSink>): void {
    Object.assign(this.#sink, sink);
  }

  /** What waits now: events, their bytes, rooms that are worked on, events without keys. */
  get depths(): {
    readonly events: number;
    readonly bytes: number;
    readonly rooms: number;
    readonly parked: number;
  } {
    return { events: this.#events, bytes: this.#bytes, rooms: this.#lanes.size, parked: this.#lanes.parked };
  }

  /** Events that were acknowledged and could not be taken, oldest first, as many as are remembered. */
  failures(): AsyncGenerator<InputFailure> {
    return this.#parts.failures.entries();
  }

  /**
   * Takes a transaction.
   * @returns the answer's body, when everything in it is durable
   * @throws FederationError 400 for a transaction that is none, 429 when too much waits; STORE_WRITE_FAILED
   */
  receive(origin: ServerName, txnId: string, body: JsonObject): Promise<JsonObject> {
    if (txnId === '' || !fitsBytes(txnId, MAX_ID_BYTES)) {
      throw invalidParam(`A transaction id has 1 to ${MAX_ID_BYTES} bytes.`);
    }
    const name = `${origin} ${txnId}`;
    const twin = this.#underWay.get(name);
    if (twin !== undefined) return twin;
    const answer = this.#receive(origin, txnId, body).finally(() => this.#underWay.delete(name));
    this.#underWay.set(name, answer);
    return answer;
  }

  async #receive(origin: ServerName, txnId: string, body: JsonObject): Promise<JsonObject> {
    const pdus = listOf(body, 'pdus', PDUS_MAX);
    const edus = listOf(body, 'edus', EDUS_MAX);
    const before = this.#memory.answer(origin, txnId);
    if (before !== undefined) return answerOf(before);
    await this.#parts.accounts.memberships.caughtUp();
    const { answers, rows } = this.#intake(pdus, origin);
    const checked = checkEdus(edus, {
      ...this.#parts,
      origin,
      acls: this.acls,
      unsureMembers: this.#unsureMembers,
    });
    await this.#write(origin, txnId, { answers, rows, checked });
    return answerOf(answers);
  }

  #intake(
    pdus: readonly JsonValue[],
    origin: ServerName,
  ): { readonly answers: PduAnswers; readonly rows: readonly InputRow[] } {
    const { engine, accounts, serverName, membership } = this.#parts;
    const answers = new Map<string, string | undefined>();
    const rows: InputRow[] = [];
    const names = new Set<string>();
    const context = {
      engine,
      accounts,
      serverName,
      acls: this.acls,
      isJoining: (roomId: RoomId) => membership.isJoining(roomId),
      isQueued: (row: InputRow) => this.#queuedNames.has(nameOf(row)) || names.has(nameOf(row)),
    };
    for (const pdu of pdus) {
      const { eventId, error, row } = intake(pdu, origin, context);
      // Of copies of one event, the answer is that of one that was taken.
      if (eventId !== undefined && (error === undefined || !answers.has(eventId)))
        answers.set(eventId, error);
      if (row === undefined) continue;
      names.add(nameOf(row));
      rows.push(row);
    }
    return { answers, rows };
  }

  /** Everything of a transaction: events, answer and messages to devices in one commit group. */
  async #write(
    origin: ServerName,
    txnId: string,
    {
      answers,
      rows,
      checked,
    }: { readonly answers: PduAnswers; readonly rows: readonly InputRow[]; readonly checked: CheckedEdus },
  ): Promise<void> {
    const bytes = rows.reduce((sum, row) => sum + row.bytes.length, 0);
    this.#assertRoom(origin, rows.length, bytes);
    this.#reserve(origin, rows.length, bytes);
    let positions: readonly number[];
    try {
      // First what may be done twice: when it fails, nothing is remembered, and all of it comes again.
      await this.#tellDurable(checked);
      const fresh = this.#freshMessages(origin, checked);
      const messageIds = fresh.map(({ messageId }) => messageId);
      [positions] = await Promise.all([
        this.#queue.add(rows),
        this.#memory.keep(origin, txnId, this.#parts.now(), answers, messageIds),
        this.#sink.toDevice?.(fresh.flatMap(({ messages }) => messages)),
      ]);
    } catch (error) {
      this.#release(origin, rows.length, bytes);
      throw error;
    }
    for (const [i, row] of rows.entries()) {
      const position = positions[i];
      if (position !== undefined) this.#note(position, row);
    }
    if (checked.passedOver > 0) {
      this.#parts.log.debug({ from: origin, edus: checked.passedOver }, 'messages were passed over');
    }
    for (const typing of checked.typing) this.#sink.typing?.(typing);
    for (const presence of checked.presence) this.#sink.presence?.(presence);
  }

  /** Messages that the server did not send before, in this transaction or another. */
  #freshMessages(origin: ServerName, { toDevice }: CheckedEdus): CheckedEdus['toDevice'] {
    const ids = new Set<string>();
    return toDevice.filter(({ messageId }) => {
      if (ids.has(messageId) || this.#memory.hasMessage(origin, messageId)) return false;
      ids.add(messageId);
      return true;
    });
  }

  async #tellDurable({ receipts, deviceUpdates, signingKeys }: CheckedEdus): Promise<void> {
    if (receipts.length > 0) await this.#sink.receipts?.(receipts);
    // One after the other: the updates of a user's devices build on each other.
    for (const update of deviceUpdates) await this.#sink.deviceUpdate?.(update);
    for (const keys of signingKeys) await this.#sink.signingKeys?.(keys);
  }

  /** @throws FederationError 429 */
  #assertRoom(origin: ServerName, events: number, bytes: number): void {
    const { queuedEventsMax, queuedBytesMax, queuedShareMax, retryAfterMs } = this.#options;
    const ofServer = (this.#eventsOfServer.get(origin) ?? 0) + events;
    const fits =
      this.#events + events <= queuedEventsMax &&
      this.#bytes + bytes <= queuedBytesMax &&
      ofServer <= Math.max(PDUS_MAX, queuedEventsMax * queuedShareMax);
    if (fits || events === 0) return;
    throw new FederationError(
      429,
      'M_LIMIT_EXCEEDED',
      'Too many events wait here already; come back later.',
      {
        retry_after_ms: retryAfterMs,
      },
    );
  }

  #reserve(origin: ServerName, events: number, bytes: number): void {
    this.#events += events;
    this.#bytes += bytes;
    if (events > 0) this.#eventsOfServer.set(origin, (this.#eventsOfServer.get(origin) ?? 0) + events);
  }

  #release(origin: ServerName, events: number, bytes: number): void {
    this.#events -= events;
    this.#bytes -= bytes;
    const left = (this.#eventsOfServer.get(origin) ?? 0) - events;
    if (left > 0) this.#eventsOfServer.set(origin, left);
    else this.#eventsOfServer.delete(origin);
  }

  /** A row is written, and room was made for it before. */
  #note(position: number, row: InputRow): void {
    const { origin, roomId, bytes } = row;
    const name = nameOf(row);
    this.#queued.set(position, { origin, name, bytes: bytes.length });
    this.#queuedNames.add(name);
    this.#lanes.add(roomId, position);
  }

  #forget(positions: readonly number[]): void {
    for (const position of positions) {
      const queued = this.#queued.get(position);
      if (queued === undefined) continue;
      this.#queued.delete(position);
      this.#queuedNames.delete(queued.name);
      this.#release(queued.origin, 1, queued.bytes);
    }
  }

  /** Resolves when everything queued has been worked off, but for what waits for keys. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#underWay.values());
    await this.#lanes.idle();
  }

  /** Ends after the batches under way; the rest stays queued. */
  async close(): Promise<void> {
    this.#stopListening();
    await Promise.allSettled(this.#underWay.values());
    await this.#lanes.close();
  }
}

function answerOf(answers: PduAnswers): JsonObject {
  const pdus = [...answers].map(
    ([eventId, error]) => [eventId, error === undefined ? {} : { error }] as const,
  );
  return { pdus: Object.fromEntries(pdus) };
}

/** Names a row by what it holds, to the letter. */
function nameOf({ bytes }: InputRow): string {
  return hash('sha256', bytes, 'base64');
}

/** A list of the body, which may be left out. @throws FederationError 400 */
function listOf(body: JsonObject, name: string, max: number): readonly JsonValue[] {
  const list = own(body, name);
  if (list === undefined) return [];
  if (!isArray(list)) throw badJson(`${name} is no list.`);
  if (list.length > max) throw badJson(`${name} holds at most ${max}.`);
  return list;
}
