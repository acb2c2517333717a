// One node of another server's tree, as it came: held against its hash, the counts that its parent gives it, and
// the place that it has in the tree. Nothing of it is used before.
//
// What is checked here is all that can be told from one node and the path to it. That a whole tree has the
// shape that its set demands shows when the same set, put together here, has the same root.

import { HASH_BYTES, blake3 } from '../lib/blake3.js';
import { equalBytes } from '../lib/bytes.js';
import { type InnerLayout, NODE_BYTES_MAX, isLeafKind, parseInner, parseLeaf } from './codec.js';
import { TreeMalformed, TreeRemoteInvalid } from './errors.js';
import { Leaf, LeafWhole, countTagged } from './node.js';
import { NIBBLES, nibbleAt, sharedNibbles } from './position.js';
import { LEAF_ENTRIES_MAX } from './shape.js';
import { POSITION_BYTES, type PositionOf } from './types.js';

/** Where a node lies: a range of nibbles below an inner node, which lies somewhere itself. */
export interface RemotePlace {
  readonly fork: RemoteFork;
  readonly low: number;
  readonly end: number;
}

/** An inner node, for what lies below it. */
export interface RemoteFork {
  readonly depth: number;
  /** Undefined for the root. */
  readonly place: RemotePlace | undefined;
  /** The position of the first entry below that was seen: all others share the nibbles above with it. */
  anchor: Uint8Array | undefined;
}

/** What is known of a node before it comes. Nobody says how many entries the root has. */
export interface ExpectedNode {
  /** The low nibbles of the children on the way from the root, in hex. */
  readonly path: string;
  readonly hash: Uint8Array;
  readonly counts: { readonly count: number; readonly joined: number } | undefined;
  readonly place: RemotePlace | undefined;
}

/** How keys are read. */
export interface KeyReading {
  readonly positionOf: PositionOf;
  /** Are these bytes a key at all? Asked before `positionOf`. */
  readonly isKey: (key: Uint8Array) => boolean;
}

/** A node that is what it should be. */
export type RemoteContent = {
  readonly count: number;
  readonly joined: number;
  readonly bytes: Uint8Array;
} & (
  | { readonly leaf: Leaf; readonly inner?: undefined }
  | { readonly leaf?: undefined; readonly inner: InnerLayout }
);

/**
 * Reads a node that was asked for.
 * @param given copied: it may be part of a larger answer
 * @throws TREE_REMOTE_INVALID
 */
export function readRemoteNode(
  expected: ExpectedNode,
  given: Uint8Array,
  reading: KeyReading,
): RemoteContent {
  const { path, hash, counts } = expected;
  if (given.length > NODE_BYTES_MAX || !equalBytes(blake3(given), hash)) {
    throw invalid(path, 'does not have the hash it should');
  }
  const bytes = new Uint8Array(given);
  try {
    const content = isLeafKind(bytes[0]) ? readLeaf(expected, bytes, reading) : readInner(expected, bytes);
    const isCounted =
      counts === undefined || (counts.count === content.count && counts.joined === content.joined);
    if (!isCounted) throw invalid(path, 'does not have the counts that its parent says');
    return content;
  } catch (cause) {
    if (cause instanceof TreeMalformed) throw invalid(path, `does not decode: ${cause.message}`, cause);
    throw cause;
  }
}

function readLeaf({ path, place }: ExpectedNode, bytes: Uint8Array, reading: KeyReading): RemoteContent {
  const layout = parseLeaf(bytes);
  const { count } = layout;
  const leaf = new Leaf(
    layout,
    bytes,
    new LeafWhole({ record: 0, index: 0 }, bytes, layout),
    reading.positionOf,
  );
  if (count === 0 && place !== undefined) throw invalid(path, 'is an empty leaf below the root');
  for (let i = 0; i < count; i++) {
    if (!reading.isKey(leaf.keyOf(i))) throw invalid(path, 'holds a key that is none');
  }
  for (let i = 1; i < count; i++) {
    if (leaf.compareAt(i - 1, positionIn(leaf, i), leaf.keyOf(i)) >= 0)
      throw invalid(path, 'is not in order');
  }
  if (count > 0) {
    const [first, last] = [positionIn(leaf, 0), positionIn(leaf, count - 1)];
    if (count > LEAF_ENTRIES_MAX && sharedNibbles(first, last) < NIBBLES) {
      throw invalid(path, 'holds more entries than a leaf may');
    }
    if (!isWithin(place, first) || !isWithin(place, last)) {
      throw invalid(path, 'holds entries that belong elsewhere');
    }
  }
  return { leaf, bytes, count, joined: countTagged(bytes, layout) };
}

function readInner({ path, place }: ExpectedNode, bytes: Uint8Array): RemoteContent {
  const inner = parseInner(bytes);
  let count = 0;
  let joined = 0;
  for (const [i, range] of inner.ranges.entries()) {
    const [childCount, childJoined] = [inner.counts[i] as number, inner.joined[i] as number];
    const isWide = (range & 7) !== 0;
    if (childCount === 0 || childJoined > childCount || (isWide && childCount > LEAF_ENTRIES_MAX)) {
      throw invalid(path, 'has a child that no inner node has');
    }
    count += childCount;
    joined += childJoined;
  }
  if (count <= LEAF_ENTRIES_MAX) throw invalid(path, 'holds so few entries that it would be a leaf');
  if (place !== undefined) {
    const isNarrow = place.end - place.low === 1;
    if (!isNarrow || inner.depth <= place.fork.depth) throw invalid(path, 'stands where no inner node does');
  }
  return { inner, bytes, count, joined };
}

/** A child's hash in its parent's bytes. */
export function hashIn(bytes: Uint8Array, { hashes }: InnerLayout, child: number): Uint8Array {
  const at = hashes[child] as number;
  return bytes.subarray(at, at + HASH_BYTES);
}

/** Does a position lie in a place, and with all others that were seen below the same nodes? */
function isWithin(place: RemotePlace | undefined, position: Uint8Array): boolean {
  for (let at = place; at !== undefined; at = at.fork.place) {
    const { fork, low, end } = at;
    const nibble = nibbleAt(position, fork.depth);
    if (nibble < low || nibble >= end) return false;
    fork.anchor ??= position;
    if (sharedNibbles(fork.anchor, position) < fork.depth) return false;
  }
  return true;
}

function positionIn(leaf: Leaf, entry: number): Uint8Array {
  return leaf.positions.subarray(entry * POSITION_BYTES, (entry + 1) * POSITION_BYTES);
}

function invalid(path: string, why: string, cause?: unknown) {
  return new TreeRemoteInvalid(`the node at '${path}' of another server's tree ${why}`, { path }, cause);
}
