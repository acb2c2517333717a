// What the tree's tests share: a store in memory, keys, and draws of trees.

import { blake3 } from '../../../src/lib/blake3.js';
import { toHex, utf8 } from '../../../src/lib/bytes.js';
import { NodeCache } from '../../../src/tree/cache.js';
import type { Draft } from '../../../src/tree/draft.js';
import { readStoredNode } from '../../../src/tree/stored.js';
import { StateTree } from '../../../src/tree/tree.js';
import type { Change, NewEntry, RecordSource, RootRef, TreeEntry, TreeKey } from '../../../src/tree/types.js';

/** Records in memory, with an allocator and a count of reads. */
export class MemoryRecords implements RecordSource {
  readonly records = new Map<number, Uint8Array>();
  reads = 0;
  bytesWritten = 0;
  #last = 0;

  readRecord(record: number): Uint8Array | undefined {
    this.reads++;
    return this.records.get(record);
  }

  readonly allocate = (): number => ++this.#last;

  /** Seals a draft, writes it, and gives its root. */
  commit(draft: Draft, header?: Uint8Array): RootRef {
    for (const { record, bytes } of draft.seal(header)) {
      this.records.set(record, bytes);
      this.bytesWritten += bytes.length;
    }
    draft.committed();
    return draft.root;
  }
}

/** A tree with its store. Another one over the same records begins with an empty cache. */
export class Forest {
  readonly records: MemoryRecords;
  readonly tree: StateTree;

  constructor(records = new MemoryRecords(), cacheBytes?: number, positionOf = hashedPosition) {
    this.records = records;
    this.tree = new StateTree(records, new NodeCache(cacheBytes), positionOf);
  }

  build(entries: Iterable<NewEntry>): RootRef {
    return this.records.commit(this.tree.build(entries, this.records.allocate));
  }

  update(root: RootRef, changes: Iterable<Change>): RootRef {
    return this.records.commit(this.tree.update(root, changes, this.records.allocate));
  }

  entries(root: RootRef): TreeEntry[] {
    return [...this.tree.scan(root)];
  }
}

/** Positions like those of real keys. */
export function hashedPosition(key: Uint8Array): Uint8Array {
  return blake3(key).subarray(0, 16);
}

/**
 * Positions that a test chooses: the key's first characters are the position's first nibbles, in hex, up to
 * a `:`; the rest of the position is zero. So `00ff:a` and `00ff:b` share one position.
 */
export function chosenPosition(key: Uint8Array): Uint8Array {
  const position = new Uint8Array(16);
  for (let i = 0; i < Math.min(key.length, 32); i++) {
    const nibble = Number.parseInt(String.fromCharCode(key[i] as number), 16);
    if (Number.isNaN(nibble)) break;
    position[i >> 1] = (position[i >> 1] as number) | (i % 2 === 0 ? nibble << 4 : nibble);
  }
  return position;
}

export function keyOf(text: string, positionOf = hashedPosition): TreeKey {
  const bytes = utf8(text);
  return { bytes, position: positionOf(bytes) };
}

/** A 32-byte value that is told by its text. */
export function valueOf(text: string): Uint8Array {
  return blake3(utf8(text));
}

export function put(text: string, value: string, tag = 1, positionOf = hashedPosition): Change & NewEntry {
  return { key: keyOf(text, positionOf), tag, value: valueOf(value) };
}

export function remove(text: string, positionOf = hashedPosition): Change {
  return { key: keyOf(text, positionOf), tag: 0, value: undefined };
}

/** `n` entries with the keys of a room's members. */
export function members(n: number): NewEntry[] {
  return Array.from({ length: n }, (_, i) =>
    put(`m.room.member\0@user${i}:server${i % 97}.example.org`, `event ${i}`),
  );
}

export function hex(root: { readonly hash: Uint8Array }): string {
  return toHex(root.hash);
}

/**
 * The shape of a stored tree, one line a node:
 *
 *   inner at 0, 20
 *     0-7: leaf 12
 *     8: leaf 8
 */
export function draw(source: RecordSource, root: RootRef): string {
  const lines: string[] = [];
  const walk = (ref: RootRef, indent: string, label: string): void => {
    if (ref.record === 0) {
      lines.push(`${indent}${label}leaf 0`);
      return;
    }
    const node = readStoredNode(source, ref);
    if (node.isLeaf) {
      lines.push(`${indent}${label}leaf ${node.count}`);
      return;
    }
    lines.push(`${indent}${label}inner at ${node.bytes[1]}, ${node.count}`);
    node.children.forEach((child, i) => walk(child, `${indent}  `, `${rangeOf(node.bytes, i)}: `));
  };
  walk(root, '', '');
  return lines.join('\n');
}

function rangeOf(bytes: Uint8Array, child: number): string {
  let at = 3;
  for (let i = 0; i < child; i++) {
    at++;
    for (let varints = 0; varints < 2; at++) if ((bytes[at] as number) < 0x80) varints++;
    at += 32;
  }
  const low = (bytes[at] as number) >> 3;
  const width = 1 << ((bytes[at] as number) & 7);
  return width === 1 ? `${low}` : `${low}-${low + width - 1}`;
}
