// Nodes in memory. A `Node` is a shell: what its parent says of it, which never changes, and its content,
// which the cache may drop and the loader bring back into the same shell. Parents hold shells of their
// children, so dropping content needs no change in any parent.
//
//   Node ── content ──> Inner ── slots[nibble] ──> Node ── content ──> Leaf ── entries
//   (hash, count, joined, record, index)

import { compareBytes, equalBytes } from '../lib/bytes.js';
import { type LeafLayout, parseLeaf, valueEnd, valueStart } from './codec.js';
import {
  COUNTED_TAG,
  type NodeLocation,
  POSITION_BYTES,
  type PositionOf,
  type RootRef,
  type TreeEntry,
} from './types.js';

/** How an inner node divides its entries. Versions of a node that divide them alike share one. */
export class Split {
  /** The nibble that decides. */
  readonly depth: number;
  /** For child i: low << 3 | log2 width. */
  readonly ranges: readonly number[];
  /** The child for each nibble, or -1; a child of a wide range stands in several slots. */
  readonly slots: readonly number[];

  constructor(depth: number, ranges: readonly number[]) {
    this.depth = depth;
    this.ranges = ranges;
    const slots: number[] = new Array(16).fill(-1);
    ranges.forEach((range, i) => slots.fill(i, range >> 3, (range >> 3) + (1 << (range & 7))));
    this.slots = slots;
  }

  equals(other: Split): boolean {
    if (this === other) return true;
    const { ranges } = other;
    return (
      this.depth === other.depth &&
      this.ranges.length === ranges.length &&
      this.ranges.every((range, i) => range === ranges[i])
    );
  }
}

/** The last version of a leaf that was stored whole; later versions are stored as a delta against it. */
export class LeafWhole implements NodeLocation {
  readonly record: number;
  readonly index: number;
  readonly bytes: Uint8Array;
  #layout: LeafLayout | undefined;

  constructor({ record, index }: NodeLocation, bytes: Uint8Array, layout?: LeafLayout) {
    this.record = record;
    this.index = index;
    this.bytes = bytes;
    this.#layout = layout;
  }

  get layout(): LeafLayout {
    return (this.#layout ??= parseLeaf(this.bytes));
  }
}

/** The same of an inner node. When it was read from a record its children are made when first looked at. */
export class InnerWhole implements NodeLocation {
  readonly record: number;
  readonly index: number;
  readonly split: Split;
  #children: readonly RootRef[] | (() => readonly RootRef[]);

  constructor(
    { record, index }: NodeLocation,
    split: Split,
    children: readonly RootRef[] | (() => readonly RootRef[]),
  ) {
    this.record = record;
    this.index = index;
    this.split = split;
    this.#children = children;
  }

  get children(): readonly RootRef[] {
    if (typeof this.#children === 'function') this.#children = this.#children();
    return this.#children;
  }
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
  /** What the content weighed in the cache when it was weighed last. */
  weight = 0;

  constructor(hash: Uint8Array, count: number, joined: number, record: number, index: number) {
    this.hash = hash;
    this.count = count;
    this.joined = joined;
    this.record = record;
    this.index = index;
  }
}

/** An inner node's content. */
export class Inner {
  readonly isLeaf = false;
  readonly bytes: Uint8Array;
  readonly split: Split;
  readonly children: readonly Node[];
  readonly whole: InnerWhole;
  /** Position of some entry below, for the nibbles that the path to this node skips. */
  sample: Uint8Array | undefined;

  constructor(
    split: Split,
    bytes: Uint8Array,
    children: readonly Node[],
    whole: InnerWhole,
    sample?: Uint8Array,
  ) {
    this.bytes = bytes;
    this.split = split;
    this.children = children;
    this.whole = whole;
    this.sample = sample;
  }

  get depth(): number {
    return this.split.depth;
  }

  get ranges(): readonly number[] {
    return this.split.ranges;
  }

  /** The child in whose range a nibble lies. */
  childAt(nibble: number): Node | undefined {
    const slot = this.split.slots[nibble] as number;
    return slot === -1 ? undefined : this.children[slot];
  }
}

/** A leaf's content. */
export class Leaf {
  readonly isLeaf = true;
  readonly bytes: Uint8Array;
  readonly layout: LeafLayout;
  readonly whole: LeafWhole;
  readonly #positionOf: PositionOf;
  #positions: Uint8Array | undefined;
  #entries: (LeafEntry | undefined)[] | undefined = undefined;
  #entriesMade = 0;

  constructor(
    layout: LeafLayout,
    bytes: Uint8Array,
    whole: LeafWhole,
    positionOf: PositionOf,
    positions?: Uint8Array,
  ) {
    this.bytes = bytes;
    this.layout = layout;
    this.whole = whole;
    this.#positionOf = positionOf;
    this.#positions = positions;
  }

  get count(): number {
    return this.layout.count;
  }

  /** The positions, if they have been needed before. */
  get knownPositions(): Uint8Array | undefined {
    return this.#positions;
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
    const { spans } = this.layout;
    return this.bytes.subarray(spans[i * 2], spans[i * 2 + 1]);
  }

  tagOf(i: number): number {
    return this.bytes[this.layout.spans[i * 2 + 1] as number] as number;
  }

  valueOf(i: number): Uint8Array {
    const { bytes } = this;
    const { fixed, spans } = this.layout;
    const keyEnd = spans[i * 2 + 1] as number;
    return bytes.subarray(valueStart(bytes, fixed, keyEnd), valueEnd(bytes, fixed, keyEnd));
  }

  /** How many entries have been made. */
  get entriesMade(): number {
    return this.#entriesMade;
  }

  /** Entry i, made once. */
  entry(i: number): LeafEntry {
    const entries = (this.#entries ??= new Array(this.count).fill(undefined));
    const known = entries[i];
    if (known !== undefined) return known;
    const made = new LeafEntry(this, i);
    entries[i] = made;
    this.#entriesMade++;
    return made;
  }

  /** Entry i for whoever goes through all of them: made anew, unless somebody asked for it by its key before. */
  passingEntry(i: number): LeafEntry {
    return this.#entries?.[i] ?? new LeafEntry(this, i);
  }

  /**
   * The index of the entry with this key, or -1. Keys are compared in the bytes, without positions, so
   * that a point query on a node fresh from disk hashes no keys. They differ most often after the middle
   * (a common beginning is the rule: a type, a sigil), so the comparison runs outwards from there.
   */
  find(key: Uint8Array): number {
    const { bytes } = this;
    const { spans, count } = this.layout;
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
    return (this.#value ??= this.leaf.valueOf(this.index));
  }
}

/** How many entries of a leaf have the counted tag. */
export function countTagged(bytes: Uint8Array, { count, spans }: LeafLayout): number {
  let tagged = 0;
  for (let i = 0; i < count; i++) if (bytes[spans[i * 2 + 1] as number] === COUNTED_TAG) tagged++;
  return tagged;
}

/** Do two entries hold the same tag and value? */
export function sameContent(a: TreeEntry, b: TreeEntry): boolean {
  return a.tag === b.tag && equalBytes(a.value, b.value);
}
