// The cache of node contents: bounded in bytes, CLOCK eviction (as good as LRU here at half its cost on
// the hottest path, where a visit is one store to a flag).
//
// It keeps shells in a ring; eviction drops a shell's content and nothing else. Nodes of drafts are pinned:
// they are nowhere else yet, so they are findable but not in the ring until their draft is committed.
//
// Every put leaves behind the nodes that it replaced. They go first, the oldest first, unless they were
// looked at since: without that a long run of puts would fill the cache with its own history and push out
// the tree that it works on (measured at 30,000 members and 64 MiB: one miss in three puts).
//
// A leaf that is read makes objects of its entries, which weigh more than its bytes. So what was looked at is
// weighed again when the hand comes by.

import { assert } from '../lib/errors.js';
import type { Node } from './node.js';
import type { NodeLocation } from './types.js';

/** Counters since the cache was made, and what it holds now. */
export interface NodeCacheStats {
  /** Nodes looked at, in memory or not. */
  readonly visits: number;
  /** Visits that found the node in memory. */
  readonly hits: number;
  /** Visits that had to load the node. */
  readonly misses: number;
  /** Records read from the source. */
  readonly recordReads: number;
  readonly evictions: number;
  readonly nodes: number;
  readonly bytes: number;
  readonly bytesMax: number;
  /** Nodes of drafts that are neither committed nor discarded. */
  readonly pinnedNodes: number;
}

/** Rough cost of a node's objects beside its bytes: per node, per child, per entry, and per entry that was read. */
const NODE_OVERHEAD_BYTES = 400;
const CHILD_OVERHEAD_BYTES = 150;
const ENTRY_OVERHEAD_BYTES = 40;
const READ_ENTRY_BYTES = 360;

/** Replaced nodes that stay where there is room: whoever compares a state with the one before asks for the newest. */
const REPLACED_MAX = 1024;

/** The queue of replaced nodes is cut when so many are done, and they are half of it. */
const COMPACT_MIN = 1024;

export class NodeCache {
  readonly bytesMax: number;
  /** Written by the loader on its hot path. */
  visits = 0;
  misses = 0;
  recordReads = 0;
  readonly #ring: Node[] = [];
  readonly #byLocation = new Map<number, Node>();
  /** Nodes replaced by newer versions, the oldest first from `#nextReplaced` on. */
  #replaced: Node[] = [];
  #nextReplaced = 0;
  #hand = 0;
  #bytes = 0;
  #evictions = 0;
  #pinned = 0;

  /** @param bytesMax what the contents of committed nodes may take together, about */
  constructor(bytesMax: number = 64 * 1024 * 1024) {
    assert(bytesMax >= 0, 'a cache has a size');
    this.bytesMax = bytesMax;
  }

  get stats(): NodeCacheStats {
    return {
      visits: this.visits,
      hits: this.visits - this.misses,
      misses: this.misses,
      recordReads: this.recordReads,
      evictions: this.#evictions,
      nodes: this.#ring.length,
      bytes: this.#bytes,
      bytesMax: this.bytesMax,
      pinnedNodes: this.#pinned,
    };
  }

  /** The resident or pinned node that lies there. */
  find(location: NodeLocation): Node | undefined {
    return this.#byLocation.get(locationKey(location));
  }

  /** Takes in a node whose content was just loaded or committed, and evicts others until all fit. */
  admit(node: Node): void {
    if (node.ringSlot !== -1) return;
    node.ringSlot = this.#ring.length;
    node.visited = true;
    this.#ring.push(node);
    node.weight = contentBytes(node);
    this.#bytes += node.weight;
    const key = locationKey(node);
    if (!this.#byLocation.has(key)) this.#byLocation.set(key, node);
    while (this.#bytes > this.bytesMax && this.#ring.length > 1) this.#evictOne();
  }

  /** Makes a draft's node findable; it stays until `unpin`. */
  pin(node: Node): void {
    this.#byLocation.set(locationKey(node), node);
    this.#pinned++;
  }

  /** Ends a pin: the node is committed and may be evicted from now on, or discarded and is gone. */
  unpin(node: Node, committed: boolean): void {
    this.#pinned--;
    if (committed) {
      this.admit(node);
    } else {
      this.#forget(node);
      node.content = undefined;
    }
  }

  /** Marks a node that a newer version has replaced. */
  replaced(node: Node): void {
    if (node.ringSlot === -1) return;
    node.visited = false;
    this.#replaced.push(node);
    if (this.#replaced.length - this.#nextReplaced > REPLACED_MAX) this.#evictReplaced();
  }

  /** Drops everything that is not pinned. */
  clear(): void {
    this.#replaced = [];
    this.#nextReplaced = 0;
    while (this.#ring.length > 0) this.#drop(this.#ring[this.#ring.length - 1] as Node);
  }

  #evictOne(): void {
    if (this.#evictReplaced()) return;
    for (;;) {
      if (this.#hand >= this.#ring.length) this.#hand = 0;
      const node = this.#ring[this.#hand] as Node;
      if (!node.visited) {
        this.#drop(node);
        this.#evictions++;
        return;
      }
      node.visited = false;
      this.#weighAgain(node);
      this.#hand++;
    }
  }

  #weighAgain(node: Node): void {
    const weight = contentBytes(node);
    this.#bytes += weight - node.weight;
    node.weight = weight;
  }

  #evictReplaced(): boolean {
    while (this.#nextReplaced < this.#replaced.length) {
      const node = this.#replaced[this.#nextReplaced++] as Node;
      if (this.#nextReplaced > COMPACT_MIN && this.#nextReplaced * 2 > this.#replaced.length) {
        this.#replaced = this.#replaced.slice(this.#nextReplaced);
        this.#nextReplaced = 0;
      }
      if (node.ringSlot === -1) continue;
      if (node.visited) {
        node.visited = false;
        this.#replaced.push(node);
        continue;
      }
      this.#drop(node);
      this.#evictions++;
      return true;
    }
    return false;
  }

  #drop(node: Node): void {
    const last = this.#ring.pop() as Node;
    if (last !== node) {
      this.#ring[node.ringSlot] = last;
      last.ringSlot = node.ringSlot;
    }
    node.ringSlot = -1;
    this.#bytes -= node.weight;
    this.#forget(node);
    node.content = undefined;
  }

  #forget(node: Node): void {
    const key = locationKey(node);
    if (this.#byLocation.get(key) === node) this.#byLocation.delete(key);
  }
}

/** A number for each place; indexes are below 200. */
function locationKey(location: NodeLocation): number {
  return location.record * 256 + location.index;
}

/** What a content weighs. A leaf's whole version that it leans on counts too: it lives as long. */
function contentBytes(node: Node): number {
  const content = node.content;
  if (content === undefined) return 0;
  const own = content.bytes.length + NODE_OVERHEAD_BYTES;
  if (!content.isLeaf) return own + content.children.length * CHILD_OVERHEAD_BYTES;
  const entries = content.count * ENTRY_OVERHEAD_BYTES + content.entriesMade * READ_ENTRY_BYTES;
  return own + entries + (content.whole.bytes === content.bytes ? 0 : content.whole.bytes.length);
}
