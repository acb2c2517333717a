// The core: one incoming event in, one verdict out, after its commit.
//
//   receive ─ address ─ verify (threads) ─┐ lane of the room ┌─ judge ─ decide ─┐ writer ┌─ commit ─ release
//   receive ─ address ─ verify ───────────┘  (order kept)    └──── horizon ◄────┘ (group)└─ settle: the verdict
//
// Everything between leaving the lane and entering the writer is one synchronous call, so it needs no locks.

import type { EventId, RoomId } from '../event/ids.js';
import { parseInternalEvent } from '../event/internal.js';
import { isObject, type JsonObject, own } from '../event/json.js';
import type { Pdu } from '../event/pdu.js';
import { equalBytes } from '../lib/bytes.js';
import { toError } from '../lib/errors.js';
import { Gate } from '../lib/gate.js';
import { Horizon, type HorizonLimits } from '../room/graph/horizon.js';
import type { KnownEvents } from '../room/graph/known-events.js';
import type { Rooms } from '../room/graph/rooms.js';
import type { StateResolver, TraceRecord } from '../room/graph/state-resolver.js';
import type { GroupEvent } from '../store/commit-group.js';
import type { ClientTransaction } from '../store/records.js';
import type { Store } from '../store/store.js';
import type { StateTree } from '../tree/tree.js';
import { address, type Incoming } from './conform.js';
import { type CommitPath, openCommitPath } from './commit-path.js';
import { Decider, type Settle } from './decider.js';
import { type CompletionOutcome, Completions } from './completions.js';
import { CoreClosedError } from './errors.js';
import { type HistoryBatch, oldestFirst } from './history.js';
import { InternalHistory } from './internal-history.js';
import { type InternalRecord, InternalRooms } from './internal.js';
import { type JoinAnswer, type JoinOutcome, type JoinParts, takeJoin } from './join.js';
import type { VerifiedEvent } from './judge.js';
import { Lane } from './lane.js';
import { VERDICT_CODES, type Verdict, type VerdictCounts } from './outcome.js';
import { type CoreObserver, observed } from './observer.js';
import { type OutlierBatch, takeOutliers } from './outliers.js';
import { PARTIAL_ROOM, partialRecord, PartialStates } from './partial-states.js';
import type { Refusal } from './refusal.js';
import { Release } from './release.js';
import type { CheckedPdu, Verifier } from './verifier.js';
import type { Writer } from './writer.js';

/** What the core is given: nothing here is a singleton, so that a simulator runs the real code. */
export interface CoreParts {
  readonly store: Store;
  readonly tree: StateTree;
  readonly verifier: Verifier;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly horizon?: HorizonLimits;
  /** The alarm: a merge took keys back to what its newest branch does not say. */
  readonly onStateReset?: (traceId: string, record: TraceRecord) => void;
  /** What became of an event that was answered `waiting` before. */
  readonly onLateVerdict?: (verdict: Verdict) => void;
  /** Who is told how long things take. */
  readonly observer?: CoreObserver;
}

/** What waits where. */
export interface QueueDepths {
  /** Rooms with arrivals that were not taken yet, and those arrivals. */
  readonly lanes: number;
  readonly arrivals: number;
  /** Decisions that no group has taken yet. */
  readonly decisions: number;
  /** Events that wait for others they refer to. */
  readonly horizon: number;
}

/** Bytes of events between `receive` and their verdict, at most: beyond that callers wait. */
const IN_FLIGHT_BYTES_MAX = 32 * 1024 * 1024;
/** What an event in flight takes beside its bytes, about. */
const IN_FLIGHT_OVERHEAD_BYTES = 16 * 1024;
/** Decisions not yet on disk, at most: beyond that lanes wait. */
const UNWRITTEN_MAX = 1_024;

/** Makes a local event when its turn in the room's lane has come. */
export type BuildLocal = () => LocalEvent;

/** An event of this server. */
export interface LocalEvent {
  readonly pdu: Pdu;
  readonly bytes: Uint8Array;
  /** Resolves when `bytes` are whole, where its signature is still being made. */
  readonly signed?: Promise<void>;
  /** The request of a client that made it: stored with it or not at all. */
  readonly transaction?: ClientTransaction | undefined;
}

