// Everything that a tree needs of the store: its nodes and the whole versions that they lean on.

import { readStoredNode } from './stored.js';
import type { NodeLocation, RecordSource } from './types.js';

/** Nodes by their places. */
export class Reached {
  readonly #indexes = new Map<number, Set<number>>();

  /** @returns false where it is there already */
  add({ record, index }: NodeLocation): boolean {
    const indexes = this.#indexes.get(record);
    if (indexes?.has(index) === true) return false;
    if (indexes === undefined) this.#indexes.set(record, new Set([index]));
    else indexes.add(index);
    return true;
  }

  has(record: number, index: number): boolean {
    return this.#indexes.get(record)?.has(index) === true;
  }

  records(): Iterable<number> {
    return this.#indexes.keys();
  }
}

/**
 * Marks what a root reaches, a node at a time, so that the caller may let others run in between.
 * @throws TREE_NODE_MISSING, TREE_NODE_CORRUPT
 */
export function* reach(source: RecordSource, root: NodeLocation): Generator<void, Reached> {
  const reached = new Reached();
  const open: NodeLocation[] = [];
  const mark = (location: NodeLocation): void => {
    if (location.record !== 0 && reached.add(location)) open.push(location);
  };
  mark(root);
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    const { children, base } = readStoredNode(source, at);
    for (const child of children) mark(child);
    if (base !== undefined) mark(base);
    yield;
  }
  return reached;
}
