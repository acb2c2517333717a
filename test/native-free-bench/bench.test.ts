// The benchmark command: it runs without native addons, says so truly, and refuses what makes no sense.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Report } from '../../native-free-bench/report/report.js';

const bench = suite('native-free benchmark');

const main = fileURLToPath(new URL('../../native-free-bench/main.js', import.meta.url));

/** Loaded first; at exit it writes which addons the process has mapped, whatever the benchmark says itself. */
const SPY = `
  import { readFileSync, writeFileSync } from 'node:fs';
  process.on('exit', () => {
    const maps = process.platform === 'linux' ? readFileSync('/proc/self/maps', 'utf8') : '';
    const shared = process.report.getReport().sharedObjects;
    const found = [...shared, ...maps.split('\\n')].filter((line) => line.endsWith('.node'));
    writeFileSync(process.env.SPY_FILE, JSON.stringify(found));
  });
`;

let folder = '';
bench.before(() => {
  folder = mkdtempSync(join(tmpdir(), 'stateroom-bench-test-'));
});
bench.after(() => rmSync(folder, { recursive: true, force: true }));

function run(nodeOptions: readonly string[], args: readonly string[]) {
  return spawnSync(process.execPath, [...nodeOptions, main, ...args], {
    encoding: 'utf8',
    env: { ...process.env, SPY_FILE: join(folder, 'spy.json') },
  });
}

/** A run with the spy loaded: its report, and the addons that the spy saw. */
function spiedRun(nodeOptions: readonly string[], args: readonly string[]) {
  const spy = `data:text/javascript,${encodeURIComponent(SPY)}`;
  const { status, stdout, stderr } = run(
    [...nodeOptions, '--import', spy],
    ['--json', '--out', folder, ...args],
  );
  assert.is(status, 0, stderr);
  return {
    report: JSON.parse(stdout) as Report,
    addons: JSON.parse(readFileSync(join(folder, 'spy.json'), 'utf8')) as string[],
  };
}

bench('no native addon is in the process that measures, and the report says so', () => {
  const { report, addons } = spiedRun(
    ['--no-addons'],
    ['--quick', '--only', 'resolution', '--members', '1000'],
  );
  assert.equal(addons, []);
  assert.equal(report.machine.addons, []);
  assert.is(report.store, 'memory');
  assert.ok(report.targets.length > 0);
  for (const { name, reached } of report.targets) assert.ok(Number.isFinite(reached), name);
});

bench('an addon that is loaded is seen, by the spy and by the report', () => {
  const args = ['--quick', '--only', 'targets', '--members', '1000', '--store', 'classic-level'];
  const { report, addons } = spiedRun([], args);
  assert.ok(addons.some((path) => path.includes('classic-level')));
  assert.ok(report.machine.addons.length > 0);
  assert.ok(
    report.targets.some(({ name, bound }) => name.includes('against one read') && bound === 'at most'),
  );
});

bench('an import is held against verifying alone, and its memory and its parts are told', () => {
  const { report } = spiedRun([], ['--quick', '--only', 'import', '--store', 'classic-level']);
  for (const name of ['import rate against verifying alone', 'peak memory of an import']) {
    const found = report.targets.find((target) => target.name === name);
    assert.ok(found !== undefined && found.reached > 0, name);
  }
  assert.ok(report.remarks.some((remark) => /main thread .* src\/tree \d+ %/.test(remark)));
});

bench('results are written as JSON, Markdown and a picture', () => {
  const files = readdirSync(folder);
  for (const file of ['memory.json', 'memory.md', 'memory.svg']) assert.ok(files.includes(file), file);
  const report = JSON.parse(readFileSync(join(folder, 'memory.json'), 'utf8')) as Report;
  const markdown = readFileSync(join(folder, 'memory.md'), 'utf8');
  for (const { name } of report.targets) assert.ok(markdown.includes(name), name);
  assert.match(readFileSync(join(folder, 'memory.svg'), 'utf8'), /^<svg /);
});

bench('classic-level without its addon is refused with the way to run it', () => {
  const { status, stderr } = run(['--no-addons'], ['--store', 'classic-level']);
  assert.is(status, 2);
  assert.match(stderr, /npm run bench:store/);
});

bench('unknown sections, stores and options are refused, and so is an import in memory', () => {
  for (const args of [
    ['--only', 'nothing'],
    ['--members', '10'],
    ['--members', 'many'],
    ['--store', 'paper'],
    ['--fast'],
    ['--only', 'import'],
  ]) {
    assert.is(run(['--no-addons'], args).status, 2, args.join(' '));
  }
});

bench('help is help', () => {
  const { status, stdout } = run(['--no-addons'], ['--help']);
  assert.is(status, 0);
  for (const option of ['--quick', '--only', '--store', '--json']) assert.ok(stdout.includes(option), option);
});

bench.run();
