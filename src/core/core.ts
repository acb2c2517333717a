// The core: one incoming event in, one verdict out, after its commit.
//
//   receive ─ address ─ verify (threads) ─┐ lane of the room ┌─ judge ─ decide ─┐ writer ┌─ commit ─ release
//   receive ─ address ─ verify ───────────┘  (order kept)    └──── horizon ◄────┘ (group)└─ settle: the verdict
//
// Everything between leaving the lane and entering the writer is one synchronous call, so it needs no locks.

import type { RoomId } from '../event/ids.js';
import { isObject, type JsonObject, own } from '../event/json.js';
import type { Pdu } from '../event/pdu.js';
import { equalBytes } from '../lib/bytes.js';
import { toError } from '../lib/errors.js';
import { Gate } from '../lib/gate.js';
import { Horizon, type HorizonLimits } from '../room/graph/horizon.js';
import type { KnownEvents } from '../room/graph/known-events.js';
import type { Rooms } from '../room/graph/rooms.js';
import type { StateResolver, TraceRecord } from '../room/graph/state-resolver.js';
import type { Store } from '../store/store.js';
import type { StateTree } from '../tree/tree.js';
import { address, type Incoming } from './conform.js';
import { type CommitPath, openCommitPath } from './commit-path.js';
import { Decider, type Settle } from './decider.js';
import { CoreClosedError } from './errors.js';
import { type InternalRecord, InternalRooms } from './internal.js';
import { Lane } from './lane.js';
import { VERDICT_CODES, type Verdict, type VerdictCounts } from './outcome.js';
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
}

/** Bytes of events between `receive` and their verdict, at most: beyond that callers wait. */
const IN_FLIGHT_BYTES_MAX = 32 * 1024 * 1024;
/** What an event in flight takes beside its bytes, about. */
const IN_FLIGHT_OVERHEAD_BYTES = 16 * 1024;
/** Decisions not yet on disk, at most: beyond that lanes wait. */
const UNWRITTEN_MAX = 1_024;

/** Makes a local event when its turn in the room's lane has come. */
export type BuildLocal = () => LocalEvent;

/** An event of this server, and records of its own that land with it or not at all. */
export interface LocalEvent {
  readonly pdu: Pdu;
  readonly bytes: Uint8Array;
  readonly alongside?: readonly InternalRecord[];
}

/** What comes along a lane. */
type Arrival =
  | {
      readonly kind: 'checked';
      readonly incoming: Incoming;
      readonly checked: CheckedPdu | Refusal;
      readonly settle: Settle;
    }
  | { readonly kind: 'local'; readonly build: BuildLocal; readonly settle: Settle }
  | { readonly kind: 'ready'; readonly position: number };

