// Garbage collection, alone and beside a writer, and the purge of a room.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Engine, openEngine, openEngineOn } from '../../src/engine/engine.js';
import { fsck } from '../../src/engine/maintenance/fsck.js';
import { Reader } from '../../src/reader/reader.js';
import { collectGarbage } from '../../src/store/gc.js';
import { nodesKey, rootsKey } from '../../src/store/keys.js';
import { purgeRoom } from '../../src/store/purge.js';
import { Store } from '../../src/store/store.js';
import {
  codeOf,
  copyOf,
  differences,
  dump,
  fillDiskAfter,
  filledEngine,
  filledStore,
  importRooms,
} from '../engine/support/stores.js';
import { loadRoom, type RoomName } from '../fixtures.js';

const test = suite('store/gc');

const ROOM: RoomName = 'forks-v12';
const base = filledStore([ROOM, 'small-v11']);

/** The states after events, as text, by event id: all whose roots are stored. */
async function statesOf(store: Store): Promise<Map<string, string>> {
  const reader = new Reader(store);
  const states = new Map<string, string>();
  for await (const [seq] of store.allRoots()) {
    const id = store.event(seq)?.eventId ?? '';
    const view = reader.stateAt(id);
    states.set(id, `${view.root} ${JSON.stringify(view.sorted())}`);
  }
  return states;
}

/** Forgets the states around the first events, as a purge of history would. */
async function forgetRoots(store: Store, seqs: number): Promise<void> {
  for (let seq = 1; seq <= seqs; seq++) await store.database.del(rootsKey(seq));
}

async function actualNodes(store: Store): Promise<{ nodeRecords: number; nodeBytes: number }> {
  let nodeRecords = 0;
  let nodeBytes = 0;
  for await (const [, bytes] of store.records()) {
    nodeRecords++;
    nodeBytes += bytes.length;
  }
  return { nodeRecords, nodeBytes };
}

test('keeps every state, and a second collection finds nothing more', async () => {
  const store = await copyOf(await base);
  const before = await statesOf(store);
  await collectGarbage(store);
  assert.equal(await statesOf(store), before);
  assert.equal((await fsck(store)).problems, []);
  const again = await collectGarbage(store);
  assert.is(again.recordsDeleted + again.recordsRewritten + again.bytesFreed, 0);
  assert.is(again.nodesKept, again.nodes);
});

test('takes what only forgotten states needed, and leaves the rest readable', async () => {
  const store = await copyOf(await base);
  await forgetRoots(store, 120);
  const before = await statesOf(store);
  const bytes = store.counters().nodeBytes;
  const report = await collectGarbage(store);
  assert.ok(report.recordsDeleted > 10, `${report.recordsDeleted} records deleted`);
  assert.ok(report.recordsRewritten > 0, 'some records hold survivors');
  assert.ok(report.nodesKept < report.nodes);
  assert.is(store.counters().nodeBytes, bytes - report.bytesFreed);
  const { nodeBytes, nodeRecords } = store.counters();
  assert.equal({ nodeRecords, nodeBytes }, await actualNodes(store));
  assert.equal(await statesOf(store), before);
});

test('collects beside a writer without losing a node that the writer builds on', async () => {
  // A cache of next to nothing, so that every node comes from disk again.
  const engine = await openEngine({ nodeCacheBytes: 20_000 });
  const { store } = engine;
  const { lines, rules, expected } = loadRoom(ROOM);
  const lastUses = lastUsesOf(
    lines.map((line) => JSON.parse(Buffer.from(line).toString()) as Referrer),
    expected.event_ids,
  );
  let next = 0;
  const importSome = async (count: number): Promise<void> => {
    const from = next;
    next = Math.min(next + count, lines.length);
    await Promise.all(
      lines.slice(from, next).map((line) => engine.receive(line, { roomVersion: rules.version })),
    );
  };
  let deleted = 0;
  let rewritten = 0;
  while (next < lines.length) {
    // States that nothing will be built on any more are forgotten, so that there is something to collect.
    for (let i = 0; i < next; i++) if ((lastUses[i] ?? 0) < next) await store.database.del(rootsKey(i + 1));
    // Some events are decided and not committed when the collection begins, and some come before it deletes.
    const underWay = importSome(7);
    const report = await collectGarbage(store, {
      change: async (changes) => {
        await importSome(7);
        await engine.core.writer.changeRecords(changes);
      },
    });
    await underWay;
    deleted += report.recordsDeleted;
    rewritten += report.recordsRewritten;
  }
  assert.ok(deleted > 20, `${deleted} records deleted`);
  assert.ok(rewritten > 5, `${rewritten} records rewritten`);

  const undisturbed = await filledEngine([ROOM]);
  assert.is(engine.currentState(expected.room_id).root, undisturbed.currentState(expected.room_id).root);
  await engine.core.close();
  const whole = await statesOf(undisturbed.store);
  for (const [id, state] of await statesOf(store)) assert.is(state, whole.get(id), id);
  const { nodeRecords, nodeBytes } = store.counters();
  assert.equal({ nodeRecords, nodeBytes }, await actualNodes(store));
  await undisturbed.close();
});

