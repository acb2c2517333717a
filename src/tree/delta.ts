// Deltas: a node as what differs from the last whole version of it. The format is in physical.ts.

import { HASH_BYTES } from '../lib/blake3.js';
import { equalBytes } from '../lib/bytes.js';
import type { ByteReader } from './byte-reader.js';
import { type ByteWriter, opsWriter, writer } from './byte-writer.js';
import {
  INNER,
  KEY_BYTES_MAX,
  type LeafLayout,
  NODE_BYTES_MAX,
  parseInner,
  parseLeaf,
  valueEnd,
} from './codec.js';
import { TreeMalformed } from './errors.js';
import type { InnerWhole, LeafWhole } from './node.js';
import {
  boundNode,
  readPlace,
  skipTagAndValue,
  type StoredWhole,
  writeHashAndPlace,
  writePlace,
} from './place.js';
import type { RootRef } from './types.js';

/** Set in the kind byte of a delta. */
export const DELTA = 0x10;

const COUNTS_FOLLOW = 0x10;
const OP_PUT = 0;
const OP_REMOVE = 1;
const OP_INSERT = 2;

/** Writes the body of a leaf as a delta against a whole version of the same kind. */
export function writeLeafDelta(
  target: ByteWriter,
  record: number,
  bytes: Uint8Array,
  layout: LeafLayout,
  base: LeafWhole,
): void {
  const baseLayout = base.layout;
  const { fixed } = layout;
  let changes = 0;
  let next = 0;
  const ops = opsWriter.begin();
  const remove = (to: number): void => {
    for (; next < to; next++, changes++) ops.varint((next << 2) | OP_REMOVE);
  };
  for (let i = 0; i < layout.count; i++) {
    const keyStart = layout.spans[i * 2] as number;
    const keyEnd = layout.spans[i * 2 + 1] as number;
    const end = valueEnd(bytes, fixed, keyEnd);
    const same = findKey(base.bytes, baseLayout, next, bytes, keyStart, keyEnd);
    if (same === -1) {
      ops
        .varint((next << 2) | OP_INSERT)
        .varint(keyEnd - keyStart)
        .slice(bytes, keyStart, end);
      changes++;
      continue;
    }
    remove(same);
    const baseKeyEnd = baseLayout.spans[same * 2 + 1] as number;
    const baseEnd = valueEnd(base.bytes, fixed, baseKeyEnd);
    if (!equalRanges(base.bytes, baseKeyEnd, baseEnd, bytes, keyEnd, end)) {
      ops.varint((same << 2) | OP_PUT).slice(bytes, keyEnd, end);
      changes++;
    }
    next = same + 1;
  }
  remove(baseLayout.count);
  target.u8((bytes[0] as number) | DELTA);
  writePlace(target, record, base);
  target.varint(changes).append(ops);
}

/** The logical bytes of a leaf whose delta `reader` stands at. */
export function applyLeafDelta(reader: ByteReader, base: StoredWhole): Uint8Array {
  const { bytes } = base;
  const kind = bytes[0] as number;
  const layout = parseLeaf(bytes);
  let next = 0;
  let count = layout.count;
  const entries = opsWriter.begin();
  const copy = (to: number): void => {
    if (to > layout.count) throw new TreeMalformed('a delta changes an entry that its base does not have');
    for (; next < to; next++) {
      const keyStart = layout.spans[next * 2] as number;
      const keyEnd = layout.spans[next * 2 + 1] as number;
      entries.varint(keyEnd - keyStart).slice(bytes, keyStart, valueEnd(bytes, layout.fixed, keyEnd));
    }
  };
  const changes = reader.varint(reader.left);
  for (let i = 0; i < changes; i++) {
    const place = reader.varint(NODE_BYTES_MAX);
    const op = place & 3;
    const at = place >> 2;
    if (at < next || (op !== OP_INSERT && at >= layout.count))
      throw new TreeMalformed('a delta is out of order');
    copy(at);
    if (op === OP_INSERT) {
      const keyLength = reader.varint(KEY_BYTES_MAX);
      const from = reader.skip(keyLength);
      skipTagAndValue(reader, kind);
      entries.varint(keyLength).slice(reader.bytes, from, reader.at);
      count++;
    } else if (op === OP_PUT) {
      const keyStart = layout.spans[at * 2] as number;
      const keyEnd = layout.spans[at * 2 + 1] as number;
      const from = reader.at;
      skipTagAndValue(reader, kind);
      entries
        .varint(keyEnd - keyStart)
        .slice(bytes, keyStart, keyEnd)
        .slice(reader.bytes, from, reader.at);
      next++;
    } else if (op === OP_REMOVE) {
      next++;
      count--;
    } else {
      throw new TreeMalformed('a delta has an unknown operation');
    }
    boundNode(entries.length);
  }
  reader.finish();
  copy(layout.count);
  boundNode(entries.length);
  return writer.begin().u8(kind).varint(count).append(entries).finish();
}

