// One join of a room from files, as a process of its own that tells its parent how it went.

import { readFile } from 'node:fs/promises';
import { readKeys } from '../src/cli/import/key-file.js';
import { verifierThreads } from '../src/core/verifier.js';
import { openEngine } from '../src/engine/engine.js';

/** What to join, and where. */
export interface JoinRequest {
  /** JSON lines: the join, then its auth chain. */
  readonly chain: string;
  /** JSON lines: the state before the join. */
  readonly state: string;
  readonly keys: string;
  readonly store: string;
  readonly roomVersion: string;
}

export interface JoinResult {
  readonly seconds: number;
  readonly stored: number;
  readonly dropped: number;
  readonly rssBytesMax: number;
}

const { chain, state, keys, store, roomVersion } = JSON.parse(process.argv[2] ?? '{}') as JoinRequest;
const lookUp = await readKeys(keys);
const [event, ...authChain] = await linesOf(chain);
if (event === undefined) throw new Error(`${chain} is empty`);
const ofState = await linesOf(state);
const start = performance.now();
const engine = await openEngine({ path: store, keys: lookUp, verifierThreads: verifierThreads() });
const outcome = await engine.receiveJoin({
  roomVersion,
  event,
  authChain,
  state: ofState,
  from: 'resident.example',
});
const seconds = (performance.now() - start) / 1e3;
await engine.close();
const result: JoinResult = {
  seconds,
  stored: outcome.stored,
  dropped: outcome.droppedCount,
  rssBytesMax: process.resourceUsage().maxRSS * 1024,
};
process.send?.(result);
process.disconnect();

async function linesOf(path: string): Promise<Buffer[]> {
  const bytes = await readFile(path);
  const lines: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const newline = bytes.indexOf(0x0a, at);
    const end = newline === -1 ? bytes.length : newline;
    if (end > at) lines.push(bytes.subarray(at, end));
    at = end + 1;
  }
  return lines;
}
