// A bounded reader of hostile bytes: every read checks the end, and a fault is one typed error.

import { readVarint, varintLength } from '../lib/varint.js';
import { TreeMalformed } from './errors.js';

export class ByteReader {
  readonly bytes: Uint8Array;
  readonly end: number;
  at: number;

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  get left(): number {
    return this.end - this.at;
  }

  u8(): number {
    if (this.at >= this.end) throw new TreeMalformed('tree bytes end too early');
    return this.bytes[this.at++] as number;
  }

  /** A varint of at most `max`. */
  varint(max: number): number {
    const value = readVarint(this.bytes, this.at, this.end);
    if (value < 0)
      throw new TreeMalformed('tree bytes hold a varint that is cut off or not in its shortest form');
    if (value > max) throw new TreeMalformed(`tree bytes hold a number over its bound of ${max}`);
    this.at += varintLength(value);
    return value;
  }

  /** Skips `length` bytes and returns where they begin. */
  skip(length: number): number {
    if (length > this.left) throw new TreeMalformed('tree bytes end too early');
    const from = this.at;
    this.at += length;
    return from;
  }

  /** A view of the next `length` bytes. */
  view(length: number): Uint8Array {
    const from = this.skip(length);
    return this.bytes.subarray(from, from + length);
  }

  /** @throws TREE_MALFORMED when bytes are left over */
  finish(): void {
    if (this.at !== this.end) throw new TreeMalformed('tree bytes go on after their end');
  }
}
