// Collects what the records of internal rooms replaced, room by room and slice by slice, beside everything else.

import type { HistoryKept, HistoryReport } from '../../core/internal-history.js';
import { INTERNAL_VERSION } from '../../event/rules.js';
import type { RoomId } from '../../event/ids.js';
import type { Engine } from '../engine.js';

export interface CollectHistoryOptions {
  /** Ends it after the slice that is under way. */
  readonly signal?: AbortSignal;
  readonly onSlice?: (report: HistoryReport) => void;
}

/**
 * Goes through all internal rooms once.
 * @throws TREE_NODE_MISSING, TREE_NODE_CORRUPT on a damaged store; STORE_WRITE_FAILED
 */
export async function collectHistory(
  engine: Engine,
  kept: HistoryKept,
  { signal, onSlice }: CollectHistoryOptions = {},
): Promise<HistoryReport> {
  const rooms: RoomId[] = [];
  for await (const { roomId, version, events } of engine.store.rooms()) {
    if (version === INTERNAL_VERSION && events >= kept.sliceMin) rooms.push(roomId);
  }
  let total: HistoryReport = { events: 0, records: 0, bytes: 0 };
  for (const roomId of rooms) {
    for (;;) {
      if (signal?.aborted === true) return total;
      const slice = await engine.core.history.collect(roomId, kept);
      if (slice === undefined) break;
      onSlice?.(slice);
      total = {
        events: total.events + slice.events,
        records: total.records + slice.records,
        bytes: total.bytes + slice.bytes,
      };
    }
  }
  return total;
}
