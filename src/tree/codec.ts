// Logical bytes of a node: what is hashed. They say what a node holds and nothing of where it lies, so
// equal sets have equal roots everywhere. These bytes never change; golden roots in the tests hold them.
//
//   leaf   01 | varint n | n x { varint key length, key, u8 tag, 32-byte value }
//          03 | varint n | n x { varint key length, key, u8 tag, varint value length, value }
//   inner  02 | u8 depth | u8 n | n x { u8 low << 3 | log2 width, varint count, varint joined, 32-byte hash }
//
// Leaf entries are sorted by position, then key. The kind is 01 when every value has 32 bytes (so too for
// the empty leaf), 03 otherwise: decided by the set, hence canonical. `depth` is the nibble (0 to 31, from
// the top of the position) by which an inner node sorts its children; a child holds the entries whose
// nibble is in [low, low + width). Children are sorted by `low`, do not overlap, and are two at least.

import { HASH_BYTES } from '../lib/blake3.js';
import { assert } from '../lib/errors.js';
import { readVarint, varintLength } from '../lib/varint.js';
import { ByteReader } from './byte-reader.js';
import { writer } from './byte-writer.js';
import { TreeMalformed } from './errors.js';
import { NIBBLES } from './position.js';

export const LEAF_FIXED = 1;
export const INNER = 2;
export const LEAF_SIZED = 3;

/** Bytes of a value in a leaf of kind 01. */
export const FIXED_VALUE_BYTES = 32;

/** Longest key and longest value. */
export const KEY_BYTES_MAX = 4096;
export const VALUE_BYTES_MAX = 4096;

/** Longest node: far above 16 of the longest entries, and within what is hashed in one call. */
export const NODE_BYTES_MAX = 8 * 1024 * 1024;

// Layouts are plain arrays: small ones cost a tenth of typed arrays to make.

/** Where the entries of a leaf lie in its bytes. Versions of a leaf whose lengths are the same share one. */
export interface LeafLayout {
  readonly fixed: boolean;
  readonly count: number;
  /** For entry i: [2i] where the key begins, [2i + 1] where it ends and the tag stands. */
  readonly spans: readonly number[];
}

/** Where the children of an inner node lie in its bytes. */
export interface InnerLayout {
  readonly depth: number;
  readonly count: number;
  /** For child i: low << 3 | log2 width. */
  readonly ranges: readonly number[];
  readonly counts: readonly number[];
  readonly joined: readonly number[];
  /** Where the 32-byte hash of child i begins. */
  readonly hashes: readonly number[];
}

/** What a parent says of a child, beside where it lies. */
export interface ChildSummary {
  readonly hash: Uint8Array;
  readonly count: number;
  readonly joined: number;
}

/** Is this the kind byte of a leaf? */
export function isLeafKind(kind: number | undefined): boolean {
  return kind === LEAF_FIXED || kind === LEAF_SIZED;
}

/** Where the value of a leaf's entry begins, given where its key ends. */
export function valueStart(bytes: Uint8Array, fixed: boolean, keyEnd: number): number {
  return fixed ? keyEnd + 1 : keyEnd + 1 + varintLength(readVarint(bytes, keyEnd + 1));
}

/** Where the value of a leaf's entry ends, given where its key ends. */
export function valueEnd(bytes: Uint8Array, fixed: boolean, keyEnd: number): number {
  if (fixed) return keyEnd + 1 + FIXED_VALUE_BYTES;
  const length = readVarint(bytes, keyEnd + 1);
  return keyEnd + 1 + varintLength(length) + length;
}

/**
 * Reads a leaf.
 * @throws TREE_MALFORMED
 */
export function parseLeaf(bytes: Uint8Array): LeafLayout {
  const reader = new ByteReader(bytes);
  const kind = reader.u8();
  if (!isLeafKind(kind)) throw new TreeMalformed(`no leaf begins with ${kind}`);
  const fixed = kind === LEAF_FIXED;
  const count = reader.varint(reader.left);
  const spans: number[] = [];
  let otherLengths = 0;
  for (let i = 0; i < count; i++) {
    const keyLength = reader.varint(KEY_BYTES_MAX);
    const keyStart = reader.skip(keyLength);
    spans.push(keyStart, keyStart + keyLength);
    reader.u8();
    const valueLength = fixed ? FIXED_VALUE_BYTES : reader.varint(VALUE_BYTES_MAX);
    if (valueLength !== FIXED_VALUE_BYTES) otherLengths++;
    reader.skip(valueLength);
  }
  reader.finish();
  if (!fixed && otherLengths === 0) throw new TreeMalformed('a leaf of 32-byte values writes their lengths');
  return { fixed, count, spans };
}

/**
 * Reads an inner node.
 * @throws TREE_MALFORMED
 */
