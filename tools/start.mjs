// `npm start`: builds when dist/ is missing or older than the source, then runs the command.
//
// Without arguments it runs `stateroom serve`; `npm start -- rooms` runs `stateroom rooms`.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

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

/** Builds, and ends with the compiler's exit code when that fails. */
function build() {
  const { status } = spawnSync(process.execPath, [join(root, 'tools/build.mjs')], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

const isBuilt = existsSync(command) && existsSync(buildStamp);
if (!isBuilt || Math.max(...sources.map((name) => newestMs(join(root, name)))) > newestMs(buildStamp)) {
  build();
}
// In this process, so that whoever ends it ends the server, which then ends as it should.
const args = process.argv.slice(2);
process.argv = [process.execPath, command, ...(args.length === 0 ? ['serve'] : args)];
await import(pathToFileURL(command).href);
