// kill -9, for real: a process that imports is killed again and again; what it said was stored is stored.

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openEngine } from '../../src/engine/engine.js';
import { fsck } from '../../src/engine/maintenance/fsck.js';
import type { EventId } from '../../src/event/ids.js';
import { HORIZON_QUEUE, type HorizonRow } from '../../src/room/graph/horizon.js';
import { Store } from '../../src/store/store.js';
import { Random } from '../../tools/generate/random.js';
import { loadRoom, type RoomName } from '../fixtures.js';
import { COLLECTED_KEYS, COLLECTED_ROOM } from './support/collected-room.js';
import { filledEngine } from './support/stores.js';

const test = suite('engine/crash');

const ROOM: RoomName = 'forks-v10';
const KILLS = 14;
const KILLS_OF_COLLECTIONS = 6;
const SEED = 'crash 1';
const CHILD = fileURLToPath(new URL('./support/import-child.js', import.meta.url));
const COLLECTOR = fileURLToPath(new URL('./support/collect-child.js', import.meta.url));

test('what was acknowledged survives kill -9 at any moment, and the import goes on to the same root', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'stateroom-crash-'));
  try {
    const { lines, rules, expected } = loadRoom(ROOM);
    const random = new Random(SEED, 'kills');
    const acknowledged = new Set<EventId>();
    for (let kill = 0; kill < KILLS; kill++) {
      // Those of earlier rounds come again as duplicates, so the kills move on through the room.
      const after = Math.floor((lines.length * 0.8 * kill) / KILLS) + random.below(20);
      for (const id of await importUntilKilled(folder, after)) acknowledged.add(id);
      await checkStored(folder, acknowledged, `kill ${kill} after ${after} events of seed ${SEED}`);
    }

    const engine = await openEngine({ path: folder, mustExist: true });
    for (const line of lines) await engine.receive(line, { from: 'file', roomVersion: rules.version });
    const undisturbed = await filledEngine([ROOM]);
    assert.is(engine.currentState(expected.room_id).root, undisturbed.currentState(expected.room_id).root);
    assert.is(engine.store.counters().events, undisturbed.store.counters().events);
    assert.equal((await fsck(engine.store)).problems, []);
    await engine.close();
    await undisturbed.close();
  } finally {
    await rm(folder, { recursive: true });
  }
});

/** @returns the ids that the process acknowledged before it was killed */
async function importUntilKilled(folder: string, after: number): Promise<EventId[]> {
  const child = spawn(process.execPath, [CHILD, folder, ROOM], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<NodeJS.Signals | null>((resolve) =>
    child.on('exit', (_, signal) => resolve(signal)),
  );
  const ids: EventId[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('$')) ids.push(line as EventId);
    if (ids.length >= after) child.kill('SIGKILL');
  }
  const signal = await ended;
  assert.is(signal, 'SIGKILL', 'the process was killed in the midst of its import');
  return ids;
}

async function checkStored(folder: string, acknowledged: ReadonlySet<EventId>, when: string): Promise<void> {
  const store = await Store.open({ kind: 'folder', path: folder, create: false });
  try {
    const waiting = new Set<EventId>();
    for await (const [, row] of store.queue<HorizonRow>(HORIZON_QUEUE)) waiting.add(row.eventId);
    const lost = [...acknowledged].filter((id) => store.seqOf(id) === undefined && !waiting.has(id));
    assert.equal(lost, [], when);
    const report = await fsck(store);
    assert.is(report.problemCount, 0, `${when}: ${JSON.stringify(report.problems.slice(0, 3))}`);
  } finally {
    await store.close();
  }
}

test('a collection of the history of own records that kill -9 ends in its midst leaves all that is acknowledged', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'stateroom-crash-'));
  try {
    const random = new Random(SEED, 'collections');
    let slices = 0;
    for (let kill = 0; kill < KILLS_OF_COLLECTIONS; kill++) {
      const seen = await collectUntilKilled(folder, random);
      slices += seen.slices;
      const when = `kill ${kill} of seed ${SEED}`;
      const engine = await openEngine({ path: folder, mustExist: true });
      const report = await fsck(engine.store);
      assert.is(report.problemCount, 0, `${when}: ${JSON.stringify(report.problems.slice(0, 3))}`);
      const values = new Map<number, number>();
      for (const { content } of engine.internal.entries(COLLECTED_ROOM, 't')) {
        const i = Number(content['i']);
        values.set(i % COLLECTED_KEYS, i);
      }
      for (let i = Math.max(0, seen.acknowledged - COLLECTED_KEYS + 1); i <= seen.acknowledged; i++) {
        assert.ok((values.get(i % COLLECTED_KEYS) ?? -1) >= i, `${when}: record ${i}`);
      }
      await engine.close();
    }
    assert.ok(slices > KILLS_OF_COLLECTIONS, `${slices} slices were done`);
  } finally {
    await rm(folder, { recursive: true });
  }
});

/** Kills the process while it collects a slice, after some that it collected whole. */
async function collectUntilKilled(folder: string, random: Random) {
  const child = spawn(process.execPath, [COLLECTOR, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<NodeJS.Signals | null>((resolve) =>
    child.on('exit', (_, signal) => resolve(signal)),
  );
  const killAt = random.between(2, 6);
  const seen = { acknowledged: -1, slices: 0 };
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('wrote ')) seen.acknowledged = Number(line.slice('wrote '.length));
    if (line !== 'collects' || seen.slices++ < killAt) continue;
    // In the same moment, or some turns of our own later.
    for (let turns = random.below(20); turns > 0; turns--) await setImmediate();
    child.kill('SIGKILL');
  }
  assert.is(await ended, 'SIGKILL', 'the process was killed');
  return seen;
}

test.run();
