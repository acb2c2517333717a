// What the tree takes and gives. It knows no Matrix: keys, positions and tags come from above.
//
//   key       bytes that name an entry; whole keys are compared, so a position that two keys share is no fault
//   position  128 bits that say where the key lies; a function of the key alone, spread like a hash
//   tag       a byte of small meaning to the caller; tag 1 is counted ("joined")
//   value     what the key maps to

/** A record holds at most this many nodes; more new nodes make more records. */
export const NODES_PER_RECORD_MAX = 200;

/** Bytes of a position. */
export const POSITION_BYTES = 16;

/** The tag that inner nodes count beside all entries. */
export const COUNTED_TAG = 1;

/** A key and where it lies. */
export interface TreeKey {
  readonly position: Uint8Array;
  readonly bytes: Uint8Array;
}

/** The function from above that says where a key lies. Must always answer alike: shapes depend on it. */
export type PositionOf = (key: Uint8Array) => Uint8Array;

/**
 * One entry of a tree. Its arrays are views of the tree's own memory: never write them, and copy what is kept
 * for long, because an entry keeps its whole leaf in memory.
 */
export interface TreeEntry {
  readonly key: Uint8Array;
  readonly position: Uint8Array;
  readonly tag: number;
  readonly value: Uint8Array;
}

/** A put, or a remove when `value` is undefined. */
export interface Change {
  readonly key: TreeKey;
  readonly tag: number;
  readonly value: Uint8Array | undefined;
}

/** An entry to build a tree of. */
export interface NewEntry {
  readonly key: TreeKey;
  readonly tag: number;
  readonly value: Uint8Array;
}

/** Where a node lies in the store. Record numbers begin at 1; record 0 is nowhere (the empty tree). */
export interface NodeLocation {
  readonly record: number;
  readonly index: number;
}

/** A tree: its root's hash, where it lies, how many entries it has and how many of them have tag 1. */
export interface RootRef extends NodeLocation {
  readonly hash: Uint8Array;
  readonly count: number;
  readonly joined: number;
}

/** Where records are read from; synchronous, because a promise for each node would cost more than the read. */
export interface RecordSource {
  readRecord(record: number): Uint8Array | undefined;
}

/** Gives the next record number: always greater than any given before. Numbers may be skipped. */
export type AllocateRecord = () => number;

/** All positions whose first `bits` bits are those of `bytes`. */
export interface PositionPrefix {
  readonly bytes: Uint8Array;
  readonly bits: number;
}

/** One key on which two trees differ; `before` or `after` is undefined where the key is absent. */
export interface Difference {
  readonly key: Uint8Array;
  readonly position: Uint8Array;
  readonly before: TreeEntry | undefined;
  readonly after: TreeEntry | undefined;
}

/** One key on which several trees differ: what each of them holds there. */
export interface Variance {
  readonly key: Uint8Array;
  readonly position: Uint8Array;
  /** What the first tree holds, and every other that `others` does not name; undefined where the key is absent. */
  readonly rest: TreeEntry | undefined;
  /** All different from `rest` and from each other; never empty. */
  readonly others: readonly Variant[];
}

/** What some of several trees hold at a key. */
export interface Variant {
  readonly entry: TreeEntry | undefined;
  /** Which trees, by their place among those given; in no order. */
  readonly trees: readonly number[];
}
