// The processes of the homeserver benchmarks: the one that makes a world, and the server, looked at from outside.

import { type ChildProcess, execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { World, WorldRequest } from './world.js';

/** Children load native addons, whatever this process refuses. */
const EXEC_ARGV = process.execArgv.filter((argument) => argument !== '--no-addons');

/** Writes users and rooms into a data folder. */
export async function makeWorld(request: WorldRequest): Promise<World> {
  const child = fork(new URL('./world.js', import.meta.url), [JSON.stringify(request)], {
    execArgv: EXEC_ARGV,
  });
  const ended = once(child, 'exit');
  const world = await firstMessage(child);
  await ended;
  return world as World;
}

export class ServerProcess {
  readonly address: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, address: string) {
    this.#child = child;
    this.address = address;
  }

  static async start(folder: string, serverName: string): Promise<ServerProcess> {
    const child = fork(new URL('./serve.js', import.meta.url), [folder, serverName], { execArgv: EXEC_ARGV });
    return new ServerProcess(child, String(await firstMessage(child)));
  }

  /** Bytes of memory that the whole process has, as the operating system counts them. */
  async rssBytes(): Promise<number> {
    const pid = String(this.#child.pid);
    if (process.platform === 'linux') {
      const status = await readFile(`/proc/${pid}/status`, 'utf8');
      return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
    }
    const { stdout } = await promisify(execFile)('ps', ['-o', 'rss=', '-p', pid]);
    return Number(stdout) * 1024;
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.disconnect();
    await ended;
  }
}

function firstMessage(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    child.once('message', resolve);
    child.once('error', reject);
    // Not at its `exit`, which may be told before what it sent last.
    child.once('disconnect', () => reject(new Error(`${child.spawnfile} ended and said nothing`)));
  });
}
