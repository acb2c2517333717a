// What differs between two trees: both are walked at once, in tree order, and equal hashes end the walk.
//
// Because shapes follow from sets, two nodes are either split alike, or one of them holds so few entries
// that it was not split; then its entries are few, and nearly all of the other side is difference anyway.
//
//   same depth      child beside child; a leaf of a wide range beside the children in that range
//   deeper inside   the deeper node lies under one nibble of the other, or beside all of it

import { equalBytes } from '../lib/bytes.js';
import type { NodeLoader } from './loader.js';
import { type Inner, type Leaf, type LeafEntry, type Node, sameContent } from './node.js';
import { compareEntries, nibbleAt, sharedNibbles } from './position.js';
import { scanEntries } from './scan.js';
import type { Difference } from './types.js';

type Differences = Generator<Difference, void, undefined>;

/** Every key on which two trees differ, in tree order. */
export function* diffNodes(
  loader: NodeLoader,
  a: Node | undefined,
  b: Node | undefined,
  known = 0,
): Differences {
  if (a === b) return;
  if (a === undefined || b === undefined) {
    yield* mergeSides(loader, listOf(a), listOf(b));
    return;
  }
  if (equalBytes(a.hash, b.hash)) return;
  const left = loader.content(a);
  const right = loader.content(b);
  if (left.isLeaf || right.isLeaf) {
    yield* mergeEntries(
      left.isLeaf ? entriesIn(left) : entriesOf(loader, [a]),
      right.isLeaf ? entriesIn(right) : entriesOf(loader, [b]),
    );
    return;
  }
  const depth = Math.min(left.depth, right.depth);
  if (Math.max(left.depth, right.depth) > known) {
    const leftSample = loader.sample(a);
    const rightSample = loader.sample(b);
    const shared = sharedNibbles(leftSample, rightSample);
    if (shared < depth) {
      const isLeftFirst = nibbleAt(leftSample, shared) < nibbleAt(rightSample, shared);
      yield* isLeftFirst ? diffNodes(loader, a, undefined) : diffNodes(loader, undefined, b);
      yield* isLeftFirst ? diffNodes(loader, undefined, b) : diffNodes(loader, a, undefined);
      return;
    }
  }
  const lefts = left.depth === depth ? childrenByRange(left) : [underNibble(loader, a, depth)];
  const rights = right.depth === depth ? childrenByRange(right) : [underNibble(loader, b, depth)];
  yield* diffRanges(loader, lefts, rights, depth + 1);
}

/** A node and the nibbles that it stands for. */
interface Ranged {
  readonly node: Node;
  readonly low: number;
  readonly end: number;
}

function childrenByRange({ children, ranges }: Inner): Ranged[] {
  return children.map((node, i) => {
    const range = ranges[i] as number;
    return { node, low: range >> 3, end: (range >> 3) + (1 << (range & 7)) };
  });
}

/** A node that begins deeper, as if it were the only child at `depth`. */
function underNibble(loader: NodeLoader, node: Node, depth: number): Ranged {
  const low = nibbleAt(loader.sample(node), depth);
  return { node, low, end: low + 1 };
}

/** Two lists of ranges at one depth. Ranges are halves of halves, so of two that meet one holds the other. */
function* diffRanges(
  loader: NodeLoader,
  lefts: readonly Ranged[],
  rights: readonly Ranged[],
  known: number,
): Differences {
  let i = 0;
  let j = 0;
  while (i < lefts.length || j < rights.length) {
    const left = lefts[i];
    const right = rights[j];
    if (right === undefined || (left !== undefined && left.end <= right.low)) {
      yield* diffNodes(loader, left?.node, undefined);
      i++;
    } else if (left === undefined || right.end <= left.low) {
      yield* diffNodes(loader, undefined, right.node);
      j++;
    } else if (left.low === right.low && left.end === right.end) {
      yield* diffNodes(loader, left.node, right.node, known);
      i++;
      j++;
    } else {
      const end = Math.max(left.end, right.end);
      const leftNodes: Node[] = [];
      const rightNodes: Node[] = [];
      for (let next = lefts[i]; next !== undefined && next.end <= end; next = lefts[++i])
        leftNodes.push(next.node);
      for (let next = rights[j]; next !== undefined && next.end <= end; next = rights[++j])
        rightNodes.push(next.node);
      yield* mergeSides(loader, leftNodes, rightNodes);
    }
  }
}

/** Two lists of nodes, entry by entry. */
function mergeSides(loader: NodeLoader, lefts: readonly Node[], rights: readonly Node[]): Differences {
  return mergeEntries(entriesOf(loader, lefts), entriesOf(loader, rights));
}

type Entries = Generator<LeafEntry, void, undefined>;

function* mergeEntries(leftEntries: Entries, rightEntries: Entries): Differences {
  let left = leftEntries.next();
  let right = rightEntries.next();
  while (left.done !== true || right.done !== true) {
    const order = left.done === true ? 1 : right.done === true ? -1 : compareEntries(left.value, right.value);
    const before = order <= 0 && left.done !== true ? left.value : undefined;
    const after = order >= 0 && right.done !== true ? right.value : undefined;
    const entry = before ?? after;
    if (entry !== undefined && !(before !== undefined && after !== undefined && sameContent(before, after))) {
      yield { key: entry.key, position: entry.position, before, after };
    }
    if (before !== undefined) left = leftEntries.next();
    if (after !== undefined) right = rightEntries.next();
  }
}

function* entriesOf(loader: NodeLoader, nodes: readonly Node[]): Entries {
  for (const node of nodes) yield* scanEntries(loader, node);
}

function* entriesIn(leaf: Leaf): Entries {
  for (let i = 0; i < leaf.count; i++) yield leaf.passingEntry(i);
}

function listOf(node: Node | undefined): Node[] {
  return node === undefined ? [] : [node];
}
