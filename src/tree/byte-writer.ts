// A growing array of bytes for encoders. One writer is reused by all, so an encoder must call `finish`
// before the next one begins; all are synchronous and short.

import { varintLength, writeVarint } from '../lib/varint.js';

export class ByteWriter {
  #bytes = new Uint8Array(4096);
  #length = 0;

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  begin(): this {
    this.#length = 0;
    return this;
  }

  /** Forgets what was written after the first `length` bytes. */
  rewind(length: number): void {
    this.#length = length;
  }

  /** Writes the byte at `at` anew: for a count that stands before what it counts. */
  patch(at: number, value: number): void {
    this.#bytes[at] = value;
  }

  u8(value: number): this {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
    return this;
  }

  varint(value: number): this {
    this.#reserve(varintLength(value));
    this.#length = writeVarint(this.#bytes, this.#length, value);
    return this;
  }

  raw(bytes: Uint8Array): this {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  /** What another writer holds. */
  append(other: ByteWriter): this {
    return this.slice(other.#bytes, 0, other.#length);
  }

  /** Copies `bytes[from, to)`; for a few dozen bytes a loop beats making a view for `set`. */
  slice(bytes: Uint8Array, from: number, to: number): this {
    const length = to - from;
    this.#reserve(length);
    if (length > 96) {
      this.#bytes.set(bytes.subarray(from, to), this.#length);
    } else {
      const target = this.#bytes;
      const start = this.#length - from;
      for (let i = from; i < to; i++) target[start + i] = bytes[i] as number;
    }
    this.#length += length;
    return this;
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  /** The same out of Node's buffer pool: cheaper to make, but a short life is meant, as it holds the pool. */
  finishPooled(): Uint8Array {
    const copy = Buffer.allocUnsafe(this.#length);
    copy.set(this.#bytes.subarray(0, this.#length));
    return copy;
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

/** The writer that the tree's encoders share. */
export const writer = new ByteWriter();

/** Another, for the part of a delta whose length or count must stand before it. */
export const opsWriter = new ByteWriter();

/** Another, for the bodies of the record that is being filled. */
export const bodyWriter = new ByteWriter();
