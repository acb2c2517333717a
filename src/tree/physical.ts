// Physical bytes of a node: what is stored. The logical content plus where each child lies, whole or as a
// delta against the last whole version of the same node: one hop, never a chain.
//
//   leaf          01|03 | varint n | varint shared | shared bytes that begin every key |
//                 n x { varint rest length, rest of key, u8 tag, [varint value length] value }
//   inner         02 | u8 depth | u8 n | n x { range, varint count, varint joined, hash, place }
//   leaf delta    11|13 | base | varint m | m x { varint base index << 2 | op, ... }
//                   op 0 put: u8 tag, value      op 1 remove      op 2 insert before: key, u8 tag, value
//   inner delta   12 | base | u8 m | m x { u8 child | 10 when counts follow, [counts], hash, place }
//   base, place   varint own record - its record, varint index
//
// When does a delta pay? Let a whole version take W bytes and each change since about d. Writing k deltas
// after each whole version costs (W + d(1 + 2 + ... + k)) / (k + 1) per version, least at k = sqrt(2W / d),
// so a node is stored whole again when its delta passes k * d = sqrt(2Wd). Small nodes are always whole: a
// delta of theirs saves little and costs a cold reader a second read (measured at 100,000 members: 10 bytes
// more per update, 9 instead of 10 reads on the longest path).

import { HASH_BYTES } from '../lib/blake3.js';
import { ByteReader } from './byte-reader.js';
import { bodyWriter, writer } from './byte-writer.js';
import {
  INNER,
  KEY_BYTES_MAX,
  LEAF_FIXED,
  LEAF_SIZED,
  type LeafLayout,
  isLeafKind,
  valueEnd,
} from './codec.js';
import { DELTA, applyInnerDelta, applyLeafDelta, writeInnerDelta, writeLeafDelta } from './delta.js';
import { TreeMalformed } from './errors.js';
import type { InnerWhole, LeafWhole, Split } from './node.js';
import { boundNode, readPlace, skipTagAndValue, type StoredContent, writeHashAndPlace } from './place.js';
import type { NodeLocation, RootRef } from './types.js';

/** Bytes of one change: an index, a hash or value, and a few for counts and place. */
const CHANGE_BYTES = 37;
const DELTA_WHOLE_BYTES_MIN = 330;

/** Is a delta of this length better than storing a node of `wholeLength` bytes whole? */
function deltaPays(deltaLength: number, wholeLength: number): boolean {
  if (wholeLength < DELTA_WHOLE_BYTES_MIN) return false;
  return deltaLength <= Math.min(wholeLength / 2, Math.sqrt(2 * CHANGE_BYTES * wholeLength));
}

/**
 * Writes a leaf's body into the body writer; answers with `base` when it is a delta against that.
 * @param base the last whole version of the same leaf
 */
export function writeLeafBody(
  record: number,
  bytes: Uint8Array,
  layout: LeafLayout,
  base: LeafWhole | undefined,
): LeafWhole | undefined {
  if (base !== undefined && bytes.length >= DELTA_WHOLE_BYTES_MIN && base.bytes[0] === bytes[0]) {
    const start = bodyWriter.length;
    writeLeafDelta(bodyWriter, record, bytes, layout, base);
    if (deltaPays(bodyWriter.length - start, bytes.length)) return base;
    bodyWriter.rewind(start);
  }
  writeWholeLeaf(bytes, layout);
  return undefined;
}

/**
 * Writes an inner node's body into the body writer; answers with `base` when it is a delta against that.
 * @param byteLength of the logical bytes
 * @param base the last whole version of the same node
 */
export function writeInnerBody(
  record: number,
  byteLength: number,
  split: Split,
  children: readonly RootRef[],
  base: InnerWhole | undefined,
): InnerWhole | undefined {
  if (base !== undefined && byteLength >= DELTA_WHOLE_BYTES_MIN && split.equals(base.split)) {
    const start = bodyWriter.length;
    writeInnerDelta(bodyWriter, record, children, base);
    if (deltaPays(bodyWriter.length - start, byteLength)) return base;
    bodyWriter.rewind(start);
  }
  bodyWriter.u8(INNER).u8(split.depth).u8(children.length);
  for (let i = 0; i < children.length; i++) {
    const child = children[i] as RootRef;
    bodyWriter
      .u8(split.ranges[i] as number)
      .varint(child.count)
      .varint(child.joined);
    writeHashAndPlace(bodyWriter, record, child);
  }
  return undefined;
}