export function parseInner(bytes: Uint8Array): InnerLayout {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== INNER) throw new TreeMalformed('no inner node begins so');
  const depth = reader.u8();
  const count = reader.u8();
  if (depth >= NIBBLES || count < 2 || count > 16)
    throw new TreeMalformed('an inner node has an impossible head');
  const ranges: number[] = [];
  const counts: number[] = [];
  const joined: number[] = [];
  const hashes: number[] = [];
  let free = 0;
  for (let i = 0; i < count; i++) {
    const range = reader.u8();
    const low = range >> 3;
    const width = 1 << (range & 7);
    if (low < free || width > 8 || low % width !== 0 || low + width > 16) {
      throw new TreeMalformed('an inner node has a child in an impossible range');
    }
    free = low + width;
    ranges.push(range);
    counts.push(reader.varint(Number.MAX_SAFE_INTEGER));
    joined.push(reader.varint(Number.MAX_SAFE_INTEGER));
    hashes.push(reader.skip(HASH_BYTES));
  }
  reader.finish();
  return { depth, count, ranges, counts, joined, hashes };
}

/** Writes an inner node. Pooled, as it lives until the next put below it: neighbours go together. */
export function encodeInner(
  depth: number,
  ranges: readonly number[],
  children: readonly ChildSummary[],
): Uint8Array {
  writer.begin().u8(INNER).u8(depth).u8(children.length);
  for (let i = 0; i < children.length; i++) {
    const child = children[i] as ChildSummary;
    writer
      .u8(ranges[i] as number)
      .varint(child.count)
      .varint(child.joined)
      .slice(child.hash, 0, HASH_BYTES);
  }
  return writer.finishPooled();
}

/**
 * An inner node with another child at `slot`. The others are copied as they stand: looking at each of them
 * would cost more than all the rest, as they lie all over the memory.
 */
export function replaceInInner(
  bytes: Uint8Array,
  slot: number,
  { hash, count, joined }: ChildSummary,
): Uint8Array {
  let at = 4;
  for (let i = 0; i < slot; i++) at = afterCounts(bytes, at) + HASH_BYTES + 1;
  return writer
    .begin()
    .slice(bytes, 0, at)
    .varint(count)
    .varint(joined)
    .slice(hash, 0, HASH_BYTES)
    .slice(bytes, afterCounts(bytes, at) + HASH_BYTES, bytes.length)
    .finishPooled();
}

/** Where a child's hash begins, given where its counts begin. */
function afterCounts(bytes: Uint8Array, at: number): number {
  const joinedAt = at + varintLength(readVarint(bytes, at));
  return joinedAt + varintLength(readVarint(bytes, joinedAt));
}

/** A leaf's entry that is being written. */
export interface EntryBytes {
  readonly key: Uint8Array;
  readonly tag: number;
  readonly value: Uint8Array;
}

/** Writes a leaf; the entries must be in order. */
export function encodeLeaf(entries: readonly EntryBytes[]): Uint8Array {
  const fixed = entries.every((entry) => entry.value.length === FIXED_VALUE_BYTES);
  writer
    .begin()
    .u8(fixed ? LEAF_FIXED : LEAF_SIZED)
    .varint(entries.length);
  for (const { key, tag, value } of entries) {
    writer.varint(key.length).slice(key, 0, key.length).u8(tag);
    if (!fixed) writer.varint(value.length);
    writer.slice(value, 0, value.length);
  }
  const bytes = writer.finish();
  assert(bytes.length <= NODE_BYTES_MAX, 'a leaf is within the bound of a node');
  return bytes;
}

/** A leaf with another tag and a value of the same length at an entry; its layout stays. */
export function overwriteInLeaf(
  bytes: Uint8Array,
  { fixed, spans }: LeafLayout,
  entry: number,
  tag: number,
  value: Uint8Array,
): Uint8Array {
  const patched = bytes.slice();
  const keyEnd = spans[entry * 2 + 1] as number;
  patched[keyEnd] = tag;
  patched.set(value, valueStart(bytes, fixed, keyEnd));
  return patched;
}

/** A leaf of fewer than 127 entries with one more before `entry`; one of 32-byte values takes no other. */
export function insertInLeaf(
  bytes: Uint8Array,
  { fixed, count, spans }: LeafLayout,
  entry: number,
  { key, tag, value }: EntryBytes,
): { bytes: Uint8Array; layout: LeafLayout } {
  const at = entry === 0 ? 2 : valueEnd(bytes, fixed, spans[entry * 2 - 1] as number);
  writer
    .begin()
    .u8(bytes[0] as number)
    .u8(count + 1)
    .slice(bytes, 2, at)
    .varint(key.length)
    .raw(key);
  const keyEnd = writer.length;
  writer.u8(tag);
  if (!fixed) writer.varint(value.length);
  writer.raw(value);
  const moved = writer.length - at;
  writer.slice(bytes, at, bytes.length);
  const longer: number[] = [];
  for (let i = 0; i < entry * 2; i++) longer.push(spans[i] as number);
  longer.push(keyEnd - key.length, keyEnd);
  for (let i = entry * 2; i < count * 2; i++) longer.push((spans[i] as number) + moved);
  return { bytes: writer.finish(), layout: { fixed, count: count + 1, spans: longer } };
}
