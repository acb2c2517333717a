// Works off the durable queue: the events of one room in the order in which they came, rooms beside each other.
//
//   queue ─ position ─▶ lane of the room ─ a batch ─▶ keys fetched ─▶ engine ─┬▶ stored: the row goes
//                                                                            ├▶ waiting: the gap is noted, the row goes
//                                                                            ├▶ no keys: parked, tried again
//                                                                            └▶ dropped: recorded, the row goes
//
// A row goes only after what became of its event is on disk, so that nothing is lost by a crash; the engine knows
// an event that comes twice. What waits, waits in the engine's horizon: no lane stands still for a gap. In memory
// are positions and sizes alone.

import type { DurableQueue } from '../../core/queues.js';
import type { Verdict } from '../../core/outcome.js';
import type { EventId, RoomId, ServerName } from '../../event/ids.js';
import { isObject, type JsonObject, own, parseJson } from '../../event/json.js';
import { rulesOf, type RoomVersionRules } from '../../event/rules.js';
import { requiredSigners } from '../../event/verify.js';
import { receivePdu, verifyReceived } from '../../event/receive.js';
import type { Pdu } from '../../event/pdu.js';
import { StateroomError, toError } from '../../lib/errors.js';
import type { KeyRing } from '../identity/key-ring.js';
import type { FederationParts } from '../parts.js';
import { FATAL, type InputFailure, type InputFailures } from './failures.js';
import type { InputRow } from './intake.js';
import { Leftovers } from './leftovers.js';
import type { InputOptions } from './options.js';

/** An event that waits for others, as the gaps are told of it. */
export interface WaitingEvent {
  readonly roomId: RoomId;
  readonly eventId: EventId;
  readonly from: ServerName;
}

export interface LaneParts extends Pick<FederationParts, 'engine' | 'now' | 'after' | 'log'> {
  readonly keyRing: Pick<KeyRing, 'fetchFor' | 'lookup'>;
  readonly queue: DurableQueue<InputRow>;
  readonly failures: InputFailures;
  readonly options: InputOptions;
  /** Resolves when no join of the room is under way. */
  readonly settled: (roomId: RoomId) => Promise<void>;
  readonly onWaiting: (event: WaitingEvent) => void;
  /** An event from a room that nobody here is in; its signatures hold. */
  readonly onOutside: (event: Pdu, from: ServerName) => Promise<void>;
  /** Rows that are gone. */
  readonly onDone: (positions: readonly number[]) => void;
}

/** What becomes of a row. */
type Outcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'parked'; readonly reason: string }
  | { readonly kind: 'failed'; readonly code: string; readonly reason: string };

interface Entry {
  readonly position: number;
  readonly row: InputRow;
  readonly json: JsonObject;
}

const DONE: Outcome = { kind: 'done' };
const GIVEN_UP: Outcome = {
  kind: 'failed',
  code: FATAL,
  reason: 'the server ended each time that it was begun with',
};
/** The engine itself is at its end: the rows stay for the next start. */
const FATAL_CODES: ReadonlySet<string> = new Set(['CORE_CLOSED', 'STORE_WRITE_FAILED']);

export class RoomLanes {
  readonly #parts: LaneParts;
  readonly #lanes = new Map<RoomId, { positions: number[]; running: Promise<void> }>();
  /** Rows that wait for keys, and what ends their waiting. */
  readonly #parked = new Map<number, { readonly roomId: RoomId; readonly cancel: () => void }>();
  /** How often each of them was tried. */
  readonly #tries = new Map<number, number>();
  readonly #leftovers: Leftovers;
  #isClosed = false;

  constructor(parts: LaneParts) {
    this.#parts = parts;
    this.#leftovers = new Leftovers(parts.queue, parts.options.attemptsMax);
  }

  /** Rooms that are being worked on. */
  get size(): number {
    return this.#lanes.size;
  }

