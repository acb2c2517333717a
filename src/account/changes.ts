// What changed in an internal room since a point that somebody remembers.
//
// The history of internal rooms is collected after a while: of a state that is gone nothing can be known but what
// is there now, and then all of that counts as changed.

import type { StateView } from '../reader/state-view.js';
import type { StateChange } from '../room/resolution/contract.js';
import { TreeNodeMissing } from '../tree/errors.js';
import { EMPTY_ROOT } from '../tree/tree.js';

/** What differs, or everything there is where the older state is no more. */
export function changesSince(before: StateView, now: StateView): StateChange[] {
  try {
    return [...before.diff(now)];
  } catch (error) {
    if (!(error instanceof TreeNodeMissing)) throw error;
    return [...now.at(EMPTY_ROOT).diff(now)];
  }
}
