// The shape of a tree: a pure function of its set of entries.
//
//   1. At most 16 entries: one leaf.
//   2. Else an inner node at the first nibble where positions differ; nibbles shared by all are skipped.
//   3. In it the range of nibbles is halved until a part holds at most 16 entries or is a single nibble;
//      empty parts are left out.
//   4. Entries whose positions are all equal stay in one leaf, however many.
//
// A Plan is a tree that is not made yet: nodes that stay as they are, and leaves and inner nodes to be made.
// Planning first means that only final nodes are ever encoded and hashed. The pieces of a plan obey rule 3
// by construction, wherever they come from: see `assemble`.
//
//   pieces at depth k:   [0 1 2 3: 9 entries] [4: Node 30] [5: 2 entries] ... [8: 1 entry]
//   halved:              0-3: leaf of 9       4: Node 30   5: leaf of 2   ...  8-15: leaf of 1

import { assert } from '../lib/errors.js';
import type { NodeLoader } from './loader.js';
import { type InnerWhole, type LeafWhole, Node, Split } from './node.js';
import { NIBBLES, nibbleAt, sharedNibbles } from './position.js';
import type { TreeEntry } from './types.js';

/** A leaf holds at most this many entries, unless their positions are all equal. */
export const LEAF_ENTRIES_MAX = 16;

/** A leaf to be made, of entries in order. `base` is the last whole version of the leaf that it follows. */
export class LeafPlan {
  readonly entries: readonly TreeEntry[];
  readonly base: LeafWhole | undefined;

  constructor(entries: readonly TreeEntry[], base?: LeafWhole) {
    this.entries = entries;
    this.base = base;
  }

  get count(): number {
    return this.entries.length;
  }
}

/** An inner node to be made. */
export class InnerPlan {
  readonly split: Split;
  readonly children: readonly Plan[];
  readonly count: number;
  readonly base: InnerWhole | undefined;

  constructor(split: Split, children: readonly Plan[], base?: InnerWhole) {
    this.split = split;
    this.children = children;
    let count = 0;
    for (const child of children) count += child.count;
    this.count = count;
    this.base = base;
  }
}

export type Plan = Node | LeafPlan | InnerPlan;

/**
 * What lies in the nibbles [low, low + 2^log). Before it is placed a piece may be loose: a LeafPlan of more
 * entries than a leaf holds. A piece of several nibbles is always a leaf or loose.
 */
export interface Piece {
  readonly low: number;
  readonly log: number;
  readonly plan: Plan;
}

/** The plan of a set of entries in tree order; undefined for none. `base` is kept if it makes a leaf. */
export function planEntries(entries: readonly TreeEntry[], base?: LeafWhole): Plan | undefined {
  const first = entries[0];
  const last = entries[entries.length - 1];
  if (first === undefined || last === undefined) return undefined;
  if (entries.length <= LEAF_ENTRIES_MAX) return new LeafPlan(entries, base);
  const depth = sharedNibbles(first.position, last.position);
  if (depth === NIBBLES) return new LeafPlan(entries, base);
  const parts: Piece[] = [];
  place(parts, depth, 0, 4, [{ low: 0, log: 4, plan: new LeafPlan(entries) }], gatherPlanned);
  return innerOf(depth, parts);
}

/**
 * The plan of pieces (in order, none empty) that lie side by side at a nibble; undefined for none. `base`
 * is the last whole version of the inner node that these pieces come from.
 */
export function assemble(
  loader: NodeLoader,
  depth: number,
  pieces: readonly Piece[],
  base?: InnerWhole,
): Plan | undefined {
  const only = pieces[0];
  if (only === undefined) return undefined;
  if (pieces.length === 1) return settle(only.plan);
  const gather = (plan: Plan): readonly TreeEntry[] => entriesOfLeaf(loader, plan);
  if (countOf(pieces) <= LEAF_ENTRIES_MAX) return new LeafPlan(pieces.flatMap((piece) => gather(piece.plan)));
  const parts: Piece[] = [];
  place(parts, depth, 0, 4, pieces, gather);
  return innerOf(depth, parts, base);
}

function innerOf(depth: number, parts: readonly Piece[], base?: InnerWhole): InnerPlan {
  const ranges = parts.map(({ low, log }) => (low << 3) | log);
  const children = parts.map(({ plan }) => plan);
  return new InnerPlan(new Split(depth, ranges), children, base);
}

type Gather = (plan: Plan) => readonly TreeEntry[];

/** Rule 3: puts what lies in [low, low + 2^log) into `parts`. */
function place(
  parts: Piece[],
  depth: number,
  low: number,
  log: number,
  pieces: readonly Piece[],
  gather: Gather,
): void {
  const only = pieces[0];
  if (only === undefined) return;
  if (countOf(pieces) <= LEAF_ENTRIES_MAX) {
    const plan =
      pieces.length === 1 ? only.plan : new LeafPlan(pieces.flatMap((piece) => gather(piece.plan)));
    parts.push({ low, log, plan });
    return;
  }
  if (log === 0) {
    parts.push({ low, log, plan: settle(only.plan) });
    return;
  }
  const half = log - 1;
  const middle = low + (1 << half);
  const [left, right] = split(depth, low, middle, half, pieces);
  place(parts, depth, low, half, left, gather);
  place(parts, depth, middle, half, right, gather);
}

/** Divides pieces at `middle`; a loose piece that lies on both sides is cut in two. */
function split(
  depth: number,
  low: number,
  middle: number,
  half: number,
  pieces: readonly Piece[],
): [left: Piece[], right: Piece[]] {
  const left: Piece[] = [];
  const right: Piece[] = [];
  for (const piece of pieces) {
    if (piece.log <= half) {
      (piece.low < middle ? left : right).push(piece);
      continue;
    }
    assert(piece.plan instanceof LeafPlan, 'only entries not placed yet lie on both sides of a half');
    const { entries } = piece.plan;
    let cut = 0;
    while (cut < entries.length && nibbleAt((entries[cut] as TreeEntry).position, depth) < middle) cut++;
    if (cut > 0) left.push({ low, log: half, plan: new LeafPlan(entries.slice(0, cut)) });
    if (cut < entries.length) right.push({ low: middle, log: half, plan: new LeafPlan(entries.slice(cut)) });
  }
  return [left, right];
}

/** Gives loose entries their shape. */
function settle(plan: Plan): Plan {
  if (!(plan instanceof LeafPlan) || plan.count <= LEAF_ENTRIES_MAX) return plan;
  return planEntries(plan.entries, plan.base) ?? plan;
}

/** The entries of a plan that holds no more than a leaf does. */
function entriesOfLeaf(loader: NodeLoader, plan: Plan): readonly TreeEntry[] {
  if (plan instanceof Node) {
    const content = loader.content(plan);
    assert(content.isLeaf, 'an inner node holds more than a leaf does');
    return Array.from({ length: content.count }, (_, i) => content.passingEntry(i));
  }
  return gatherPlanned(plan);
}

function gatherPlanned(plan: Plan): readonly TreeEntry[] {
  assert(plan instanceof LeafPlan, 'an inner node holds more than a leaf does');
  return plan.entries;
}

function countOf(pieces: readonly Piece[]): number {
  let count = 0;
  for (const piece of pieces) count += piece.plan.count;
  return count;
}
