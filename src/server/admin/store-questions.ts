// Reads of the store for commands in another process, all of one connection as of one moment.
//
// Each is a few microseconds of work: what a command makes of the rows it computes itself, so that no question
// ever holds up the server.

import type { AbstractSnapshot } from 'abstract-level';
import type { Store } from '../../store/store.js';
import { AdminRequestError } from '../errors.js';

/** One answer holds no more: whoever wants more asks on after its last key. */
const CHUNK_BYTES = 256 * 1024;
const CHUNK_ROWS = 1_000;

export type RangeBound = 'gte' | 'gt' | 'lte' | 'lt';
export const RANGE_BOUNDS: readonly RangeBound[] = ['gte', 'gt', 'lte', 'lt'];

/** Rows of a range: keys and values in base64, a value null where only keys are wanted. */
export interface RangeAnswer {
  readonly rows: ReadonlyArray<readonly [key: string, value: string | null]>;
  /** Nothing comes after them. */
  readonly isEnd: boolean;
}

type Params = Readonly<Record<string, unknown>>;

export class StoreQuestions {
  readonly #store: Store;
  #snapshot: AbstractSnapshot | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /** How a method of that name is answered, if it is one of these. */
  method(name: string): ((params: Params) => unknown) | undefined {
    if (name === 'store.get') return (params) => this.#get(params);
    if (name === 'store.range') return (params) => this.#range(params);
    return undefined;
  }

  async close(): Promise<void> {
    await this.#snapshot?.close();
  }

  #frozen(): { readonly snapshot: AbstractSnapshot } {
    this.#snapshot ??= this.#store.database.snapshot();
    return { snapshot: this.#snapshot };
  }

  #get(params: Params): string | null {
    return this.#store.database.getSync(bytesOf(params, 'key'), this.#frozen())?.toString('base64') ?? null;
  }

  async #range(params: Params): Promise<RangeAnswer> {
    const bounds: Partial<Record<RangeBound, Buffer>> = {};
    for (const bound of RANGE_BOUNDS) if (params[bound] !== undefined) bounds[bound] = bytesOf(params, bound);
    const limit = typeof params['limit'] === 'number' && params['limit'] >= 0 ? params['limit'] : CHUNK_ROWS;
    const wantsValues = params['values'] !== false;
    const rows: Array<readonly [string, string | null]> = [];
    let bytes = 0;
    const iterator = this.#store.database.iterator({
      ...bounds,
      reverse: params['reverse'] === true,
      limit: Math.min(limit, CHUNK_ROWS),
      values: wantsValues,
      ...this.#frozen(),
    });
    for await (const [key, value] of iterator) {
      rows.push([key.toString('base64'), wantsValues ? value.toString('base64') : null]);
      bytes += key.length + (wantsValues ? value.length : 0);
      if (bytes >= CHUNK_BYTES) return { rows, isEnd: false };
    }
    return { rows, isEnd: rows.length < CHUNK_ROWS };
  }
}

function bytesOf(params: Params, name: string): Buffer {
  const value = params[name];
  if (typeof value !== 'string') throw new AdminRequestError(`${name} is a key in base64`);
  return Buffer.from(value, 'base64');
}
