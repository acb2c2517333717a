// Where the events of a graph are drawn: one row each, oldest at the top, and branches side by side in lanes.
//
//   o        An event's lane goes to the last of those that follow it; the others open lanes of their own.
//   |\       So all edges that leave an event run beside or before its heir, never through a foreign event,
//   | o      and a picture can be read without guessing. An edge into an opened lane bends right after the
//   o |      older event; any other runs down the older event's lane and bends just before the younger one.
//   |/       A lane is free again when all that follow its last event have been drawn.
//   o

import type { Graph } from '../graph.js';

/** One event's place. */
export interface Spot {
  readonly row: number;
  readonly lane: number;
}

/** An edge from an older event down to a younger one. */
export interface Line {
  readonly from: Spot;
  readonly to: Spot;
  /** The lane in which it runs down between them. */
  readonly lane: number;
}

export interface Layout {
  /** By the node's place in the graph. */
  readonly spots: readonly Spot[];
  readonly lines: readonly Line[];
  readonly lanes: number;
}

/** Lays out a graph whose nodes are sorted, none before one that it follows. */
export function layOut({ nodes, edges }: Graph): Layout {
  const rows = new Map(nodes.map(({ event_id }, row) => [event_id, row]));
  const prevs: number[][] = nodes.map(() => []);
  const nexts: number[][] = nodes.map(() => []);
  for (const { from, to } of edges) {
    const [younger, older] = [rows.get(from), rows.get(to)];
    if (younger === undefined || older === undefined || older >= younger) continue;
    prevs[younger]?.push(older);
    nexts[older]?.push(younger);
  }

  const lanes: number[] = [];
  /** The last row up to which each lane is taken. */
  const takenUntil: number[] = [];
  const opened = new Set<number>();
  nodes.forEach((_, row) => {
    const before = prevs[row] ?? [];
    const inherited = before.find((prev) => nexts[prev]?.at(-1) === row);
    let lane = inherited === undefined ? -1 : (lanes[inherited] ?? -1);
    if (lane === -1) {
      // The edges bend into the new lane right after the older events: it must be free from there on.
      const since = Math.min(row, ...before);
      lane = takenUntil.findIndex((until) => until <= since);
      if (lane === -1) lane = takenUntil.length;
      opened.add(row);
    }
    lanes[row] = lane;
    takenUntil[lane] = Math.max(takenUntil[lane] ?? -1, row, ...(nexts[row] ?? []));
  });

  const spots = nodes.map((_, row) => ({ row, lane: lanes[row] ?? 0 }));
  const lines: Line[] = [];
  spots.forEach((to, row) => {
    for (const prev of prevs[row] ?? []) {
      const from = spots[prev];
      if (from !== undefined) lines.push({ from, to, lane: opened.has(row) ? to.lane : from.lane });
    }
  });
  return { spots, lines, lanes: takenUntil.length };
}
