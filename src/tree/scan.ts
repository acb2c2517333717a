// Reading ranges: entries in order from anywhere, and counts of a range without reading what lies inside.
//
// A range is two places, low and high, both within it. On the way down a bound matters only while the path
// so far equals the bound's own beginning; as soon as it differs, or the rest of the bound is all zeros (low)
// or all ones (high), the bound is dropped, and a subtree with no bound left lies wholly inside. So only the
// two edges of a range are walked with care, and for a prefix no further than the prefix goes.

import { assert } from '../lib/errors.js';
import type { NodeLoader } from './loader.js';
import type { Inner, Leaf, LeafEntry, Node } from './node.js';
import { NIBBLES, nibbleAt } from './position.js';
import { COUNTED_TAG, POSITION_BYTES, type PositionPrefix, type TreeKey } from './types.js';

/** Where a scan begins and ends; without options it is everything. */
export interface ScanOptions {
  /** Only positions with this prefix. */
  readonly prefix?: PositionPrefix | undefined;
  /** Only entries after this key, whether it is there or not: the last one of an earlier scan. */
  readonly after?: TreeKey | undefined;
}

/** One end of a range. */
interface Bound {
  readonly position: Uint8Array;
  /** From this nibble on it bounds no more. */
  readonly end: number;
}

/** The bounds that still matter; both inclusive. */
interface Bounds {
  readonly low: Bound | undefined;
  readonly high: Bound | undefined;
}

const NO_BOUNDS: Bounds = { low: undefined, high: undefined };

/** Entries in tree order: by position, then by key. */
export function* scanEntries(
  loader: NodeLoader,
  root: Node,
  options: ScanOptions = {},
): Generator<LeafEntry, void, undefined> {
  const { prefix, after } = options;
  let bounds = prefix === undefined ? NO_BOUNDS : boundsOfPrefix(prefix);
  if (
    after !== undefined &&
    (bounds.low === undefined || comparePositions(after.position, bounds.low.position) >= 0)
  ) {
    // Never dropped: at its own position keys decide.
    bounds = { low: { position: after.position, end: NIBBLES + 1 }, high: bounds.high };
  }
  const { low, high } = bounds;
  if (low !== undefined && high !== undefined && comparePositions(low.position, high.position) > 0) return;
  for (const { leaf, bounds: within } of leavesIn(loader, root, bounds)) {
    const [from, to] = span(leaf, within);
    for (let i = from; i < to; i++) {
      if (
        after !== undefined &&
        within.low !== undefined &&
        leaf.compareAt(i, after.position, after.bytes) <= 0
      )
        continue;
      yield leaf.passingEntry(i);
    }
  }
}

/** How many entries have a prefix, and how many of those the counted tag: O(log n) node reads. */
export function countPrefix(
  loader: NodeLoader,
  root: Node,
  prefix: PositionPrefix,
): { count: number; joined: number } {
  let count = 0;
  let joined = 0;
  const stack: Step[] = [{ node: root, known: 0, bounds: boundsOfPrefix(prefix) }];
  for (let step = stack.pop(); step !== undefined; step = stack.pop()) {
    const { node, bounds } = step;
    if (bounds.low === undefined && bounds.high === undefined) {
      count += node.count;
      joined += node.joined;
      continue;
    }
    const content = loader.content(node);
    if (content.isLeaf) {
      const [from, to] = span(content, bounds);
      count += to - from;
      for (let i = from; i < to; i++) if (content.tagOf(i) === COUNTED_TAG) joined++;
    } else {
      pushChildren(loader, stack, step, content);
    }
  }
  return { count, joined };
}

/** A node still to be walked; all that lies in it shares `known` nibbles with the bounds that are left. */
interface Step {
  readonly node: Node;
  readonly known: number;
  readonly bounds: Bounds;
}

function* leavesIn(
  loader: NodeLoader,
  root: Node,
  bounds: Bounds,
): Generator<{ leaf: Leaf; bounds: Bounds }, void, undefined> {
  const stack: Step[] = [{ node: root, known: 0, bounds }];
  for (let step = stack.pop(); step !== undefined; step = stack.pop()) {
    const content = loader.content(step.node);
    if (content.isLeaf) yield { leaf: content, bounds: step.bounds };
    else pushChildren(loader, stack, step, content);
  }
}

