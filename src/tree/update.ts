// Puts and removes, many at once: one walk over the nodes that the changes touch gives a plan of the new
// tree, in which everything untouched is shared. The shape follows from the set alone (shape.ts), so
// splitting, merging and collapsing need no rules of their own: a node's parts, changed and unchanged, are
// assembled again.

import { equalBytes } from '../lib/bytes.js';
import { assert } from '../lib/errors.js';
import { KEY_BYTES_MAX, VALUE_BYTES_MAX } from './codec.js';
import type { NodeLoader } from './loader.js';
import type { Inner, Leaf, Node } from './node.js';
import { comparePlaces, nibbleAt, sharedNibbles } from './position.js';
import {
  InnerPlan,
  LEAF_ENTRIES_MAX,
  LeafPlan,
  type Piece,
  type Plan,
  assemble,
  planEntries,
} from './shape.js';
import { POSITION_BYTES, type Change, type TreeEntry } from './types.js';

/** A change in tree order; a remove has no value. */
export interface Edit {
  readonly position: Uint8Array;
  readonly key: Uint8Array;
  readonly tag: number;
  readonly value: Uint8Array | undefined;
}

/** Changes as edits in tree order. Of several changes to one key the last counts. */
export function sortEdits(changes: Iterable<Change>): Edit[] {
  const edits: Edit[] = [];
  for (const { key, tag, value } of changes) {
    assert(key.position.length === POSITION_BYTES, 'a position has 16 bytes');
    assert(key.bytes.length <= KEY_BYTES_MAX, 'a key has at most 4,096 bytes');
    assert(value === undefined || value.length <= VALUE_BYTES_MAX, 'a value has at most 4,096 bytes');
    assert(Number.isInteger(tag) && tag >= 0 && tag <= 255, 'a tag is a byte');
    edits.push({ position: key.position, key: key.bytes, tag, value });
  }
  if (edits.length < 2) return edits;
  edits.sort((a, b) => comparePlaces(a.position, a.key, b.position, b.key));
  // The sort is stable, so the last of equal keys is the latest.
  return edits.filter((edit, i) => {
    const next = edits[i + 1];
    return next === undefined || comparePlaces(edit.position, edit.key, next.position, next.key) !== 0;
  });
}

/** The entries that edits put; removes are left out. */
export function putsOf(edits: readonly Edit[]): TreeEntry[] {
  const puts: TreeEntry[] = [];
  for (const { position, key, tag, value } of edits)
    if (value !== undefined) puts.push({ position, key, tag, value });
  return puts;
}

/**
 * The plan of a node after edits (in tree order): the node itself when they change nothing, undefined when
 * nothing is left.
 *
 * @param known how many nibbles all entries of the node and all edits share for certain
 */
export function planUpdate(
  loader: NodeLoader,
  node: Node,
  known: number,
  edits: readonly Edit[],
): Plan | undefined {
  if (edits.length === 0) return node;
  const content = loader.content(node);
  if (content.isLeaf) {
    const entries = mergeLeaf(content, edits);
    return entries === undefined ? node : planEntries(entries, content.whole);
  }
  if (content.depth === known) return planInner(loader, node, content, edits);
  return planSkipping(loader, node, content, edits);
}

/** A leaf's entries after edits, or undefined when nothing changes. */
function mergeLeaf(leaf: Leaf, edits: readonly Edit[]): TreeEntry[] | undefined {
  const entries: TreeEntry[] = [];
  let isChanged = false;
  let i = 0;
  for (const { position, key, tag, value } of edits) {
    let order = 1;
    while (i < leaf.count && (order = leaf.compareAt(i, position, key)) < 0)
      entries.push(leaf.passingEntry(i++));
    const before = i < leaf.count && order === 0 ? leaf.passingEntry(i++) : undefined;
    if (value === undefined) {
      isChanged ||= before !== undefined;
    } else if (before !== undefined && before.tag === tag && equalBytes(before.value, value)) {
      entries.push(before);
    } else {
      entries.push({ position, key, tag, value });
      isChanged = true;
    }
  }
  while (i < leaf.count) entries.push(leaf.passingEntry(i++));
  return isChanged ? entries : undefined;
}

/**
 * An inner node whose entries share nibbles that the path to it does not name. Puts that leave those
 * nibbles need an inner node above it; removes that leave them find nothing.
 */
