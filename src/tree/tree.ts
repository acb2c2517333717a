// The state tree: an immutable map from keys to tagged values, whose root hash stands for the whole set.
//
//   const tree = new StateTree(source, new NodeCache(), positionOf);
//   const draft = tree.update(EMPTY_ROOT, [{ key, tag: 1, value }], allocate);
//   tree.get(draft.root, key);                 // readable before it is stored
//   write(draft.seal(header)); draft.committed();
//
// All is synchronous: a promise per node would cost more than the walk. Any version is read by its root;
// nothing is ever changed, so a root is a snapshot without a lock.

import type { NodeCache, NodeCacheStats } from './cache.js';
import { diffNodes } from './diff.js';
import { diffManyNodes } from './diff-many.js';
import { type Draft, draftUpdate, makeDraft } from './draft.js';
import { EMPTY_NODE, NodeLoader } from './loader.js';
import type { Node } from './node.js';
import { comparePlaces, nibbleAt } from './position.js';
import { type Proof, proveKey } from './proof.js';
import { RemoteWalk, type RemoteWalkOptions } from './remote-walk.js';
import { type ScanOptions, countPrefix, scanEntries } from './scan.js';
import { planEntries } from './shape.js';
import type {
  AllocateRecord,
  Change,
  Difference,
  NewEntry,
  PositionOf,
  PositionPrefix,
  RecordSource,
  RootRef,
  TreeEntry,
  TreeKey,
  Variance,
} from './types.js';
import { type Edit, putsOf, sortEdits } from './update.js';

/** The root of the tree of nothing: BLAKE3 of `01 00`, in no record. */
export const EMPTY_ROOT: RootRef = EMPTY_NODE;

/** Beyond any record of a store: what is made there is thrown away. */
const FIRST_UNSTORED_RECORD = 2 ** 43;

export class StateTree {
  readonly #loader: NodeLoader;

  /**
   * @param source where records are read from
   * @param cache nodes kept in memory; one for each source
   * @param positionOf where a key lies: the same function for every tree of a store, for ever
   */
  constructor(source: RecordSource, cache: NodeCache, positionOf: PositionOf) {
    this.#loader = new NodeLoader(source, cache, positionOf);
  }

  /** Counters of the cache. */
  get stats(): NodeCacheStats {
    return this.#loader.cache.stats;
  }

  /**
   * The root as the tree holds it in memory. Any RootRef may be given to the other methods; one that went
   * through here, or came from a draft, is found without a look-up and keeps its node's shell alive.
   */
  open(root: RootRef): RootRef {
    return this.#loader.resolve(root);
  }

  /**
   * The entry of a key, or undefined. O(log n) nodes.
   * @throws TREE_NODE_MISSING, TREE_NODE_CORRUPT, as do all methods that read nodes
   */
  get(root: RootRef, key: TreeKey): TreeEntry | undefined {
    const loader = this.#loader;
    const { position } = key;
    let node: Node | undefined = loader.resolve(root);
    do {
      const content = loader.content(node);
      if (content.isLeaf) {
        const found = content.find(key.bytes);
        return found === -1 ? undefined : content.entry(found);
      }
      node = content.childAt(nibbleAt(position, content.depth));
    } while (node !== undefined);
    return undefined;
  }

  /** Is the key there? */
  has(root: RootRef, key: TreeKey): boolean {
    return this.get(root, key) !== undefined;
  }

