// A Chromium to drive: the one named by STATEROOM_CHROMIUM, the one that is installed, or Debian's, installed
// where that can be done without asking anybody (as root in a container).

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

/** Its path; undefined where there is none and none can be installed. */
export function chromiumPath(): string | undefined {
  const named = process.env['STATEROOM_CHROMIUM'];
  if (named !== undefined && named !== '') return named;
  return installed() ?? (isRootOnDebian() && install() ? installed() : undefined);
}

function installed(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) =>
    existsSync(path),
  );
}

function isRootOnDebian(): boolean {
  return process.getuid?.() === 0 && existsSync('/etc/debian_version') && existsSync('/usr/bin/apt-get');
}

function install(): boolean {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args: readonly string[]): boolean =>
    spawnSync('apt-get', args, { stdio: 'ignore', env, timeout: 200_000 }).status === 0;
  return apt('update') && apt('install', '-y', '--no-install-recommends', 'chromium');
}
