// The roots of one event against those of the events before it: the state before is that after its only
// predecessor, or what a stored resolution says; the state after differs from it by the event alone.

import { toHex } from '../../lib/bytes.js';
import { isRemoval } from '../../event/internal.js';
import type { Pdu } from '../../event/pdu.js';
import { RoomStates } from '../../room/state/room-states.js';
import { positionOf } from '../../room/state/key.js';
import type { NodeTable } from '../../store/node-table.js';
import type { EventRow, RootsRow } from '../../store/records.js';
import { NodeCache } from '../../tree/cache.js';
import { EMPTY_ROOT, StateTree } from '../../tree/tree.js';
import type { RootRef } from '../../tree/types.js';
import { readable, type StoredRows } from './stored-rows.js';

const NODE_CACHE_BYTES = 32 * 1024 * 1024;

export class RootsCheck {
  readonly #rows: StoredRows;
  readonly #table: NodeTable;
  readonly #tree: StateTree;

  constructor(rows: StoredRows, table: NodeTable) {
    this.#rows = rows;
    this.#table = table;
    this.#tree = new StateTree(rows.frozen, new NodeCache(NODE_CACHE_BYTES), positionOf);
  }

  /** What is wrong with the roots of an event that has a place in the graph. Costs a few node reads. */
  *faults(row: EventRow, pdu: Pdu, roots: RootsRow, roomNumber: number): Generator<string> {
    const { before, after, current, room } = roots;
    for (const [name, root] of Object.entries({ before, after, current, room })) {
      if (root !== undefined && !this.#isThere(root, roomNumber)) {
        yield `its root ${name} is not among the nodes, or says it wrong`;
        return;
      }
    }
    if ((row.verdict === 'soft_failed') !== (current !== undefined)) {
      yield 'the current state that did not allow it is missing or superfluous';
    }
    if (room !== undefined && row.verdict !== 'accepted')
      yield 'it names a current state that it has no part in';
    if (!row.hasGivenState) yield* this.#faultsBefore(pdu, roots);
    yield* this.#faultsAfter(row, pdu, roots);
  }

  #isThere(root: RootRef, roomNumber: number): boolean {
    if (root.record === 0) return toHex(root.hash) === toHex(EMPTY_ROOT.hash) && root.count === 0;
    return this.#table.holds(root, roomNumber);
  }

  *#faultsBefore(pdu: Pdu, { before, traceId }: RootsRow): Generator<string> {
    const heads = new Set<string>();
    for (const id of pdu.prevEvents) {
      const seq = this.#rows.seqOf(id);
      const root = seq === undefined ? undefined : this.#rows.roots(seq)?.after;
      // Told where that event is checked.
      if (root === undefined) return;
      heads.add(toHex(root.hash));
    }
    const trace = traceId === undefined ? undefined : this.#rows.trace(traceId);
    if (heads.size < 2) {
      const [only = toHex(EMPTY_ROOT.hash)] = heads;
      if (only !== toHex(before.hash)) yield 'the state before it is not the one after its predecessors';
      return;
    }
    if (trace === undefined) {
      yield 'the resolution that gave the state before it is missing';
      return;
    }
    const inputs = readable(() =>
      trace.inputs
        .map(({ hash }) => toHex(hash))
        .sort()
        .join(' '),
    );
    const isOfHeads = inputs === [...heads].sort().join(' ');
    if (!isOfHeads || readable(() => toHex(trace.root.hash)) !== toHex(before.hash)) {
      yield 'the state before it is not what the resolution of its predecessors gave';
    }
  }

  *#faultsAfter({ verdict }: EventRow, pdu: Pdu, { before, after }: RootsRow): Generator<string> {
    const { type, stateKey, eventId } = pdu;
    if (stateKey === undefined || verdict === 'rejected') {
      if (toHex(after.hash) !== toHex(before.hash)) yield 'it changes no state, and its roots differ';
      return;
    }
    const states = new RoomStates(this.#tree, pdu.rules, NO_SINK);
    // Damaged nodes were told when all nodes were checked.
    const isRight = readable(() => {
      for (const change of states.diff(before, after)) {
        if (change.type !== type || change.stateKey !== stateKey) return false;
      }
      return states.get(after, type, stateKey) === (isRemoval(pdu) ? undefined : eventId);
    });
    if (isRight === false) yield 'the state after it is not the one before it with the event put in';
  }
}

const NO_SINK = {
  allocate(): number {
    throw new Error('a check makes no new states');
  },
  keep(): void {
    throw new Error('a check makes no new states');
  },
};
