// The server under soak: the real one, as a process of its own, on a folder that is deleted afterwards.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Ledger } from './ledger.js';
import { memoryOf, type MemorySample } from './memory.js';

const COMMAND = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const START_MS_MAX = 30_000;
const END_MS_MAX = 60_000;
const SAMPLE_EVERY_MS = 5_000;

/**
 * As it is without a file, but for this: nobody is turned away, own records are collected all the time, and the cache
 * of nodes is full within the first minutes, so that what grows after that is no cache, and trees are read from disk.
 */
const CONFIG = `
server_name: soak.test
listen: { port: 0 }
registration: { enabled: true }
rate_limits: { enabled: false }
log: { level: info, format: json }
own_records: { history_events: 50, collect_at_least: 20, collect_every_ms: 5000 }
caches: { node_bytes: 16777216 }
`;

export class SoakedServer {
  readonly address: string;
  readonly memory: MemorySample[] = [];
  readonly #folder: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<number | null>;
  readonly #sampler: NodeJS.Timeout;

  private constructor(folder: string, child: ChildProcess, exited: Promise<number | null>, address: string) {
    this.#folder = folder;
    this.#child = child;
    this.#exited = exited;
    this.address = address;
    const start = performance.now();
    this.#sampler = setInterval(() => {
      memoryOf(child.pid ?? 0).then(
        (memory) => this.memory.push({ ...memory, atMs: performance.now() - start }),
        () => undefined,
      );
    }, SAMPLE_EVERY_MS);
  }

  /** What it logs as an error counts as one. */
  static async start(ledger: Ledger): Promise<SoakedServer> {
    const folder = mkdtempSync(join(tmpdir(), 'stateroom-soak-'));
    const config = join(folder, 'stateroom.yaml');
    writeFileSync(config, CONFIG);
    const environment = Object.entries(process.env).filter(([name]) => !name.startsWith('STATEROOM_'));
    const child = spawn(
      process.execPath,
      [COMMAND, '--data', join(folder, 'data'), 'serve', '--config', config],
      { stdio: ['ignore', 'pipe', 'inherit'], env: Object.fromEntries(environment) },
    );
    const exited = new Promise<number | null>((resolve) => child.on('exit', resolve));
    const address = await new Promise<string>((resolve, reject) => {
      setTimeout(() => reject(new Error('the server does not start')), START_MS_MAX).unref();
      void exited.then((code) => reject(new Error(`the server ended with ${code}`)));
      createInterface({ input: child.stdout }).on('line', (line) => {
        const entry = entryOf(line);
        if (entry.msg === 'listening') resolve(entry.address ?? '');
        if (['warn', 'error', 'fatal'].includes(entry.level)) ledger.unexpected(`log: ${entry.msg}`, line);
      });
    });
    return new SoakedServer(folder, child, exited, address);
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null;
  }

  /** Ends it as an operator does. @returns its exit code; null when it had to be killed */
  async stop(): Promise<number | null> {
    clearInterval(this.#sampler);
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), END_MS_MAX);
    const code = await this.#exited;
    clearTimeout(timer);
    return code;
  }

  /** A command of the command line on the server's data. */
  async command(...words: readonly string[]): Promise<{ readonly code: number; readonly output: string }> {
    try {
      const { stdout } = await promisify(execFile)(process.execPath, [
        COMMAND,
        '--data',
        join(this.#folder, 'data'),
        ...words,
      ]);
      return { code: 0, output: stdout };
    } catch (error) {
      const { code, stdout, stderr } = error as { code?: unknown; stdout?: string; stderr?: string };
      return { code: typeof code === 'number' ? code : -1, output: `${stdout ?? ''}${stderr ?? ''}` };
    }
  }

  /** Ends it at once where it still runs, and deletes its folder. */
  async clear(): Promise<void> {
    clearInterval(this.#sampler);
    if (!this.hasEnded) this.#child.kill('SIGKILL');
    await this.#exited;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

interface LogEntry {
  readonly level: string;
  readonly msg: string;
  readonly address?: string;
}

function entryOf(line: string): LogEntry {
  try {
    return { level: 'info', msg: '', ...(JSON.parse(line) as Partial<LogEntry>) };
  } catch {
    return { level: 'error', msg: 'a line that is no entry' };
  }
}