/** Writes the body of an inner node as a delta against a whole version that is split alike. */
export function writeInnerDelta(
  target: ByteWriter,
  record: number,
  children: readonly RootRef[],
  base: InnerWhole,
): void {
  target.u8(INNER | DELTA);
  writePlace(target, record, base);
  const changesAt = target.length;
  let changes = 0;
  target.u8(changes);
  for (let i = 0; i < children.length; i++) {
    const child = children[i] as RootRef;
    const before = base.children[i] as RootRef;
    if (isSameChild(child, before)) continue;
    const sameCounts = child.count === before.count && child.joined === before.joined;
    target.u8(sameCounts ? i : i | COUNTS_FOLLOW);
    if (!sameCounts) target.varint(child.count).varint(child.joined);
    writeHashAndPlace(target, record, child);
    changes++;
  }
  target.patch(changesAt, changes);
}

/**
 * A child that came back to what it was in the base is a change all the same when it lies elsewhere: the
 * stored reference must be the one that this version holds, or collection would miss it.
 */
function isSameChild(a: RootRef, b: RootRef): boolean {
  return a === b || (a.record === b.record && a.index === b.index && equalBytes(a.hash, b.hash));
}

/** The logical bytes of an inner node whose delta `reader` stands at; sets `locations`, which begin as the base's. */
export function applyInnerDelta(
  reader: ByteReader,
  record: number,
  base: StoredWhole,
  locations: number[],
): Uint8Array {
  const layout = parseInner(base.bytes);
  const counts = layout.counts.slice();
  const joined = layout.joined.slice();
  const hashFrom: { bytes: Uint8Array; at: number }[] = [];
  for (let i = 0; i < layout.count; i++) hashFrom.push({ bytes: base.bytes, at: layout.hashes[i] as number });
  const changes = reader.u8();
  for (let i = 0; i < changes; i++) {
    const flags = reader.u8();
    const child = flags & 15;
    if (child >= layout.count || flags > (COUNTS_FOLLOW | 15))
      throw new TreeMalformed('a delta changes no child');
    if ((flags & COUNTS_FOLLOW) !== 0) {
      counts[child] = reader.varint(Number.MAX_SAFE_INTEGER);
      joined[child] = reader.varint(Number.MAX_SAFE_INTEGER);
    }
    hashFrom[child] = { bytes: reader.bytes, at: reader.skip(HASH_BYTES) };
    const place = readPlace(reader, record);
    locations[child * 2] = place.record;
    locations[child * 2 + 1] = place.index;
  }
  reader.finish();
  writer.begin().u8(INNER).u8(layout.depth).u8(layout.count);
  for (let i = 0; i < layout.count; i++) {
    const hash = hashFrom[i] as { bytes: Uint8Array; at: number };
    writer
      .u8(layout.ranges[i] as number)
      .varint(counts[i] as number)
      .varint(joined[i] as number);
    writer.slice(hash.bytes, hash.at, hash.at + HASH_BYTES);
  }
  return writer.finish();
}

/** The entry of a leaf, from `next` on, that has the key `bytes[keyStart, keyEnd)`; or -1. */
function findKey(
  leafBytes: Uint8Array,
  { spans, count }: LeafLayout,
  next: number,
  bytes: Uint8Array,
  keyStart: number,
  keyEnd: number,
): number {
  for (let i = next; i < count; i++) {
    if (equalRanges(leafBytes, spans[i * 2] as number, spans[i * 2 + 1] as number, bytes, keyStart, keyEnd))
      return i;
  }
  return -1;
}

function equalRanges(
  a: Uint8Array,
  aFrom: number,
  aTo: number,
  b: Uint8Array,
  bFrom: number,
  bTo: number,
): boolean {
  const length = aTo - aFrom;
  if (length !== bTo - bFrom) return false;
  // From the back: keys of one leaf begin alike.
  for (let i = length - 1; i >= 0; i--) if (a[aFrom + i] !== b[bFrom + i]) return false;
  return true;
}