  /** Entries in tree order (position, then key), all or those in a range; may be resumed after any key. */
  scan(root: RootRef, options: ScanOptions = {}): Generator<TreeEntry, void, undefined> {
    return scanEntries(this.#loader, this.#loader.resolve(root), options);
  }

  /** How many entries there are, of all or with a prefix. O(log n) nodes. */
  count(root: RootRef, prefix?: PositionPrefix): number {
    return prefix === undefined
      ? root.count
      : countPrefix(this.#loader, this.#loader.resolve(root), prefix).count;
  }

  /** How many entries have tag 1, of all or with a prefix. O(log n) nodes. */
  joined(root: RootRef, prefix?: PositionPrefix): number {
    return prefix === undefined
      ? root.joined
      : countPrefix(this.#loader, this.#loader.resolve(root), prefix).joined;
  }

  /** Every key on which two trees differ, in tree order; reads only nodes whose hashes differ. */
  diff(a: RootRef, b: RootRef): Generator<Difference, void, undefined> {
    return diffNodes(this.#loader, this.#loader.resolve(a), this.#loader.resolve(b));
  }

  /**
   * Every key on which not all of these trees agree, in tree order. Nodes that trees share are looked at once:
   * the cost is that of what differs, however many trees there are.
   */
  diffMany(roots: readonly RootRef[]): Generator<Variance, void, undefined> {
    return diffManyNodes(
      this.#loader,
      roots.map((root) => this.#loader.resolve(root)),
    );
  }

  /**
   * A new version with changes applied; of several to one key the last counts. Untouched nodes are shared;
   * when nothing changes the draft's root is the old one and nothing is new.
   */
  update(root: RootRef, changes: Iterable<Change>, allocate: AllocateRecord): Draft {
    return draftUpdate(this.#loader, this.#loader.resolve(root), sortEdits(changes), allocate);
  }

  /** A tree of entries in any order, from nothing; of several with one key the last counts. */
  build(entries: Iterable<NewEntry>, allocate: AllocateRecord): Draft {
    return makeDraft(this.#loader, planEntries(putsOf(sortEdits(entries))), allocate);
  }

  /**
   * A tree of exactly these entries that shares what it can with a version already there. Reads all of
   * `base`; for a whole state that is received when a near one is known.
   */
  buildOn(base: RootRef, entries: Iterable<NewEntry>, allocate: AllocateRecord): Draft {
    const wanted = sortEdits(entries);
    const edits: Edit[] = [];
    let next = 0;
    for (const { position, key } of this.scan(base)) {
      let order = 1;
      for (let edit = wanted[next]; edit !== undefined; edit = wanted[++next]) {
        order = comparePlaces(edit.position, edit.key, position, key);
        if (order > 0) break;
        edits.push(edit);
        if (order === 0) break;
      }
      if (order === 0) next++;
      else edits.push({ position, key, tag: 0, value: undefined });
    }
    for (; next < wanted.length; next++) edits.push(wanted[next] as Edit);
    return draftUpdate(this.#loader, this.#loader.resolve(base), edits, allocate);
  }

  /** The path of a key as a proof that it is there, or is not; checked by `verifyProof`. */
  prove(root: RootRef, key: TreeKey): Proof {
    return proveKey(this.#loader, this.#loader.resolve(root), key);
  }

  /**
   * The logical bytes of a node by its path, a view: for who has another version of the tree and asks for what it
   * lacks. O(log n) nodes.
   *
   * @param path for each inner node from the root on a nibble of the child that is gone to, in hex
   * @returns undefined where there is no such node
   */
  nodeAt(root: RootRef, path: string): Uint8Array | undefined {
    let node: Node | undefined = this.#loader.resolve(root);
    for (const digit of path) {
      const content = this.#loader.content(node);
      const nibble = Number.parseInt(digit, 16);
      node = content.isLeaf || Number.isNaN(nibble) ? undefined : content.childAt(nibble);
      if (node === undefined) return undefined;
    }
    return this.#loader.content(node).bytes;
  }

  /** Begins to compare a tree with one that lies elsewhere, of which the root's hash is known. */
  walkRemote(root: RootRef, remoteHash: Uint8Array, options: RemoteWalkOptions): RemoteWalk {
    return new RemoteWalk(this.#loader, this.#loader.resolve(root), remoteHash, options);
  }

  /** What changes do to a tree, with what it holds at their keys; in their order. O(log n) nodes for each. */
  differencesOf(root: RootRef, changes: Iterable<Change>): Difference[] {
    return Array.from(changes, ({ key, tag, value }) => {
      const { bytes, position } = key;
      const after = value === undefined ? undefined : { key: bytes, position, tag, value };
      return { key: bytes, position, before: this.get(root, key), after };
    });
  }

  /** The hash that a root would have after changes. Nothing of it is kept. */
  hashAfter(root: RootRef, changes: Iterable<Change>): Uint8Array {
    let last = FIRST_UNSTORED_RECORD;
    const draft = this.update(root, changes, () => ++last);
    const { hash } = draft.root;
    draft.discard();
    return hash;
  }

  /** To be called after records were rewritten or deleted (garbage collection, purge, repair). */
  forgetRecords(): void {
    this.#loader.forgetRecords();
  }
}
