// From shells to contents: out of memory, or read from a record, unfolded, and checked against the hash
// and the counts that the parent or the root gives.

import { blake3 } from '../lib/blake3.js';
import { equalBytes } from '../lib/bytes.js';
import type { NodeCache } from './cache.js';
import { encodeLeaf, parseInner, parseLeaf } from './codec.js';
import { TreeNodeCorrupt } from './errors.js';
import { Inner, InnerWhole, Leaf, LeafWhole, Node, Split, countTagged } from './node.js';
import type { StoredContent } from './place.js';
import { childrenOf, inRecord, readRecord, readStoredContent } from './stored.js';
import { POSITION_BYTES, type PositionOf, type RecordSource, type RootRef } from './types.js';

/** Records read last, kept because nodes of one walk often lie in one record. */
const RECORDS_KEPT = 8;

export class NodeLoader {
  readonly positionOf: PositionOf;
  readonly cache: NodeCache;
  readonly #source: RecordSource;
  readonly #records = new Map<number, Uint8Array>();

  constructor(source: RecordSource, cache: NodeCache, positionOf: PositionOf) {
    this.#source = source;
    this.cache = cache;
    this.positionOf = positionOf;
  }

  /** The shell of a tree's root: the node itself when it is one, else found or made anew. */
  resolve(root: RootRef): Node {
    if (root instanceof Node) return root;
    if (root.count === 0 && equalBytes(root.hash, EMPTY_NODE.hash)) return EMPTY_NODE;
    return this.#shell(root);
  }

  /**
   * A node's content.
   * @throws TREE_NODE_MISSING, TREE_NODE_CORRUPT
   */
  content(node: Node): Leaf | Inner {
    this.cache.visits++;
    const content = node.content;
    if (content === undefined) return this.#load(node);
    node.visited = true;
    return content;
  }

  /** The position of some entry below a node (not empty). */
  sample(node: Node): Uint8Array {
    const content = this.content(node);
    if (content.isLeaf) return content.positions.subarray(0, POSITION_BYTES);
    return (content.sample ??= this.sample(content.children[0] as Node));
  }

  /** Drops the records kept, for when records were rewritten or deleted behind the loader's back. */
  forgetRecords(): void {
    this.#records.clear();
  }

  #load(node: Node): Leaf | Inner {
    this.cache.misses++;
    // The same node may be known under another shell, made when another version's parent was loaded.
    const twin = this.cache.find(node);
    const content =
      twin?.content !== undefined && equalBytes(twin.hash, node.hash) ? twin.content : this.#read(node);
    node.content = content;
    this.cache.admit(node);
    return content;
  }

  #read(node: Node): Leaf | Inner {
    return inRecord(node, () => {
      const stored = readStoredContent((record) => this.#readRecord(record), node);
      const isIntact = equalBytes(blake3(stored.bytes), node.hash);
      const content = isIntact ? this.#contentOf(stored) : undefined;
      if (content === undefined || !countsAgree(node, content)) {
        const { record, index } = node;
        const what = isIntact ? 'counts' : 'hash';
        throw new TreeNodeCorrupt(
          `tree node ${index} of record ${record} does not have the ${what} it should`,
          {
            record,
            index,
          },
        );
      }
      return content;
    });
  }

  #contentOf({ bytes, locations, whole }: StoredContent): Leaf | Inner {
    const isWhole = whole.bytes === bytes;
    if (locations === undefined) {
      const layout = parseLeaf(bytes);
      const base = new LeafWhole(whole, whole.bytes, isWhole ? layout : undefined);
      return new Leaf(layout, bytes, base, this.positionOf);
    }
    const layout = parseInner(bytes);
    // A delta does not change how a node is split, so it has its whole version's split.
    const split = new Split(layout.depth, layout.ranges);
    const children = childrenOf(bytes, layout, locations).map((child) => this.#shell(child));
    const { locations: wholeLocations = locations } = whole;
    const before = (): readonly RootRef[] => childrenOf(whole.bytes, parseInner(whole.bytes), wholeLocations);
    return new Inner(split, bytes, children, new InnerWhole(whole, split, isWhole ? children : before));
  }

  #shell(ref: RootRef): Node {
    const known = this.cache.find(ref);
    if (known !== undefined && equalBytes(known.hash, ref.hash)) return known;
    return new Node(ref.hash, ref.count, ref.joined, ref.record, ref.index);
  }

  #readRecord(record: number): Uint8Array {
    const kept = this.#records.get(record);
    if (kept !== undefined) return kept;
    this.cache.recordReads++;
    const bytes = readRecord(this.#source, record);
    if (this.#records.size >= RECORDS_KEPT) {
      for (const oldest of this.#records.keys()) {
        this.#records.delete(oldest);
        break;
      }
    }
    this.#records.set(record, bytes);
    return bytes;
  }
}

function countsAgree(node: Node, content: Leaf | Inner): boolean {
  if (content.isLeaf) {
    return node.count === content.count && node.joined === countTagged(content.bytes, content.layout);
  }
  let count = 0;
  let joined = 0;
  for (const child of content.children) {
    count += child.count;
    joined += child.joined;
  }
  return node.count === count && node.joined === joined;
}

/** The tree of nothing: a leaf without entries, in no record, the same for all. */
export const EMPTY_NODE: Node = emptyNode();

function emptyNode(): Node {
  const bytes = encodeLeaf([]);
  const node = new Node(blake3(bytes), 0, 0, 0, 0);
  const whole = new LeafWhole(node, bytes);
  node.content = new Leaf(parseLeaf(bytes), bytes, whole, () => new Uint8Array(POSITION_BYTES));
  return node;
}
