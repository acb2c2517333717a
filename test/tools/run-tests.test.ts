// The test runner fails what uvu alone lets through.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

const runner = suite('test runner');

const script = fileURLToPath(new URL('../../tools/run-tests.js', import.meta.url));
const head = `import { suite } from ${JSON.stringify(import.meta.resolve('uvu'))};\nconst s = suite('s');\n`;

/** Runs the runner over test files given as their bodies, in a folder of their own. */
function run(
  bodies: Readonly<Record<string, string | undefined>>,
  ...args: string[]
): { code: number | null; lines: string[] } {
  const root = mkdtempSync(join(tmpdir(), 'stateroom-runner-'));
  try {
    mkdirSync(join(root, 'test'));
    for (const [name, body] of Object.entries(bodies)) {
      writeFileSync(join(root, 'test', `${name}.test.ts`), '');
      if (body === undefined) continue;
      const built = join(root, 'built', 'test', `${name}.test.js`);
      mkdirSync(dirname(built), { recursive: true });
      writeFileSync(built, head + body);
    }
    writeFileSync(join(root, 'package.json'), '{"type":"module"}');
    const { status, stdout } = spawnSync(
      process.execPath,
      [script, '--source', root, '--built', join(root, 'built'), ...args],
      { encoding: 'utf8' },
    );
    return { code: status, lines: stdout.trimEnd().split('\n') };
  } finally {
    rmSync(root, { recursive: true });
  }
}

const setApart = (how: 'only' | 'skip'): string => `s.${how}('x', () => {});\n`;
const passing = "s('a', () => {});\ns('b', () => {});\ns.run();\n";

runner('adds up what passed and says so on the last line', () => {
  const { code, lines } = run({ one: passing, two: passing });
  assert.is(code, 0);
  assert.is(lines.at(-1), '4 passed, 0 failed');
});

runner('counts failing tests and prints them', () => {
  const { code, lines } = run({ one: `s('bad', () => { throw new Error('why'); });\n${passing}` });
  assert.is(code, 1);
  assert.is(lines.at(-1), '2 passed, 1 failed');
  assert.ok(lines.some((line) => line.includes('why')));
});

runner('runs only the files whose path holds a given part', () => {
  const { lines } = run({ one: passing, two: passing }, 'test/two');
  assert.is(lines.at(-1), '2 passed, 0 failed');
});

const hidden: Record<string, string | undefined> = {
  'a file that was not compiled': undefined,
  'a file that runs no suite': '',
  'a suite whose run() was forgotten beside one that runs': `const t = suite('t');\nt('x', () => {});\n${passing}`,
  'a suite without tests': 's.run();\n',
  'a skipped test': `${setApart('skip')}${passing}`,
  'a test set apart': `${setApart('only')}${passing}`,
  'an unhandled rejection': `s('x', () => new Promise(() => { Promise.reject(new Error('lost')); }));\n${passing}`,
  'an exit in the middle': `s('x', () => process.exit(0));\n${passing}`,
};

for (const [name, body] of Object.entries(hidden)) {
  runner(`fails ${name}`, () => {
    const { code, lines } = run({ one: body });
    assert.is(code, 1);
    assert.match(lines.at(-1) ?? '', /^\d+ passed, [1-9]\d* failed$/);
  });
}

runner('ends a file that never ends, and fails it', () => {
  const { code, lines } = run({ one: `setInterval(() => {}, 1000);\n${passing}` }, '--limit', '2');
  assert.is(code, 1);
  assert.is(lines.at(-1), '2 passed, 1 failed');
  assert.ok(lines.some((line) => line.includes('did not end within 2 s')));
});

runner('fails when no file matches', () => {
  const { code, lines } = run({ one: passing }, 'nothing');
  assert.is(code, 1);
  assert.is(lines.at(-1), '0 passed, 1 failed');
});

runner.run();