function planSkipping(
  loader: NodeLoader,
  node: Node,
  inner: Inner,
  edits: readonly Edit[],
): Plan | undefined {
  const sample = loader.sample(node);
  let fork = inner.depth;
  const relevant = edits.filter((edit) => {
    const shared = sharedNibbles(sample, edit.position);
    if (shared >= inner.depth) return true;
    if (edit.value === undefined) return false;
    fork = Math.min(fork, shared);
    return true;
  });
  if (relevant.length === 0) return node;
  if (fork === inner.depth) return planInner(loader, node, inner, relevant);
  const pieces: Piece[] = [];
  const home = nibbleAt(sample, fork);
  let isHomePlaced = false;
  for (const [nibble, group] of groupByNibble(relevant, fork)) {
    if (nibble > home && !isHomePlaced) {
      pieces.push({ low: home, log: 0, plan: node });
      isHomePlaced = true;
    }
    isHomePlaced ||= nibble === home;
    const plan = nibble === home ? planUpdate(loader, node, fork + 1, group) : planEntries(putsOf(group));
    if (plan !== undefined) pieces.push({ low: nibble, log: 0, plan });
  }
  if (!isHomePlaced) pieces.push({ low: home, log: 0, plan: node });
  return assemble(loader, fork, pieces);
}

/** An inner node and edits that share its path: each child takes its own, gaps between children fill up. */
function planInner(loader: NodeLoader, node: Node, inner: Inner, edits: readonly Edit[]): Plan | undefined {
  const { depth, ranges, children } = inner;
  const plans: (Plan | undefined)[] = [];
  const fills: Piece[] = [];
  let isChanged = false;
  let keepsShape = true;
  let next = 0;
  const take = (end: number): readonly Edit[] => {
    const from = next;
    while (next < edits.length && nibbleAt((edits[next] as Edit).position, depth) < end) next++;
    return from === next ? NO_EDITS : edits.slice(from, next);
  };
  const fill = (end: number): void => {
    for (const [nibble, group] of groupByNibble(take(end), depth)) {
      const plan = planEntries(putsOf(group));
      if (plan !== undefined) fills.push({ low: nibble, log: 0, plan });
    }
  };
  for (let i = 0; i < children.length; i++) {
    const child = children[i] as Node;
    const range = ranges[i] as number;
    const low = range >> 3;
    const log = range & 7;
    fill(low);
    const own = take(low + (1 << log));
    const plan = log === 0 ? planUpdate(loader, child, depth + 1, own) : planWideLeaf(loader, child, own);
    plans.push(plan);
    if (plan === child) continue;
    isChanged = true;
    keepsShape &&=
      plan !== undefined && plan.count >= child.count && (log === 0 || plan.count <= LEAF_ENTRIES_MAX);
  }
  fill(16);
  if (!isChanged && fills.length === 0) return node;
  // The usual case: nothing new between the children, none that shrank (so nothing can merge), and no leaf
  // of several nibbles outgrown. The ranges stay as they are.
  if (keepsShape && fills.length === 0) return new InnerPlan(inner.split, plans.filter(isPlan), inner.whole);
  const pieces = [...fills];
  plans.forEach((plan, i) => {
    const range = ranges[i] as number;
    if (plan !== undefined) pieces.push({ low: range >> 3, log: range & 7, plan });
  });
  pieces.sort((a, b) => a.low - b.low);
  return assemble(loader, depth, pieces, inner.whole);
}

const NO_EDITS: readonly Edit[] = [];

function isPlan(plan: Plan | undefined): plan is Plan {
  return plan !== undefined;
}

/** A leaf of several nibbles stays loose: only its parent can tell how its entries are to be divided. */
function planWideLeaf(loader: NodeLoader, child: Node, edits: readonly Edit[]): Plan | undefined {
  if (edits.length === 0) return child;
  const leaf = loader.content(child);
  assert(leaf.isLeaf, 'a child of several nibbles is a leaf');
  const entries = mergeLeaf(leaf, edits);
  if (entries === undefined) return child;
  return entries.length === 0 ? undefined : new LeafPlan(entries, leaf.whole);
}

function groupByNibble(edits: readonly Edit[], depth: number): Array<[nibble: number, group: Edit[]]> {
  const groups: Array<[number, Edit[]]> = [];
  for (const edit of edits) {
    const nibble = nibbleAt(edit.position, depth);
    const last = groups[groups.length - 1];
    if (last !== undefined && last[0] === nibble) last[1].push(edit);
    else groups.push([nibble, [edit]]);
  }
  return groups;
}
