// Events that a start found in the queue. One of them may be why the server ended, in a way that nothing catches: a
// crash of the machine's code, memory that ran out. It would end it at every start.
//
//   found in the queue ─▶ noted as begun, on disk ─▶ worked off, many at once ─▶ gone
//                                                          │ the server ends
//   found, and noted before ─▶ noted again ─▶ worked off alone, one after the other ─▶ gone
//                                   └─ too often: given up
//
// So what is counted against an event, after the first time, happened while no other such event was worked on.

import type { DurableQueue } from '../../core/queues.js';
import { Gate } from '../../lib/gate.js';
import type { InputRow } from './intake.js';

/** Events that are begun with. */
export interface Attempt {
  /** Those of them that were begun with too often. */
  readonly givenUp: ReadonlySet<number>;
  /** What became of them is on disk. */
  readonly end: () => void;
}

const FRESH: Attempt = { givenUp: new Set(), end: () => undefined };

export class Leftovers {
  readonly #queue: DurableQueue<InputRow>;
  readonly #attemptsMax: number;
  /** How often each was begun with, by position. */
  readonly #attempts = new Map<number, number>();
  readonly #alone = new Gate(1);

  constructor(queue: DurableQueue<InputRow>, attemptsMax: number) {
    this.#queue = queue;
    this.#attemptsMax = attemptsMax;
  }

  /** A start found a row at this position. */
  found(position: number, attempts: number): void {
    this.#attempts.set(position, attempts);
  }

  /** How many of the next are worked off together: at most `max`, and one that was begun with before alone. */
  together(positions: readonly number[], max: number): number {
    const first = positions.findIndex((position) => this.#wasBegun(position));
    return first === -1 ? max : Math.min(max, Math.max(1, first));
  }

  /** Notes on disk that events are begun with. @throws STORE_WRITE_FAILED */
  async begin(positions: readonly number[]): Promise<Attempt> {
    const left = positions.filter((position) => this.#attempts.has(position));
    if (left.length === 0) return FRESH;
    const isAlone = left.some((position) => this.#wasBegun(position));
    if (isAlone) await this.#alone.enter(1);
    const end = (): void => {
      if (isAlone) this.#alone.leave(1);
    };
    const givenUp = new Set(left.filter((position) => this.#count(position) >= this.#attemptsMax));
    const begun = left.filter((position) => !givenUp.has(position));
    try {
      await this.#queue.replace(begun.flatMap((position) => this.#row(position, this.#count(position) + 1)));
    } catch (error) {
      end();
      throw error;
    }
    return { givenUp, end };
  }

  /** Rows stay in the queue for another reason: nothing is counted against them any more. */
  async acquit(positions: readonly number[]): Promise<void> {
    const noted = positions.filter((position) => this.#attempts.has(position));
    await this.#queue.replace(noted.flatMap((position) => this.#row(position, 0)));
    this.forget(noted);
  }

  /** The rows are gone. */
  forget(positions: readonly number[]): void {
    for (const position of positions) this.#attempts.delete(position);
  }

  #wasBegun(position: number): boolean {
    return this.#count(position) > 0;
  }

  #count(position: number): number {
    return this.#attempts.get(position) ?? 0;
  }

  #row(position: number, attempts: number): Array<readonly [number, InputRow]> {
    const row = this.#queue.get(position);
    return row === undefined ? [] : [[position, { ...row, attempts }]];
  }
}
