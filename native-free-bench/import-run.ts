// One import of a room from a file, as a process of its own that tells its parent how it went.

import { Session, type Profiler } from 'node:inspector/promises';
import { openImportEngine } from '../src/cli/import/import-engine.js';
import { importFiles } from '../src/cli/import/importer.js';
import { readKeys } from '../src/cli/import/key-file.js';
import { RoomVersions } from '../src/cli/import/room-versions.js';
import { verifierThreads } from '../src/core/verifier.js';

/** What to import, and where. */
export interface ImportRequest {
  /** JSON lines of PDUs. */
  readonly out: string;
  readonly keys: string;
  readonly store: string;
  readonly roomVersion: string;
  readonly profiles: boolean;
}

export interface ImportOutcome {
  readonly seconds: number;
  readonly accepted: number;
  readonly rssBytesMax: number;
  /** Shares of the main thread's time by part of the code; empty unless it was profiled. */
  readonly shares: ReadonlyArray<{ readonly what: string; readonly percent: number }>;
}

const SHARES_SHOWN = 12;

const request = JSON.parse(process.argv[2] ?? '{}') as ImportRequest;
const session = request.profiles ? await startProfile() : undefined;
const start = performance.now();
const accepted = await importRoom(request);
const seconds = (performance.now() - start) / 1e3;
const shares = session === undefined ? [] : await stopProfile(session);
const outcome: ImportOutcome = {
  seconds,
  accepted,
  rssBytesMax: process.resourceUsage().maxRSS * 1024,
  shares,
};
process.send?.(outcome);
process.disconnect();

/** How many events were accepted, by what `stateroom import` does: from opening the store to closing it. */
async function importRoom({ out, keys: keysFile, store, roomVersion }: ImportRequest): Promise<number> {
  const keys = await readKeys(keysFile);
  const engine = await openImportEngine({
    path: store,
    keys,
    threads: verifierThreads(),
    onLateVerdict: () => undefined,
    onStateReset: () => undefined,
  });
  const versions = new RoomVersions(keys, roomVersion);
  const report = await importFiles(engine, { files: [{ path: out, isRegular: true }], versions });
  await engine.close();
  return report.counts.accepted;
}

async function startProfile(): Promise<Session> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.start');
  return session;
}

async function stopProfile(session: Session): Promise<ImportOutcome['shares']> {
  const { profile } = await session.post('Profiler.stop');
  const { nodes, samples = [] } = profile;
  const parts = new Map(nodes.map((node) => [node.id, partOf(node)]));
  const counts = new Map<string, number>();
  for (const id of samples) {
    const part = parts.get(id) ?? 'other';
    counts.set(part, (counts.get(part) ?? 0) + 1);
  }
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .slice(0, SHARES_SHOWN)
    .map(([what, count]) => ({ what, percent: (100 * count) / samples.length }));
}

/** Which part of the code a frame belongs to: our folder, a package, Node, or what V8 says of itself. */
function partOf({ callFrame: { url, functionName } }: Profiler.ProfileNode): string {
  const ours = /\/src\/([a-z]+)\//.exec(url)?.[1];
  if (ours !== undefined) return `src/${ours}`;
  const name = /\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1];
  if (name !== undefined) return name;
  return functionName.startsWith('(') ? functionName.slice(1, -1) : 'node';
}
