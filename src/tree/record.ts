// A record: the nodes that one version of a tree added, packed under one record number.
//
//   01 | varint h | h bytes of the caller's header | varint n | n x varint body length | bodies
//
// A node is found by its index without decoding the others. A length of 0 is a hole: a node that garbage
// collection took out, while the others keep their index. The header is the caller's (the store keeps the
// room's number there).

import { writer } from './byte-writer.js';
import { ByteReader } from './byte-reader.js';
import { NODE_BYTES_MAX } from './codec.js';
import { TreeMalformed } from './errors.js';
import { NODES_PER_RECORD_MAX } from './types.js';

const FORMAT = 1;
const HEADER_BYTES_MAX = 1024;
const NO_HEADER = new Uint8Array(0);

/** Where things lie in a record's bytes. */
export interface RecordTable {
  readonly header: Uint8Array;
  /** Body i is `bytes[starts[i], starts[i + 1])`; empty when it is a hole. */
  readonly starts: Uint32Array;
}

/** Packs bodies under a header; an undefined body is a hole. */
export function encodeRecord(
  bodies: ReadonlyArray<Uint8Array | undefined>,
  header: Uint8Array = NO_HEADER,
): Uint8Array {
  begin(
    bodies.map((body) => body?.length ?? 0),
    header,
  );
  for (const body of bodies) if (body !== undefined) writer.raw(body);
  return writer.finish();
}

/** The same of bodies that lie one after the other already. */
export function packRecord(
  lengths: readonly number[],
  bodies: Uint8Array,
  header: Uint8Array = NO_HEADER,
): Uint8Array {
  begin(lengths, header);
  return writer.raw(bodies).finish();
}

function begin(lengths: readonly number[], header: Uint8Array): void {
  writer.begin().u8(FORMAT).varint(header.length).raw(header).varint(lengths.length);
  for (const length of lengths) writer.varint(length);
}

/**
 * Reads a record's table.
 * @throws TREE_MALFORMED
 */
export function readRecordTable(bytes: Uint8Array): RecordTable {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== FORMAT) throw new TreeMalformed('a node record has an unknown format');
  const header = reader.view(reader.varint(HEADER_BYTES_MAX));
  const count = reader.varint(NODES_PER_RECORD_MAX);
  const starts = new Uint32Array(count + 1);
  let length = 0;
  for (let i = 0; i < count; i++) {
    length += reader.varint(NODE_BYTES_MAX);
    starts[i + 1] = length;
  }
  if (length !== reader.left) throw new TreeMalformed('a node record is cut off or goes on after its end');
  for (let i = 0; i <= count; i++) starts[i] = (starts[i] as number) + reader.at;
  return { header, starts };
}

/**
 * The body of the node at `index`, or undefined when it is a hole or beyond the end.
 * @throws TREE_MALFORMED
 */
export function bodyAt(bytes: Uint8Array, index: number): Uint8Array | undefined {
  const { starts } = readRecordTable(bytes);
  const from = starts[index];
  const to = starts[index + 1];
  return from === undefined || to === undefined || from === to ? undefined : bytes.subarray(from, to);
}

/**
 * The header that the caller gave when the record was sealed.
 * @throws TREE_MALFORMED
 */
export function headerOf(bytes: Uint8Array): Uint8Array {
  return readRecordTable(bytes).header;
}

/**
 * A record with the nodes that `keep` says, each at its old index; undefined when none is left.
 * @throws TREE_MALFORMED
 */
export function rewriteRecord(bytes: Uint8Array, keep: (index: number) => boolean): Uint8Array | undefined {
  const { header, starts } = readRecordTable(bytes);
  const bodies: (Uint8Array | undefined)[] = [];
  for (let i = 0; i + 1 < starts.length; i++) {
    const body = bytes.subarray(starts[i], starts[i + 1]);
    bodies.push(body.length > 0 && keep(i) ? body : undefined);
  }
  while (bodies.length > 0 && bodies[bodies.length - 1] === undefined) bodies.pop();
  return bodies.length === 0 ? undefined : encodeRecord(bodies, header);
}