/** Pushes the children that are not outside the bounds, the last first. */
function pushChildren(loader: NodeLoader, stack: Step[], { node, known, bounds }: Step, inner: Inner): void {
  const { depth, children, ranges } = inner;
  const within = depth > known ? passSkipped(loader, node, known, depth, bounds) : bounds;
  if (within === undefined) return;
  for (let i = children.length - 1; i >= 0; i--) {
    const range = ranges[i] as number;
    const first = range >> 3;
    const last = first + (1 << (range & 7)) - 1;
    const low = within.low === undefined ? -1 : nibbleAt(within.low.position, depth);
    const high = within.high === undefined ? 16 : nibbleAt(within.high.position, depth);
    if (last < low || first > high) continue;
    const isLowFree = low < first || (low === first && isSpent(within.low, depth + 1));
    const isHighFree = high > last || (high === last && isSpent(within.high, depth + 1));
    const kept =
      isLowFree && isHighFree
        ? NO_BOUNDS
        : { low: isLowFree ? undefined : within.low, high: isHighFree ? undefined : within.high };
    stack.push({ node: children[i] as Node, known: depth + 1, bounds: kept });
  }
}

/** The bounds left after the nibbles that a node skips; undefined when the node lies outside. */
function passSkipped(
  loader: NodeLoader,
  node: Node,
  known: number,
  depth: number,
  bounds: Bounds,
): Bounds | undefined {
  let { low, high } = bounds;
  if (low === undefined && high === undefined) return bounds;
  const sample = loader.sample(node);
  for (let at = known; at < depth; at++) {
    const nibble = nibbleAt(sample, at);
    if (low !== undefined) {
      const least = nibbleAt(low.position, at);
      if (nibble < least) return undefined;
      if (nibble > least || isSpent(low, at + 1)) low = undefined;
    }
    if (high !== undefined) {
      const most = nibbleAt(high.position, at);
      if (nibble > most) return undefined;
      if (nibble < most || isSpent(high, at + 1)) high = undefined;
    }
  }
  return { low, high };
}

/** Does a bound say nothing from nibble `from` on? */
function isSpent(bound: Bound | undefined, from: number): boolean {
  return bound === undefined || from >= bound.end;
}

/** The entries [from, to) of a leaf whose positions are within the bounds. */
function span(leaf: Leaf, { low, high }: Bounds): [from: number, to: number] {
  let from = 0;
  let to = leaf.count;
  if (low !== undefined) while (from < to && comparePositions(leaf.positions, low.position, from) < 0) from++;
  if (high !== undefined)
    while (to > from && comparePositions(leaf.positions, high.position, to - 1) > 0) to--;
  return [from, to];
}

/** Order of the position in slot `slot` of `positions`, and `position`. */
function comparePositions(positions: Uint8Array, position: Uint8Array, slot = 0): number {
  const from = slot * POSITION_BYTES;
  for (let i = 0; i < POSITION_BYTES; i++) {
    const difference = (positions[from + i] as number) - (position[i] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}

function boundsOfPrefix({ bytes, bits }: PositionPrefix): Bounds {
  if (bits === 0) return NO_BOUNDS;
  assert(bits > 0 && bits <= POSITION_BYTES * 8 && bytes.length * 8 >= bits, 'a prefix has the bits it says');
  const low = new Uint8Array(POSITION_BYTES);
  const high = new Uint8Array(POSITION_BYTES).fill(0xff);
  const whole = bits >> 3;
  low.set(bytes.subarray(0, whole));
  high.set(bytes.subarray(0, whole));
  if ((bits & 7) !== 0) {
    const free = 0xff >> (bits & 7);
    const byte = bytes[whole] as number;
    low[whole] = byte & ~free;
    high[whole] = byte | free;
  }
  const end = Math.ceil(bits / 4);
  return { low: { position: low, end }, high: { position: high, end } };
}
