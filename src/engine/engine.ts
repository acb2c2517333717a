// The engine: the one face that everything above uses. It wires store, tree, core and readers together.

import type { EventId, RoomId, ServerName, UserId } from '../event/ids.js';
import type { BuiltEvent } from '../event/build.js';
import { serverOf } from '../event/ids.js';
import { isObject, type JsonObject, own } from '../event/json.js';
import type { Pdu } from '../event/pdu.js';
import { type RoomVersionRules, rulesOf } from '../event/rules.js';
import { cosignEvent, signEvent, type SigningKey } from '../event/signing.js';
import type { PublicKeys } from '../event/verify.js';
import { Core } from '../core/core.js';
import type { CompletionOutcome } from '../core/completions.js';
import type { HistoryBatch } from '../core/history.js';
import type { InternalRecord, InternalRooms } from '../core/internal.js';
import type { JoinAnswer, JoinOutcome } from '../core/join.js';
import { bytesOfPdu, type PduInput } from '../core/join-answer.js';
import type { OutlierBatch } from '../core/outliers.js';
import type { CoreObserver } from '../core/observer.js';
import type { Verdict, VerdictCounts } from '../core/outcome.js';
import type { PartialStates } from '../core/partial-states.js';
import type { ReleasedGroup, ReleaseOptions } from '../core/release.js';
import { DurableQueue } from '../core/queues.js';
import { createVerifier } from '../core/verifier.js';
import type { Answer, AnswerOf } from '../reader/answer.js';
import { ReaderPool } from '../reader/pool.js';
import type { Query } from '../reader/query.js';
import { blame, type BlameEntry } from '../reader/explain/blame.js';
import { why, type Why, type WhyOptions } from '../reader/explain/why.js';
import { Reader, type Side } from '../reader/reader.js';
import { InPlaceRunner, type Outcome, type QueryRunner, type RunOptions } from '../reader/runner.js';
import type { StateView } from '../reader/state-view.js';
import type { HorizonLimits, WaitingEvent } from '../room/graph/horizon.js';
import type { TraceRecord } from '../room/graph/state-resolver.js';
import { positionOf } from '../room/state/key.js';
import type { StateChange } from '../room/resolution/contract.js';
import type { ClientTransaction } from '../store/records.js';
import { Store } from '../store/store.js';
import { NodeCache } from '../tree/cache.js';
import { StateTree } from '../tree/tree.js';
import { buildLocalEvent, type DraftEvent, draftEvent, type LocalTemplate } from './local-events.js';
import { ForbiddenError, NotLocalError } from './errors.js';
import { GraphView } from './graph-view.js';

/** How to open an engine. */
export interface EngineOptions {
  /** Data folder, made when it is not there. Without one everything is in memory and gone with the process. */
  readonly path?: string;
  /** Fail instead of making the data folder. */
  readonly mustExist?: boolean;
  /** This server's name, for events that it sends. */
  readonly serverName?: string;
  /** This server's signing key, for events that it sends. */
  readonly signingKey?: SigningKey;
  /** Public keys of other servers. Without, no signatures are verified: only for input that is trusted. */
  readonly keys?: PublicKeys;
  /** Threads that verify; 0 (default) verifies in place. */
  readonly verifierThreads?: number;
  /** Threads that answer `query`; 0 (default), and always for a store in memory, answers in place. */
  readonly readerThreads?: number;
  /** `sync` (default): on disk before it is acknowledged. `os`: in the operating system's hands. */
  readonly durability?: 'sync' | 'os';
  /** Bytes of tree nodes kept in memory, here and again by each reader thread. */
  readonly nodeCacheBytes?: number;
  readonly horizon?: HorizonLimits;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** The state-reset alarm. */
  readonly onStateReset?: (traceId: string, record: TraceRecord) => void;
  /** What became of an event that was answered `waiting` before. */
  readonly onLateVerdict?: (verdict: Verdict) => void;
  /** Who is told how long things take. */
  readonly observer?: CoreObserver;
}

/** What is said of an incoming event beside its bytes. */
export interface ReceiveOptions {
  /** Who gave it: a server name, or a word for a file. */
  readonly from?: string;
  /** The room's version, where its create event is not known yet. */
  readonly roomVersion?: string;
  /** Store it without a place in the graph. */
  readonly asOutlier?: boolean;
  /** The state before it, by ids of known events, where its history is missing. */
  readonly givenState?: readonly EventId[];
  /**
   * It belongs to history that is fetched later: it goes before all that the room's timeline has, and changes
   * nothing of what the room is now. For several at once see `receiveHistory`.
   */
  readonly backfilled?: boolean;
  /** With a given state: nothing was seen of the room for a while; it becomes the only forward extremity. */
  readonly rewrites?: boolean;
  /** The given state is known to be incomplete. */
  readonly isPartial?: boolean;
  /**
   * Records in internal rooms that land with the event. It is stored when it is accepted then, else not at all:
   * `dropped`, where it would otherwise be rejected, soft failed or waiting.
   */
  readonly alongside?: readonly InternalRecord[];
}