/** Where the whole version lies that a body leans on; undefined when the body is whole. */
export function baseOf(record: number, body: Uint8Array): NodeLocation | undefined {
  const reader = new ByteReader(body);
  return (reader.u8() & DELTA) === 0 ? undefined : readPlace(reader, record);
}

/**
 * Decodes the body of a node, reading the whole version that it leans on through `readBody`.
 * @throws TREE_MALFORMED, and what `readBody` throws
 */
export function decodeBody(
  at: NodeLocation,
  body: Uint8Array,
  readBody: (location: NodeLocation) => Uint8Array,
): StoredContent {
  const base = baseOf(at.record, body);
  if (base === undefined) return wholeContent(at, body);
  const baseBody = readBody(base);
  if (((baseBody[0] as number) | DELTA) !== body[0])
    throw new TreeMalformed('a delta leans on another kind of node');
  const whole = wholeContent(base, baseBody).whole;
  const reader = new ByteReader(body, 1);
  readPlace(reader, at.record);
  if (whole.locations === undefined)
    return { bytes: applyLeafDelta(reader, whole), locations: undefined, whole };
  const locations = whole.locations.slice();
  return { bytes: applyInnerDelta(reader, at.record, whole, locations), locations, whole };
}

// ---- whole bodies

function writeWholeLeaf(bytes: Uint8Array, { fixed, count, spans }: LeafLayout): void {
  const shared = sharedKeyBytes(bytes, count, spans);
  bodyWriter
    .u8(fixed ? LEAF_FIXED : LEAF_SIZED)
    .varint(count)
    .varint(shared);
  if (count > 0) bodyWriter.slice(bytes, spans[0] as number, (spans[0] as number) + shared);
  for (let i = 0; i < count; i++) {
    const keyEnd = spans[i * 2 + 1] as number;
    const restStart = (spans[i * 2] as number) + shared;
    // After the key come tag, length and value just as in the logical bytes.
    bodyWriter.varint(keyEnd - restStart).slice(bytes, restStart, valueEnd(bytes, fixed, keyEnd));
  }
}

/** How many bytes begin every key of a leaf. */
function sharedKeyBytes(bytes: Uint8Array, count: number, spans: readonly number[]): number {
  if (count === 0) return 0;
  const first = spans[0] as number;
  let shared = (spans[1] as number) - first;
  for (let i = 1; i < count; i++) {
    const start = spans[i * 2] as number;
    shared = Math.min(shared, (spans[i * 2 + 1] as number) - start);
    let same = 0;
    while (same < shared && bytes[first + same] === bytes[start + same]) same++;
    shared = same;
  }
  return shared;
}

function wholeContent(at: NodeLocation, body: Uint8Array): StoredContent {
  const kind = body[0];
  if (isLeafKind(kind)) {
    const bytes = decodeWholeLeaf(body);
    return { bytes, locations: undefined, whole: { ...at, bytes, locations: undefined } };
  }
  if (kind !== INNER) throw new TreeMalformed('a stored node is of no known kind, or leans on a delta');
  const { bytes, locations } = decodeWholeInner(at.record, body);
  return { bytes, locations, whole: { record: at.record, index: at.index, bytes, locations } };
}

function decodeWholeLeaf(body: Uint8Array): Uint8Array {
  const reader = new ByteReader(body);
  const kind = reader.u8();
  const count = reader.varint(reader.left);
  const shared = reader.view(reader.varint(KEY_BYTES_MAX));
  writer.begin().u8(kind).varint(count);
  for (let i = 0; i < count; i++) {
    const restLength = reader.varint(KEY_BYTES_MAX);
    writer.varint(shared.length + restLength).slice(shared, 0, shared.length);
    const from = reader.skip(restLength);
    skipTagAndValue(reader, kind);
    writer.slice(body, from, reader.at);
    boundNode(writer.length);
  }
  reader.finish();
  return writer.finish();
}

function decodeWholeInner(record: number, body: Uint8Array): { bytes: Uint8Array; locations: number[] } {
  const reader = new ByteReader(body);
  const kind = reader.u8();
  const depth = reader.u8();
  const count = reader.u8();
  if (count > 16) throw new TreeMalformed('an inner node has more than 16 children');
  const locations: number[] = [];
  writer.begin().u8(kind).u8(depth).u8(count);
  for (let i = 0; i < count; i++) {
    const from = reader.skip(1);
    reader.varint(Number.MAX_SAFE_INTEGER);
    reader.varint(Number.MAX_SAFE_INTEGER);
    reader.skip(HASH_BYTES);
    writer.slice(body, from, reader.at);
    const place = readPlace(reader, record);
    locations.push(place.record, place.index);
  }
  reader.finish();
  return { bytes: writer.finish(), locations };
}
