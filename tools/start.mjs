// `npm start`: builds when dist/ is missing or older than the source, then runs the command.
//
// Without arguments it runs `stateroom demo`; `npm start -- rooms` runs `stateroom rooms`.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const command = join(root, 'dist/src/cli/main.js');
const buildStamp = join(root, 'dist/.tsbuildinfo');
const sources = ['src', 'tools', 'native-free-bench', 'test', 'package.json', 'tsconfig.json'];

/** Newest modification below a path, in milliseconds. A folder's own time shows removed files. */
function newestMs(path) {
  if (!existsSync(path)) return 0;
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newestMs(join(path, name))));
}

/** Runs a script with our own node and ends with its exit code when it fails. */
function run(script, args) {
  const { status } = spawnSync(process.execPath, [script, ...args], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

const isBuilt = existsSync(command) && existsSync(buildStamp);
if (!isBuilt || Math.max(...sources.map((name) => newestMs(join(root, name)))) > newestMs(buildStamp)) {
  run(join(root, 'tools/build.mjs'), []);
}
const args = process.argv.slice(2);
run(command, args.length === 0 ? ['demo'] : args);
