// Small parts that whole bodies and deltas share: a node as it was read, how it names where another lies, and
// the bounds that decoders of stored bytes keep.

import { HASH_BYTES } from '../lib/blake3.js';
import { assert } from '../lib/errors.js';
import type { ByteReader } from './byte-reader.js';
import type { ByteWriter } from './byte-writer.js';
import { FIXED_VALUE_BYTES, LEAF_FIXED, NODE_BYTES_MAX, VALUE_BYTES_MAX } from './codec.js';
import { TreeMalformed } from './errors.js';
import { NODES_PER_RECORD_MAX, type NodeLocation, type RootRef } from './types.js';

/** A node that is stored whole, as it was read. */
export interface StoredWhole extends NodeLocation {
  /** Logical bytes. */
  readonly bytes: Uint8Array;
  /** For inner nodes where each child lies: record, index, record, index... */
  readonly locations: readonly number[] | undefined;
}

/** A node read from its record: logical bytes, where its children lie, and the whole version it leans on. */
export interface StoredContent {
  readonly bytes: Uint8Array;
  readonly locations: readonly number[] | undefined;
  /** The node itself when it is stored whole. */
  readonly whole: StoredWhole;
}

/** Writes a child's hash and where it lies, seen from record `ownRecord`. */
export function writeHashAndPlace(target: ByteWriter, ownRecord: number, child: RootRef): void {
  target.slice(child.hash, 0, HASH_BYTES);
  writePlace(target, ownRecord, child);
}

/** Writes where a node lies, seen from record `ownRecord`. */
export function writePlace(target: ByteWriter, ownRecord: number, { record, index }: NodeLocation): void {
  assert(record > 0 && record <= ownRecord, 'a node refers to records up to its own');
  target.varint(ownRecord - record).varint(index);
}

/** Reads where a node lies, seen from record `ownRecord`. */
export function readPlace(reader: ByteReader, ownRecord: number): NodeLocation {
  const record = ownRecord - reader.varint(ownRecord - 1);
  return { record, index: reader.varint(NODES_PER_RECORD_MAX - 1) };
}

/** Passes over the tag and value of an entry in a leaf of `kind`. */
export function skipTagAndValue(reader: ByteReader, kind: number): void {
  reader.skip(1);
  reader.skip(kind === LEAF_FIXED ? FIXED_VALUE_BYTES : reader.varint(VALUE_BYTES_MAX));
}

/** Stops a decoder whose output grows beyond any node. */
export function boundNode(length: number): void {
  if (length > NODE_BYTES_MAX) throw new TreeMalformed('a stored node unfolds to more than a node may hold');
}