/** What comes along a lane. */
type Arrival =
  | {
      readonly kind: 'checked';
      readonly incoming: Incoming;
      readonly checked: CheckedPdu | Refusal;
      readonly alongside: readonly InternalRecord[] | undefined;
      readonly settle: Settle;
    }
  | { readonly kind: 'local'; readonly build: BuildLocal; readonly settle: Settle }
  | { readonly kind: 'ready'; readonly position: number }
  | { readonly kind: 'turn'; readonly work: () => void };

export class Core {
  readonly known: KnownEvents;
  readonly rooms: Rooms;
  readonly resolver: StateResolver;
  readonly horizon: Horizon;
  readonly writer: Writer;
  readonly release: Release;
  /** This server's own records. */
  readonly internal: InternalRooms;
  /** What these replaced, to be collected. */
  readonly history: InternalHistory;
  /** Which states are known to be incomplete. */
  readonly partial: PartialStates;
  readonly #completions: Completions;
  readonly #verifier: Verifier;
  readonly #now: () => number;
  readonly #observer: CoreObserver | undefined;
  readonly #decider: Decider;
  readonly #lanes = new Map<string, Lane<Arrival>>();
  readonly #inFlight = new Map<string, { readonly bytes: Uint8Array; readonly verdict: Promise<Verdict> }>();
  readonly #gate = new Gate(IN_FLIGHT_BYTES_MAX);
  #isClosed = false;
  #failure: Error | undefined;

