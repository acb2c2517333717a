// Stored nodes as they are, for garbage collection and fsck: every node of a record, unfolded and hashed,
// with what it refers to. No cache and no tree is needed, only a way to read records.

import { HASH_BYTES, blake3 } from '../lib/blake3.js';
import { type InnerLayout, parseInner, parseLeaf } from './codec.js';
import { TreeMalformed, TreeNodeCorrupt, TreeNodeMissing } from './errors.js';
import { countTagged } from './node.js';
import { baseOf, decodeBody } from './physical.js';
import type { StoredContent } from './place.js';
import { bodyAt, readRecordTable } from './record.js';
import type { NodeLocation, RecordSource, RootRef } from './types.js';

/** A stored node, unfolded. */
export interface StoredNode extends RootRef {
  /** Logical bytes; `hash` is theirs. */
  readonly bytes: Uint8Array;
  readonly isLeaf: boolean;
  /** What it says of its children, and where they lie; empty for a leaf. */
  readonly children: readonly RootRef[];
  /** The whole version it leans on: must be kept as long as this node. */
  readonly base: NodeLocation | undefined;
}

/**
 * All nodes of a record, holes left out.
 * @throws TREE_NODE_CORRUPT when the record or one of its nodes does not decode
 * @throws TREE_NODE_MISSING when a node leans on a version that is not there
 */
export function* nodesOf(source: RecordSource, record: number): Generator<StoredNode, void, undefined> {
  const { starts } = inRecord({ record, index: 0 }, () => readRecordTable(readRecord(source, record)));
  for (let index = 0; index + 1 < starts.length; index++) {
    if (starts[index] !== starts[index + 1]) yield readStoredNode(source, { record, index });
  }
}

/**
 * One stored node.
 * @throws TREE_NODE_MISSING, TREE_NODE_CORRUPT
 */
export function readStoredNode(source: RecordSource, at: NodeLocation): StoredNode {
  const { record, index } = at;
  return inRecord(at, () => {
    const { bytes, locations, whole } = readStoredContent((number) => readRecord(source, number), at);
    const base = whole.record === record && whole.index === index ? undefined : whole;
    const hash = blake3(bytes);
    if (locations === undefined) {
      const layout = parseLeaf(bytes);
      const joined = countTagged(bytes, layout);
      return { record, index, hash, bytes, isLeaf: true, children: [], base, count: layout.count, joined };
    }
    const children = childrenOf(bytes, parseInner(bytes), locations);
    const count = children.reduce((sum, child) => sum + child.count, 0);
    const joined = children.reduce((sum, child) => sum + child.joined, 0);
    return { record, index, hash, bytes, isLeaf: false, children, base, count, joined };
  });
}

/** What an inner node says of its children, and where they lie. */
export function childrenOf(bytes: Uint8Array, layout: InnerLayout, locations: readonly number[]): RootRef[] {
  return layout.hashes.map((at, i) => ({
    hash: bytes.subarray(at, at + HASH_BYTES),
    count: layout.counts[i] as number,
    joined: layout.joined[i] as number,
    record: locations[i * 2] as number,
    index: locations[i * 2 + 1] as number,
  }));
}

/** Where the whole version lies that a stored node leans on, without reading it. */
export function storedBaseOf(
  record: number,
  recordBytes: Uint8Array,
  index: number,
): NodeLocation | undefined {
  return inRecord({ record, index }, () => baseOf(record, bodyOf(recordBytes, { record, index })));
}

/** Unfolds a stored node; `read` must answer with the record's bytes or throw. */
export function readStoredContent(read: (record: number) => Uint8Array, at: NodeLocation): StoredContent {
  return decodeBody(at, bodyOf(read(at.record), at), (base) => bodyOf(read(base.record), base));
}

/** The bytes of a record. @throws TREE_NODE_MISSING */
export function readRecord(source: RecordSource, record: number): Uint8Array {
  const bytes = source.readRecord(record);
  if (bytes === undefined) throw new TreeNodeMissing(`node record ${record} is not in the store`, { record });
  return bytes;
}

/** Runs `decode` and names the node in what it throws. */
export function inRecord<T>({ record, index }: NodeLocation, decode: () => T): T {
  try {
    return decode();
  } catch (cause) {
    if (!(cause instanceof TreeMalformed)) throw cause;
    const message = `tree node ${index} of record ${record} does not decode: ${cause.message}`;
    throw new TreeNodeCorrupt(message, { record, index }, cause);
  }
}

function bodyOf(recordBytes: Uint8Array, { record, index }: NodeLocation): Uint8Array {
  const body = bodyAt(recordBytes, index);
  if (body === undefined) {
    throw new TreeNodeMissing(`record ${record} holds no tree node ${index}`, { record, index });
  }
  return body;
}
