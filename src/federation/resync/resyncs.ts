// Completes incomplete states in the background, whatever it takes: after a join without members, and after a
// restart or a crash, from the records that the engine keeps of them.
//
//   recorded ─▶ due ─▶ a round ─┬▶ completed
//                ▲               ├▶ given up: nobody of ours is in the room any more, or it was joined anew
//                └── a while ◀── ┴▶ nobody gave it: longer each time, at once when a server of the room is heard again
//
// A few at once, whoever is due longest first. There is no last round: a room stays as it is until somebody gives
// its state, and each round that fails is told.
//
// Source: MSC3902, "Resynchronisation".

import type { Accounts } from '../../account/accounts.js';
import type { CompletionOutcome } from '../../core/completions.js';
import type { PartialState } from '../../core/partial-states.js';
import type { EventId, RoomId, ServerName } from '../../event/ids.js';
import { StateroomError, toError } from '../../lib/errors.js';
import type { Destinations } from '../destinations.js';
import type { RoomServers } from '../outbound/room-servers.js';
import type { FederationParts } from '../parts.js';
import { isMoot, standingIn } from './need.js';
import { RESYNC_OPTIONS, type ResyncOptions } from './options.js';
import { Resync, type ResyncParts, type ResyncPhase } from './resync.js';

export interface ResyncsParts
  extends Omit<ResyncParts, 'options' | 'destinations' | 'roomServers'>,
    Pick<FederationParts, 'after'> {
  readonly accounts: Pick<Accounts, 'memberships'>;
  readonly destinations: Pick<Destinations, 'isBackingOff' | 'onRecovered'>;
  readonly roomServers: Pick<RoomServers, 'serversOf' | 'isIn' | 'subscribe'>;
  /** The current state of a room is all known. */
  readonly onCompleted: (roomId: RoomId) => Promise<void>;
  readonly resyncOptions?: Partial<ResyncOptions>;
}

/** How the completing of a state goes on. */
export interface ResyncProgress {
  readonly roomId: RoomId;
  /** The event before which the state is incomplete. */
  readonly eventId: EventId;
  readonly kind: PartialState['kind'];
  readonly state: ResyncPhase;
  /** Who is asked, or was asked last. */
  readonly server: ServerName | undefined;
  /** Events of the state and what it rests on, as that server says; 0 until one says so. */
  readonly needed: number;
  /** How many of them are here. */
  readonly known: number;
  /** Rounds so far. */
  readonly attempts: number;
  readonly lastError: string | undefined;
  /** When the next round begins, in milliseconds since 1970; undefined in a round. */
  readonly nextTryAt: number | undefined;
  readonly sinceTs: number;
}

interface Task {
  readonly resync: Resync;
  dueAt: number;
  /** When the last round ended. */
  endedAt: number;
  /** Ends the round under way. */
  abort: AbortController | undefined;
  /** Somebody asked for another round in this one. */
  isAsked: boolean;
  /** Rounds that failed one after the other while a merge had taken the joins of ours back. */
  roundsLost: number;
}

/** The engine itself is at its end: the record is taken up after a restart. */
const FATAL_CODES: ReadonlySet<string> = new Set(['CORE_CLOSED', 'STORE_WRITE_FAILED']);

/** Rounds that may fail while nobody of ours is in the room for all that the incomplete state says. */
const ROUNDS_LOST_MAX = 10;
/** Events whose verdict changed that are told of one by one. */
const REVISED_TOLD_MAX = 100;

export class Resyncs {
  readonly #parts: ResyncsParts;
  readonly #options: ResyncOptions;
  readonly #tasks = new Map<EventId, Task>();
  readonly #running = new Set<Promise<void>>();
  readonly #ending = new AbortController();
  readonly #stopListening: ReadonlyArray<() => void>;
  #cancelTimer: () => void = () => undefined;
  #roundsFailed = 0;
  #completed = 0;
  #fetchedBefore = 0;

