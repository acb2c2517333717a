// Who is asked: the face that answering in place and the pool of reader threads have in common.
//
//   const { rows } = await runner.run({ kind: 'members', of: roomId, membership: 'join' });
//   const outcomes = await runner.run(eventIds.map((of) => ({ kind: 'get', of, type, stateKey: '' })));
//
// One query gives its answer or throws. Many give an outcome each, so that one unknown id spoils no other.

import { StateroomError, toError } from '../lib/errors.js';
import type { Store } from '../store/store.js';
import { type Answer, answer, type AnswerOf, type Checkpoint } from './answer.js';
import { AbortedError, BehindError, ClosedError, FailedError, TimeoutError } from './errors.js';
import { type Query, readQuery } from './query.js';
import type { Reader } from './reader.js';

export interface RunOptions {
  /** Seq of a commit that the caller has seen: no answer is older. */
  readonly watermark?: number;
  /** Milliseconds after which the caller hears READER_TIMEOUT and the work is dropped. */
  readonly timeoutMs?: number;
  /** Ends the wait with READER_ABORTED. */
  readonly signal?: AbortSignal;
}

/** What became of one of many queries. */
export type Outcome<A extends Answer = Answer> =
  | { readonly ok: true; readonly answer: A }
  | { readonly ok: false; readonly error: StateroomError };

/** Options with all that matters to whoever answers. */
export interface Terms {
  readonly watermark: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

const TIMEOUT_MS = 60_000;
/** The longest that a timer of Node can wait. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

export abstract class QueryRunner {
  /**
   * The answer to a query.
   * @throws READER_QUERY_INVALID, what `answer` throws, READER_TIMEOUT, READER_ABORTED, READER_BEHIND,
   *   READER_BUSY, READER_CLOSED, READER_FAILED
   */
  run<Q extends Query>(query: Q, options?: RunOptions): Promise<AnswerOf<Q>>;
  /**
   * An outcome for each query, in their order.
   * @throws READER_BUSY, READER_CLOSED
   */
  run<Q extends Query>(queries: readonly Q[], options?: RunOptions): Promise<Outcome<AnswerOf<Q>>[]>;
  run(asked: Query | readonly Query[], options?: RunOptions): Promise<Answer | Outcome[]>;
  async run(
    asked: Query | readonly Query[],
    { watermark = 0, timeoutMs = TIMEOUT_MS, signal }: RunOptions = {},
  ): Promise<Answer | Outcome[]> {
    const terms: Terms = { watermark, timeoutMs: Math.min(timeoutMs, TIMEOUT_MS_MAX), signal };
    if (isList(asked)) return this.#runMany(asked, terms);
    const [outcome] = await this.answerAll([readQuery(asked)], terms);
    if (outcome?.ok === true) return outcome.answer;
    throw outcome?.error ?? new FailedError('a query was left without an answer');
  }

  async #runMany(asked: readonly Query[], terms: Terms): Promise<Outcome[]> {
    const checked = asked.map(checkedQuery);
    const queries = checked.flatMap((query) => ('ok' in query ? [] : query));
    const outcomes = (await this.answerAll(queries, terms)).values();
    return checked.map((query) => ('ok' in query ? query : (outcomes.next().value ?? unanswered())));
  }

  /** No query is taken from now on. Resolves when nothing reads the store any more. */
  abstract close(): Promise<void>;

  /** An outcome for each of the queries, which are well-formed. @throws READER_BUSY, READER_CLOSED */
  protected abstract answerAll(queries: readonly Query[], terms: Terms): Promise<readonly Outcome[]>;
}

/** Answers on the caller's own thread: cheapest for point queries, and all there is for a store in memory. */
export class InPlaceRunner extends QueryRunner {
  readonly #reader: Reader;
  readonly #committed: CommittedSeq;
  readonly #underWay = new Set<Promise<unknown>>();
  #isClosed = false;

  constructor(reader: Reader) {
    super();
    this.#reader = reader;
    this.#committed = new CommittedSeq(reader.store);
  }

