// Drafts: a plan made real. New nodes are encoded, hashed and given their place in a record, children
// before parents, so that every reference is final when it is written. They can be read at once through
// the same tree, and stay pinned in the cache until the draft is committed or discarded.

import { blake3 } from '../lib/blake3.js';
import { assert } from '../lib/errors.js';
import { encodeInner, encodeLeaf, parseLeaf } from './codec.js';
import { EMPTY_NODE, type NodeLoader } from './loader.js';
import { Inner, Leaf, Node, type Whole, countTagged } from './node.js';
import { encodeInnerBody, encodeLeafBody } from './physical.js';
import { encodeRecord } from './record.js';
import { type InnerPlan, LeafPlan, type Plan } from './shape.js';
import {
  NODES_PER_RECORD_MAX,
  POSITION_BYTES,
  type AllocateRecord,
  type NodeLocation,
  type RootRef,
  type TreeEntry,
} from './types.js';

/** A record that is ready to be written. */
export interface SealedRecord {
  readonly record: number;
  readonly bytes: Uint8Array;
}

/** A record that is being filled. */
interface OpenRecord {
  readonly record: number;
  readonly bodies: Uint8Array[];
}

/** A new version of a tree whose nodes are not stored yet. */
export class Draft {
  /** The new version. */
  readonly root: RootRef;
  readonly #records: readonly OpenRecord[];
  readonly #nodes: readonly Node[];
  readonly #loader: NodeLoader;
  #isPending = true;

  constructor(root: RootRef, records: readonly OpenRecord[], nodes: readonly Node[], loader: NodeLoader) {
    this.root = root;
    this.#records = records;
    this.#nodes = nodes;
    this.#loader = loader;
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
    return this.#records.map(({ record, bodies }) => ({ record, bytes: encodeRecord(bodies, header) }));
  }

  /** The records are written: from now on the nodes may leave memory. */
  committed(): void {
    this.#end(true);
  }

  /** The records will not be written: the nodes, and all drafts built on them, are gone. */
  discard(): void {
    this.#end(false);
  }

  #end(isCommitted: boolean): void {
    assert(this.#isPending, 'a draft ends once');
    this.#isPending = false;
    for (const node of this.#nodes) this.#loader.cache.unpin(node, isCommitted);
  }
}

/** Makes the nodes of a plan; undefined is the empty tree. */
export function makeDraft(loader: NodeLoader, plan: Plan | undefined, allocate: AllocateRecord): Draft {
  const maker = new NodeMaker(loader, allocate);
  const root = plan === undefined ? EMPTY_NODE : maker.make(plan);
  for (const node of maker.nodes) loader.cache.pin(node);
  return new Draft(root, maker.records, maker.nodes, loader);
}

class NodeMaker {
  readonly nodes: Node[] = [];
  readonly records: OpenRecord[] = [];
  readonly #loader: NodeLoader;
  readonly #allocate: AllocateRecord;

  constructor(loader: NodeLoader, allocate: AllocateRecord) {
    this.#loader = loader;
    this.#allocate = allocate;
  }

  make(plan: Plan): Node {
    if (plan instanceof Node) return plan;
    return plan instanceof LeafPlan ? this.#makeLeaf(plan) : this.#makeInner(plan);
  }

  #makeLeaf({ entries, base }: LeafPlan): Node {
    const bytes = encodeLeaf(entries);
    const layout = parseLeaf(bytes);
    const open = this.#openRecord();
    const at = { record: open.record, index: open.bodies.length };
    const { body, isDelta } = encodeLeafBody(at, bytes, layout, usable(base));
    const whole = isDelta && base !== undefined ? base : { ...at, bytes, locations: undefined };
    const leaf = new Leaf(layout, bytes, whole, this.#loader.positionOf, positionsOf(entries));
    return this.#add(open, at, body, leaf, leaf.count, countTagged(leaf));
  }

  #makeInner({ depth, ranges, children: plans, base }: InnerPlan): Node {
    const children = plans.map((plan) => this.make(plan));
    const { bytes, layout } = encodeInner(depth, ranges, children);
    const locations: number[] = [];
    let count = 0;
    let joined = 0;
    for (const child of children) {
      locations.push(child.record, child.index);
      count += child.count;
      joined += child.joined;
    }
    const open = this.#openRecord();
    const at = { record: open.record, index: open.bodies.length };
    const { body, isDelta } = encodeInnerBody(at, bytes, layout, locations, usable(base));
    const whole = isDelta && base !== undefined ? base : { ...at, bytes, locations };
    return this.#add(open, at, body, new Inner(layout, bytes, children, whole), count, joined);
  }

  #add(
    open: OpenRecord,
    at: NodeLocation,
    body: Uint8Array,
    content: Leaf | Inner,
    count: number,
    joined: number,
  ): Node {
    open.bodies.push(body);
    const node = new Node({ ...at, hash: blake3(content.bytes), count, joined });
    node.content = content;
    this.nodes.push(node);
    return node;
  }

  #openRecord(): OpenRecord {
    const last = this.records[this.records.length - 1];
    if (last !== undefined && last.bodies.length < NODES_PER_RECORD_MAX) return last;
    const record = this.#allocate();
    assert(record > (last?.record ?? 0), 'record numbers begin at 1 and only grow');
    const open = { record, bodies: [] };
    this.records.push(open);
    return open;
  }
}

/** The empty tree's leaf is in no record, so nothing can lean on it. */
function usable(base: Whole | undefined): Whole | undefined {
  return base === undefined || base.record === 0 ? undefined : base;
}

function positionsOf(entries: readonly TreeEntry[]): Uint8Array {
  const positions = new Uint8Array(entries.length * POSITION_BYTES);
  for (let i = 0; i < entries.length; i++)
    positions.set((entries[i] as TreeEntry).position, i * POSITION_BYTES);
  return positions;
}
