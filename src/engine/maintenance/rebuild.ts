// Rebuild: every index is deleted and made anew from the events, by the code that made it first.
//
// Kept are `events`, `given` and `queues`, which nothing else can tell, the schema version, and the numbers that
// were given out to the world (seqs stand in clients' tokens). Verdicts stay as stored. Nothing is deleted
// before every event was found readable; a mark in `meta` makes sure that a store whose rebuild was cut short is
// not used until it is rebuilt again.

import { Replay } from '../../core/replay.js';
import { StateroomError } from '../../lib/errors.js';
import { positionOf } from '../../room/state/key.js';
import { COUNTERS_KEY } from '../../store/commit-group.js';
import { StoreCorruptError, StoreWorkUnfinishedError } from '../../store/errors.js';
import { exclusively } from '../../store/exclusive.js';
import { type Keyspace, keyspaceRange, numberOfKey } from '../../store/keys.js';
import { type Counters, NO_COUNTERS } from '../../store/records.js';
import type { Store } from '../../store/store.js';
import { NodeCache } from '../../tree/cache.js';
import { StateTree } from '../../tree/tree.js';
import { faultOfEvent } from './stored-event.js';

export interface RebuildProgress {
  readonly phase: 'check' | 'clear' | 'replay';
  /** Events gone through; keyspaces when clearing. */
  readonly done: number;
  /** Of how many. */
  readonly total: number;
}

export interface RebuildOptions {
  readonly onProgress?: (progress: RebuildProgress) => void;
}

export interface RebuildReport {
  readonly events: number;
  readonly rooms: number;
  readonly nodeRecords: number;
  readonly nodeBytes: number;
}

/** Every keyspace that follows from the events. */
export const INDEXES = [
  'ids',
  'roots',
  'nodes',
  'rooms',
  'timeline',
  'edges',
  'redacted',
  'chains',
  'cited',
  'versions',
  'transactions',
  'traces',
] as const satisfies readonly Keyspace[];

const NODE_CACHE_BYTES = 64 * 1024 * 1024;
const GROUP_EVENTS = 500;
const GROUP_BYTES = 2 * 1024 * 1024;
const PROGRESS_EVENTS = 1_000;

/**
 * Makes all indexes anew. No engine and no reader may have the store open: nodes get the numbers of old ones.
 * Costs about what an import without signatures costs.
 * @throws STORE_CORRUPT when an event is damaged or refers to one that is not there; STORE_WORK_UNFINISHED when a
 *   purge was interrupted; STORE_BUSY; STORE_WRITE_FAILED
 */
export async function rebuild(store: Store, options: RebuildOptions = {}): Promise<RebuildReport> {
  return exclusively(store, async () => {
    const unfinished = store.unfinishedWork();
    if (unfinished?.work === 'purge') {
      const { work, roomId } = unfinished;
      throw new StoreWorkUnfinishedError(`a purge of room ${roomId} was interrupted; finish it first`, {
        work,
        room_id: roomId,
      });
    }
    const onProgress = options.onProgress ?? (() => undefined);
    const total = await checkEvents(store, onProgress);
    const kept = unfinished?.counters ?? (await keptCounters(store));
    await store.beginWork({ work: 'rebuild', counters: kept });
    await clearIndexes(store, kept, onProgress);
    await replayEvents(store, kept, total, onProgress);
    await store.endWork();
    const { events, rooms, nodeRecords, nodeBytes } = store.counters();
    return { events, rooms, nodeRecords, nodeBytes };
  });
}

type OnProgress = (progress: RebuildProgress) => void;

/** @returns how many events there are */
async function checkEvents(store: Store, onProgress: OnProgress): Promise<number> {
  const total = await countKeys(store, 'events');
  let done = 0;
  for await (const [seq, row] of store.eventLog()) {
    const fault = faultOfEvent(seq, row);
    if (fault !== undefined) {
      throw new StoreCorruptError(`nothing was changed: ${fault.message}`, fault.fields);
    }
    if (++done % PROGRESS_EVENTS === 0) onProgress({ phase: 'check', done, total });
  }
  return total;
}

async function countKeys(store: Store, keyspace: Keyspace): Promise<number> {
  let count = 0;
  for await (const _ of store.database.keys(keyspaceRange(keyspace))) count++;
  return count;
}

/** The numbers that must never be given out again. The counters themselves may be what is damaged. */
async function keptCounters(store: Store): Promise<Counters> {
  let seq = numberOr0(store, 'seq');
  let queuePosition = numberOr0(store, 'queuePosition');
  for await (const key of store.database.keys({ ...keyspaceRange('events'), reverse: true, limit: 1 })) {
    seq = Math.max(seq, numberOfKey(key));
  }
  for await (const key of store.database.keys(keyspaceRange('queues'))) {
    queuePosition = Math.max(queuePosition, numberOfKey(key));
  }
  return { ...NO_COUNTERS, seq, queuePosition };
}

function numberOr0(store: Store, name: 'seq' | 'queuePosition'): number {
  try {
    const number = store.counters()[name];
    return Number.isSafeInteger(number) ? number : 0;
  } catch (error) {
    if (error instanceof StateroomError) return 0;
    throw error;
  }
}

async function clearIndexes(store: Store, kept: Counters, onProgress: OnProgress): Promise<void> {
  for (const [i, keyspace] of INDEXES.entries()) {
    await store.clear(keyspace);
    onProgress({ phase: 'clear', done: i + 1, total: INDEXES.length });
  }
  await store.writeMeta(COUNTERS_KEY, { ...kept, seq: 0 });
}

async function replayEvents(
  store: Store,
  kept: Counters,
  total: number,
  onProgress: OnProgress,
): Promise<void> {
  const replay = new Replay(store, new StateTree(store, new NodeCache(NODE_CACHE_BYTES), positionOf));
  let done = 0;
  let inGroup = 0;
  let bytes = 0;
  for await (const [seq, row] of store.eventLog()) {
    await replay.add(seq, row);
    done++;
    inGroup++;
    bytes += row.bytes.length;
    if (inGroup < GROUP_EVENTS && bytes < GROUP_BYTES) continue;
    await replay.flush();
    onProgress({ phase: 'replay', done, total });
    inGroup = 0;
    bytes = 0;
  }
  await replay.finish(kept.seq);
  onProgress({ phase: 'replay', done, total });
}
