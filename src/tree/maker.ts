// New nodes: encoded, hashed and given their place in a record, children before parents, so that every
// reference is final when it is written.

import { blake3 } from '../lib/blake3.js';
import { assert } from '../lib/errors.js';
import { bodyWriter } from './byte-writer.js';
import { type LeafLayout, encodeInner, encodeLeaf, parseLeaf } from './codec.js';
import { Inner, InnerWhole, Leaf, LeafWhole, Node, type Split, countTagged } from './node.js';
import { writeInnerBody, writeLeafBody } from './physical.js';
import { LeafPlan, type Plan } from './shape.js';
import {
  NODES_PER_RECORD_MAX,
  POSITION_BYTES,
  type AllocateRecord,
  type PositionOf,
  type TreeEntry,
} from './types.js';

/** The bodies of a record's nodes, one after the other. */
export interface FilledRecord {
  readonly record: number;
  readonly lengths: readonly number[];
  readonly bodies: Uint8Array;
}

/** What is known of an inner node beside its bytes. */
interface AboutInner {
  readonly count: number;
  readonly joined: number;
  /** The last whole version of the node that this one follows. */
  readonly base: InnerWhole | undefined;
  /** The position of some entry below, if known. */
  readonly sample?: Uint8Array | undefined;
}

/** Makes the nodes of one version. Short-lived: the bodies are gathered in a writer that all makers share. */
export class NodeMaker {
  /** Every node made, children before parents. */
  readonly nodes: Node[] = [];
  readonly #positionOf: PositionOf;
  readonly #allocate: AllocateRecord;
  readonly #filled: FilledRecord[] = [];
  /** The record being filled, or 0, and its bodies' lengths. */
  #record = 0;
  #lengths: number[] = [];

  constructor(positionOf: PositionOf, allocate: AllocateRecord) {
    this.#positionOf = positionOf;
    this.#allocate = allocate;
  }

  /** The records filled. */
  finish(): readonly FilledRecord[] {
    this.#close();
    return this.#filled;
  }

  /** Makes what a plan says. */
  make(plan: Plan): Node {
    if (plan instanceof Node) return plan;
    if (plan instanceof LeafPlan) {
      const bytes = encodeLeaf(plan.entries);
      const layout = parseLeaf(bytes);
      return this.addLeaf(bytes, layout, countTagged(bytes, layout), plan.base, positionsOf(plan.entries));
    }
    const { split, base } = plan;
    const children = plan.children.map((child) => this.make(child));
    let joined = 0;
    for (const child of children) joined += child.joined;
    const bytes = encodeInner(split.depth, split.ranges, children);
    return this.addInner(bytes, split, children, { count: plan.count, joined, base });
  }

  /**
   * @param joined how many entries have the counted tag
   * @param base the last whole version of the leaf that this one follows
   * @param positions of all entries, if known
   */
  addLeaf(
    bytes: Uint8Array,
    layout: LeafLayout,
    joined: number,
    base: LeafWhole | undefined,
    positions: Uint8Array | undefined,
  ): Node {
    const start = this.#open();
    const node = new Node(blake3(bytes), layout.count, joined, this.#record, this.#lengths.length);
    const leansOn = writeLeafBody(node.record, bytes, layout, usable(base));
    const whole = leansOn ?? new LeafWhole(node, bytes, layout);
    node.content = new Leaf(layout, bytes, whole, this.#positionOf, positions);
    return this.#add(node, start);
  }

  addInner(bytes: Uint8Array, split: Split, children: readonly Node[], about: AboutInner): Node {
    const { count, joined, base, sample } = about;
    const start = this.#open();
    const node = new Node(blake3(bytes), count, joined, this.#record, this.#lengths.length);
    const leansOn = writeInnerBody(node.record, bytes.length, split, children, base);
    const whole = leansOn ?? new InnerWhole(node, split, children);
    node.content = new Inner(split, bytes, children, whole, sample);
    return this.#add(node, start);
  }

  #add(node: Node, start: number): Node {
    this.#lengths.push(bodyWriter.length - start);
    this.nodes.push(node);
    return node;
  }

  /** Makes sure that a record has room for one more node; answers where its body begins. */
  #open(): number {
    if (this.#record !== 0 && this.#lengths.length < NODES_PER_RECORD_MAX) return bodyWriter.length;
    const last = this.#record;
    this.#close();
    this.#record = this.#allocate();
    assert(this.#record > last, 'record numbers begin at 1 and only grow');
    bodyWriter.begin();
    return 0;
  }

  #close(): void {
    if (this.#lengths.length === 0) return;
    this.#filled.push({ record: this.#record, lengths: this.#lengths, bodies: bodyWriter.finishPooled() });
    this.#lengths = [];
  }
}

/** The empty tree's leaf is in no record, so nothing can lean on it. */
function usable(base: LeafWhole | undefined): LeafWhole | undefined {
  return base === undefined || base.record === 0 ? undefined : base;
}

function positionsOf(entries: readonly TreeEntry[]): Uint8Array {
  const positions = new Uint8Array(entries.length * POSITION_BYTES);
  for (let i = 0; i < entries.length; i++)
    positions.set((entries[i] as TreeEntry).position, i * POSITION_BYTES);
  return positions;
}
