// Drafts: a new version of a tree that is not stored yet. Its nodes can be read at once through the same
// tree, and stay pinned in the cache until the draft is committed or discarded.

import { assert } from '../lib/errors.js';
import type { NodeCache } from './cache.js';
import { EMPTY_NODE, type NodeLoader } from './loader.js';
import { type FilledRecord, NodeMaker } from './maker.js';
import type { Node } from './node.js';
import { putOne } from './put.js';
import { packRecord } from './record.js';
import type { Plan } from './shape.js';
import type { AllocateRecord, RootRef } from './types.js';
import { type Edit, planUpdate } from './update.js';

/** A record that is ready to be written. */
export interface SealedRecord {
  readonly record: number;
  readonly bytes: Uint8Array;
}

/** A new version of a tree whose nodes are not stored yet. */
export class Draft {
  /** The new version. */
  readonly root: RootRef;
  readonly #records: readonly FilledRecord[];
  readonly #nodes: readonly Node[];
  readonly #root: Node;
  readonly #cache: NodeCache;
  readonly #base: Node | undefined;
  #isPending = true;

  /** @param base the version that the new one is to take the place of */
  constructor(
    root: Node,
    records: readonly FilledRecord[],
    nodes: readonly Node[],
    cache: NodeCache,
    base?: Node,
  ) {
    this.root = root;
    this.#root = root;
    this.#records = records;
    this.#nodes = nodes;
    this.#cache = cache;
    this.#base = base;
  }

  /** How many nodes are new; 0 when nothing changed. */
  get nodeCount(): number {
    return this.#nodes.length;
  }

  /**
   * The new nodes as records, to be written in one atomic batch; none when nothing is new.
   *
   * @param header bytes that stand at the head of every record (`headerOf` gives them back)
   */
  seal(header?: Uint8Array): SealedRecord[] {
    assert(this.#isPending, 'a draft is sealed before it is committed or discarded');
    return this.#records.map(({ record, lengths, bodies }) => {
      return { record, bytes: packRecord(lengths, bodies, header) };
    });
  }

  /** The records are written: from now on the nodes may leave memory. */
  committed(): void {
    this.#end(true);
    if (this.#base !== undefined) markReplaced(this.#cache, this.#base, this.#root);
  }

  /** The records will not be written: the nodes, and all drafts built on them, are gone. */
  discard(): void {
    this.#end(false);
  }

  #end(isCommitted: boolean): void {
    assert(this.#isPending, 'a draft ends once');
    this.#isPending = false;
    for (const node of this.#nodes) this.#cache.unpin(node, isCommitted);
  }
}

/** Makes the nodes of a plan; undefined is the empty tree. `base` is the version that it follows. */
export function makeDraft(
  loader: NodeLoader,
  plan: Plan | undefined,
  allocate: AllocateRecord,
  base?: Node,
): Draft {
  const maker = new NodeMaker(loader.positionOf, allocate);
  return draftOf(loader.cache, maker, plan === undefined ? EMPTY_NODE : maker.make(plan), base);
}

/** Makes the nodes of a tree after edits (in tree order). */
export function draftUpdate(
  loader: NodeLoader,
  root: Node,
  edits: readonly Edit[],
  allocate: AllocateRecord,
): Draft {
  const only = edits.length === 1 ? edits[0] : undefined;
  if (only !== undefined) {
    const maker = new NodeMaker(loader.positionOf, allocate);
    const made = putOne(loader, maker, root, only);
    if (made !== undefined) return draftOf(loader.cache, maker, made, root);
  }
  return makeDraft(loader, planUpdate(loader, root, 0, edits), allocate, root);
}

function draftOf(cache: NodeCache, maker: NodeMaker, root: Node, base: Node | undefined): Draft {
  const records = maker.finish();
  for (const node of maker.nodes) cache.pin(node);
  return new Draft(root, records, maker.nodes, cache, base);
}

/** Marks the nodes of `before` in memory that `after` does not share, as far as both are split alike. */
function markReplaced(cache: NodeCache, before: Node, after: Node): void {
  if (before === after) return;
  const old = before.content;
  const recent = after.content;
  cache.replaced(before);
  if (old === undefined || recent === undefined || old.isLeaf || recent.isLeaf) return;
  if (old.depth !== recent.depth) return;
  for (let i = 0; i < old.children.length; i++) {
    const child = old.children[i] as Node;
    const heir = recent.childAt((old.ranges[i] as number) >> 3);
    if (heir !== undefined) markReplaced(cache, child, heir);
  }
}
