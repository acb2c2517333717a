// The report as Markdown, with the picture beside it.

import { GROUPS, type Group, type Report } from './report.js';
import { renderMachine, seriesRows, targetRows } from './table.js';

/** @param picture file name of the chart, in the same folder */
export function renderMarkdown(report: Report, picture: string): string {
  const { machine, store, isQuick, startedAt, seconds } = report;
  const parts = [
    '# Benchmarks',
    `${renderMachine(machine)}. Store: ${store}. ${isQuick ? 'A quick run' : 'A full run'} of ` +
      `${Math.round(seconds)} s, begun ${startedAt}. Times are medians of interleaved rounds.`,
  ];
  if (report.series.length > 0) parts.push(`![Scaling curves](${picture})`);
  if (report.targets.length > 0) parts.push('## Targets', table(targetRows(report.targets)));
  for (const group of Object.keys(GROUPS) as Group[]) {
    const series = report.series.filter((each) => each.group === group);
    if (series.length > 0) parts.push(`## ${GROUPS[group]}`, table(seriesRows(series)));
  }
  if (report.remarks.length > 0) {
    parts.push('## Remarks', report.remarks.map((remark) => `- ${remark}`).join('\n'));
  }
  return `${parts.join('\n\n')}\n`;
}

function table([head = [], ...rows]: readonly string[][]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const rule = head.map((_, i) => (i === 0 ? '---' : '--:'));
  return [line(head), line(rule), ...rows.map(line)].join('\n');
}
