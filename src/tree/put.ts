// One put that leaves the shape as it is: the most usual change by far, and a short way for it. It copies
// what it finds and changes it in place, down one path and up again. What it makes is byte for byte what
// planning makes (update.ts); wherever the shape may change it gives up before it has made anything.

import { equalBytes } from '../lib/bytes.js';
import { FIXED_VALUE_BYTES, insertInLeaf, overwriteInLeaf, replaceInInner } from './codec.js';
import type { NodeLoader } from './loader.js';
import type { NodeMaker } from './maker.js';
import type { Leaf, Node } from './node.js';
import { nibbleAt, sharedNibbles } from './position.js';
import { LEAF_ENTRIES_MAX } from './shape.js';
import { COUNTED_TAG, POSITION_BYTES, type TreeEntry } from './types.js';
import type { Edit } from './update.js';

/** The root after a put, which is the old one when nothing changes; undefined when the edit needs a plan. */
export function putOne(loader: NodeLoader, maker: NodeMaker, root: Node, edit: Edit): Node | undefined {
  const { position, key, tag, value } = edit;
  return value === undefined ? undefined : putBelow(loader, maker, root, 0, { position, key, tag, value });
}

/** @param known how many nibbles the entry and all entries of the node share for certain */
function putBelow(
  loader: NodeLoader,
  maker: NodeMaker,
  node: Node,
  known: number,
  entry: TreeEntry,
): Node | undefined {
  const content = loader.content(node);
  if (content.isLeaf) return putInLeaf(maker, node, content, entry);
  const { split, children, whole } = content;
  const { depth } = split;
  if (depth > known && sharedNibbles(loader.sample(node), entry.position) < depth) return undefined;
  const slot = split.slots[nibbleAt(entry.position, depth)] as number;
  const child = slot === -1 ? undefined : children[slot];
  if (child === undefined) return undefined;
  const made = putBelow(loader, maker, child, depth + 1, entry);
  if (made === undefined) return undefined;
  if (made === child) return node;
  const replaced = children.slice();
  replaced[slot] = made;
  return maker.addInner(replaceInInner(content.bytes, slot, made), split, replaced, {
    count: node.count + made.count - child.count,
    joined: node.joined + made.joined - child.joined,
    base: whole,
    sample: content.sample,
  });
}

function putInLeaf(maker: NodeMaker, node: Node, leaf: Leaf, entry: TreeEntry): Node | undefined {
  const found = leaf.find(entry.key);
  return found === -1 ? insert(maker, node, leaf, entry) : overwrite(maker, node, leaf, found, entry);
}

function overwrite(
  maker: NodeMaker,
  node: Node,
  leaf: Leaf,
  found: number,
  { tag, value }: TreeEntry,
): Node | undefined {
  const tagBefore = leaf.tagOf(found);
  const valueBefore = leaf.valueOf(found);
  if (tagBefore === tag && equalBytes(valueBefore, value)) return node;
  if (valueBefore.length !== value.length) return undefined;
  const joined = node.joined + counted(tag) - counted(tagBefore);
  const bytes = overwriteInLeaf(leaf.bytes, leaf.layout, found, tag, value);
  return maker.addLeaf(bytes, leaf.layout, joined, leaf.whole, leaf.knownPositions);
}

function insert(maker: NodeMaker, node: Node, leaf: Leaf, entry: TreeEntry): Node | undefined {
  const { count } = leaf;
  if (count === 0 || count >= LEAF_ENTRIES_MAX) return undefined;
  // A value of another length makes a leaf of another kind.
  if (leaf.layout.fixed && entry.value.length !== FIXED_VALUE_BYTES) return undefined;
  let at = 0;
  while (at < count && leaf.compareAt(at, entry.position, entry.key) < 0) at++;
  const { bytes, layout } = insertInLeaf(leaf.bytes, leaf.layout, at, entry);
  const cut = at * POSITION_BYTES;
  const positions = new Uint8Array((count + 1) * POSITION_BYTES);
  positions.set(leaf.positions.subarray(0, cut));
  positions.set(entry.position, cut);
  positions.set(leaf.positions.subarray(cut), cut + POSITION_BYTES);
  return maker.addLeaf(bytes, layout, node.joined + counted(entry.tag), leaf.whole, positions);
}

function counted(tag: number): number {
  return tag === COUNTED_TAG ? 1 : 0;
}
