// Small parts that whole bodies and deltas share: how a node names where another lies, and the bounds that
// decoders of stored bytes keep.

import { HASH_BYTES } from '../lib/blake3.js';
import { assert } from '../lib/errors.js';
import type { ByteReader } from './byte-reader.js';
import { writer } from './byte-writer.js';
import { FIXED_VALUE_BYTES, LEAF_FIXED, NODE_BYTES_MAX, VALUE_BYTES_MAX } from './codec.js';
import { TreeMalformed } from './errors.js';
import { NODES_PER_RECORD_MAX, type NodeLocation } from './types.js';

/** Writes what a parent says of child `child`: its hash, at `hash` in `bytes`, and where it lies. */
export function writeHashAndPlace(
  at: NodeLocation,
  bytes: Uint8Array,
  hash: number,
  locations: readonly number[],
  child: number,
): void {
  writer.slice(bytes, hash, hash + HASH_BYTES);
  writePlace(at, locations[child * 2] as number, locations[child * 2 + 1] as number);
}

/** Writes where a node lies, seen from a node at `at`. */
export function writePlace(at: NodeLocation, record: number, index: number): void {
  assert(record > 0 && record <= at.record, 'a node refers to records up to its own');
  writer.varint(at.record - record).varint(index);
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
