// A server at rest gives memory back.
//
// After a busy hour with thousands of clients half of the heap's pages are holes, and stay in the process's memory
// however quiet it gets: V8 hardly ever moves objects together while a program is busy, and takes one that is asked
// nothing, and so allocates nothing, for a busy one for minutes. So when the event loop had nothing to do for a
// moment, and the heap has grown since the last time, it is collected and its objects are moved together. That
// halts the process for one to two milliseconds a megabyte, when nobody asks anything of it.

import type { Session } from 'node:inspector';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** The process, as far as it matters here. */
export interface RestingProcess {
  /** The share of the time since the last call in which the event loop had something to do. */
  readonly busyShare: () => number;
  readonly heap: () => { readonly usedBytes: number; readonly committedBytes: number };
  /** Collects the whole heap and moves its objects together. */
  readonly compact: () => void;
  /** Gives back what the heap does not need now, the room for new objects first. */
  readonly shrink: () => void;
  /** Milliseconds, of a clock that only goes on. */
  readonly now: () => number;
}

/** How often it is looked at whether the process is at rest. */
const LOOK_EVERY_MS = 250;
/** Looks in a row that find it idle: then it is. */
const IDLE_LOOKS = 2;
const BUSY_SHARE_MAX = 0.1;
/** Growth since the last time that is worth another. */
const GROWTH = 1.2;
const GROWTH_BYTES = 16 * 1024 * 1024;
/** Traffic comes in bursts: not after each. */
const COLLECT_EVERY_MS = 10_000;
/** To collect a heap of more halts the process for too long. */
const USED_BYTES_MAX = 256 * 1024 * 1024;

/** Has the process give memory back from now on whenever it is at rest, without keeping it alive. */
export function giveBackAtRest(): void {
  const collector = new RestCollector(thisProcess());
  setInterval(() => collector.look(), LOOK_EVERY_MS).unref();
}

export class RestCollector {
  readonly #process: RestingProcess;
  #idleLooks = 0;
  /** What comes next: the steps of one collection are looks apart, so that what has come meanwhile is answered. */
  #next: 'compact' | 'shrink' | 'measure' = 'compact';
  #committedBytes = 0;
  #collectedAt = Number.NEGATIVE_INFINITY;

  constructor(process: RestingProcess) {
    this.#process = process;
  }

  /** Takes at most one step. */
  look(): void {
    const isIdle = this.#process.busyShare() <= BUSY_SHARE_MAX;
    this.#idleLooks = isIdle ? this.#idleLooks + 1 : 0;
    if (this.#next === 'shrink') {
      this.#process.shrink();
      this.#next = 'measure';
    } else if (this.#next === 'measure') {
      this.#committedBytes = this.#process.heap().committedBytes;
      this.#collectedAt = this.#process.now();
      this.#next = 'compact';
    } else if (this.#idleLooks >= IDLE_LOOKS && this.#isWorthIt()) {
      this.#process.compact();
      this.#next = 'shrink';
    }
  }

  #isWorthIt(): boolean {
    if (this.#process.now() - this.#collectedAt < COLLECT_EVERY_MS) return false;
    const { usedBytes, committedBytes } = this.#process.heap();
    return usedBytes <= USED_BYTES_MAX && committedBytes > this.#committedBytes * GROWTH + GROWTH_BYTES;
  }
}

function thisProcess(): RestingProcess {
  let last = performance.eventLoopUtilization();
  return {
    busyShare: () => {
      const current = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(current, last);
      last = current;
      return utilization;
    },
    heap: () => {
      const { heapUsed, heapTotal } = process.memoryUsage();
      return { usedBytes: heapUsed, committedBytes: heapTotal };
    },
    compact,
    shrink: () => void shrink(),
    now: () => performance.now(),
  };
}

/** V8 is told by flags only: they are set for the length of this call. */
function compact(): void {
  setFlagsFromString('--expose-gc');
  setFlagsFromString('--compact-on-every-full-gc');
  try {
    (runInNewContext('gc') as () => void)();
  } finally {
    setFlagsFromString('--no-compact-on-every-full-gc');
    setFlagsFromString('--no-expose-gc');
  }
}

let inspector: Session | undefined;

/** What V8 does when the system is short of memory, which is asked for through its inspector only. */
async function shrink(): Promise<void> {
  if (!process.features.inspector) return;
  if (inspector === undefined) {
    const { Session } = await import('node:inspector');
    inspector = new Session();
    inspector.connect();
  }
  // It is never disconnected: a session that ends while its collection is being answered locks up the process.
  inspector.post('HeapProfiler.collectGarbage');
}