  /** Rows that wait for signing keys. */
  get parked(): number {
    return this.#parked.size;
  }

  /** A start found a row that was begun with so often; `add` it then. */
  found(position: number, attempts: number): void {
    this.#leftovers.found(position, attempts);
  }

  /** A row was written. */
  add(roomId: RoomId, position: number): void {
    if (this.#isClosed) return;
    const lane = this.#lanes.get(roomId);
    if (lane !== undefined) {
      lane.positions.push(position);
      return;
    }
    const opened = { positions: [position], running: Promise.resolve() };
    this.#lanes.set(roomId, opened);
    opened.running = this.#run(roomId, opened.positions);
  }

  /** Tries the parked rows again now: a server whose keys were not to be had is heard again. */
  unpark(): void {
    for (const [position, { roomId, cancel }] of this.#parked) {
      cancel();
      this.#parked.delete(position);
      this.add(roomId, position);
    }
  }

  /** Resolves when nothing is left but what is parked. */
  async idle(): Promise<void> {
    while (this.#lanes.size > 0) await Promise.all([...this.#lanes.values()].map(({ running }) => running));
  }

  /** Ends after the batches under way; the rest stays in the queue. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const { cancel } of this.#parked.values()) cancel();
    this.#parked.clear();
    await this.idle();
  }

  async #run(roomId: RoomId, positions: number[]): Promise<void> {
    try {
      while (positions.length > 0 && !this.#isClosed) {
        const count = this.#leftovers.together(positions, this.#parts.options.batchMax);
        await this.#batch(roomId, positions.splice(0, count));
      }
    } catch (cause) {
      // The store or the engine failed: the rows are taken up after a restart.
      this.#parts.log.warn({ room: roomId, err: toError(cause) }, 'a room is not worked on any more');
    } finally {
      this.#lanes.delete(roomId);
    }
  }

  async #batch(roomId: RoomId, positions: readonly number[]): Promise<void> {
    const { options, queue, onDone, failures, settled } = this.#parts;
    await settled(roomId);
    const entries = positions.flatMap((position) => this.#entry(position));
    const outcomes = await this.#takeAll(roomId, entries);
    const gone = new Set(positions);
    const failed: InputFailure[] = [];
    const parked: number[] = [];
    for (const [i, { position, row }] of entries.entries()) {
      const outcome = outcomes[i] ?? DONE;
      if (outcome.kind === 'parked' && this.#park(roomId, position)) {
        gone.delete(position);
        parked.push(position);
        continue;
      }
      this.#tries.delete(position);
      if (outcome.kind === 'done') continue;
      const code = outcome.kind === 'failed' ? outcome.code : 'SIGNATURE_INVALID';
      failed.push(this.#failure(row, code, outcome.reason));
    }
    // Recorded and taken away in one commit group.
    const done = [...gone];
    await Promise.all([
      failures.record(failed.slice(-options.failuresMax)),
      queue.remove(done),
      this.#leftovers.acquit(parked),
    ]);
    this.#leftovers.forget(done);
    onDone(done);
  }

  #entry(position: number): Entry[] {
    const row = this.#parts.queue.get(position);
    if (row === undefined) return [];
    const json = parseJson(row.bytes);
    return isObject(json) ? [{ position, row, json }] : [];
  }

  async #takeAll(roomId: RoomId, entries: readonly Entry[]): Promise<Outcome[]> {
    const { engine, keyRing } = this.#parts;
    const rules = engine.graph.rulesOf(roomId) ?? rulesOf(entries[0]?.row.roomVersion ?? '');
    if (rules === undefined) {
      const outcome: Outcome = { kind: 'failed', code: 'ROOM_UNKNOWN', reason: 'the room is not known' };
      return entries.map(() => outcome);
    }
    await keyRing.fetchFor(
      entries.map(({ json }) => json),
      rules,
    );
    const { givenUp, end } = await this.#leftovers.begin(entries.map(({ position }) => position));
    try {
      // Handed over in order and not waited for one by one: the engine keeps a room's order itself.
      return await Promise.all(
        entries.map(async (entry) => (givenUp.has(entry.position) ? GIVEN_UP : this.#take(entry, rules))),
      );
    } finally {
      end();
    }
  }

  async #take(entry: Entry, rules: RoomVersionRules): Promise<Outcome> {
    const { engine, log } = this.#parts;
    const { row } = entry;
    try {
      if (row.isOutside) return await this.#takeOutside(entry, rules);
      return this.#outcome(entry, rules, await engine.receive(row.bytes, { from: row.origin }));
    } catch (cause) {
      const error = toError(cause);
      if (error instanceof StateroomError && FATAL_CODES.has(error.code)) throw error;
      log.warn(
        { room: row.roomId, event: row.eventId, from: row.origin, err: error },
        'an event was not taken',
      );
      const code = error instanceof StateroomError ? error.code : 'FEDERATION_INPUT_FAILED';
      return { kind: 'failed', code, reason: error.message };
    }
  }

  #outcome({ row, json }: Entry, rules: RoomVersionRules, verdict: Verdict): Outcome {
    const { verdict: kind, code, reason, eventId } = verdict;
    if (kind === 'waiting' && eventId !== undefined) {
      this.#parts.onWaiting({ roomId: row.roomId, eventId, from: row.origin });
    }
    if (kind !== 'dropped') return DONE;
    const isKeyless = code === 'SIGNATURE_INVALID' && this.#lacksKeys(json, rules);
    return isKeyless ? { kind: 'parked', reason } : { kind: 'failed', code, reason };
  }

  async #takeOutside({ row, json }: Entry, rules: RoomVersionRules): Promise<Outcome> {
    const { keyRing, onOutside } = this.#parts;
    const received = receivePdu(row.bytes, rules);
    const lookup = keyRing.lookup.bind(keyRing);
    if (!verifyReceived(received, lookup).ok) {
      const reason = 'a signature is missing or does not verify';
      if (this.#lacksKeys(json, rules)) return { kind: 'parked', reason };
      return { kind: 'failed', code: 'SIGNATURE_INVALID', reason };
    }
    await onOutside(received.pdu, row.origin);
    return DONE;
  }

  /** Did a required signer sign with keys of which none could be had? Then it may be tried again. */
  #lacksKeys(json: JsonObject, rules: RoomVersionRules): boolean {
    const signatures = own(json, 'signatures');
    const time = rules.enforcesKeyValidity ? own(json, 'origin_server_ts') : undefined;
    return requiredSigners(json, rules).some((server) => {
      const ofServer = isObject(signatures) ? own(signatures, server) : undefined;
      const keyIds = isObject(ofServer) ? Object.keys(ofServer) : [];
      const validAt = typeof time === 'number' ? time : undefined;
      return (
        keyIds.length > 0 &&
        keyIds.every((keyId) => this.#parts.keyRing.lookup(server, keyId, validAt) === undefined)
      );
    });
  }

  #park(roomId: RoomId, position: number): boolean {
    const { options, after } = this.#parts;
    const tries = (this.#tries.get(position) ?? 0) + 1;
    if (tries > options.parkedTriesMax || this.#parked.size >= options.parkedMax || this.#isClosed) {
      return this.#isClosed;
    }
    this.#tries.set(position, tries);
    const cancel = after(options.parkedRetryMs, () => {
      this.#parked.delete(position);
      this.add(roomId, position);
    });
    this.#parked.set(position, { roomId, cancel });
    return true;
  }

  #failure({ origin, roomId, eventId }: InputRow, code: string, reason: string): InputFailure {
    const { log, now } = this.#parts;
    log.info({ room: roomId, event: eventId, from: origin, code, reason }, 'an event was refused');
    return { at: now(), origin, roomId, eventId, code, reason };
  }
}