/** What is stored with an event that is sent. */
export interface SendOptions {
  /** The request of a client that asks for it; see `eventOfTransaction`. */
  readonly transaction?: ClientTransaction;
}

const NODE_CACHE_BYTES = 32 * 1024 * 1024;

/**
 * Opens an engine on a data folder, or in memory.
 * @throws STORE_LOCKED when another process holds the folder, STORE_SCHEMA_UNKNOWN, STORE_MISSING,
 *   STORE_NOT_OURS, STORE_OPEN_FAILED, STORE_WORK_UNFINISHED after an interrupted rebuild or purge
 */
export async function openEngine(options: EngineOptions = {}): Promise<Engine> {
  const location =
    options.path === undefined
      ? ({ kind: 'memory' } as const)
      : ({ kind: 'folder', path: options.path, create: options.mustExist !== true } as const);
  const store = await Store.open(location, { durability: options.durability ?? 'sync' });
  return openEngineOn(store, options);
}

/**
 * Opens an engine on a store that is open already; closing the engine closes it.
 * @param options `path`, `mustExist` and `durability` are the store's and not looked at
 */
export async function openEngineOn(store: Store, options: EngineOptions = {}): Promise<Engine> {
  const tree = new StateTree(store, new NodeCache(options.nodeCacheBytes ?? NODE_CACHE_BYTES), positionOf);
  const core = await Core.open({
    store,
    tree,
    verifier: createVerifier({ keys: options.keys, threads: options.verifierThreads ?? 0 }),
    now: options.now ?? Date.now,
    ...(options.horizon === undefined ? {} : { horizon: options.horizon }),
    ...(options.onStateReset === undefined ? {} : { onStateReset: options.onStateReset }),
    ...(options.onLateVerdict === undefined ? {} : { onLateVerdict: options.onLateVerdict }),
    ...(options.observer === undefined ? {} : { observer: options.observer }),
  });
  const reader = new Reader(store, tree, core.known);
  try {
    return new Engine(store, core, reader, await openRunner(reader, options), options);
  } catch (error) {
    await core.close();
    await store.close();
    throw error;
  }
}

async function openRunner(reader: Reader, options: EngineOptions): Promise<QueryRunner> {
  const { readerThreads: threads = 0, nodeCacheBytes } = options;
  const { path } = reader.store;
  if (threads === 0 || path === undefined) return new InPlaceRunner(reader);
  return ReaderPool.open({ path, threads, ...(nodeCacheBytes === undefined ? {} : { nodeCacheBytes }) });
}

export class Engine {
  /** Synchronous questions on committed data; see `Reader`. */
  readonly reader: Reader;
  /** What is known now, committed or about to be. */
  readonly graph: GraphView;
  /** The parts beneath, for tests, benchmarks and the command line's maintenance. */
  readonly core: Core;
  readonly store: Store;
  readonly #queries: QueryRunner;
  readonly #options: EngineOptions;

  /** Use `openEngine`. */
  constructor(store: Store, core: Core, reader: Reader, queries: QueryRunner, options: EngineOptions) {
    this.store = store;
    this.core = core;
    this.reader = reader;
    this.graph = new GraphView(core, store);
    this.#queries = queries;
    this.#options = options;
  }

  /**
   * Takes one PDU and says what became of it, once that is durable. Never rejects for what the PDU holds.
   * @param pdu federation format: bytes, text, or parsed JSON
   * @throws CORE_CLOSED, STORE_WRITE_FAILED
   */
  receive(pdu: PduInput, options: ReceiveOptions = {}): Promise<Verdict> {
    const { from = '', alongside, ...rest } = options;
    return this.core.receive({ bytes: bytesOfPdu(pdu), from, ...rest }, alongside);
  }

  /**
   * Takes the answer to send_join: the room is here, with the join as its only forward extremity, when this
   * resolves. A room that is known already goes on from the join.
   * @throws CORE_JOIN_REFUSED when the join, what it rests on, or the answer as a whole is bad; CORE_CLOSED,
   *   STORE_WRITE_FAILED
   */
  receiveJoin(answer: JoinAnswer): Promise<JoinOutcome> {
    return this.core.receiveJoin(answer);
  }

