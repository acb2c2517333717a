// How much garbage a server lets lie.
//
// V8 collects its heap when that has grown by a factor which it chooses by the machine's memory: on a machine with
// plenty, a server with 100 MB of live objects grows to several times that before anything is collected, and the
// memory beneath the heap that only a collection frees (batches of the store) grows with it. A server runs for months
// beside others; it collects when the heap has doubled.

import { setFlagsFromString } from 'node:v8';
import { tellRest } from './rest.js';

const GROWTH_PERCENT = 100;
const OURS = '--heap-growing-percent';

/** Has this process collect its heap early, unless whoever started it says how. Threads started later do so too. */
export function tidyHeap(execArgv: readonly string[] = process.execArgv): void {
  const isSaid = execArgv.some((word) => word.replaceAll('_', '-').startsWith(OURS));
  if (isSaid) return;
  setFlagsFromString(`${OURS}=${GROWTH_PERCENT}`);
  tellRest();
}
