// What another server's tree holds that one here does not, found by asking for the nodes that are not here.
//
// Both are walked at once from their roots. A node of theirs whose hash one of ours in the same place has is ours,
// and nothing below it is asked for. The rest is asked for a level at a time, and when no node is wanted any more
// the two are compared as if both lay here.
//
//   theirs   R'            ours   R            wanted: R', then A', then y'
//           /  \                 /  \
//          A'   B               A    B         B, x: the same hash, so the same below
//         / \                  / \
//        x   y'               x   y
//
// A walk does no input or output: who walks asks, and hands over what came. Server and network may lie; what came
// is checked before it is used (remote-node.ts), and the differences are true only if the tree here, changed by
// them, has their root: `StateTree.hashAfter` says so.

import { equalBytes } from '../lib/bytes.js';
import { assert } from '../lib/errors.js';
import { diffNodes } from './diff.js';
import { TreeRemoteTooLarge } from './errors.js';
import type { NodeLoader } from './loader.js';
import { Inner, InnerWhole, Node, Split } from './node.js';
import { nibbleAt } from './position.js';
import {
  type ExpectedNode,
  hashIn,
  type KeyReading,
  readRemoteNode,
  type RemoteContent,
  type RemoteFork,
} from './remote-node.js';
import type { Difference } from './types.js';

/** What is read of a stranger's tree at most, and how its keys are told from others. */
export interface RemoteWalkOptions {
  readonly isKey: KeyReading['isKey'];
  readonly entriesMax: number;
  readonly nodesMax: number;
  readonly bytesMax: number;
}

/** A node to ask for. */
export interface WantedNode {
  /** The low nibbles of the children on the way from the root, in hex: `StateTree.nodeAt` finds it by that. */
  readonly path: string;
  readonly hash: Uint8Array;
}

interface Expected extends ExpectedNode {
  /** Undefined for the root. */
  readonly node: Node | undefined;
  /** Nodes here in whose range it lies, in part or whole. */
  readonly beside: readonly Node[];
}

/** Nodes here that are looked at for one of theirs: more would be needed where shapes have nothing in common. */
const LOOKED_AT_MAX = 64;

export class RemoteWalk {
  readonly #loader: NodeLoader;
  readonly #local: Node;
  readonly #options: RemoteWalkOptions;
  /** By path, in the order in which they are asked for: level by level. */
  readonly #wanted = new Map<string, Expected>();
  #root: Node | undefined;
  #nodes = 0;
  #bytes = 0;

  /** @param hash their root's; it is believed, as nothing here says what it should be */
  constructor(loader: NodeLoader, local: Node, hash: Uint8Array, options: RemoteWalkOptions) {
    this.#loader = loader;
    this.#local = local;
    this.#options = options;
    if (equalBytes(local.hash, hash)) this.#root = local;
    else
      this.#expect({ path: '', hash, counts: undefined, place: undefined, node: undefined, beside: [local] });
  }

  /** Has everything come that was asked for? */
  get isDone(): boolean {
    return this.#wanted.size === 0;
  }

  /** Nodes that came, their bytes, and how many are wanted now. */
  get stats(): { readonly nodes: number; readonly bytes: number; readonly wanted: number } {
    return { nodes: this.#nodes, bytes: this.#bytes, wanted: this.#wanted.size };
  }

  /** How many entries their tree has; undefined before its root came. */
  get count(): number | undefined {
    return this.#root?.count;
  }

  /** The nodes to ask for next, at most so many. */
  next(max: number): WantedNode[] {
    const next: WantedNode[] = [];
    for (const wanted of this.#wanted.values()) {
      if (next.length >= max) break;
      next.push(wanted);
    }
    return next;
  }

  /**
   * Takes the logical bytes of a node that is wanted.
   * @throws TREE_REMOTE_INVALID, TREE_REMOTE_TOO_LARGE: the walk is of no use any more
   */
  take(path: string, bytes: Uint8Array): void {
    const expected = this.#wanted.get(path);
    assert(expected !== undefined, 'only nodes that are wanted are taken');
    this.#nodes++;
    this.#bytes += bytes.length;
    const { nodesMax, bytesMax, entriesMax } = this.#options;
    if (this.#nodes > nodesMax || this.#bytes > bytesMax) {
      throw new TreeRemoteTooLarge('the tree of another server is too large', { path });
    }
    const { isKey } = this.#options;
    const content = readRemoteNode(expected, bytes, { positionOf: this.#loader.positionOf, isKey });
    if (content.count > entriesMax) {
      throw new TreeRemoteTooLarge('the tree of another server has too many entries', { path });
    }
    this.#wanted.delete(path);
    const node = expected.node ?? new Node(expected.hash, content.count, content.joined, 0, 0);
    if (path === '') this.#root = node;
    node.content = content.leaf ?? this.#inner(expected, content);
  }

  /** Every key on which the tree here (`before`) and theirs (`after`) differ, in tree order. */
  differences(): Generator<Difference, void, undefined> {
    assert(this.isDone && this.#root !== undefined, 'a tree is compared when all of it came');
    return diffNodes(this.#loader, this.#local, this.#root);
  }

  #inner({ path, place, beside }: Expected, { inner: layout, bytes }: RemoteContent): Inner {
    assert(layout !== undefined, 'what is no leaf is an inner node');
    const { depth, ranges } = layout;
    const fork: RemoteFork = { depth, place, anchor: undefined };
    const ours = this.#ranged(beside, depth);
    const children = ranges.map((range, i) => {
      const low = range >> 3;
      const end = low + (1 << (range & 7));
      const hash = hashIn(bytes, layout, i);
      const counts = { count: layout.counts[i] as number, joined: layout.joined[i] as number };
      const facing = ours.filter((one) => one.low < end && low < one.end).map(({ node }) => node);
      const same = facing.find((node) => node.count === counts.count && equalBytes(node.hash, hash));
      if (same !== undefined && same.joined === counts.joined) return same;
      const node = new Node(hash, counts.count, counts.joined, 0, 0);
      const childPlace = { fork, low, end };
      const childPath = path + low.toString(16);
      this.#expect({ path: childPath, hash, counts, place: childPlace, node, beside: facing });
      return node;
    });
    const split = new Split(depth, ranges);
    return new Inner(split, bytes, children, new InnerWhole({ record: 0, index: 0 }, split, children));
  }

  /** Nodes here as children of an inner node at `depth` would be. */
  #ranged(nodes: readonly Node[], depth: number): { readonly node: Node; low: number; end: number }[] {
    const ranged: { readonly node: Node; low: number; end: number }[] = [];
    const open = [...nodes];
    for (let looked = 0; looked < LOOKED_AT_MAX; looked++) {
      const node = open.pop();
      if (node === undefined) break;
      if (node.count === 0) continue;
      const content = this.#loader.content(node);
      if (content.isLeaf || content.depth > depth) {
        const low = nibbleAt(this.#loader.sample(node), depth);
        ranged.push({ node, low, end: low + 1 });
      } else if (content.depth < depth) {
        // Theirs lies under one of its nibbles, and which of them is not known before a leaf came.
        open.push(...content.children);
      } else {
        content.children.forEach((child, i) => {
          const range = content.ranges[i] as number;
          ranged.push({ node: child, low: range >> 3, end: (range >> 3) + (1 << (range & 7)) });
        });
      }
    }
    return ranged;
  }

  #expect(expected: Expected): void {
    this.#wanted.set(expected.path, expected);
  }
}
