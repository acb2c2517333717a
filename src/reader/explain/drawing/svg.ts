// A graph as a picture: one self-contained SVG, nothing loaded, nothing run, every text escaped.

import type { Graph, GraphNode } from '../graph.js';
import { bounded, shortId, SORTS, type Sort, sortOf, titleOf } from './label.js';
import { layOut, type Line, type Spot } from './lanes.js';

const ROW_HEIGHT = 30;
const LANE_WIDTH = 22;
const MARGIN = 24;
const HEAD_HEIGHT = 56;
const FOOT_HEIGHT = 64;
const RADIUS = 6.5;

const LANE_COLORS = ['#2563eb', '#db2777', '#059669', '#d97706', '#7c3aed', '#0891b2', '#65a30d', '#dc2626'];

const MARKS: Readonly<
  Record<Sort, { readonly fill: string; readonly stroke: string; readonly dash?: string }>
> = {
  state: { fill: '#dbeafe', stroke: '#1d4ed8' },
  message: { fill: '#ffffff', stroke: '#475569' },
  soft_failed: { fill: '#fef3c7', stroke: '#b45309', dash: '3 2' },
  rejected: { fill: '#fee2e2', stroke: '#b91c1c' },
  outlier: { fill: '#f1f5f9', stroke: '#64748b', dash: '1.5 2' },
};

