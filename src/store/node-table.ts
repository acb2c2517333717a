// Every stored node in a few bytes: which there are, and a fingerprint of what each says.
//
// A reference (hash, counts, place) is checked against it without reading the node again. It costs 8 bytes a
// node and 16 a record, so that a million nodes fit in 12 MB. Records come in rising order.

import type { NodeLocation, RootRef } from '../tree/types.js';

/** What a reference says, beside where its node lies. */
export type NodeSummary = Pick<RootRef, 'hash' | 'count' | 'joined'>;

export class NodeTable {
  #records = new Float64Array(1024);
  /** For each record the ordinal of its first node, and the number of its room. */
  #firsts = new Uint32Array(1024);
  #rooms = new Uint32Array(1024);
  #prints = new Uint32Array(8192);
  #recordCount = 0;
  #ordinals = 0;

  /** How many places there are, holes counted. */
  get size(): number {
    return this.#ordinals;
  }

  /** Begins the next record, of a room. */
  addRecord(record: number, roomNumber: number): void {
    if (this.#recordCount === this.#records.length) {
      this.#records = grown(this.#records, new Float64Array(this.#recordCount * 2));
      this.#firsts = grown(this.#firsts, new Uint32Array(this.#recordCount * 2));
      this.#rooms = grown(this.#rooms, new Uint32Array(this.#recordCount * 2));
    }
    this.#records[this.#recordCount] = record;
    this.#firsts[this.#recordCount] = this.#ordinals;
    this.#rooms[this.#recordCount] = roomNumber;
    this.#recordCount++;
  }

  /** Adds the next place of the record: a node, or undefined for a hole or a damaged node. */
  addNode(node: NodeSummary | undefined): void {
    if (this.#ordinals * 2 === this.#prints.length) {
      this.#prints = grown(this.#prints, new Uint32Array(this.#prints.length * 2));
    }
    if (node !== undefined) {
      this.#prints[this.#ordinals * 2] = printLow(node);
      this.#prints[this.#ordinals * 2 + 1] = printHigh(node);
    }
    this.#ordinals++;
  }

  /** The number of a place among all, or -1 when there is no such record or it is shorter. */
  ordinalOf({ record, index }: NodeLocation): number {
    const at = this.#find(record);
    if (at === -1) return -1;
    const ordinal = (this.#firsts[at] as number) + index;
    const end = at + 1 < this.#recordCount ? (this.#firsts[at + 1] as number) : this.#ordinals;
    return ordinal < end ? ordinal : -1;
  }

  #find(record: number): number {
    let low = 0;
    let high = this.#recordCount - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const found = this.#records[middle] as number;
      if (found === record) return middle;
      if (found < record) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  /** Is the node that the reference names one of the room, and does it say what the reference says of it? */
  holds(ref: RootRef, roomNumber: number): boolean {
    const ordinal = this.ordinalOf(ref);
    return (
      ordinal !== -1 &&
      this.#rooms[this.#find(ref.record)] === roomNumber &&
      this.#prints[ordinal * 2] === printLow(ref) &&
      this.#prints[ordinal * 2 + 1] === printHigh(ref)
    );
  }
}

/** A set of places of a table, one bit each. */
export class NodeMarks {
  readonly #table: NodeTable;
  readonly #bits: Uint8Array;
  #count = 0;

  constructor(table: NodeTable) {
    this.#table = table;
    this.#bits = new Uint8Array((table.size >> 3) + 1);
  }

  /** How many are marked. */
  get count(): number {
    return this.#count;
  }

  /** Marks a place. @returns whether the table has it */
  add(location: NodeLocation): boolean {
    const ordinal = this.#table.ordinalOf(location);
    if (ordinal === -1) return false;
    if (!this.#has(ordinal)) {
      this.#bits[ordinal >> 3] = (this.#bits[ordinal >> 3] as number) | (1 << (ordinal & 7));
      this.#count++;
    }
    return true;
  }

  has(location: NodeLocation): boolean {
    const ordinal = this.#table.ordinalOf(location);
    return ordinal !== -1 && this.#has(ordinal);
  }

  #has(ordinal: number): boolean {
    return ((this.#bits[ordinal >> 3] as number) & (1 << (ordinal & 7))) !== 0;
  }
}

function grown<Numbers extends Float64Array | Uint32Array>(from: Numbers, to: Numbers): Numbers {
  to.set(from);
  return to;
}

// The hash is spread evenly, so eight bytes of it tell nodes apart; the counts are mixed in. A hole is zero.

function printLow({ hash, count }: NodeSummary): number {
  return (word(hash, 0) ^ Math.imul(count + 1, 0x9e3779b1)) >>> 0;
}

function printHigh({ hash, joined }: NodeSummary): number {
  return (word(hash, 4) ^ Math.imul(joined + 1, 0x85ebca6b)) >>> 0;
}

function word(hash: Uint8Array, at: number): number {
  return new DataView(hash.buffer, hash.byteOffset, hash.byteLength).getUint32(at);
}
