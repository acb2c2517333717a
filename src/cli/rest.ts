// A server at rest gives memory back.
//
// After a busy hour with thousands of clients half of the heap's pages are holes, because V8 does not move objects
// together while a program is busy. It has a way to do so step by step when a program is idle, its memory reducer,
// but judges by how fast the last few allocations were made: a server that is asked nothing allocates nothing, and
// counts as busy for minutes. So it is told here: while the event loop has nothing to do, memory goes before speed. It
// works every eight seconds, so that what can go is gone after ten to twenty, with halts of a tenth of a second or two.

import { setFlagsFromString } from 'node:v8';

/** Often, so that whoever comes after a rest soon finds a server that cares for speed. */
const LOOK_EVERY_MS = 100;
/** Looks in a row that find the process idle: then it is at rest. */
const IDLE_LOOKS = 5;
const BUSY_SHARE_MAX = 0.1;
/** How long after a collection V8 looks whether the process is at rest; it would wait 8 s. */
const REDUCER_DELAY_MS = 100;

/** Tells V8 from now on whether the process is at rest, without keeping it alive. */
export function tellRest(): void {
  setFlagsFromString(`--gc-memory-reducer-start-delay-ms=${REDUCER_DELAY_MS}`);
  const teller = new RestTeller((isAtRest) => {
    setFlagsFromString(isAtRest ? '--optimize-for-size' : '--no-optimize-for-size');
  });
  let last = performance.eventLoopUtilization();
  setInterval(() => {
    const current = performance.eventLoopUtilization();
    teller.look(performance.eventLoopUtilization(current, last).utilization);
    last = current;
  }, LOOK_EVERY_MS).unref();
}

export class RestTeller {
  readonly #tell: (isAtRest: boolean) => void;
  #idleLooks = 0;

  /** @param tell called when it changes */
  constructor(tell: (isAtRest: boolean) => void) {
    this.#tell = tell;
  }

  /** @param busyShare of the time since the last call in which the event loop had something to do */
  look(busyShare: number): void {
    const isIdle = busyShare <= BUSY_SHARE_MAX;
    const wasAtRest = this.#idleLooks >= IDLE_LOOKS;
    this.#idleLooks = isIdle ? this.#idleLooks + 1 : 0;
    const isAtRest = this.#idleLooks >= IDLE_LOOKS;
    if (isAtRest !== wasAtRest) this.#tell(isAtRest);
  }
}
