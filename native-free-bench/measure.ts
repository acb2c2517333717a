// Measuring: several rounds, each with every task in another order, and of each task the median of its rounds.
//
// tinybench runs its tasks one after another, so on a machine whose speed drifts the last task of one long run
// would look slower or faster than the first. Short rounds spread the drift over all of them.

import { Bench } from 'tinybench';
import { assert } from '../src/lib/errors.js';

/** Something to be timed. */
export interface Task {
  readonly name: string;
  /**
   * Does the work `operations` times. What it returns is ignored, unless it is tinybench's
   * `overriddenDuration`, for work that needs preparation which is not to be timed.
   */
  readonly run: () => unknown;
  /** 1 when left out. Work below a microsecond is batched, or the clock would be what is measured. */
  readonly operations?: number;
}

/** How long to look. */
export interface Effort {
  readonly rounds: number;
  /** Of each task in each round, at least. */
  readonly timeMs: number;
}

/** Microseconds for one operation, of each task in each round. */
export type Timings = ReadonlyMap<string, readonly number[]>;

/** Times tasks against each other. Whatever a task throws is thrown. */
export async function measure(tasks: readonly Task[], { rounds, timeMs }: Effort): Promise<Timings> {
  const samples = new Map<string, number[]>(tasks.map(({ name }) => [name, []]));
  assert(samples.size === tasks.length, 'no two tasks have one name');
  for (let round = 0; round < rounds; round++) {
    const bench = new Bench({
      time: timeMs,
      iterations: 2,
      warmup: round === 0,
      warmupTime: timeMs,
      warmupIterations: 1,
      throws: true,
    });
    for (const { name, run } of inOrderOf(round, tasks)) bench.add(name, run);
    await bench.run();
    for (const { name, operations = 1 } of tasks) {
      const result = bench.getTask(name)?.result;
      assert(result?.state === 'completed', `${name} was timed`);
      samples.get(name)?.push((result.latency.p50 * 1e3) / operations);
    }
  }
  return samples;
}

/** Every second round backwards, and each beginning with another task. */
function inOrderOf(round: number, tasks: readonly Task[]): Task[] {
  const start = (round * 7) % Math.max(1, tasks.length);
  const turned = [...tasks.slice(start), ...tasks.slice(0, start)];
  return round % 2 === 0 ? turned : turned.reverse();
}

/** Microseconds for one operation of a task: the median of its rounds. */
export function timingOf(timings: Timings, name: string): number {
  return median(roundsOf(timings, name));
}

/** How many times as long one task takes as another: the median of what each round says. */
export function ratioOf(timings: Timings, name: string, other: string): number {
  const others = roundsOf(timings, other);
  return median(roundsOf(timings, name).map((timing, round) => timing / (others[round] ?? Number.NaN)));
}

function roundsOf(timings: Timings, name: string): readonly number[] {
  const rounds = timings.get(name);
  assert(rounds !== undefined, `${name} was timed`);
  return rounds;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? high : (high + (sorted[middle - 1] ?? high)) / 2;
}

/** The value that so much of all (0 to 1) is not above. */
export function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN;
}