  private constructor(parts: CoreParts) {
    const { store, tree } = parts;
    this.#verifier = parts.verifier;
    this.#now = parts.now;
    this.#observer = parts.observer;
    this.release = new Release(store, store.counters().seq, parts.observer);
    this.horizon = new Horizon(parts.horizon);
    const path: CommitPath = openCommitPath(store, tree, {
      onCommit: (seq, events) => {
        if (path.writer.pending === 0) path.rooms.trim();
        notePartial(this.partial, events);
        this.release.advance(seq, events);
      },
      onStateReset: parts.onStateReset,
      observer: parts.observer,
    });
    this.known = path.known;
    this.writer = path.writer;
    this.resolver = path.resolver;
    this.rooms = path.rooms;
    this.internal = new InternalRooms({ ...path, now: parts.now, observer: parts.observer });
    this.history = new InternalHistory({ ...path, store, now: parts.now });
    this.#decider = new Decider({
      store,
      known: this.known,
      horizon: this.horizon,
      judge: path.judge,
      writer: this.writer,
      callBack: (roomId, position) => this.#callBack(roomId, position),
      onLateVerdict: parts.onLateVerdict ?? (() => undefined),
      // It lands in the event's commit group: when that cannot be written, the event's caller is told.
      onPartial: (event) =>
        void this.internal.write([partialRecord(event, parts.now())]).catch(() => undefined),
    });
    this.partial = new PartialStates({
      ...path,
      write: (records) => this.internal.write(records),
      written: () => path.writer.written(),
    });
    this.#completions = new Completions({
      ...path,
      store,
      internal: this.internal,
      numbers: { place: () => path.writer.nextSeq(), record: () => path.writer.nextSeq() },
      recording: this.#decider.recording,
      inTurn: (roomId, work) => this.#inTurn(roomId, work),
      now: parts.now,
    });
  }

  /** A core on an open store; takes up what waited in the horizon. */
  static async open(parts: CoreParts): Promise<Core> {
    const core = new Core(parts);
    await core.horizon.load(parts.store);
    for (const { position, roomId } of core.horizon.settle((id) => core.known.get(id)))
      core.#callBack(roomId, position);
    return core;
  }

  /** Final verdicts given since the core was opened; `waiting` is how many wait in the horizon now. */
  counts(): VerdictCounts {
    return { ...this.#decider.counts, waiting: this.horizon.size };
  }

  /** What waits now. Costs the number of lanes. */
  depths(): QueueDepths {
    let arrivals = 0;
    for (const lane of this.#lanes.values()) arrivals += lane.waiting;
    return {
      lanes: this.#lanes.size,
      arrivals,
      decisions: this.writer.pending,
      horizon: this.horizon.size,
    };
  }

  /**
   * Takes one event and says what became of it, after that is durable. Never rejects for what an event holds.
   * @param alongside records that land with the event. It is stored when it is accepted then, else not at all:
   *   the verdict is `dropped`, and nothing waits that could leave its records behind.
   * @throws CORE_CLOSED; STORE_WRITE_FAILED when its commit group could not be written
   */
  async receive(incoming: Incoming, alongside?: readonly InternalRecord[]): Promise<Verdict> {
    await this.release.caughtUp();
    return this.#inside(incoming.bytes.length, () => this.#receive(incoming, alongside));
  }

  /**
   * Builds a local event when its turn comes, and commits it if the rules allow. Nothing is stored when they
   * do not: the verdict is `dropped`, with the rule and the reason.
   * @throws what `build` throws; CORE_CLOSED; STORE_WRITE_FAILED
   */
  async create(roomId: RoomId | undefined, build: BuildLocal): Promise<Verdict> {
    return this.#inside(
      0,
      () =>
        new Promise<Verdict>((resolve, reject) => {
          this.#lane(roomId ?? '').add({ kind: 'local', build, settle: { resolve, reject } }, reject);
        }),
    );
  }

  /**
   * Takes the answer to send_join: stores state and auth chain as outliers, drops what is bad and names it, then
   * places the join on that state and makes it the room's only forward extremity.
   * @throws CORE_JOIN_REFUSED when the join, what it rests on, or the answer as a whole is bad: nobody sees the
   *   room then, and it can be tried again; CORE_CLOSED; STORE_WRITE_FAILED
   */
  async receiveJoin(answer: JoinAnswer): Promise<JoinOutcome> {
    return this.#verifying((parts) => takeJoin(parts, answer));
  }

  /**
   * Stores many outliers of a room at once, those that are good and cite nothing unknown.
   * @returns the events of the batch that are known now, the rejected ones among them
   * @throws CORE_JOIN_REFUSED when they are too many; CORE_CLOSED; STORE_WRITE_FAILED
   */
  async receiveOutliers(batch: OutlierBatch): Promise<ReadonlySet<EventId>> {
    return this.#verifying((parts) => takeOutliers(parts, batch));
  }

  async #verifying<Result>(work: (parts: JoinParts) => Promise<Result>): Promise<Result> {
    this.#checkOpen();
    try {
      return await work({
        known: this.known,
        rooms: this.rooms,
        verifier: this.#verifier,
        decider: this.#decider,
        now: this.#now,
        inTurn: (roomId, turn) => this.#inTurn(roomId, turn),
      });
    } catch (error) {
      // The verifier's threads end under what is being verified.
      this.#checkOpen();
      throw error;
    }
  }

  /**
   * Takes a batch of history, which is shown before all that the room has; see `history.ts`. Never rejects for
   * what an event holds.
   * @returns the verdicts in the order of `events`
   * @throws CORE_CLOSED; STORE_WRITE_FAILED
   */
  async receiveHistory(events: readonly Uint8Array[], batch: HistoryBatch): Promise<readonly Verdict[]> {
    await this.release.caughtUp();
    const bytes = events.reduce((sum, { length }) => sum + length, 0);
    return this.#inside(Math.min(bytes, IN_FLIGHT_BYTES_MAX / 2), () => this.#receiveHistory(events, batch));
  }

  /**
   * Completes the state before an event, which was known to be incomplete: all that rests on it is judged again, and
   * the room is as if the whole state had been given at once.
   * @param ids all of the state, by ids of known events
   * @throws CORE_STATE_INCOMPLETE, naming some that are not known; CORE_STATE_REFUSED when it cannot be the state
   *   there; ROOM_RESOLUTION_TOO_LARGE: then all is as it was; CORE_CLOSED; STORE_WRITE_FAILED
   */
  async completeState(eventId: EventId, ids: Iterable<EventId>): Promise<CompletionOutcome> {
    this.#checkOpen();
    return this.#completions.complete(eventId, ids);
  }

  async #receiveHistory(events: readonly Uint8Array[], batch: HistoryBatch): Promise<readonly Verdict[]> {
    const { roomId, givenStates, partialStates, ...rest } = batch;
    const receivedAt = this.#now();
    const checked = await Promise.all(
      events.map(async (bytes): Promise<VerifiedEvent | Verdict> => {
        const incoming: Incoming = { bytes, ...rest, backfilled: true };
        const result = await this.#check(incoming);
        if ('code' in result) return this.#decider.refuse(result);
        const { eventId } = result.pdu;
        if (result.pdu.roomId !== roomId) {
          const { OTHER_ROOM: reason } = VERDICT_CODES;
          return this.#decider.refuse({ code: 'OTHER_ROOM', reason, eventId, roomId });
        }
        const state = {
          givenState: givenStates?.get(eventId),
          isPartial: partialStates?.has(eventId) === true,
        };
        return verifiedEvent({ ...incoming, ...state }, result, receivedAt);
      }),
    );
    const sorted = oldestFirst(checked.flatMap((event) => ('pdu' in event ? event : [])));
    const decided = await this.#inTurn<readonly Verdict[]>(roomId, (settle) => {
      this.#decider.decideHistory(sorted, settle);
    });
    const verdicts = new Map(sorted.map(({ pdu }, i) => [pdu.eventId, decided[i]]));
    return checked.flatMap((event) => ('pdu' in event ? (verdicts.get(event.pdu.eventId) ?? []) : event));
  }

  /** Form, hash and signatures of an event, whatever room it is of. */
  async #check(incoming: Incoming): Promise<CheckedPdu | Refusal> {
    const addressed = address(incoming, (roomId) => this.rooms.rulesOf(roomId));
    if ('code' in addressed) return addressed;
    const { json, rules } = addressed;
    return this.#verifier.verify({ bytes: incoming.bytes, json, rules });
  }

  /** Resolves when every lane is empty and everything decided is on disk. */
  async idle(): Promise<void> {
    while (this.#lanes.size > 0) await Promise.all([...this.#lanes.values()].map((lane) => lane.done()));
    await this.writer.idle();
    if (this.#lanes.size > 0) await this.idle();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Takes nothing more, finishes what is under way, ends the verifier's threads. The store stays open. */
  async close(): Promise<void> {
    this.#isClosed = true;
    try {
      await this.idle();
    } finally {
      this.release.close();
      await this.#verifier.close();
    }
  }

  async #inside<Result>(bytes: number, work: () => Promise<Result>): Promise<Result> {
    const cost = bytes + IN_FLIGHT_OVERHEAD_BYTES;
    await this.#gate.enter(cost);
    try {
      this.#checkOpen();
      return await work();
    } finally {
      this.#gate.leave(cost);
    }
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new CoreClosedError('the engine is closed');
    if (this.writer.failure !== undefined) throw this.writer.failure;
  }

  /** Does work when its turn in the room's lane has come. */
  async #inTurn<Result>(roomId: RoomId, work: (settle: Settle<Result>) => void): Promise<Result> {
    await this.release.caughtUp();
    this.#checkOpen();
    return new Promise<Result>((resolve, reject) => {
      this.#lane(roomId).add({ kind: 'turn', work: () => work({ resolve, reject }) }, reject);
    });
  }

  #receive(incoming: Incoming, alongside?: readonly InternalRecord[]): Promise<Verdict> {
    const addressed = address(incoming, (roomId) => this.rooms.rulesOf(roomId));
    if ('code' in addressed) return Promise.resolve(this.#decider.refuse(addressed));
    const { json, rules, roomId } = addressed;

    const name = flightName(json, incoming);
    // What lands with an event lands by its own evaluation, or not.
    const twin = alongside === undefined ? this.#inFlight.get(name) : undefined;
    if (twin !== undefined && equalBytes(twin.bytes, incoming.bytes)) return this.#shared(twin.verdict);

    const verdict = new Promise<Verdict>((resolve, reject) => {
      const arrive = (checked: CheckedPdu | Refusal): Arrival => ({
        kind: 'checked',
        incoming,
        checked,
        alongside,
        settle: { resolve, reject },
      });
      const start = performance.now();
      const evaluated = (checked: CheckedPdu | Refusal): Arrival => {
        this.#observer?.phase('evaluate', performance.now() - start);
        return arrive(checked);
      };
      const checking = this.#verifier.verify({ bytes: incoming.bytes, json, rules });
      const arrival = checking instanceof Promise ? checking.then(evaluated) : evaluated(checking);
      this.#lane(roomId ?? '').add(arrival, reject);
    });
    if (alongside !== undefined) return verdict;
    this.#inFlight.set(name, { bytes: incoming.bytes, verdict });
    const landed = (): void => void this.#inFlight.delete(name);
    verdict.then(landed, landed);
    return verdict;
  }

  /** The same bytes arrived while the first were on their way: they share its evaluation. */
  async #shared(first: Promise<Verdict>): Promise<Verdict> {
    const verdict = await first;
    const { verdict: known } = verdict;
    if (known !== 'accepted' && known !== 'soft_failed' && known !== 'rejected') return verdict;
    this.#decider.counts.duplicate++;
    return { ...verdict, verdict: 'duplicate', code: 'DUPLICATE', reason: VERDICT_CODES.DUPLICATE, known };
  }

  #lane(name: string): Lane<Arrival> {
    const existing = this.#lanes.get(name);
    if (existing !== undefined) return existing;
    const lane: Lane<Arrival> = new Lane<Arrival>({
      take: (arrival) => this.#take(arrival),
      ready: (arrival) => this.#ready(arrival),
      idle: () => void this.#lanes.delete(name),
    });
    this.#lanes.set(name, lane);
    return lane;
  }

  /** Lanes wait while the writer is behind; and work on the whole room finds the events of it whole. */
  #ready({ kind }: Arrival): Promise<unknown> | undefined {
    if (this.writer.pending >= UNWRITTEN_MAX) return this.writer.taken();
    return kind === 'turn' ? this.writer.signing() : undefined;
  }

  /** An arrival's turn has come. */
  #take(arrival: Arrival): void {
    if (arrival.kind === 'ready') {
      observed(this.#observer, 'judge', () => this.#decider.decideReady(arrival.position));
      return;
    }
    if (arrival.kind === 'turn') {
      observed(this.#observer, 'judge', arrival.work);
      return;
    }
    if (arrival.kind === 'local') {
      this.#takeLocal(observed(this.#observer, 'evaluate', arrival.build), arrival.settle);
      return;
    }
    const { incoming, checked, alongside, settle } = arrival;
    if ('code' in checked) {
      settle.resolve(this.#decider.refuse(checked));
      return;
    }
    const event = verifiedEvent(incoming, checked, this.#now());
    if (alongside === undefined) {
      observed(this.#observer, 'judge', () => this.#decider.decide(event, settle));
    } else if (observed(this.#observer, 'judge', () => this.#decider.decideWhole(event, settle))) {
      this.#writeAlongside(alongside);
    }
  }

  #takeLocal({ pdu, bytes, signed, transaction }: LocalEvent, settle: Settle): void {
    const event = {
      pdu,
      bytes,
      isRedacted: false,
      receivedFrom: '',
      receivedAt: this.#now(),
      asOutlier: false,
      givenState: undefined,
      signed,
      transaction,
    };
    observed(this.#observer, 'judge', () => this.#decider.decideLocal(event, settle));
  }

  /** What is submitted in one turn goes into one commit group: the event and its records land together. */
  #writeAlongside(records: readonly InternalRecord[]): void {
    // When this group cannot be written, the event's caller is told; one telling is enough.
    this.internal.write(records).catch(() => undefined);
  }

  #callBack(roomId: RoomId, position: number): void {
    this.#lane(roomId).add({ kind: 'ready', position }, (error) => {
      this.#failure ??= toError(error);
    });
  }
}

