// Graphs as text that others draw: Graphviz dot, and mermaid.

import type { Graph, GraphNode } from '../graph.js';
import { bounded, shortId, SORTS, type Sort, sortOf, titleOf } from './label.js';

const DOT_STYLES: Readonly<Record<Sort, string>> = {
  state: 'shape=box style="filled" fillcolor="#dbeafe" color="#1d4ed8"',
  message: 'shape=ellipse style="filled" fillcolor="#f8fafc" color="#475569"',
  soft_failed: 'shape=box style="filled,dashed" fillcolor="#fef3c7" color="#b45309"',
  rejected: 'shape=octagon style="filled" fillcolor="#fee2e2" color="#b91c1c"',
  outlier: 'shape=box style="filled,dotted" fillcolor="#f1f5f9" color="#64748b"',
};

/** For `dot -Tsvg`. Time runs downwards; an arrow points from an event to one that it follows. */
export function toDot({ room_id, nodes, edges }: Graph): string {
  const names = new Map(nodes.map(({ event_id }, i) => [event_id, `n${i}`]));
  const lines = nodes.map((node) => {
    const extra = `${node.extremity ? ' peripheries=2' : ''}${node.target ? ' penwidth=3' : ''}`;
    const tooltip = ` tooltip=${dotText(bounded(node.event_id))}`;
    return `  ${names.get(node.event_id)} [label=${dotText(labelLines(node).join('\n'))} ${DOT_STYLES[sortOf(node)]}${extra}${tooltip}];`;
  });
  const arrows = edges.map(({ from, to }) => `  ${names.get(from)} -> ${names.get(to)};`);
  const legend = SORTS.map(
    ([sort, meaning], i) => `    l${i} [label=${dotText(meaning)} ${DOT_STYLES[sort]}];`,
  );
  return [
    'digraph room {',
    `  label=${dotText(bounded(room_id))};`,
    '  rankdir=BT;',
    '  node [fontname="sans-serif" fontsize=10];',
    '  edge [color="#94a3b8" arrowsize=0.6];',
    ...lines,
    ...arrows,
    '  subgraph cluster_legend {',
    '    label="double border: forward extremity; thick: asked for"; color="#cbd5e1"; fontsize=9;',
    ...legend,
    '  }',
    '}',
    '',
  ].join('\n');
}

const MERMAID_CLASSES: Readonly<Record<Sort, string>> = {
  state: 'fill:#dbeafe,stroke:#1d4ed8',
  message: 'fill:#f8fafc,stroke:#475569',
  soft_failed: 'fill:#fef3c7,stroke:#b45309,stroke-dasharray:4',
  rejected: 'fill:#fee2e2,stroke:#b91c1c',
  outlier: 'fill:#f1f5f9,stroke:#64748b,stroke-dasharray:2',
};

/** For a fenced `mermaid` block. Time runs downwards; events are drawn before those that follow them. */
export function toMermaid({ nodes, edges }: Graph): string {
  const names = new Map(nodes.map(({ event_id }, i) => [event_id, `n${i}`]));
  const boxes = nodes.map((node) => {
    const text = mermaidText([...labelLines(node), ...(node.extremity ? ['(forward extremity)'] : [])]);
    const box = node.state_key === undefined ? `(["${text}"])` : `["${text}"]`;
    return `  ${names.get(node.event_id)}${box}:::${sortOf(node)}`;
  });
  const classes = SORTS.map(([sort]) => `  classDef ${sort} ${MERMAID_CLASSES[sort]}`);
  const target = nodes
    .filter((node) => node.target)
    .map(({ event_id }) => `  style ${names.get(event_id)} stroke-width:4px`);
  const legend = SORTS.map(([sort, meaning], i) => `    l${i}["${meaning}"]:::${sort}`);
  return [
    'flowchart TB',
    ...boxes,
    ...edges.map(({ from, to }) => `  ${names.get(to)} --> ${names.get(from)}`),
    '  subgraph legend',
    ...legend,
    '  end',
    ...classes,
    ...target,
    '',
  ].join('\n');
}

function labelLines(node: GraphNode): string[] {
  const mark =
    node.verdict === 'accepted' ? '' : ` (${node.verdict === 'rejected' ? 'rejected' : 'soft failed'})`;
  return [
    `${titleOf(node)}${mark}`,
    bounded(node.sender),
    `${bounded(shortId(node.event_id))} depth ${node.depth}`,
  ];
}

function dotText(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}

/** Everything that mermaid might read as its own is written as a character code. */
function mermaidText(lines: readonly string[]): string {
  return lines
    .map((line) => line.replace(/[^\p{L}\p{N} .:@_(),-]/gu, (found) => `#${found.codePointAt(0) ?? 0};`))
    .join('<br/>');
}
