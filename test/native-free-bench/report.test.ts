// The report: verdicts on targets, figures for people, tables, and the picture.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { renderMarkdown } from '../../native-free-bench/report/markdown.js';
import {
  isReached,
  type Report,
  shown,
  shownLimit,
  type Target,
} from '../../native-free-bench/report/report.js';
import { renderSvg } from '../../native-free-bench/report/svg.js';
import { renderTable } from '../../native-free-bench/report/table.js';

const report = suite('benchmark report');

const target = (bound: Target['bound'], reached: number): Target => ({
  name: `${bound} 5`,
  unit: 'count',
  bound,
  limit: 5,
  reached,
});

const sample: Report = {
  machine: {
    cpu: 'A & B',
    cores: 2,
    memoryBytes: 2 ** 33,
    node: 'v20.0.0',
    platform: 'linux x64',
    addons: [],
  },
  store: 'memory',
  isQuick: true,
  startedAt: '2026-01-01T00:00:00.000Z',
  seconds: 3,
  series: [
    {
      group: 'query',
      name: 'level <1>',
      kind: 'ours',
      unit: 'us',
      points: [
        { members: 100, value: 2 },
        { members: 1_000, value: 2 },
        { members: 10_000, value: 2 },
      ],
    },
    {
      group: 'query',
      name: 'steep',
      kind: 'naive',
      unit: 'us',
      points: [
        { members: 100, value: 1 },
        { members: 10_000, value: 100 },
      ],
    },
  ],
  targets: [target('at most', 5), target('below', 5), target('at least', 4), target('none', 9)],
  remarks: ['A remark.'],
};

report('a bound is met at its limit, except where it is to be stayed below', () => {
  assert.is(isReached(target('at most', 5)), true);
  assert.is(isReached(target('at most', 5.1)), false);
  assert.is(isReached(target('below', 5)), false);
  assert.is(isReached(target('below', 4.9)), true);
  assert.is(isReached(target('at least', 5)), true);
  assert.is(isReached(target('at least', 4.9)), false);
  assert.is(isReached(target('none', 9)), undefined);
});

report('a figure that cannot be measured is no figure that passes', () => {
  for (const bound of ['at most', 'below', 'at least'] as const) {
    assert.is(isReached(target(bound, Number.NaN)), false);
  }
});

report('figures take the unit that suits their size', () => {
  assert.is(shown(0.0421, 'us'), '42.1 ns');
  assert.is(shown(4.56, 'us'), '4.56 µs');
  assert.is(shown(1_530, 'us'), '1.53 ms');
  assert.is(shown(2_500_000, 'us'), '2.5 s');
  assert.is(shown(2_032.4, 'bytes'), '2,032 B');
  assert.is(shown(104_000, 'bytes'), '104 kB');
  assert.is(shown(3.321, 'ratio'), '3.32x');
  assert.is(shown(12_345, 'per_second'), '12,345/s');
  assert.is(shown(0, 'count'), '0');
});

report('limits are said with their bound', () => {
  assert.is(shownLimit(target('at most', 1)), '<= 5');
  assert.is(shownLimit(target('below', 1)), '< 5');
  assert.is(shownLimit(target('at least', 1)), '>= 5');
  assert.is(shownLimit(target('none', 1)), '');
});

report('tables say pass or MISS for each target, and nothing where nothing was aimed for', () => {
  const lines = renderTable(sample).split('\n');
  const line = (name: string): string => lines.find((each) => each.trimStart().startsWith(name)) ?? '';
  assert.match(line('at most 5'), /pass$/);
  assert.match(line('below 5'), /MISS$/);
  assert.match(line('at least 5'), /MISS$/);
  assert.not.match(line('none 5'), /pass|MISS/);
  assert.match(line('members'), /100\s+1,000\s+10,000$/);
});

report('a size that a series lacks is left empty, not made up', () => {
  const row = renderMarkdown(sample, 'x.svg')
    .split('\n')
    .find((line) => line.startsWith('| steep'));
  assert.is(row, '| steep | 1 µs |  | 100 µs |');
});

report('the picture is well-formed: escaped, finite, a line a series', () => {
  const svg = renderSvg(sample);
  assert.ok(svg.includes('level &lt;1&gt;') && svg.includes('A &amp; B'));
  assert.not.match(svg, /NaN|Infinity|undefined/);
  assert.is(svg.match(/<polyline /g)?.length, 2);
});

report('a level cost is drawn level, and tenfold is as far from tenfold everywhere', () => {
  const [level = [], steep = []] = [...renderSvg(sample).matchAll(/<polyline [^>]*points="([^"]*)"/g)].map(
    (match) => (match[1] ?? '').split(' ').map((place) => place.split(',').map(Number)),
  );
  const heights = new Set(level.map(([, y]) => y));
  assert.is(heights.size, 1);
  const [a = 0, b = 0, c = 0] = level.map(([x]) => x);
  assert.ok(Math.abs(b - a - (c - b)) < 0.2);
  assert.ok((steep[0]?.[1] ?? 0) > (steep[1]?.[1] ?? 0), 'dearer is higher');
});

report.run();