/** Tells of records of incomplete states, and of rooms whose state may be whole now. */
function notePartial(partial: PartialStates, events: readonly GroupEvent[]): void {
  for (const { row, seq, stateKey } of events) {
    if (row.roomId === PARTIAL_ROOM && stateKey !== undefined) {
      partial.noted(stateKey as EventId, parseInternalEvent(row.bytes).content, seq);
    } else partial.roomMoved(row.roomId);
  }
}

function verifiedEvent(incoming: Incoming, checked: CheckedPdu, receivedAt: number): VerifiedEvent {
  const { bytes, from, asOutlier, givenState, backfilled, rewrites, isPartial } = incoming;
  return {
    pdu: checked.pdu,
    bytes,
    isRedacted: checked.isRedacted,
    receivedFrom: from,
    receivedAt,
    asOutlier: asOutlier ?? false,
    givenState,
    backfilled: backfilled ?? false,
    rewrites: rewrites === true && givenState !== undefined,
    isPartial: isPartial === true && givenState !== undefined,
  };
}

/** What twins in flight share: the content hash as claimed, and how they were given. Whether they are twins their bytes decide. */
function flightName(json: JsonObject, { asOutlier, givenState, backfilled }: Incoming): string {
  const hashes = own(json, 'hashes');
  const sha256 = isObject(hashes) ? own(hashes, 'sha256') : undefined;
  const kind = `${asOutlier === true} ${givenState !== undefined} ${backfilled === true}`;
  return `${kind} ${typeof sha256 === 'string' ? sha256 : ''}`;
}