  /**
   * Stores many state events of a room at once without a place in it: those that are good, wanted and cite nothing
   * unknown. Cheaper than `receive` for each, by the batch for thousands.
   * @returns the events of the batch that are known now, the rejected ones among them
   * @throws CORE_JOIN_REFUSED when they are too many; CORE_CLOSED, STORE_WRITE_FAILED
   */
  receiveOutliers(batch: OutlierBatch): Promise<ReadonlySet<EventId>> {
    return this.core.receiveOutliers(batch);
  }

  /**
   * Takes a batch of history of one room, in any order: each event gets its place after those that it follows,
   * and the batch its places in the timeline before all that is there.
   * @returns the verdicts in the order given
   * @throws CORE_CLOSED, STORE_WRITE_FAILED
   */
  receiveHistory(pdus: readonly PduInput[], batch: HistoryBatch): Promise<readonly Verdict[]> {
    return this.core.receiveHistory(pdus.map(bytesOfPdu), batch);
  }

  /**
   * Completes the state before an event that was stored with `isPartial`: all that rests on it is judged again, and
   * roots and verdicts are swapped in one commit group.
   * @param state all of it, by ids of known events; rejected ones count as left out
   * @throws CORE_STATE_INCOMPLETE when some are not known, CORE_STATE_REFUSED when it does not allow the event or
   *   cannot be a state of the room, ROOM_RESOLUTION_TOO_LARGE: then all is as it was; CORE_CLOSED, STORE_WRITE_FAILED
   */
  completeState(eventId: string, state: Iterable<EventId>): Promise<CompletionOutcome> {
    return this.core.completeState(eventId as EventId, state);
  }

  /** Which states are known to be incomplete, and whom to wait for. */
  get partial(): PartialStates {
    return this.core.partial;
  }

  /** Events that wait for others, oldest first. */
  waiting(): Iterable<WaitingEvent> {
    return this.core.horizon.waiting();
  }

  /** Accepted events that no accepted event follows. @throws READER_ROOM_UNKNOWN */
  forwardExtremities(roomId: string): readonly EventId[] {
    return this.reader.room(roomId).forwardExtremities;
  }

  /**
   * Where history is missing: events without a place that events with one follow. What `/backfill` is asked for.
   * @throws READER_ROOM_UNKNOWN
   */
  backwardExtremities(roomId: string): readonly EventId[] {
    return this.reader.room(roomId).backwardExtremities;
  }

  /**
   * An event of any server's user on the room's current state and forward extremities, for that server to hash and
   * sign, and whether the current state allows it.
   * @throws READER_ROOM_UNKNOWN; what `buildEvent` throws for a malformed template
   */
  draft(roomId: string, template: LocalTemplate): DraftEvent {
    return draftEvent(this.core, roomId as RoomId, template, this.#now());
  }

  /**
   * The event with this server's signature added, and with its content hash where it has none.
   * @throws ENGINE_NOT_LOCAL without server name and key; ENGINE_FORBIDDEN for an unknown room version;
   *   EVENT_NOT_CANONICAL
   */
  sign(event: JsonObject, roomVersion: string): JsonObject {
    const { serverName, key } = this.#signer();
    const rules = knownRules(roomVersion);
    const sign = isObject(own(event, 'hashes')) ? cosignEvent : signEvent;
    return sign(event, rules, serverName, key);
  }

  /**
   * Builds, signs and commits an event of this server on the room's current state and forward extremities.
   * @throws ENGINE_FORBIDDEN with rule and reason; ENGINE_NOT_LOCAL without server name and key, or for a sender
   *   of another server; READER_ROOM_UNKNOWN; CORE_CLOSED; STORE_WRITE_FAILED
   */
  async send(roomId: string, template: LocalTemplate, options: SendOptions = {}): Promise<Pdu> {
    const { serverName, key } = this.#identity(template.sender);
    return this.#create(
      roomId as RoomId,
      () => buildLocalEvent(this.core, roomId as RoomId, template, { serverName, key, now: this.#now() }),
      options.transaction,
    );
  }

  /** The event that a client's request made, when it is on disk. @param key as it was sent with, 16 bytes */
  eventOfTransaction(key: Uint8Array): EventId | undefined {
    return this.store.eventOfTransaction(key);
  }

  /** This server's own records in internal rooms: written in groups, readable at once. */
  get internal(): InternalRooms {
    return this.core.internal;
  }

  /** A durable queue of that name; two objects of one name are the same queue. */
  queue<T>(name: string): DurableQueue<T> {
    return new DurableQueue<T>(name, this.store, this.core.writer);
  }

  /**
   * Creates a room with its create event; membership and the rest are sent after it.
   * @returns the create event; its `roomId` names the room
   * @throws as `send`
   */
  async createRoom(
    sender: string,
    options: { readonly roomVersion?: string; readonly content?: JsonObject } = {},
  ): Promise<Pdu> {
    const { serverName, key } = this.#identity(sender);
    const rules = knownRules(options.roomVersion ?? '12');
    const content = { ...options.content, room_version: rules.version };
    return this.#create(undefined, () =>
      buildLocalEvent(
        this.core,
        undefined,
        { type: 'm.room.create', sender, stateKey: '', content },
        { serverName, key, now: this.#now(), rules },
      ),
    );
  }

  async #create(
    roomId: RoomId | undefined,
    build: () => BuiltEvent,
    transaction?: ClientTransaction,
  ): Promise<Pdu> {
    let built: Pdu | undefined;
    const verdict = await this.core.create(roomId, () => {
      const local = build();
      built = local.pdu;
      return { ...local, transaction };
    });
    if (verdict.verdict === 'accepted' && built !== undefined) return built;
    const rule = verdict.rule === undefined ? '' : ` (rule ${verdict.rule})`;
    throw new ForbiddenError(`${verdict.reason}${rule}`, {
      code: verdict.code,
      rule: verdict.rule,
      room_id: roomId,
    });
  }

  #identity(sender: string): { readonly serverName: ServerName; readonly key: SigningKey } {
    const signer = this.#signer();
    if (serverOf(sender as UserId) !== signer.serverName) {
      throw new NotLocalError(`${sender} is not a user of ${signer.serverName}`, { sender });
    }
    return signer;
  }

