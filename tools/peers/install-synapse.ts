// Synapse, as PyPI gives it: one pinned version in a virtual environment of its own, made at the first use and
// kept for the next (`$XDG_CACHE_HOME/stateroom`, or STATEROOM_SYNAPSE names a Python that has it).

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** What the tests beside Synapse were written against. */
export const SYNAPSE_VERSION = '1.163.2';

const INSTALL_MS_MAX = 600_000;

/** The Python to run Synapse with. @throws Error with pip's output when it cannot be installed */
export function synapsePython(): string {
  const named = process.env['STATEROOM_SYNAPSE'];
  if (named !== undefined && named !== '') return named;
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'stateroom');
  const folder = join(cache, `synapse-${SYNAPSE_VERSION}`);
  const python = join(folder, 'bin', 'python');
  if (existsSync(python)) return python;
  // Made beside its place: an install that was interrupted is not taken for one that is whole. The scripts in
  // bin/ name the first folder, and are not used.
  const making = `${folder}.${process.pid}`;
  mkdirSync(cache, { recursive: true });
  try {
    run('python3', ['-m', 'venv', making]);
    run(join(making, 'bin', 'python'), [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--disable-pip-version-check',
      `matrix-synapse==${SYNAPSE_VERSION}`,
    ]);
    if (!existsSync(python)) renameSync(making, folder);
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
  return python;
}

function run(command: string, args: readonly string[]): void {
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    timeout: INSTALL_MS_MAX,
  });
  if (status === 0) return;
  throw new Error(
    `Synapse could not be installed: ${command} ${args.join(' ')}: ${error?.message ?? ''}\n${stdout}\n${stderr}`,
  );
}
