// A store that another process holds, read through its socket: every question on a store works on this one too.
//
// Point reads are synchronous, as everywhere: the socket is in a thread of its own, and the asking thread
// sleeps until the answer is there. All reads of one connection see the store as of one moment.
//
//   getSync ─ message ─▶ thread ─ line ─▶ server          asking thread: Atomics.wait
//   getSync ◀─ message ── thread ◀─ line ── server        thread: Atomics.notify

import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { AbstractIterator, AbstractLevel, AbstractSnapshot } from 'abstract-level';
import { ClockCache } from '../../lib/clock-cache.js';
import type { Database } from '../../store/database.js';
import { Store, type StoreOptions } from '../../store/store.js';
import { NotRunningError, ReadOnlyError } from '../errors.js';
import { faultOf, runningSocketPath } from './client.js';
import type { AdminResponse } from './protocol.js';
import { RANGE_BOUNDS, type RangeAnswer, type RangeBound } from './store-questions.js';

/** How long an answer may take. */
const ANSWER_MS_MAX = 60_000;
/** Characters of answers kept. */
const KEPT_LENGTH_MAX = 64 * 1024 * 1024;

/** The store that a running server holds, to be closed. @throws SERVER_NOT_RUNNING; as `Store.open` */
export async function openRemoteStore(dataFolder: string, options: StoreOptions = {}): Promise<Store> {
  const line = await Line.open(await runningSocketPath(dataFolder));
  const database = new RemoteDatabase(line);
  await database.open();
  // The formats are those of this class: byte strings in and out.
  return Store.open({ kind: 'opened', database: database as Database, path: dataFolder }, options);
}

/** Questions to the thread that has the socket. */
class Line {
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #answered: Int32Array;
  #lastId = 0;

  private constructor(worker: Worker, port: MessagePort, answered: Int32Array) {
    this.#worker = worker;
    this.#port = port;
    this.#answered = answered;
  }

  static async open(path: string): Promise<Line> {
    const answered = new Int32Array(new SharedArrayBuffer(4));
    const { port1, port2 } = new MessageChannel();
    const worker = new Worker(new URL('./remote-store-worker.js', import.meta.url), {
      workerData: { path, answered, port: port2 },
      transferList: [port2],
    });
    const fault = await new Promise<string>((resolve) => {
      worker.once('message', resolve);
      worker.once('error', (error: Error) => resolve(error.message));
    });
    if (fault !== '') {
      await worker.terminate();
      throw new NotRunningError(fault);
    }
    worker.unref();
    return new Line(worker, port1, answered);
  }

  ask<Result>(method: string, params: object): Result {
    Atomics.store(this.#answered, 0, 0);
    const id = ++this.#lastId;
    this.#port.postMessage(`${JSON.stringify({ id, method, params })}\n`, []);
    Atomics.wait(this.#answered, 0, 0, ANSWER_MS_MAX);
    const answer = receiveMessageOnPort(this.#port)?.message as string | undefined;
    if (answer === undefined || answer === '')
      throw new NotRunningError('the server ended, or does not answer');
    const response = JSON.parse(answer) as AdminResponse;
    if ('error' in response) throw faultOf(response.error);
    return response.result as Result;
  }

  async close(): Promise<void> {
    this.#port.close();
    await this.#worker.terminate();
  }
}

interface RangeOptions extends Partial<Record<RangeBound, Uint8Array>> {
  readonly reverse: boolean;
  readonly limit: number;
  readonly values: boolean;
}

class RemoteDatabase extends AbstractLevel<Buffer, Buffer, Buffer> {
  readonly #line: Line;
  /** Answers, good for as long as the connection: it never sees another moment. */
  readonly #kept = new ClockCache<string, string | null>(KEPT_LENGTH_MAX);

  constructor(line: Line) {
    const manifest = { encodings: { buffer: true }, getSync: true, explicitSnapshots: true };
    super(manifest, { keyEncoding: 'buffer', valueEncoding: 'buffer' });
    this.#line = line;
  }

  async _close(): Promise<void> {
    await this.#line.close();
  }

  _getSync(key: Buffer): Buffer | undefined {
    const name = key.toString('base64');
    let value = this.#kept.get(name);
    if (value === undefined) {
      value = this.#line.ask<string | null>('store.get', { key: name });
      this.#kept.set(name, value, name.length + (value?.length ?? 0));
    }
    return value === null ? undefined : Buffer.from(value, 'base64');
  }

  async _get(key: Buffer): Promise<Buffer | undefined> {
    return this._getSync(key);
  }

  _iterator(options: RangeOptions): RemoteIterator {
    return new RemoteIterator(this, this.#line, options);
  }

  /** The connection is one moment already. */
  _snapshot(options: object): AbstractSnapshot {
    // Its constructor takes the options that tell its owner, which its types do not say.
    return Reflect.construct(AbstractSnapshot, [options]) as AbstractSnapshot;
  }

  async _put(): Promise<void> {
    throw readOnly();
  }

  async _del(): Promise<void> {
    throw readOnly();
  }

  async _batch(): Promise<void> {
    throw readOnly();
  }

  async _clear(): Promise<void> {
    throw readOnly();
  }
}

function readOnly(): Error {
  return new ReadOnlyError('a running server holds the store; stop it to change the store from outside');
}

/** Asks for rows by the chunk, each after the last of the one before. */
class RemoteIterator extends AbstractIterator<RemoteDatabase, Buffer, Buffer> {
  readonly #line: Line;
  readonly #options: RangeOptions;
  #bounds: Partial<Record<RangeBound, string>> = {};
  #rows: Array<[Buffer, Buffer]> = [];
  #next = 0;
  #left: number;
  #isEnd = false;

  constructor(database: RemoteDatabase, line: Line, options: RangeOptions) {
    super(database, options as object);
    this.#line = line;
    this.#options = options;
    this.#left = options.limit < 0 ? Number.POSITIVE_INFINITY : options.limit;
    for (const bound of RANGE_BOUNDS) {
      const value = options[bound];
      if (value !== undefined) this.#bounds[bound] = Buffer.from(value).toString('base64');
    }
  }

  async _next(): Promise<[Buffer, Buffer] | undefined> {
    if (this.#next === this.#rows.length && !this.#isEnd) this.#fetch();
    return this.#rows[this.#next++];
  }

  #fetch(): void {
    const { reverse, values } = this.#options;
    const limit = Number.isFinite(this.#left) ? this.#left : undefined;
    const answer = this.#line.ask<RangeAnswer>('store.range', { ...this.#bounds, reverse, values, limit });
    this.#rows = answer.rows.map(([key, value]) => [
      Buffer.from(key, 'base64'),
      Buffer.from(value ?? '', 'base64'),
    ]);
    this.#next = 0;
    this.#left -= this.#rows.length;
    const last = answer.rows.at(-1)?.[0];
    this.#isEnd = answer.isEnd || last === undefined || this.#left <= 0;
    if (last === undefined) return;
    // The other end of the range stays where it is.
    const ends: readonly RangeBound[] = reverse ? ['gt', 'gte'] : ['lt', 'lte'];
    const kept = ends.flatMap((bound) => {
      const value = this.#bounds[bound];
      return value === undefined ? [] : [[bound, value] as const];
    });
    this.#bounds = { ...Object.fromEntries(kept), [reverse ? 'lt' : 'gt']: last };
  }
}
