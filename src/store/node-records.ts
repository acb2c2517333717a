// The head of a record of tree nodes: the number of the room whose state it belongs to, as a varint.

import { readVarint, varintLength, writeVarint } from '../lib/varint.js';
import { StoreCorruptError } from './errors.js';

/** The header of a room's records. */
export function recordHeader(roomNumber: number): Uint8Array {
  const header = new Uint8Array(varintLength(roomNumber));
  writeVarint(header, 0, roomNumber);
  return header;
}

/** The room number in a record's header. @throws StoreCorruptError */
export function roomOfHeader(header: Uint8Array): number {
  const number = readVarint(header, 0);
  if (number < 0) throw new StoreCorruptError('a record of nodes does not say which room it belongs to', {});
  return number;
}
