// Nodes in memory. A `Node` is a shell: what its parent says of it, which never changes, and its content,
// which the cache may drop and the loader bring back into the same shell. Parents hold shells of their
// children, so dropping content needs no change in any parent.
//
//   Node ── content ──> Inner ── slots[nibble] ──> Node ── content ──> Leaf ── entries
//   (hash, count, joined, record, index)

import { compareBytes, equalBytes } from '../lib/bytes.js';
import { type InnerLayout, type LeafLayout, valueEnd, valueStart } from './codec.js';
import { COUNTED_TAG, POSITION_BYTES, type PositionOf, type RootRef, type TreeEntry } from './types.js';

/** The last version of a node that was stored whole; later versions are stored as a delta against it. */
export interface Whole {
  readonly record: number;
  readonly index: number;
  /** Logical bytes of that version. */
  readonly bytes: Uint8Array;
  /** For inner nodes where each child lies: record, index, record, index... */
  readonly locations: readonly number[] | undefined;
}

/** The shell of a node. Every shell is also a RootRef: any node may serve as the root of a tree. */
export class Node implements RootRef {
  readonly hash: Uint8Array;
  readonly count: number;
  readonly joined: number;
  readonly record: number;
  readonly index: number;
  /** Undefined until loaded, and again after the cache dropped it. */
  content: Leaf | Inner | undefined = undefined;
  /** CLOCK: visited since the hand last came by. */
  visited = false;
  /** Place in the cache's ring, or -1. */
  ringSlot = -1;

  constructor(ref: RootRef) {
    this.hash = ref.hash;
    this.count = ref.count;
    this.joined = ref.joined;
    this.record = ref.record;
    this.index = ref.index;
  }
}

/** An inner node's content. */
export class Inner {
  readonly isLeaf = false;
  readonly depth: number;
  readonly bytes: Uint8Array;
  readonly whole: Whole;
  /** For child i: low << 3 | log2 width. */
  readonly ranges: readonly number[];
  readonly children: readonly Node[];
  /** The child for each nibble; a child of a wide range stands in several slots. */
  readonly slots: ReadonlyArray<Node | undefined>;
  /** Position of some entry below, for the nibbles that the path to this node skips. */
  sample: Uint8Array | undefined = undefined;

  constructor(
    layout: Pick<InnerLayout, 'depth' | 'ranges'>,
    bytes: Uint8Array,
    children: readonly Node[],
    whole: Whole,
  ) {
    this.depth = layout.depth;
    this.bytes = bytes;
    this.whole = whole;
    this.ranges = layout.ranges;
    this.children = children;
    const slots: (Node | undefined)[] = new Array(16).fill(undefined);
    for (let i = 0; i < children.length; i++) {
      const range = layout.ranges[i] as number;
      const low = range >> 3;
      for (let nibble = low; nibble < low + (1 << (range & 7)); nibble++) slots[nibble] = children[i];
    }
    this.slots = slots;
  }
}

/** A leaf's content. */
export class Leaf {
  readonly isLeaf = true;
  readonly bytes: Uint8Array;
  readonly whole: Whole;
  readonly count: number;
  readonly fixed: boolean;
  /** For entry i: [2i] where the key begins in `bytes`, [2i + 1] where it ends. */
  readonly spans: readonly number[];
  readonly #positionOf: PositionOf;
  #positions: Uint8Array | undefined;
  #entries: (LeafEntry | undefined)[] | undefined = undefined;

  constructor(
    layout: LeafLayout,
    bytes: Uint8Array,
    whole: Whole,
    positionOf: PositionOf,
    positions?: Uint8Array,
  ) {
    this.bytes = bytes;
    this.whole = whole;
    this.count = layout.count;
    this.fixed = layout.fixed;
    this.spans = layout.spans;
    this.#positionOf = positionOf;
    this.#positions = positions;
  }