interface Referrer {
  readonly prev_events: readonly string[];
}

/** For each event the index of the last one that follows it, itself at least. */
function lastUsesOf(events: readonly Referrer[], ids: readonly string[]): number[] {
  const lastUses = ids.map((_, i) => (i === ids.length - 1 ? Infinity : i));
  events.forEach(({ prev_events }, i) => {
    for (const id of prev_events) lastUses[ids.indexOf(id)] = i;
  });
  return lastUses.map((last, i) => (last === i ? Infinity : last));
}

test('collects nothing from a store with a damaged node', async () => {
  const store = await copyOf(await base);
  await forgetRoots(store, 120);
  const { record } = store.roots(200)?.after ?? { record: 0 };
  const bytes = Buffer.from(store.readRecord(record) ?? Buffer.alloc(0));
  await store.database.put(nodesKey(record), bytes.subarray(0, bytes.length - 1));
  const before = await dump(store);
  assert.is(await codeOf(collectGarbage(store)), 'STORE_CORRUPT');
  assert.equal(differences(before, await dump(store)), []);
});

test('does one maintenance at a time', async () => {
  const store = await copyOf(await base);
  const first = collectGarbage(store);
  assert.is(await codeOf(collectGarbage(store)), 'STORE_BUSY');
  await first;
  await collectGarbage(store);
});

test('a purged room leaves no row, and the others as they were', async () => {
  const engine = await openEngine();
  await importRooms(engine, [ROOM]);
  await importRooms(engine, ['small-v11']);
  // One event of the purged room waits for another.
  await importLines(engine, 'reset-v10', [0, 1, 2, 3, 9]);
  await engine.core.close();
  const { store } = engine;
  const states = await statesOf(store);
  const purged = loadRoom(ROOM).expected;
  const report = await purgeRoom(store, purged.room_id);
  assert.ok(
    report.events > 100 && report.records > 50 && report.rows > report.events * 3,
    JSON.stringify(report),
  );

  for (const id of purged.event_ids) states.delete(id);
  assert.equal(await statesOf(store), states);
  assert.equal((await fsck(store)).problems, []);
  const roomBytes = Buffer.from(purged.room_id).toString('hex');
  assert.is((await dump(store)).filter((line) => line.includes(roomBytes)).length, 0);
  assert.is(await codeOf(purgeRoom(store, purged.room_id)), 'STORE_ROOM_UNKNOWN');

  const again = await openEngineOn(store);
  await importRooms(again, [ROOM]);
  await again.core.close();
  assert.equal((await fsck(store)).problems, []);
});

test('purging takes waiting events of the room too', async () => {
  const engine = await openEngine();
  await importLines(engine, 'reset-v10', [0, 1, 2, 3, 9]);
  assert.is(engine.verdicts().waiting, 1);
  await engine.core.close();
  await purgeRoom(engine.store, loadRoom('reset-v10').expected.room_id);
  assert.equal(
    (await dump(engine.store)).map((line) => line.split(' ')[0]),
    ['meta', 'meta'],
  );
});

test('a purge that was cut short bars the store until it is finished', async () => {
  const path = await mkdtemp(join(tmpdir(), 'stateroom-purge-'));
  try {
    const location = { kind: 'folder', path, create: false } as const;
    const engine = await openEngine({ path, durability: 'os' });
    await importRooms(engine, ['small-v11', 'old-v1']);
    await engine.close();
    const roomId = loadRoom('small-v11').expected.room_id;

    for (const batches of [1, 2]) {
      const store = await Store.open(location, { forRepair: true });
      fillDiskAfter(store, batches);
      assert.is(await codeOf(purgeRoom(store, roomId)), 'STORE_WRITE_FAILED');
      await store.close();
      assert.is(await codeOf(Store.open(location)), 'STORE_WORK_UNFINISHED');
    }
    const store = await Store.open(location, { forRepair: true });
    await purgeRoom(store, roomId);
    assert.equal((await fsck(store)).problems, []);
    await store.close();
    await (await Store.open(location)).close();
  } finally {
    await rm(path, { recursive: true });
  }
});

async function importLines(engine: Engine, name: RoomName, indexes: readonly number[]): Promise<void> {
  const { lines, rules } = loadRoom(name);
  for (const i of indexes) await engine.receive(lines[i] as Uint8Array, { roomVersion: rules.version });
}

test.run();
