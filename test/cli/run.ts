// Runs the compiled command as a child process, the way a shell does.

import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const FIXTURES = fileURLToPath(new URL('../../../test/fixtures/', import.meta.url));

/** What a command printed, and its exit code. */
export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder for one suite: its store lies in `data`. */
export interface Workplace {
  readonly folder: string;
  readonly data: string;
  /** A path in the folder. */
  readonly file: (name: string) => string;
  /** Runs the command on the workplace's store. */
  readonly run: (args: readonly string[], input?: string | Uint8Array) => Ran;
  /** Starts the command without waiting for it. */
  readonly start: (args: readonly string[]) => ChildProcessWithoutNullStreams;
  readonly remove: () => void;
}

export function makeWorkplace(): Workplace {
  const folder = mkdtempSync(join(tmpdir(), 'stateroom-test-'));
  const data = join(folder, 'data');
  const env = { ...process.env, STATEROOM_DATA: data, NO_COLOR: '1' };
  return {
    folder,
    data,
    file: (name) => join(folder, name),
    run: (args, input = '') => {
      const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
        cwd: folder,
        env,
        input,
        maxBuffer: 64 * 1024 * 1024,
      });
      return { code: status, stdout: stdout.toString('utf8'), stderr: stderr.toString('utf8') };
    },
    start: (args) => spawn(process.execPath, [MAIN, ...args], { cwd: folder, env }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The path of a file of a fixture room. */
export function fixture(room: string, file: string): string {
  return join(FIXTURES, 'rooms', room, file);
}

/** The one JSON value that a command printed. */
export function jsonOf<T>({ stdout, stderr, code }: Ran): T {
  try {
    return JSON.parse(stdout) as T;
  } catch {
    throw new Error(`no JSON on stdout (exit code ${code}): ${stdout}\n${stderr}`);
  }
}

/** The JSON lines that a command printed. */
export function jsonLinesOf<T>({ stdout }: Ran): T[] {
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}
