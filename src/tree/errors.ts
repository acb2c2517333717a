// The tree's faults. A broken invariant is an assertion; these are for bytes that came from a disk or a
// stranger and do not say what they should.

import { defineError } from '../lib/errors.js';

/** Bytes do not decode. Wrapped by the two below when it is known what the bytes were meant to be. */
export const TreeMalformed = defineError(
  'TREE_MALFORMED',
  'Bytes that should be a tree node, a record or a proof do not decode.',
);

/** A stored node's content does not have the hash that its parent or root gives it. */
export const TreeNodeCorrupt = defineError(
  'TREE_NODE_CORRUPT',
  'A stored tree node does not match its hash; run `stateroom fsck`, then `stateroom rebuild`.',
);

/** A record or a node in it is not there. */
export const TreeNodeMissing = defineError(
  'TREE_NODE_MISSING',
  'A tree node is not in the store; run `stateroom fsck`, then `stateroom rebuild`.',
);

/** A proof does not lead from the root's hash to the key. */
export const TreeProofInvalid = defineError(
  'TREE_PROOF_INVALID',
  'A proof does not lead from the given root to the given key: it was made for another root or key, or altered.',
);
