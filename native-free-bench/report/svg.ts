// The scaling curves as one SVG: a panel a group, both axes logarithmic, a legend below each panel.
//
// On such axes a cost that does not grow is level, one that grows with the room climbs at 45 degrees, and one
// that grows with its logarithm is nearly level. Ours are drawn full, the naive answers dashed.

import {
  GROUPS,
  type Group,
  grouped,
  type Report,
  type Series,
  shown,
  sizesOf,
  type Unit,
} from './report.js';
import { renderMachine } from './table.js';

const PANEL_WIDTH = 560;
const PLOT = { left: 74, top: 46, width: 456, height: 264 };
const LEGEND_LINE = 21;
const MARGIN = 28;
const HEAD = 84;
const PER_ROW = 2;

const OURS = ['#0b6e99', '#d9730d', '#0f7b6c', '#6940a5', '#ad1a72', '#64473a', '#5b8c2a', '#2f3e9e'];
const NAIVE = ['#9b9a97', '#c4554d', '#b59a3c'];

const STYLE = `
  text { font-family: 'DejaVu Sans', 'Segoe UI', Helvetica, Arial, sans-serif; font-size: 12px; fill: #37352f; }
  .title { font-size: 22px; font-weight: 600; }
  .machine, .tick { fill: #787774; }
  .panel { font-size: 15px; font-weight: 600; }
  .tick { font-size: 11px; }
  .grid { stroke: #e9e9e7; stroke-width: 1; }
  .axis { stroke: #b8b7b4; stroke-width: 1; }
  .line { fill: none; stroke-width: 2.4; stroke-linejoin: round; stroke-linecap: round; }
  .naive { stroke-dasharray: 6 5; stroke-width: 2; }`;

/** A line with its colour. */
interface Drawn extends Series {
  readonly colour: string;
}