  /** Takes up what is incomplete, and goes on until it is closed. */
  constructor(parts: ResyncsParts) {
    this.#parts = parts;
    this.#options = { ...RESYNC_OPTIONS, ...parts.resyncOptions };
    const { engine, roomServers, destinations, serverName } = parts;
    this.#stopListening = [
      engine.partial.subscribe((base) => this.#noted(base, this.#options.graceMs)),
      roomServers.subscribe({
        left: (roomId, server) => {
          if (server === serverName) this.#inBackground(this.#left(roomId));
        },
      }),
      destinations.onRecovered((server) => this.#recovered(server)),
    ];
    for (const base of engine.partial.incomplete()) this.#noted(base);
  }

  /** What is incomplete and being fetched, and what came of it since the start. */
  get stats(): {
    readonly rooms: number;
    readonly running: number;
    readonly roundsFailed: number;
    readonly completed: number;
    readonly eventsFetched: number;
    /** Since when the oldest state is incomplete, in milliseconds since 1970. */
    readonly oldestSinceTs: number | undefined;
  } {
    const tasks = [...this.#tasks.values()];
    const since = tasks.map(({ resync }) => resync.base.sinceTs);
    return {
      rooms: new Set(tasks.map(({ resync }) => resync.base.roomId)).size,
      running: tasks.filter(({ abort }) => abort !== undefined).length,
      roundsFailed: this.#roundsFailed,
      completed: this.#completed,
      eventsFetched: tasks.reduce((sum, { resync }) => sum + resync.fetched, this.#fetchedBefore),
      oldestSinceTs: since.length === 0 ? undefined : since.reduce((a, b) => Math.min(a, b)),
    };
  }

  /** Everything that is incomplete, the oldest first. */
  *all(): Generator<ResyncProgress> {
    for (const task of this.#tasks.values()) yield progressOf(task);
  }

  /** How the completing of a room's state goes on; undefined where it is whole, or nobody completes it. */
  progressOf(roomId: RoomId): ResyncProgress | undefined {
    const tasks = this.#tasksOf(roomId);
    const task = tasks.findLast(({ resync }) => resync.base.kind === 'join') ?? tasks[0];
    return task === undefined ? undefined : progressOf(task);
  }

  /** Begins the next round of a room now. @returns false where nothing of it is incomplete */
  retryNow(roomId: RoomId): boolean {
    const tasks = this.#tasksOf(roomId);
    for (const task of tasks) {
      task.isAsked = task.abort !== undefined;
      task.dueAt = Math.min(task.dueAt, this.#parts.now());
    }
    this.#pump();
    return tasks.length > 0;
  }

  /** Resolves when no round is under way. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  /** Ends what is under way; the records say what is to be done after the next start. */
  async close(): Promise<void> {
    this.#ending.abort();
    for (const stop of this.#stopListening) stop();
    this.#cancelTimer();
    for (const { abort } of this.#tasks.values()) abort?.abort();
    await this.idle();
  }

  #tasksOf(roomId: RoomId): Task[] {
    return [...this.#tasks.values()].filter(({ resync }) => resync.base.roomId === roomId);
  }

  /** A state begins to be incomplete, is whole, or is given up. */
  #noted(base: PartialState, graceMs = 0): void {
    const { engine, now } = this.#parts;
    const { eventId, kind } = base;
    if (base.completed !== undefined || engine.partial.get(eventId) === undefined) {
      this.#forget(eventId);
      return;
    }
    if (this.#tasks.has(eventId) || this.#ending.signal.aborted) return;
    // A room that is joined anew goes on from there: an older state of it is nobody's concern.
    for (const task of this.#tasksOf(base.roomId)) {
      if (!isOlderJoin(task.resync.base, base)) continue;
      task.dueAt = now();
      task.abort?.abort();
    }
    const resync = new Resync({ ...this.#parts, options: this.#options }, base);
    const dueAt = now() + (kind === 'join' ? graceMs : 0);
    this.#tasks.set(eventId, {
      resync,
      dueAt,
      endedAt: 0,
      abort: undefined,
      isAsked: false,
      roundsLost: 0,
    });
    // What is told of in a commit is not released yet.
    this.#inBackground(Promise.resolve().then(() => this.#pump()));
  }

  #forget(eventId: EventId): void {
    const task = this.#tasks.get(eventId);
    if (task === undefined) return;
    this.#tasks.delete(eventId);
    this.#fetchedBefore += task.resync.fetched;
    task.abort?.abort();
  }

  #inBackground(work: Promise<void>): void {
    const running: Promise<void> = work
      .catch((error: unknown) => {
        if (this.#ending.signal.aborted) return;
        this.#parts.log.warn(
          { err: toError(error) },
          'incomplete states are not completed as they should be',
        );
      })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Begins the rounds that are due, as many as may be under way, and sees to it that the next begins in time. */
  #pump(): void {
    this.#cancelTimer();
    if (this.#ending.signal.aborted) return;
    const { now, after } = this.#parts;
    const tasks = [...this.#tasks.values()];
    const busy = tasks.filter(({ abort }) => abort !== undefined);
    const rooms = new Set(busy.map(({ resync }) => resync.base.roomId));
    const waiting = tasks.filter(({ abort }) => abort === undefined).sort((a, b) => a.dueAt - b.dueAt);
    let free = this.#options.roomsAtOnce - busy.length;
    for (const task of waiting) {
      const { roomId } = task.resync.base;
      if (free <= 0 || rooms.has(roomId)) continue;
      if (task.dueAt > now()) {
        this.#cancelTimer = after(task.dueAt - now(), () => this.#pump());
        return;
      }
      free--;
      rooms.add(roomId);
      const abort = new AbortController();
      task.abort = abort;
      this.#inBackground(this.#round(task, abort.signal));
    }
  }

  async #round(task: Task, signal: AbortSignal): Promise<void> {
    const { resync } = task;
    try {
      if (await isMoot(this.#parts, resync.base)) return await this.#giveUp(resync.base);
      const outcome = await resync.round(signal);
      if (outcome !== undefined) await this.#done(resync, outcome);
      else if (!signal.aborted) await this.#failed(task);
    } catch (cause) {
      const error = toError(cause);
      if (error instanceof StateroomError && FATAL_CODES.has(error.code)) {
        this.#postpone(task);
        throw error;
      }
      resync.lastError = error.message;
      await this.#failed(task, error);
    } finally {
      task.abort = undefined;
      task.endedAt = this.#parts.now();
      // Whether it is needed any more is seen at once.
      if (signal.aborted) task.dueAt = task.endedAt;
      this.#pump();
    }
  }

  /** When the next round begins. */
  #postpone(task: Task): void {
    const { now, random } = this.#parts;
    const { retryMs, retryMsMax } = this.#options;
    const doublings = Math.min(30, Math.max(0, task.resync.attempts - 1));
    const waitMs = Math.min(retryMsMax, retryMs * 2 ** doublings) * (0.8 + 0.4 * random());
    task.dueAt = task.isAsked ? now() : Math.ceil(now() + waitMs);
    task.isAsked = false;
  }

  async #done({ base, attempts, fetched, server }: Resync, outcome: CompletionOutcome): Promise<void> {
    const { log, now, onCompleted } = this.#parts;
    const { roomId, eventId, kind, sinceTs } = base;
    this.#forget(eventId);
    this.#completed++;
    const { events, revised } = outcome;
    const cost = { attempts, fetched, events, revised: revised.length, ms: now() - sinceTs };
    log.info({ room: roomId, event: eventId, kind, server, ...cost }, 'the state of a room is whole');
    for (const { eventId: event, was, is } of revised.slice(0, REVISED_TOLD_MAX)) {
      log.info({ room: roomId, event, was, is }, 'an event is judged otherwise on the whole state');
    }
    if (kind === 'join') await onCompleted(roomId);
  }

  async #failed(task: Task, error?: Error): Promise<void> {
    const { log } = this.#parts;
    const { base, attempts, lastError } = task.resync;
    const { roomId, eventId, kind, sinceTs } = base;
    this.#roundsFailed++;
    this.#postpone(task);
    const how = { attempts, since: sinceTs, next_try: task.dueAt, reason: lastError };
    const err = error === undefined ? {} : { err: error };
    log.warn(
      { room: roomId, event: eventId, kind, ...how, ...err },
      'the state of a room could not be completed; it is tried again',
    );
    const standing = await standingIn(this.#parts, base);
    task.roundsLost = standing === 'lost' ? task.roundsLost + 1 : 0;
    // Somebody threw the last of us out, or a merge did, and nobody says that it does not count.
    const isOut = standing === 'thrown out' || standing === 'out';
    if (isOut || task.roundsLost >= ROUNDS_LOST_MAX) await this.#giveUp(base);
  }

  /** The last user of ours is out of a room. */
  async #left(roomId: RoomId): Promise<void> {
    for (const { resync } of this.#tasksOf(roomId)) {
      const standing = await standingIn(this.#parts, resync.base);
      if (standing === 'out') await this.#giveUp(resync.base);
      else if (standing === 'thrown out') this.retryNow(roomId);
    }
  }

  async #giveUp({ roomId, eventId }: PartialState): Promise<void> {
    const { engine, log } = this.#parts;
    log.info(
      { room: roomId, event: eventId },
      'the state of a room is not completed: nobody is in need of it',
    );
    this.#forget(eventId);
    await engine.partial.giveUp(eventId);
  }

  /** A server that failed is heard again: rooms that it may help with are tried soon. */
  #recovered(server: ServerName): void {
    const now = this.#parts.now();
    let isAny = false;
    for (const task of this.#tasks.values()) {
      if (task.abort !== undefined || task.dueAt <= now || !task.resync.isCandidate(server)) continue;
      // A server may come and go: no faster than this.
      task.dueAt = Math.min(task.dueAt, Math.max(now, task.endedAt + this.#options.retryMs));
      isAny = true;
    }
    if (isAny) this.#pump();
  }
}

function isOlderJoin(base: PartialState, { kind, eventSeq }: PartialState): boolean {
  return base.kind === 'join' && kind === 'join' && base.eventSeq < eventSeq;
}

function progressOf({ resync, dueAt, abort }: Task): ResyncProgress {
  const { base, phase, server, needed, known, attempts, lastError } = resync;
  const { roomId, eventId, kind, sinceTs } = base;
  const nextTryAt = abort === undefined ? dueAt : undefined;
  return {
    roomId,
    eventId,
    kind,
    state: phase,
    server,
    needed,
    known,
    attempts,
    lastError,
    nextTryAt,
    sinceTs,
  };
}