  /** Positions of all entries, 16 bytes each; computed from the keys when first needed, then kept. */
  get positions(): Uint8Array {
    if (this.#positions !== undefined) return this.#positions;
    const positions = new Uint8Array(this.count * POSITION_BYTES);
    for (let i = 0; i < this.count; i++) positions.set(this.#positionOf(this.keyOf(i)), i * POSITION_BYTES);
    this.#positions = positions;
    return positions;
  }

  keyOf(i: number): Uint8Array {
    return this.bytes.subarray(this.spans[i * 2], this.spans[i * 2 + 1]);
  }

  tagOf(i: number): number {
    return this.bytes[this.spans[i * 2 + 1] as number] as number;
  }

  /** Entry i, made once. */
  entry(i: number): LeafEntry {
    const entries = (this.#entries ??= new Array(this.count).fill(undefined));
    return (entries[i] ??= new LeafEntry(this, i));
  }

  /**
   * The index of the entry with this key, or -1. Keys are compared in the bytes, without positions, so
   * that a point query on a node fresh from disk hashes no keys. They differ most often after the middle
   * (a common beginning is the rule: a type, a sigil), so the comparison runs outwards from there.
   */
  find(key: Uint8Array): number {
    const { bytes, spans, count } = this;
    const length = key.length;
    const middle = length >> 1;
    for (let i = 0; i < count; i++) {
      const start = spans[i * 2] as number;
      if ((spans[i * 2 + 1] as number) - start !== length) continue;
      let at = middle;
      while (at < length && bytes[start + at] === key[at]) at++;
      if (at < length) continue;
      at = middle - 1;
      while (at >= 0 && bytes[start + at] === key[at]) at--;
      if (at < 0) return i;
    }
    return -1;
  }

  /** Order of entry i and a place: by position, then by key. */
  compareAt(i: number, position: Uint8Array, key: Uint8Array): number {
    const { positions } = this;
    const from = i * POSITION_BYTES;
    for (let at = 0; at < POSITION_BYTES; at++) {
      const difference = (positions[from + at] as number) - (position[at] as number);
      if (difference !== 0) return difference;
    }
    return compareBytes(this.keyOf(i), key);
  }
}

/** One entry, a window on its leaf's bytes. */
export class LeafEntry implements TreeEntry {
  readonly leaf: Leaf;
  readonly index: number;
  #key: Uint8Array | undefined = undefined;
  #position: Uint8Array | undefined = undefined;
  #value: Uint8Array | undefined = undefined;

  constructor(leaf: Leaf, index: number) {
    this.leaf = leaf;
    this.index = index;
  }

  get key(): Uint8Array {
    return (this.#key ??= this.leaf.keyOf(this.index));
  }

  get position(): Uint8Array {
    const from = this.index * POSITION_BYTES;
    return (this.#position ??= this.leaf.positions.subarray(from, from + POSITION_BYTES));
  }

  get tag(): number {
    return this.leaf.tagOf(this.index);
  }

  get value(): Uint8Array {
    if (this.#value !== undefined) return this.#value;
    const { bytes, fixed, spans } = this.leaf;
    const keyEnd = spans[this.index * 2 + 1] as number;
    this.#value = bytes.subarray(valueStart(bytes, fixed, keyEnd), valueEnd(bytes, fixed, keyEnd));
    return this.#value;
  }
}

/** How many entries of a leaf have the counted tag. */
export function countTagged(leaf: Pick<Leaf, 'bytes' | 'spans' | 'count'>): number {
  let tagged = 0;
  for (let i = 0; i < leaf.count; i++) {
    if (leaf.bytes[leaf.spans[i * 2 + 1] as number] === COUNTED_TAG) tagged++;
  }
  return tagged;
}

/** Do two entries hold the same tag and value? */
export function sameContent(a: TreeEntry, b: TreeEntry): boolean {
  return a.tag === b.tag && equalBytes(a.value, b.value);
}