/** The picture. Time runs downwards. */
export function toSvg(graph: Graph): string {
  const { spots, lines, lanes } = layOut(graph);
  const textX = MARGIN + lanes * LANE_WIDTH + 16;
  const width = Math.max(860, ...graph.nodes.map((node) => textX + textWidth(node)));
  const height = HEAD_HEIGHT + graph.nodes.length * ROW_HEIGHT + FOOT_HEIGHT;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>Events of ${text(graph.room_id)}</title>`,
    STYLE,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    `<text class="room" x="${MARGIN}" y="28">${text(graph.room_id)}</text>`,
    `<text class="dim" x="${MARGIN}" y="45">${graph.nodes.length} events, oldest at the top</text>`,
    ...graph.nodes.map((node, i) => band(node, i, width)),
    ...graph.nodes.map((node, i) => stubs(node, spots[i] ?? { row: i, lane: 0 })),
    ...lines.map(edge),
    ...graph.nodes.map((node, i) => row(node, spots[i] ?? { row: i, lane: 0 }, textX, width)),
    legend(height - FOOT_HEIGHT + 22),
    '</svg>',
    '',
  ].join('\n');
}

/** About what a row's text takes, id and depth at its end included: fonts differ, so with room to spare. */
function textWidth(node: GraphNode): number {
  const marks = tagsOf(node).reduce((sum, [word]) => sum + word.length * 7.5 + 8, 0);
  return Math.ceil(titleOf(node).length * 7.8 + bounded(node.sender).length * 6.6 + marks + 150 + MARGIN);
}

const STYLE = `<style>
text { font: 12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #0f172a; }
.room { font-size: 15px; font-weight: 600; }
.dim { fill: #64748b; font-size: 11px; }
.id { fill: #64748b; font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: 11px; }
.tag { font-size: 10px; font-weight: 600; }
.state { font-weight: 600; }
</style>`;

const x = (lane: number): number => MARGIN + lane * LANE_WIDTH + RADIUS;
const y = (at: number): number => HEAD_HEIGHT + at * ROW_HEIGHT + ROW_HEIGHT / 2;

/** Behind the row of the event that was asked for, and faintly behind every other row. */
function band(node: GraphNode, at: number, width: number): string {
  const fill = node.target ? '#fef9c3' : at % 2 === 0 ? '#f8fafc' : '#ffffff';
  return `<rect x="0" y="${y(at) - ROW_HEIGHT / 2}" width="${width}" height="${ROW_HEIGHT}" fill="${fill}"/>`;
}

/** Dotted ends where the graph goes on outside the picture. */
function stubs({ more_before, more_after }: GraphNode, spot: Spot): string {
  const stub = (to: number): string =>
    `<line x1="${x(spot.lane)}" y1="${y(spot.row)}" x2="${x(spot.lane)}" y2="${to}" stroke="#94a3b8" stroke-width="2" stroke-dasharray="2 3"/>`;
  const before = more_before > 0 ? stub(y(spot.row) - ROW_HEIGHT / 2 - 2) : '';
  return `${before}${more_after > 0 ? stub(y(spot.row) + ROW_HEIGHT / 2 + 2) : ''}`;
}

function edge({ from, to, lane }: Line): string {
  const color = LANE_COLORS[lane % LANE_COLORS.length] ?? '#475569';
  const [x1, y1, x2, y2] = [x(from.lane), y(from.row), x(to.lane), y(to.row)];
  let path = `M${x1} ${y1}`;
  if (from.lane !== lane) path += bend(x1, y1, x(lane), y1 + ROW_HEIGHT);
  if (to.lane === lane) path += ` L${x2} ${y2}`;
  else path += ` L${x(lane)} ${y2 - ROW_HEIGHT}${bend(x(lane), y2 - ROW_HEIGHT, x2, y2)}`;
  return `<path d="${path}" fill="none" stroke="${color}" stroke-width="2" stroke-linejoin="round"/>`;
}

function bend(x1: number, y1: number, x2: number, y2: number): string {
  const middle = (y1 + y2) / 2;
  return ` C${x1} ${middle} ${x2} ${middle} ${x2} ${y2}`;
}

function row(node: GraphNode, spot: Spot, textX: number, width: number): string {
  const at = y(spot.row);
  const sort = sortOf(node);
  const title = `<tspan class="${sort === 'message' ? 'message' : 'state'}">${text(titleOf(node))}</tspan>`;
  const sender = `<tspan class="dim" dx="8">${text(bounded(node.sender))}</tspan>`;
  return [
    `<g><title>${text(node.event_id)}\n${text(node.type)} by ${text(node.sender)}, depth ${node.depth}, ${node.verdict}</title>`,
    mark(x(spot.lane), at, node),
    `<text x="${textX}" y="${at + 4}">${title}${sender}${tags(node)}</text>`,
    `<text class="id" x="${width - MARGIN}" y="${at + 4}" text-anchor="end">${text(shortId(node.event_id))}  ${node.depth}</text>`,
    '</g>',
  ].join('');
}

function tags(node: GraphNode): string {
  return tagsOf(node)
    .map(([word, color]) => `<tspan class="tag" dx="8" style="fill:${color}">${word}</tspan>`)
    .join('');
}

function tagsOf(node: GraphNode): ReadonlyArray<readonly [word: string, color: string]> {
  const words: Array<readonly [word: string, color: string]> = [];
  if (node.verdict === 'rejected') words.push(['REJECTED', '#b91c1c']);
  if (node.verdict === 'soft_failed') words.push(['SOFT FAILED', '#b45309']);
  if (node.outlier) words.push(['OUTLIER', '#64748b']);
  if (node.resolved) words.push(['STATES RESOLVED', '#7c3aed']);
  if (node.extremity) words.push(['EXTREMITY', '#047857']);
  return words;
}

/** State is a square, the rest round; rejected is crossed; an extremity has a ring; a merge is filled in the middle. */
function mark(cx: number, cy: number, node: GraphNode): string {
  const parts = [shape(cx, cy, sortOf(node), node.state_key !== undefined)];
  if (node.extremity)
    parts.unshift(
      `<circle cx="${cx}" cy="${cy}" r="${RADIUS + 3.5}" fill="#ffffff" stroke="#047857" stroke-width="1.5"/>`,
    );
  if (node.merge && node.verdict !== 'rejected')
    parts.push(`<circle cx="${cx}" cy="${cy}" r="2.5" fill="#0f172a"/>`);
  return parts.join('');
}

function shape(cx: number, cy: number, sort: Sort, isSquare: boolean): string {
  const { fill, stroke, dash } = MARKS[sort];
  const style = `fill="${fill}" stroke="${stroke}" stroke-width="2"${dash === undefined ? '' : ` stroke-dasharray="${dash}"`}`;
  const outline = isSquare
    ? `<rect x="${cx - RADIUS + 1}" y="${cy - RADIUS + 1}" width="${2 * RADIUS - 2}" height="${2 * RADIUS - 2}" rx="2" ${style}/>`
    : `<circle cx="${cx}" cy="${cy}" r="${RADIUS - 0.5}" ${style}/>`;
  if (sort !== 'rejected') return outline;
  const arm = RADIUS - 2.5;
  return `${outline}<path d="M${cx - arm} ${cy - arm} L${cx + arm} ${cy + arm} M${cx + arm} ${cy - arm} L${cx - arm} ${cy + arm}" stroke="${stroke}" stroke-width="2"/>`;
}

function legend(top: number): string {
  const entries: string[] = [];
  let left = MARGIN;
  const add = (drawn: (cx: number, cy: number) => string, meaning: string): void => {
    entries.push(
      `${drawn(left + RADIUS, top)}<text class="dim" x="${left + 20}" y="${top + 4}">${meaning}</text>`,
    );
    left += 42 + meaning.length * 6.2;
  };
  for (const [sort, meaning] of SORTS) add((cx, cy) => shape(cx, cy, sort, sort === 'state'), meaning);
  add(
    (cx, cy) => `${shape(cx, cy, 'message', false)}<circle cx="${cx}" cy="${cy}" r="2.5" fill="#0f172a"/>`,
    'merge',
  );
  add(
    (cx, cy) =>
      `<circle cx="${cx}" cy="${cy}" r="${RADIUS + 3.5}" fill="#ffffff" stroke="#047857" stroke-width="1.5"/>${shape(cx, cy, 'message', false)}`,
    'forward extremity',
  );
  const hint = `<text class="dim" x="${MARGIN}" y="${top + 26}">Squares are state. Dotted ends go on outside the picture. At the right: event id and depth.</text>`;
  return `<g>${entries.join('')}${hint}</g>`;
}

/** Text fit for XML: bounded, without what XML cannot hold, escaped. */
function text(value: string): string {
  return bounded(value)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll(/[\ufffe\uffff]/g, '\ufffd');
}
