// The engine as an import wants it: threads that verify, little memory however long the files are.

import { setFlagsFromString } from 'node:v8';
import type { Verdict } from '../../core/outcome.js';
import { type Engine, openEngine } from '../../engine/engine.js';
import type { PublicKeys } from '../../event/verify.js';
import type { TraceRecord } from '../../room/graph/state-resolver.js';

/** A file may hold a room backwards: more may wait than a server would let. Some 600 bytes of memory each. */
const HORIZON = { eventsMax: 500_000, bytesMax: 2 * 1024 * 1024 * 1024 } as const;

const NODE_CACHE_BYTES = 16 * 1024 * 1024;
const HEAP_GROWING_PERCENT = 15;

export interface ImportEngineOptions {
  /** Data folder, made when it is not there. */
  readonly path: string;
  /** Public keys of the servers; without, no signature is verified. */
  readonly keys: PublicKeys | undefined;
  /** Threads that verify; 0 verifies in place. */
  readonly threads: number;
  /** What became of an event that was told to wait. */
  readonly onLateVerdict: (verdict: Verdict) => void;
  /** A merge took keys back. */
  readonly onStateReset: (record: TraceRecord) => void;
}

/** @throws as `openEngine` */
export function openImportEngine(options: ImportEngineOptions): Promise<Engine> {
  const { path, keys, threads, onLateVerdict, onStateReset } = options;
  // An import makes garbage fast; the collector's default would let the heap double before it looks.
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`);
  return openEngine({
    path,
    verifierThreads: threads,
    horizon: HORIZON,
    nodeCacheBytes: NODE_CACHE_BYTES,
    onLateVerdict,
    onStateReset: (_, record) => onStateReset(record),
    ...(keys === undefined ? {} : { keys }),
  });
}
