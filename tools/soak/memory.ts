// How much memory the server takes, and whether that is flat: the median of each minute, and the last against that in
// the middle, by when caches have filled.
//
// What is judged is anonymous memory, which the process alone can give back: heap, buffers, stacks. The rest of the
// resident set is files mapped into it, the tables of the store above all: the system drops their pages when it needs
// the room, so that they grow with the store and with nothing else.

import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { Ledger } from './ledger.js';

/** Bytes. */
export interface Memory {
  readonly resident: number;
  /** Without mapped files; all where the system does not tell them apart. */
  readonly anonymous: number;
}

export interface MemorySample extends Memory {
  readonly atMs: number;
}

/** Shorter soaks tell of caches that fill, and of nothing else. */
const MINUTES_MIN = 10;
/** What the last minute may be of the one in the middle. */
const RATIO_MAX = 1.2;

/** @throws when the process is gone */
export async function memoryOf(pid: number): Promise<Memory> {
  if (process.platform !== 'linux') {
    const { stdout } = await promisify(execFile)('ps', ['-o', 'rss=', '-p', String(pid)]);
    const resident = Number(stdout) * 1024;
    return { resident, anonymous: resident };
  }
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const bytes = (field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024;
  return { resident: bytes('VmRSS'), anonymous: bytes('RssAnon') };
}

/** The medians in words; memory that grows is a failure. */
export function judgeMemory(samples: readonly MemorySample[], minutes: number, ledger: Ledger): string[] {
  const anonymous = mediansByMinute(samples, Math.floor(minutes), (sample) => sample.anonymous);
  const files = mediansByMinute(samples, Math.floor(minutes), (sample) => sample.resident - sample.anonymous);
  const lines = [
    `mapped files by minute, MB: ${shown(files)} (not judged: the system drops them when it must)`,
  ];
  const middle = anonymous[Math.floor(anonymous.length / 2) - 1];
  const last = anonymous.at(-1);
  const heading = `anonymous memory by minute, MB: ${shown(anonymous)}`;
  if (middle === undefined || last === undefined || anonymous.length < MINUTES_MIN) {
    return [...lines, `${heading} (too short to judge)`];
  }
  const ratio = last / middle;
  if (!(ratio <= RATIO_MAX)) {
    ledger.unexpected('memory grows', `anonymous memory is ${ratio.toFixed(2)} times what it was halfway`);
  }
  return [...lines, `${heading}; last against the middle: ${ratio.toFixed(2)} (at most ${RATIO_MAX})`];
}

function shown(medians: readonly number[]): string {
  return medians.map((bytes) => Math.round(bytes / 1e6)).join(' ');
}

function mediansByMinute(
  samples: readonly MemorySample[],
  minutes: number,
  bytesOf: (sample: MemorySample) => number,
): number[] {
  return Array.from({ length: minutes }, (_, minute) => {
    const bytes = samples
      .filter(({ atMs }) => Math.floor(atMs / 60_000) === minute)
      .map(bytesOf)
      .sort((a, b) => a - b);
    return bytes[Math.floor(bytes.length / 2)] ?? Number.NaN;
  });
}
