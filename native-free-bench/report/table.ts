// The report as text in columns, for a terminal.

import {
  GROUPS,
  type Group,
  grouped,
  isReached,
  type Machine,
  type Report,
  type Series,
  shown,
  shownLimit,
  sizesOf,
  type Target,
} from './report.js';

/** The whole report. */
export function renderTable(report: Report): string {
  const parts = [renderMachine(report.machine)];
  for (const group of Object.keys(GROUPS) as Group[]) {
    const series = report.series.filter((each) => each.group === group);
    if (series.length > 0) parts.push(`${GROUPS[group]}\n${columns(seriesRows(series), isNumber)}`);
  }
  if (report.targets.length > 0)
    parts.push(`Targets\n${columns(targetRows(report.targets), isTargetNumber)}`);
  if (report.remarks.length > 0) parts.push(report.remarks.map((remark) => `- ${remark}`).join('\n'));
  return `${parts.join('\n\n')}\n`;
}

export function renderMachine({ cpu, cores, memoryBytes, node, platform, addons }: Machine): string {
  const gigabytes = Math.round(memoryBytes / 2 ** 30);
  const loaded = addons.length === 0 ? 'none' : addons.join(', ');
  return `${cpu}, ${cores} cores, ${gigabytes} GB; Node ${node} on ${platform}; native addons: ${loaded}`;
}

/** A head, then a row a series: its name and its value at each size. */
export function seriesRows(series: readonly Series[]): string[][] {
  const sizes = sizesOf(series);
  return [
    ['members', ...sizes.map(grouped)],
    ...series.map(({ name, unit, points }) => [
      name,
      ...sizes.map((size) => {
        const point = points.find(({ members }) => members === size);
        return point === undefined ? '' : shown(point.value, unit);
      }),
    ]),
  ];
}

/** A head, then a row a target. */
export function targetRows(targets: readonly Target[]): string[][] {
  return [
    ['target', 'aim', 'reached', '', ''],
    ...targets.map((target) => {
      const reached = isReached(target);
      const verdict = reached === undefined ? '' : reached ? 'pass' : 'MISS';
      return [
        target.name,
        shownLimit(target),
        shown(target.reached, target.unit),
        verdict,
        target.remark ?? '',
      ];
    }),
  ];
}

const isNumber = (column: number): boolean => column > 0;
const isTargetNumber = (column: number): boolean => column === 1 || column === 2;

function columns(rows: readonly string[][], isRight: (column: number) => boolean): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length);
    });
  }
  return rows
    .map((row) =>
      row
        .map((cell, i) => (isRight(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `  ${line}`)
    .join('\n');
}