  #signer(): { readonly serverName: ServerName; readonly key: SigningKey } {
    const { serverName, signingKey } = this.#options;
    if (serverName === undefined || signingKey === undefined) {
      throw new NotLocalError('this engine was opened without a server name and a signing key');
    }
    return { serverName: serverName as ServerName, key: signingKey };
  }

  #now(): number {
    return (this.#options.now ?? Date.now)();
  }

  /** The state around an event. @throws READER_EVENT_UNKNOWN, READER_NO_STATE */
  stateAt(eventId: string, side: Side = 'after'): StateView {
    return this.reader.stateAt(eventId, side);
  }

  /** A room's current state. @throws READER_ROOM_UNKNOWN */
  currentState(roomId: string): StateView {
    return this.reader.currentState(roomId);
  }

  /** What differs between two states, each named by event, room or root. O(k log n) node reads. */
  async diff(before: string, after: string): Promise<StateChange[]> {
    const from = await this.reader.state(before);
    return [...from.diff(await this.reader.state(after))];
  }

  /**
   * Answers a query, or many with an outcome each: in the reader threads where there are some, else in place.
   * No answer is older than what is committed when it is asked. For long lists, exports and questions by the
   * hundred; a single point read is cheaper by `stateAt` and `currentState`.
   * @throws READER_QUERY_INVALID, READER_TARGET_INVALID, READER_EVENT_UNKNOWN, READER_ROOM_UNKNOWN,
   *   READER_ROOT_UNKNOWN, READER_NO_STATE, READER_TIMEOUT, READER_ABORTED, READER_BUSY, READER_CLOSED,
   *   READER_FAILED
   */
  query<Q extends Query>(query: Q, options?: RunOptions): Promise<AnswerOf<Q>>;
  query<Q extends Query>(queries: readonly Q[], options?: RunOptions): Promise<Outcome<AnswerOf<Q>>[]>;
  query(asked: Query | readonly Query[], options?: RunOptions): Promise<Answer | Outcome[]> {
    return this.#queries.run(asked, { watermark: this.watermark, ...options });
  }

  /** Every check on receipt of an event done again, and what became of it. @throws READER_EVENT_UNKNOWN */
  why(eventId: string, options?: WhyOptions): Promise<Why> {
    return why(this.reader, eventId, options);
  }

  /** Where each entry of a room's state comes from, and what it beat. @throws READER_ROOM_UNKNOWN */
  blame(roomId: string, type?: string, stateKey?: string): Promise<BlameEntry[]> {
    return blame(this.reader, roomId, type, stateKey);
  }

  /** Everything up to this seq is committed. */
  get watermark(): number {
    return this.core.release.watermark;
  }

  /** Commit groups in order, from after a seq, resumable; see `Release`. */
  released(options: ReleaseOptions = {}): AsyncGenerator<ReleasedGroup> {
    return this.core.release.released(options);
  }

  /** Verdicts since the engine was opened; `waiting` is how many wait now. */
  verdicts(): VerdictCounts {
    return this.core.counts();
  }

  /** Finishes what is under way and closes the store. */
  async close(): Promise<void> {
    try {
      await this.core.close();
    } finally {
      await this.#queries.close();
      await this.store.close();
    }
  }
}

function knownRules(roomVersion: string): RoomVersionRules {
  const rules = rulesOf(roomVersion);
  if (rules === undefined) throw new ForbiddenError(`there is no room version ${roomVersion}`);
  return rules;
}
