// The state tree's keys: how `(type, state_key)` becomes bytes and a position.
//
// Bytes (hashed, so they never change):  0x01 state_key            for m.room.member
//                                        0x00 varint(n) type state_key   for every other type, n bytes of type
// Position, 128 bits:  m.room.member      1 | 127 bits of BLAKE3(state_key)
//                      every other type   0 | 63 bits of BLAKE3(type) | 64 bits of BLAKE3(type, 0x00, state_key)
//
// So members are one half of the tree, each other type is one range, and keys ground by an attacker are
// spread by the hash. 63 bits a type, so that a count over a type's range counts nobody else's entries.

import { isUtf8 } from 'node:buffer';
import { blake3 } from '../../lib/blake3.js';
import { fromUtf8, utf8 } from '../../lib/bytes.js';
import { readVarint, varintLength, writeVarint } from '../../lib/varint.js';
import { POSITION_BYTES, type PositionPrefix, type TreeKey } from '../../tree/types.js';
import { assert } from '../../lib/errors.js';

export const MEMBER_TYPE = 'm.room.member';

const MEMBER_KEY = 0x01;
const OTHER_KEY = 0x00;
const SEPARATOR = 0x00;

/** The range of positions that holds all entries of a type. */
export function prefixOfType(type: string): PositionPrefix {
  if (type === MEMBER_TYPE) return { bytes: new Uint8Array([0x80]), bits: 1 };
  const bytes = blake3(utf8(type)).slice(0, 8);
  return { bytes: shiftRightOne(bytes), bits: 64 };
}

/** The tree's key of a state entry. */
export function treeKeyOf(type: string, stateKey: string): TreeKey {
  const bytes = type === MEMBER_TYPE ? memberKey(stateKey) : otherKey(type, stateKey);
  return { bytes, position: positionOf(bytes) };
}

/** Where key bytes lie, 16 bytes: a function of the key alone. */
export function positionOf(key: Uint8Array): Uint8Array {
  if (key[0] === MEMBER_KEY) {
    const position = shiftRightOne(blake3(key.subarray(1)).slice(0, POSITION_BYTES));
    position[0] = (position[0] as number) | 0x80;
    return position;
  }
  const [from, to] = typeBounds(key);
  const name = key.subarray(to);
  const both = new Uint8Array(to - from + 1 + name.length);
  both.set(key.subarray(from, to));
  both[to - from] = SEPARATOR;
  both.set(name, to - from + 1);
  const position = new Uint8Array(POSITION_BYTES);
  position.set(shiftRightOne(blake3(key.subarray(from, to)).slice(0, 8)));
  position.set(blake3(both).subarray(0, 8), 8);
  return position;
}

/** Type and state key of the tree's key bytes. */
export function readKey(key: Uint8Array): { readonly type: string; readonly stateKey: string } {
  if (key[0] === MEMBER_KEY) return { type: MEMBER_TYPE, stateKey: fromUtf8(key.subarray(1)) };
  const [from, to] = typeBounds(key);
  return { type: fromUtf8(key.subarray(from, to)), stateKey: fromUtf8(key.subarray(to)) };
}

/** Are these bytes, which came from elsewhere, a key as `treeKeyOf` makes it? Only then may they be read. */
export function isTreeKey(key: Uint8Array): boolean {
  if (key[0] === MEMBER_KEY) return isUtf8(key.subarray(1));
  if (key[0] !== OTHER_KEY) return false;
  const length = readVarint(key, 1);
  const from = 1 + varintLength(length);
  if (length < 0 || from + length > key.length) return false;
  const [type, stateKey] = [key.subarray(from, from + length), key.subarray(from + length)];
  return isUtf8(type) && isUtf8(stateKey) && fromUtf8(type) !== MEMBER_TYPE;
}

function memberKey(stateKey: string): Uint8Array {
  const name = utf8(stateKey);
  const key = new Uint8Array(1 + name.length);
  key[0] = MEMBER_KEY;
  key.set(name, 1);
  return key;
}

function otherKey(type: string, stateKey: string): Uint8Array {
  const typeBytes = utf8(type);
  const name = utf8(stateKey);
  const header = 1 + varintLength(typeBytes.length);
  const key = new Uint8Array(header + typeBytes.length + name.length);
  key[0] = OTHER_KEY;
  writeVarint(key, 1, typeBytes.length);
  key.set(typeBytes, header);
  key.set(name, header + typeBytes.length);
  return key;
}

/** Where the type begins and ends in a key that is no member's. Damage was found by the node's hash before. */
function typeBounds(key: Uint8Array): [from: number, to: number] {
  const length = readVarint(key, 1);
  assert(length >= 0, 'a state key holds its type');
  const from = 1 + varintLength(length);
  return [from, from + length];
}

/** Moves all bits one to the right; the first becomes 0, the last falls off. In place. */
function shiftRightOne(bytes: Uint8Array): Uint8Array {
  for (let at = bytes.length - 1; at > 0; at--) {
    bytes[at] = ((bytes[at] as number) >> 1) | (((bytes[at - 1] as number) & 1) << 7);
  }
  bytes[0] = (bytes[0] as number) >> 1;
  return bytes;
}
