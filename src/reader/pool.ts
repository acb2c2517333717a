// Reader threads: queries go to whichever is free, by the message, and never block the main thread.
//
//   run() ──> queue ──> one message in flight per thread ──> outcomes
//
// The queue is ours, not piscina's: queries that wait are sent together (64 messages of one query cost many
// times one message of 64), those whose caller gave up are not sent at all, and piscina's abort, which ends
// the thread, is never used. A thread in the middle of a long answer looks at the clock and at the flag that
// the pool is closing.

import type { Worker } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { StateroomError, toError } from '../lib/errors.js';
import { BusyError, FailedError } from './errors.js';
import { type Ask, outcomeOfReply, type Reply, type ThreadSettings } from './messages.js';
import type { Query } from './query.js';
import { aborted, closed, type Outcome, QueryRunner, type Terms, timedOut } from './runner.js';

export interface ReaderPoolOptions {
  /** `Store.path` of a store that this process has open, and closes only after the pool. */
  readonly path: string;
  readonly threads: number;
  /** Bytes of tree nodes that each thread keeps. */
  readonly nodeCacheBytes?: number;
  /** Queries that may wait for a thread. */
  readonly queueMax?: number;
}

/** Counters since the pool was opened, and what it does now. */
export interface ReaderPoolStats {
  readonly threads: number;
  /** Threads started: more than `threads` when some ended and were replaced. */
  readonly started: number;
  readonly queued: number;
  readonly messagesInFlight: number;
  readonly messages: number;
  readonly queries: number;
}

const NODE_CACHE_BYTES = 32 * 1024 * 1024;
const QUEUE_MAX = 10_000;
/** Queries in one message at most. */
const BATCH_MAX = 64;
/** Threads that have not noticed by then that the pool closes are ended where they stand. */
const CLOSE_GRACE_MS = 5_000;

export class ReaderPool extends QueryRunner {
  readonly #piscina: Piscina<readonly Ask[], Reply[]>;
  readonly #stop: Int32Array;
  readonly #threads: number;
  readonly #queueMax: number;
  /** Threads that have not ended, and when they will have. */
  readonly #exits = new Map<Worker, Promise<void>>();
  #started = 0;
  #queue: Waiting[] = [];
  #inFlight = new Set<Promise<void>>();
  #isScheduled = false;
  #closing: Promise<void> | undefined;
  #messages = 0;
  #queries = 0;