  protected async answerAll(queries: readonly Query[], terms: Terms): Promise<Outcome[]> {
    if (this.#isClosed) throw closed();
    const work = this.#answerEach(queries, terms);
    this.#underWay.add(work);
    try {
      return await work;
    } finally {
      this.#underWay.delete(work);
    }
  }

  async #answerEach(queries: readonly Query[], { watermark, timeoutMs, signal }: Terms): Promise<Outcome[]> {
    const checkpoint = checkpointOf(timeoutMs, () => {
      if (this.#isClosed) throw closed();
      if (signal?.aborted === true) throw aborted();
    });
    const outcomes: Outcome[] = [];
    for (const query of queries) {
      outcomes.push(await outcomeOf(this.#reader, query, this.#committed, watermark, checkpoint));
    }
    return outcomes;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#underWay);
  }
}

/** Answers one query on a store that is not older than the watermark; never rejects. */
export async function outcomeOf(
  reader: Reader,
  query: Query,
  committed: CommittedSeq,
  watermark: number,
  checkpoint: Checkpoint,
): Promise<Outcome> {
  try {
    if (!committed.has(watermark)) await committed.reach(watermark, checkpoint);
    return { ok: true, answer: await answer(reader, query, checkpoint) };
  } catch (thrown) {
    return { ok: false, error: faultOf(thrown) };
  }
}

/** How far the store is committed, as seen from this thread. Once seen it is remembered: it only grows. */
export class CommittedSeq {
  readonly #store: Store;
  #seen = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Is the commit with this seq, and all before it, in the store? */
  has(seq: number): boolean {
    if (seq <= this.#seen) return true;
    this.#seen = this.#store.counters().seq;
    return seq <= this.#seen;
  }

  /**
   * Waits a moment for a commit to show. A seq is told after its commit, which all threads then see, so
   * this is for a caller that knows of commits in another store.
   * @throws READER_BEHIND, and what the checkpoint throws
   */
  async reach(seq: number, checkpoint: Checkpoint): Promise<void> {
    for (let tries = 0; !this.has(seq); tries++) {
      checkpoint();
      if (tries === BEHIND_TRIES_MAX) {
        throw new BehindError(`the store is committed up to ${this.#seen}, the caller has seen ${seq}`, {
          committed: this.#seen,
          watermark: seq,
        });
      }
      await new Promise((resolve) => setTimeout(resolve, BEHIND_WAIT_MS));
    }
  }
}

const BEHIND_TRIES_MAX = 10;
const BEHIND_WAIT_MS = 2;

/** A checkpoint that ends the work when its time is over, or when `endIfOver` throws. */
export function checkpointOf(timeoutMs: number, endIfOver: Checkpoint, elapsedMs = 0): Checkpoint {
  const start = performance.now() - elapsedMs;
  return () => {
    endIfOver();
    if (performance.now() - start >= timeoutMs) throw timedOut(timeoutMs);
  };
}

/** Whatever was thrown, as a fault with a code: what has none is a bug, and keeps its cause. */
export function faultOf(thrown: unknown): StateroomError {
  if (thrown instanceof StateroomError) return thrown;
  const error = toError(thrown);
  return new FailedError(`a query failed: ${error.message}`, {}, error);
}

export const closed = (): StateroomError => new ClosedError('the readers are closed');
export const aborted = (): StateroomError => new AbortedError('the caller gave up a query');
export const timedOut = (timeoutMs: number): StateroomError =>
  new TimeoutError(`a query took longer than ${timeoutMs} ms`, { timeout_ms: timeoutMs });

function checkedQuery(query: unknown): Query | Outcome {
  try {
    return readQuery(query);
  } catch (thrown) {
    return { ok: false, error: faultOf(thrown) };
  }
}

function unanswered(): Outcome {
  return { ok: false, error: new FailedError('a query was left without an answer') };
}

function isList(asked: Query | readonly Query[]): asked is readonly Query[] {
  return Array.isArray(asked);
}