export function renderSvg(report: Report): string {
  const rivals = new Set(report.series.filter(({ kind }) => kind === 'naive').map(({ name }) => name));
  const groups = (Object.keys(GROUPS) as Group[])
    .map((group) => {
      const series = report.series.filter((each) => each.group === group);
      return { group, series: coloured(series, [...rivals]) };
    })
    .filter(({ series }) => series.length > 0);
  const rows: string[] = [];
  let top = HEAD;
  for (let i = 0; i < groups.length; i += PER_ROW) {
    const row = groups.slice(i, i + PER_ROW);
    const legendLines = Math.max(...row.map(({ series }) => Math.ceil(series.length / 2)));
    rows.push(
      ...row.map(({ group, series }, column) => {
        const left = MARGIN + column * (PANEL_WIDTH + MARGIN);
        return `<g transform="translate(${left} ${top})">${panel(GROUPS[group], series)}</g>`;
      }),
    );
    top += PLOT.top + PLOT.height + 54 + legendLines * LEGEND_LINE + 18;
  }
  const width = PER_ROW * (PANEL_WIDTH + MARGIN) + MARGIN;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${top}" width="${width}" height="${top}">
<style>${STYLE}</style>
<rect width="100%" height="100%" fill="#ffffff"/>
<text class="title" x="${MARGIN}" y="40">stateroom: what a room's size costs</text>
<text class="machine" x="${MARGIN}" y="62">${escapeXml(renderMachine(report.machine))}; store: ${report.store}</text>
${rows.join('\n')}
</svg>
`;
}

/** Ours take a colour each within a panel; a rival keeps its own through all panels. */
function coloured(series: readonly Series[], rivals: readonly string[]): Drawn[] {
  let ours = 0;
  return series.map((each) => {
    const palette = each.kind === 'ours' ? OURS : NAIVE;
    const at = each.kind === 'ours' ? ours++ : rivals.indexOf(each.name);
    return { ...each, colour: palette[at % palette.length] ?? '#000000' };
  });
}

function panel(title: string, series: readonly Drawn[]): string {
  const sizes = sizesOf(series);
  const x = logScale(sizes[0] ?? 1, sizes.at(-1) ?? 1, PLOT.left, PLOT.left + PLOT.width);
  const values = series
    .flatMap(({ points }) => points.map(({ value }) => value))
    .filter((value) => value > 0);
  const low = 10 ** Math.floor(Math.log10(Math.min(...values)));
  const high = 10 ** Math.ceil(Math.log10(Math.max(...values) * 1.0001));
  const y = logScale(low, high, PLOT.top + PLOT.height, PLOT.top);
  const unit = series[0]?.unit ?? 'us';
  return [
    `<text class="panel" x="${PLOT.left}" y="28">${escapeXml(title)}</text>`,
    verticalAxis(low, high, unit, y),
    horizontalAxis(sizes, x),
    ...series.map((each) => curve(each, x, y)),
    legend(series),
  ].join('\n');
}

type Scale = (value: number) => number;

function logScale(low: number, high: number, from: number, to: number): Scale {
  const span = Math.log10(high) - Math.log10(low);
  return (value) =>
    span === 0 ? (from + to) / 2 : from + ((Math.log10(value) - Math.log10(low)) / span) * (to - from);
}

function verticalAxis(low: number, high: number, unit: Unit, y: Scale): string {
  const right = PLOT.left + PLOT.width;
  const ticks: string[] = [];
  for (let power = Math.round(Math.log10(low)); power <= Math.round(Math.log10(high)); power++) {
    const at = y(10 ** power).toFixed(1);
    ticks.push(
      `<line class="grid" x1="${PLOT.left}" x2="${right}" y1="${at}" y2="${at}"/>` +
        `<text class="tick" x="${PLOT.left - 9}" y="${at}" dy="4" text-anchor="end">${shown(10 ** power, unit)}</text>`,
    );
  }
  return ticks.join('');
}

function horizontalAxis(sizes: readonly number[], x: Scale): string {
  const bottom = PLOT.top + PLOT.height;
  const middle = PLOT.left + PLOT.width / 2;
  const ticks = sizes.map((size) => {
    const at = x(size).toFixed(1);
    return (
      `<line class="grid" x1="${at}" x2="${at}" y1="${PLOT.top}" y2="${bottom}"/>` +
      `<text class="tick" x="${at}" y="${bottom + 18}" text-anchor="middle">${grouped(size)}</text>`
    );
  });
  return [
    ...ticks,
    `<line class="axis" x1="${PLOT.left}" x2="${PLOT.left + PLOT.width}" y1="${bottom}" y2="${bottom}"/>`,
    `<text class="tick" x="${middle}" y="${bottom + 36}" text-anchor="middle">members of the room</text>`,
  ].join('');
}

function curve({ points, kind, colour: stroke }: Drawn, x: Scale, y: Scale): string {
  const places = points
    .filter(({ value }) => value > 0)
    .map(({ members, value }) => [x(members).toFixed(1), y(value).toFixed(1)] as const);
  const dashed = kind === 'naive' ? ' naive' : '';
  const dots = places.map(
    ([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="3.4" fill="${stroke}" stroke="#fff"/>`,
  );
  return `<polyline class="line${dashed}" stroke="${stroke}" points="${places.map((at) => at.join(',')).join(' ')}"/>${dots.join('')}`;
}

function legend(series: readonly Drawn[]): string {
  const top = PLOT.top + PLOT.height + 62;
  return series
    .map(({ name, kind, colour: stroke }, i) => {
      const left = PLOT.left - 40 + (i % 2) * 268;
      const line = top + Math.floor(i / 2) * LEGEND_LINE;
      const dashed = kind === 'naive' ? ' naive' : '';
      return (
        `<line class="line${dashed}" stroke="${stroke}" x1="${left}" x2="${left + 26}" y1="${line}" y2="${line}"/>` +
        `<text x="${left + 34}" y="${line + 4}">${escapeXml(name)}</text>`
      );
    })
    .join('\n');
}

function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
