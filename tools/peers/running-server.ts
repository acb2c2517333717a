// The homeserver as its owner runs it: `stateroom serve` in a process of its own, on a free port of this machine
// and a data folder that goes with it.

import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';

const command = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

interface LogLine {
  readonly level?: string;
  readonly msg?: string;
  readonly address?: string;
}

/** How to start one; without anything, as at a first run. */
export interface ServerStart {
  /** Of the configuration file; ports are given by flags. */
  readonly config?: object;
  /** A folder with the data of a server that ran before; a new one goes with the server. */
  readonly folder?: string;
}

/** A server that answers, until `stop`. */
export class RunningServer {
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #keepsFolder: boolean;
  readonly #log: string[];
  readonly #said: EventEmitter;
  readonly #ended: Promise<number | null>;
  /** `http://127.0.0.1:40000`. */
  readonly address: string;

  private constructor(
    child: ChildProcess,
    { folder, keepsFolder }: { readonly folder: string; readonly keepsFolder: boolean },
    { log, said }: { readonly log: string[]; readonly said: EventEmitter },
    ended: Promise<number | null>,
    address: string,
  ) {
    this.#child = child;
    this.#folder = folder;
    this.#keepsFolder = keepsFolder;
    this.#log = log;
    this.#said = said;
    this.#ended = ended;
    this.address = address;
  }

  static async start({ config, folder: kept }: ServerStart = {}): Promise<RunningServer> {
    const folder = kept ?? mkdtempSync(join(tmpdir(), 'stateroom-interop-'));
    const configPath = join(folder, 'test.yaml');
    if (config !== undefined) writeFileSync(configPath, stringify(config));
    const child = spawn(
      process.execPath,
      [command, '--data', join(folder, 'data'), 'serve', '--port', '0', '--enable-registration'].concat(
        config === undefined ? [] : ['--config', configPath],
      ),
      // A working directory without a stateroom.yaml, and no settings of whoever runs the tests.
      {
        cwd: folder,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...environment(), STATEROOM_LOG_FORMAT: 'json' },
      },
    );
    const log: string[] = [];
    const said = new EventEmitter();
    const ended = new Promise<number | null>((resolve) => {
      child.once('exit', resolve);
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => log.push(...chunk.split('\n')));
    const address = await new Promise<string>((resolve, reject) => {
      let rest = '';
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          log.push(line);
          const { msg, address: listening } = parsed(line);
          if (msg !== undefined) said.emit(`said ${msg}`);
          if (msg === 'listening' && listening !== undefined) resolve(listening);
        }
      });
      child.once('error', reject);
      child.once('exit', (code) => {
        if (kept === undefined) rmSync(folder, { recursive: true, force: true });
        reject(new Error(`the server ended with code ${String(code)}:\n${log.join('\n')}`));
      });
    });
    return new RunningServer(
      child,
      { folder, keepsFolder: kept !== undefined },
      { log, said },
      ended,
      address,
    );
  }

  /** What it warned of so far, and worse. */
  complaints(): readonly string[] {
    return this.#log.filter((line) => ['warn', 'error', 'fatal'].includes(parsed(line).level ?? ''));
  }

  /** Resolves when it logs this from now on. @throws Error when it ends before */
  logs(message: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#said.once(`said ${message}`, resolve);
      void this.#ended.then(() => reject(new Error(`the server ended and never said: ${message}`)));
    });
  }

  /** Asks it to end and waits for that; its exit code. */
  async stop(): Promise<number | null> {
    this.#child.kill('SIGTERM');
    const code = await this.#ended;
    if (!this.#keepsFolder) rmSync(this.#folder, { recursive: true, force: true });
    return code;
  }

  /** Ends it as a power cut would; its folder stays where it was given. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
    if (!this.#keepsFolder) rmSync(this.#folder, { recursive: true, force: true });
  }

  /** The most memory that the process had so far, where the operating system tells (Linux). */
  async rssBytesMax(): Promise<number> {
    const status = await readFile(`/proc/${this.#child.pid ?? 0}/status`, 'utf8');
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
  }

  /** Everything it logged. */
  log(): readonly string[] {
    return this.#log;
  }
}

function environment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('STATEROOM_')));
}

function parsed(line: string): LogLine {
  if (!line.startsWith('{')) return {};
  return JSON.parse(line) as LogLine;
}