export class Core {
  readonly known: KnownEvents;
  readonly rooms: Rooms;
  readonly resolver: StateResolver;
  readonly horizon: Horizon;
  readonly writer: Writer;
  readonly release: Release;
  /** This server's own records. */
  readonly internal: InternalRooms;
  readonly #verifier: Verifier;
  readonly #now: () => number;
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
    this.release = new Release(store, store.counters().seq);
    this.horizon = new Horizon(parts.horizon);
    const path: CommitPath = openCommitPath(store, tree, {
      onCommit: (seq) => {
        if (path.writer.pending === 0) path.rooms.trim();
        this.release.advance(seq);
      },
      onStateReset: parts.onStateReset,
    });
    this.known = path.known;
    this.writer = path.writer;
    this.resolver = path.resolver;
    this.rooms = path.rooms;
    this.internal = new InternalRooms({ ...path, now: parts.now });
    this.#decider = new Decider({
      store,
      known: this.known,
      horizon: this.horizon,
      judge: path.judge,
      writer: this.writer,
      callBack: (roomId, position) => this.#callBack(roomId, position),
      onLateVerdict: parts.onLateVerdict ?? (() => undefined),
    });
  }

  /** A core on an open store; takes up what waited in the horizon. */
  static async open(parts: CoreParts): Promise<Core> {
    const core = new Core(parts);
    await core.horizon.load(parts.store);
    for (const { position, roomId } of core.horizon.settle((id) => core.known.has(id)))
      core.#callBack(roomId, position);
    return core;
  }

  /** Final verdicts given since the core was opened; `waiting` is how many wait in the horizon now. */
  counts(): VerdictCounts {
    return { ...this.#decider.counts, waiting: this.horizon.size };
  }

  /**
   * Takes one event and says what became of it, after that is durable. Never rejects for what an event holds.
   * @throws CORE_CLOSED; STORE_WRITE_FAILED when its commit group could not be written
   */
  async receive(incoming: Incoming): Promise<Verdict> {
    await this.release.caughtUp();
    return this.#inside(incoming.bytes.length, () => this.#receive(incoming));
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

  async #inside(bytes: number, work: () => Promise<Verdict>): Promise<Verdict> {
    const cost = bytes + IN_FLIGHT_OVERHEAD_BYTES;
    await this.#gate.enter(cost);
    try {
      if (this.#isClosed) throw new CoreClosedError('the engine is closed');
      if (this.writer.failure !== undefined) throw this.writer.failure;
      return await work();
    } finally {
      this.#gate.leave(cost);
    }
  }

  #receive(incoming: Incoming): Promise<Verdict> {
    const addressed = address(incoming, (roomId) => this.rooms.rulesOf(roomId));
    if ('code' in addressed) return Promise.resolve(this.#decider.refuse(addressed));
    const { json, rules, roomId } = addressed;

    const name = flightName(json);
    const twin = this.#inFlight.get(name);
    if (twin !== undefined && equalBytes(twin.bytes, incoming.bytes)) return this.#shared(twin.verdict);

    const verdict = new Promise<Verdict>((resolve, reject) => {
      const arrive = (checked: CheckedPdu | Refusal): Arrival => ({
        kind: 'checked',
        incoming,
        checked,
        settle: { resolve, reject },
      });
      const checking = this.#verifier.verify({ bytes: incoming.bytes, json, rules });
      const arrival = checking instanceof Promise ? checking.then(arrive) : arrive(checking);
      this.#lane(roomId ?? '').add(arrival, reject);
    });
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
      ready: () => (this.writer.pending < UNWRITTEN_MAX ? undefined : this.writer.taken()),
      idle: () => void this.#lanes.delete(name),
    });
    this.#lanes.set(name, lane);
    return lane;
  }

  /** An arrival's turn has come. */
  #take(arrival: Arrival): void {
    if (arrival.kind === 'ready') {
      this.#decider.decideReady(arrival.position);
      return;
    }
    if (arrival.kind === 'local') {
      this.#takeLocal(arrival.build(), arrival.settle);
      return;
    }
    const { incoming, checked, settle } = arrival;
    if ('code' in checked) {
      settle.resolve(this.#decider.refuse(checked));
      return;
    }
    const event = {
      pdu: checked.pdu,
      bytes: incoming.bytes,
      isRedacted: checked.isRedacted,
      receivedFrom: incoming.from,
      receivedAt: this.#now(),
      asOutlier: incoming.asOutlier ?? false,
      givenState: incoming.givenState,
    };
    this.#decider.decide(event, settle);
  }

  /** What is submitted in one turn goes into one commit group: the event and its records land together. */
  #takeLocal({ pdu, bytes, alongside = [] }: LocalEvent, settle: Settle): void {
    const event = {
      pdu,
      bytes,
      isRedacted: false,
      receivedFrom: '',
      receivedAt: this.#now(),
      asOutlier: false,
      givenState: undefined,
    };
    if (!this.#decider.decideLocal(event, settle)) return;
    // When this group cannot be written, the event's caller is told; one telling is enough.
    this.internal.write(alongside).catch(() => undefined);
  }

  #callBack(roomId: RoomId, position: number): void {
    this.#lane(roomId).add({ kind: 'ready', position }, (error) => {
      this.#failure ??= toError(error);
    });
  }
}

/** What twins in flight share: the content hash as claimed. Whether they are twins their bytes decide. */
function flightName(json: JsonObject): string {
  const hashes = own(json, 'hashes');
  const sha256 = isObject(hashes) ? own(hashes, 'sha256') : undefined;
  return typeof sha256 === 'string' ? sha256 : '';
}
