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

/** What another server gives for a node of its tree is no such node. */
export const TreeRemoteInvalid = defineError(
  'TREE_REMOTE_INVALID',
  'A node that another server gave has not the hash, the form or the place that it should: the server is not to be believed.',
);

/** Another server's tree is larger than is read of a stranger. */
export const TreeRemoteTooLarge = defineError(
  'TREE_REMOTE_TOO_LARGE',
  'A tree of another server has more nodes, bytes or entries than are read of one.',
);
