// `npm test`: runs every test file in a process of its own and believes nothing that it did not see.
//
// uvu by itself exits 0 when no test ran, when a suite's `.run()` was forgotten and when `.only` hid the rest;
// an unhandled rejection ends it without a summary, an open handle never ends it. Here each of these fails.
//
//   node dist/tools/run-tests.js [--interop] [--limit SECONDS] [--source DIR] [--built DIR] [PART-OF-PATH...]
//
// With --interop it runs the suites against real peers (test/**/*.interop.ts), which install what they need.
// The list is that of the sources (test/**/*.test.ts), so a file that was not compiled fails too, and what is
// left in dist/ of a deleted one is not run. The last line is `N passed, N failed`.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { type FileOutcome, runTestFile } from './testing/test-file.js';

const filesAtOnce = 2;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    interop: { type: 'boolean', default: false },
    limit: { type: 'string', default: '300' },
    source: { type: 'string', default: process.cwd() },
    built: { type: 'string', default: fileURLToPath(new URL('..', import.meta.url)) },
  },
});
const limitMs = Number(values.limit) * 1000;
if (!(limitMs > 0)) throw new Error(`--limit takes seconds, not ${values.limit}`);

const queue = readdirSync(join(values.source, 'test'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith(values.interop ? '.interop.ts' : '.test.ts'))
  .map((name) => join('test', name))
  .filter((name) => positionals.length === 0 || positionals.some((part) => name.includes(part)))
  .sort();

let passed = 0;
let failed = 0;

function report(file: string, outcome: FileOutcome): void {
  passed += outcome.passed;
  failed += outcome.failed;
  const counts = `${outcome.passed} passed${outcome.failed > 0 ? `, ${outcome.failed} failed` : ''}`;
  console.log(`${outcome.failed > 0 ? 'FAIL' : 'ok  '}  ${file}  ${counts}  ${outcome.durationMs} ms`);
  for (const fault of outcome.faults) console.log(`      ${fault}`);
  if (outcome.failed > 0) console.log(outcome.output.trimEnd());
}

async function runQueue(): Promise<void> {
  for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
    const script = join(values.built, file.replace(/\.ts$/, '.js'));
    report(file, await runTestFile(script, limitMs));
  }
}

if (queue.length === 0) {
  console.log('no test file matches');
  failed += 1;
}
await Promise.all(Array.from({ length: filesAtOnce }, runQueue));
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