  private constructor({ path, threads, nodeCacheBytes, queueMax }: ReaderPoolOptions) {
    super();
    this.#threads = threads;
    this.#queueMax = queueMax ?? QUEUE_MAX;
    this.#stop = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
    const workerData: ThreadSettings = {
      path,
      nodeCacheBytes: nodeCacheBytes ?? NODE_CACHE_BYTES,
      stop: this.#stop,
    };
    this.#piscina = new Piscina({
      filename: new URL('./worker.js', import.meta.url).href,
      minThreads: threads,
      maxThreads: threads,
      atomics: 'disabled',
      workerData,
    });
    // A thread that ends fails the message it was at; piscina starts another, and there is nobody else to tell.
    this.#piscina.on('error', () => {});
    this.#piscina.on('workerCreate', () => this.#noteThreads());
    this.#noteThreads();
  }

  /**
   * Starts the threads and waits until each has opened the store.
   * @throws as `Store.open`; READER_FAILED when a thread does not start
   */
  static async open(options: ReaderPoolOptions): Promise<ReaderPool> {
    const pool = new ReaderPool(options);
    try {
      const greetings = await Promise.all(
        Array.from({ length: options.threads }, () => pool.#piscina.run([])),
      );
      for (const reply of greetings.flat()) {
        const outcome = outcomeOfReply(reply);
        if (!outcome.ok) throw outcome.error;
      }
    } catch (thrown) {
      await pool.close();
      throw thrown instanceof StateroomError ? thrown : threadFailed(thrown);
    }
    return pool;
  }

  get stats(): ReaderPoolStats {
    return {
      threads: this.#piscina.threads.length,
      started: this.#started,
      queued: this.#queue.length,
      messagesInFlight: this.#inFlight.size,
      messages: this.#messages,
      queries: this.#queries,
    };
  }

  protected async answerAll(queries: readonly Query[], terms: Terms): Promise<readonly Outcome[]> {
    if (this.#closing !== undefined) throw closed();
    if (queries.length === 0) return [];
    if (terms.signal?.aborted === true) return queries.map(() => ({ ok: false, error: aborted() }));
    if (this.#queue.length + queries.length > this.#queueMax) {
      throw new BusyError(`${this.#queue.length} queries wait, of ${this.#queueMax} that may`, {
        queued: this.#queue.length,
        queue_max: this.#queueMax,
      });
    }
    const request = new Request(queries, terms, () => this.#drop(request));
    for (let index = 0; index < queries.length; index++) this.#queue.push({ request, index });
    this.#schedule();
    return request.outcomes;
  }

  /** Queries of one turn go together. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.#dispatch();
    });
  }

  #dispatch(): void {
    for (let free = this.#threads - this.#inFlight.size; free > 0 && this.#queue.length > 0; free--) {
      const share = Math.min(BATCH_MAX, Math.ceil(this.#queue.length / free));
      const message = this.#send(this.#queue.splice(0, share));
      this.#inFlight.add(message);
      void message.finally(() => {
        this.#inFlight.delete(message);
        this.#dispatch();
      });
    }
  }

  async #send(waiting: readonly Waiting[]): Promise<void> {
    this.#messages++;
    this.#queries += waiting.length;
    try {
      const replies = await this.#piscina.run(waiting.map(({ request, index }) => request.ask(index)));
      waiting.forEach(({ request, index }, i) => {
        const reply = replies[i];
        request.settle(index, reply === undefined ? failedOutcome('no reply') : outcomeOfReply(reply));
      });
    } catch (thrown) {
      for (const { request, index } of waiting) request.settle(index, failedOutcome(thrown));
    }
  }

  /** A request that its caller gave up is not sent. */
  #drop(request: Request): void {
    this.#queue = this.#queue.filter((waiting) => waiting.request !== request);
  }

  /**
   * Ends all threads: queries that wait or are under way reject with READER_CLOSED. The store may be closed
   * once this resolves, and not before: a thread that still reads would read freed memory.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    Atomics.store(this.#stop, 0, 1);
    for (const { request } of this.#queue.splice(0)) request.giveUp(closed());
    let timer: NodeJS.Timeout | undefined;
    const grace = new Promise((resolve) => {
      timer = setTimeout(resolve, CLOSE_GRACE_MS);
    });
    await Promise.race([Promise.all(this.#inFlight), grace]);
    clearTimeout(timer);
    await this.#piscina.destroy();
    // Piscina forgets threads that failed while they may still be ending.
    await Promise.all(this.#exits.values());
  }

  #noteThreads(): void {
    for (const thread of this.#piscina.threads) {
      if (this.#exits.has(thread)) continue;
      this.#started++;
      const exit = new Promise<void>((resolve) => thread.once('exit', () => resolve()));
      this.#exits.set(thread, exit);
      void exit.then(() => this.#exits.delete(thread));
    }
  }
}

/** One query in the queue. */
interface Waiting {
  readonly request: Request;
  readonly index: number;
}

/** The queries of one call, until each has an outcome or the caller gives up. */
class Request {
  readonly outcomes: Promise<readonly Outcome[]>;
  readonly #queries: readonly Query[];
  readonly #terms: Terms;
  readonly #start = performance.now();
  readonly #settled: (Outcome | undefined)[];
  readonly #onGivenUp: () => void;
  readonly #timer: NodeJS.Timeout;
  readonly #onAbort = (): void => this.giveUp(aborted());
  #open: number;
  #resolve: (outcomes: readonly Outcome[]) => void = () => {};

  constructor(queries: readonly Query[], terms: Terms, onGivenUp: () => void) {
    this.#queries = queries;
    this.#terms = terms;
    this.#onGivenUp = onGivenUp;
    this.#open = queries.length;
    this.#settled = queries.map(() => undefined);
    this.outcomes = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.#timer = setTimeout(() => this.giveUp(timedOut(terms.timeoutMs)), terms.timeoutMs);
    terms.signal?.addEventListener('abort', this.#onAbort);
  }

  ask(index: number): Ask {
    const { watermark, timeoutMs } = this.#terms;
    const query = this.#queries[index] as Query;
    return { query, watermark, timeoutMs, elapsedMs: performance.now() - this.#start };
  }

  settle(index: number, outcome: Outcome): void {
    if (this.#settled[index] !== undefined) return;
    this.#settled[index] = outcome;
    if (--this.#open === 0) this.#finish();
  }

  /** Whatever has no outcome yet gets this error. */
  giveUp(error: StateroomError): void {
    if (this.#open === 0) return;
    for (const index of this.#settled.keys()) this.settle(index, { ok: false, error });
    this.#onGivenUp();
  }

  #finish(): void {
    clearTimeout(this.#timer);
    this.#terms.signal?.removeEventListener('abort', this.#onAbort);
    this.#resolve(this.#settled.flatMap((outcome) => outcome ?? []));
  }
}

function failedOutcome(thrown: unknown): Outcome {
  return { ok: false, error: threadFailed(thrown) };
}

function threadFailed(thrown: unknown): StateroomError {
  const error = toError(thrown);
  return new FailedError(`a reader thread failed: ${error.message}`, {}, error);
}
