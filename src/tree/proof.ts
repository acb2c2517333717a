// Proofs: the logical bytes of the nodes on a key's path, verbatim. Hashing them from the root down shows
// that the key is there with this value, or is not there: the path is decided by the key's position alone,
// so where it ends the key would have to be.

import { HASH_BYTES, blake3 } from '../lib/blake3.js';
import { equalBytes } from '../lib/bytes.js';
import { assert } from '../lib/errors.js';
import { NODE_BYTES_MAX, isLeafKind, parseInner, parseLeaf } from './codec.js';
import { TreeMalformed, TreeProofInvalid } from './errors.js';
import type { NodeLoader } from './loader.js';
import { Leaf, LeafWhole, type Node } from './node.js';
import { NIBBLES, nibbleAt } from './position.js';
import { POSITION_BYTES, type TreeEntry, type TreeKey } from './types.js';

/** A proof of presence or of absence: node bytes from the root down. */
export interface Proof {
  readonly nodes: readonly Uint8Array[];
}

/** What a valid proof shows. */
export type Proven =
  | { readonly present: true; readonly entry: TreeEntry }
  | { readonly present: false; readonly entry: undefined };

/** The proof of a key in a tree, whether it is there or not. */
export function proveKey(loader: NodeLoader, root: Node, key: TreeKey): Proof {
  const nodes: Uint8Array[] = [];
  let node: Node | undefined = root;
  while (node !== undefined) {
    const content = loader.content(node);
    // A copy: the node's own bytes may share their memory with others.
    nodes.push(new Uint8Array(content.bytes));
    node = content.isLeaf ? undefined : content.childAt(nibbleAt(key.position, content.depth));
  }
  return { nodes };
}

/**
 * Checks a proof against a root's hash; needs no store. The root itself is trusted to be a tree's root.
 *
 * @throws TREE_PROOF_INVALID when the proof does not lead from the root to the key
 */
export function verifyProof(rootHash: Uint8Array, key: TreeKey, proof: Proof): Proven {
  assert(key.position.length === POSITION_BYTES, 'a position has 16 bytes');
  if (proof.nodes.length > NIBBLES + 1) throw new TreeProofInvalid('the proof is longer than any path');
  try {
    return follow(rootHash, key, proof.nodes);
  } catch (cause) {
    if (!(cause instanceof TreeMalformed)) throw cause;
    throw new TreeProofInvalid(`the proof holds a node that does not decode: ${cause.message}`, {}, cause);
  }
}

function follow(rootHash: Uint8Array, key: TreeKey, nodes: readonly Uint8Array[]): Proven {
  let expected: Uint8Array = rootHash;
  let depth = -1;
  for (let i = 0; i < nodes.length; i++) {
    const bytes = nodes[i] as Uint8Array;
    if (bytes.length > NODE_BYTES_MAX || !equalBytes(blake3(bytes), expected)) {
      throw new TreeProofInvalid(`node ${i} of the proof does not have the hash it should`, { node: i });
    }
    const isLast = i === nodes.length - 1;
    if (isLeafKind(bytes[0])) {
      if (!isLast) throw new TreeProofInvalid('the proof goes on below a leaf', { node: i });
      return inLeaf(bytes, key);
    }
    const inner = parseInner(bytes);
    if (inner.depth <= depth) throw new TreeProofInvalid('the proof does not go down', { node: i });
    depth = inner.depth;
    const nibble = nibbleAt(key.position, depth);
    const child = inner.ranges.findIndex(
      (range) => nibble >= range >> 3 && nibble < (range >> 3) + (1 << (range & 7)),
    );
    if (child === -1) {
      if (!isLast) throw new TreeProofInvalid('the proof goes on where nothing is', { node: i });
      return { present: false, entry: undefined };
    }
    const hash = inner.hashes[child] as number;
    expected = bytes.subarray(hash, hash + HASH_BYTES);
  }
  throw new TreeProofInvalid('the proof ends before the key’s place', { nodes: nodes.length });
}

function inLeaf(bytes: Uint8Array, key: TreeKey): Proven {
  const whole = new LeafWhole({ record: 0, index: 0 }, bytes);
  const leaf = new Leaf(parseLeaf(bytes), bytes, whole, () => key.position);
  const found = leaf.find(key.bytes);
  if (found === -1) return { present: false, entry: undefined };
  const { tag, value } = leaf.entry(found);
  return { present: true, entry: { key: key.bytes, position: key.position, tag, value } };
}
