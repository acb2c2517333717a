// A throw-away store of states: new states are made in memory, on top of nothing or of what is stored.
//
// For what is asked and not kept: files of events, "what if". Nothing of it ever reaches the store, and its
// nodes lie in records numbered beyond any that a store has given out, so that the two cannot be confused.

import type { RoomVersionRules } from '../../event/rules.js';
import { NodeCache } from '../../tree/cache.js';
import { StateTree } from '../../tree/tree.js';
import type { RecordSource } from '../../tree/types.js';
import { positionOf } from './key.js';
import { RoomStates } from './room-states.js';

/** Beyond any record of a store, and small enough for the tree's own arithmetic on record numbers. */
const FIRST_SCRATCH_RECORD = 2 ** 43;

const NODE_CACHE_BYTES = 16 * 1024 * 1024;

/**
 * States that live as long as they are held.
 * @param base the store whose states may be read and built upon; without one there is the empty state
 */
export function scratchStates(rules: RoomVersionRules, base?: RecordSource): RoomStates {
  const records = new Map<number, Uint8Array>();
  const source: RecordSource = {
    readRecord: (record) => records.get(record) ?? base?.readRecord(record),
  };
  let last = FIRST_SCRATCH_RECORD;
  return new RoomStates(new StateTree(source, new NodeCache(NODE_CACHE_BYTES), positionOf), rules, {
    allocate: () => ++last,
    keep: (draft) => {
      for (const { record, bytes } of draft.seal()) records.set(record, bytes);
      draft.committed();
    },
  });
}
