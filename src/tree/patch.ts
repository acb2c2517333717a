// A patch: what makes one tree of another, as bytes. Keys on which they differ, in tree order, each with what the
// other tree holds there.
//
//   n x { varint key length, key, u8 tag, varint value length, value }      no value: the key is not there
//
// Whoever has the first tree and the other's root needs no more to have the other, and to be sure of it.

import { KEY_BYTES_MAX, VALUE_BYTES_MAX } from './codec.js';
import { ByteReader } from './byte-reader.js';
import { writer } from './byte-writer.js';
import { TreeMalformed } from './errors.js';
import { comparePlaces } from './position.js';
import type { KeyReading } from './remote-node.js';
import type { Change, Difference } from './types.js';

/** One key of a patch; those of a whole one stand one after the other. */
export function encodePatchEntry({ key, after }: Difference): Uint8Array {
  const value = after?.value ?? NO_VALUE;
  return writer
    .begin()
    .varint(key.length)
    .raw(key)
    .u8(after?.tag ?? 0)
    .varint(value.length)
    .raw(value)
    .finish();
}

/**
 * Reads a patch that came from elsewhere.
 * @throws TREE_MALFORMED for what is none
 */
export function readPatch(bytes: Uint8Array, reading: KeyReading): Change[] {
  const reader = new ByteReader(bytes);
  const changes: Change[] = [];
  let last: Change | undefined;
  while (reader.left > 0) {
    const key = reader.view(reader.varint(KEY_BYTES_MAX));
    const tag = reader.u8();
    const value = reader.view(reader.varint(VALUE_BYTES_MAX));
    if (!reading.isKey(key)) throw new TreeMalformed('a patch holds a key that is none');
    const position = reading.positionOf(key);
    if (last !== undefined && comparePlaces(last.key.position, last.key.bytes, position, key) >= 0) {
      throw new TreeMalformed('a patch is not in order');
    }
    last = { key: { bytes: key, position }, tag, value: value.length === 0 ? undefined : value };
    changes.push(last);
  }
  return changes;
}

const NO_VALUE = new Uint8Array();
