// Compiles the project into dist/ and makes the command executable, which tsc does not do.
//
// `npm ci` runs this through `prepare`; plain JavaScript, because nothing is compiled before it.

import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const compiler = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url));
const command = fileURLToPath(new URL('../dist/src/cli/main.js', import.meta.url));

const { status } = spawnSync(process.execPath, [compiler, '-p', root], { stdio: 'inherit' });
if (status === 0 && existsSync(command)) chmodSync(command, 0o755);
process.exitCode = status ?? 1;
