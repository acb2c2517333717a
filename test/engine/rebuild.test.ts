import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openEngine, openEngineOn } from '../../src/engine/engine.js';
import { fsck, type FsckReport } from '../../src/engine/maintenance/fsck.js';
import { INDEXES, rebuild } from '../../src/engine/maintenance/rebuild.js';
import type { InternalRecord } from '../../src/core/internal.js';
import { internalRoomId } from '../../src/event/internal.js';
import type { JsonObject } from '../../src/event/json.js';
import type { EventId } from '../../src/event/ids.js';
import { eventKey, keyspaceRange } from '../../src/store/keys.js';
import { encodeEvent } from '../../src/store/records.js';
import { Store } from '../../src/store/store.js';
import { loadRoom } from '../fixtures.js';
import {
  codeOf,
  copyOf,
  differences,
  dump,
  fillDiskAfter,
  filledStore,
  givenStateStore,
  VARIED_ROOMS,
} from './support/stores.js';

const test = suite('engine/rebuild');

const varied = filledStore();
const small = filledStore(['small-v11', 'reset-v10'], { sends: true });

test('a rebuild gives the very same store, byte for byte', async () => {
  const store = await copyOf(await varied);
  const before = await dump(store);
  const report = await rebuild(store);
  assert.equal(differences(before, await dump(store)), []);
  assert.is(report.rooms, VARIED_ROOMS.length);
  assert.is(report.events, store.counters().events);
});

/** What fsck says when a whole index is gone: at least this. */
const SIGNS: Record<(typeof INDEXES)[number], readonly [code: string, keyspace: string | undefined]> = {
  ids: ['INDEX_ROW_MISSING', 'ids'],
  roots: ['INDEX_ROW_MISSING', 'roots'],
  nodes: ['ROOTS_WRONG', undefined],
  rooms: ['ROOM_ROW_WRONG', undefined],
  timeline: ['INDEX_ROW_MISSING', 'timeline'],
  edges: ['INDEX_ROW_MISSING', 'edges'],
  redacted: ['INDEX_ROW_MISSING', 'redacted'],
  chains: ['INDEX_ROW_MISSING', 'chains'],
  cited: ['INDEX_ROW_MISSING', 'cited'],
  versions: ['INDEX_ROW_MISSING', 'versions'],
  transactions: ['INDEX_ROW_MISSING', 'transactions'],
  traces: ['ROOTS_WRONG', undefined],
};

for (const keyspace of INDEXES) {
  test(`without its ${keyspace} a store is named damaged, and rebuilt byte for byte`, async () => {
    const store = await copyOf(await small);
    const before = await dump(store);
    assert.ok(
      before.some((line) => line.startsWith(`${keyspace} `)),
      'there are such rows to delete',
    );
    await store.database.clear(keyspaceRange(keyspace));
    const report = await fsck(store, { problemsMax: 1_000_000 });
    const [code, named] = SIGNS[keyspace];
    assert.is(report.repair, 'rebuild', show(report));
    assert.ok(
      report.problems.some((problem) => problem.code === code && problem.fields['keyspace'] === named),
      show(report),
    );
    await rebuild(store);
    assert.equal(differences(before, await dump(store)), []);
    assert.equal((await fsck(store)).problems, []);
  });
}

test('a rebuild keeps the state that was given for an event whose history is missing', async () => {
  const store = await givenStateStore();
  assert.equal((await fsck(store)).problems, []);
  const before = await dump(store);
  assert.ok(before.some((line) => line.startsWith('given ')));
  await rebuild(store);
  assert.equal(differences(before, await dump(store)), []);
});

test('a rebuild keeps the records of internal rooms, and that some were taken away', async () => {
  const engine = await openEngine();
  const { store } = engine;
  const roomId = internalRoomId('users');
  const record = (stateKey: string, content: JsonObject | undefined): InternalRecord => ({
    roomId,
    type: 'stateroom.user',
    stateKey,
    content,
  });
  await engine.internal.write([record('@alice:here', { admin: true }), record('@bob:here', {})]);
  await engine.internal.write([
    record('@bob:here', undefined),
    { roomId, type: 'stateroom.note', content: {} },
  ]);
  await engine.core.close();
  assert.equal((await fsck(store)).problems, []);
  const before = await dump(store);
  await rebuild(store);
  assert.equal(differences(before, await dump(store)), []);
  const again = await openEngineOn(store);
  assert.equal(again.internal.get(roomId, 'stateroom.user', '@alice:here'), { admin: true });
  assert.is(again.internal.get(roomId, 'stateroom.user', '@bob:here'), undefined);
  await again.close();
});

test('a rebuild keeps what waits in the horizon, and numbers that were given out', async () => {
  const engine = await openEngine();
  const { lines, rules } = loadRoom('small-v11');
  for (const [i, line] of lines.entries()) {
    if (i !== 20) await engine.receive(line, { roomVersion: rules.version });
  }
  assert.ok(engine.verdicts().waiting > 0);
  await engine.core.close();
  const before = await dump(engine.store);
  await rebuild(engine.store);
  assert.equal(differences(before, await dump(engine.store)), []);
  assert.equal((await fsck(engine.store)).problems, []);
});

test('a rebuild that was cut short bars the store until it is run again', async () => {
  const path = await mkdtemp(join(tmpdir(), 'stateroom-rebuild-'));
  try {
    const location = { kind: 'folder', path, create: true } as const;
    const engine = await openEngine({ path, durability: 'os' });
    const { lines, rules } = loadRoom('reset-v10');
    await Promise.all(lines.map((line) => engine.receive(line, { roomVersion: rules.version })));
    const before = await dump(engine.store);
    await engine.close();

    for (const batches of [1, 2, 3]) {
      const store = await Store.open(location, { forRepair: true });
      fillDiskAfter(store, batches);
      assert.is(await codeOf(rebuild(store)), 'STORE_WRITE_FAILED');
      await store.close();
      assert.is(await codeOf(Store.open(location)), 'STORE_WORK_UNFINISHED');
      assert.is(await codeOf(openEngine({ path })), 'STORE_WORK_UNFINISHED');
    }

    const store = await Store.open(location, { forRepair: true });
    assert.is((await fsck(store)).repair, 'rebuild');
    await rebuild(store);
    assert.equal(differences(before, await dump(store)), []);
    await store.close();
    await (await openEngine({ path })).close();
  } finally {
    await rm(path, { recursive: true });
  }
});

test('a damaged event is named before anything is changed', async () => {
  const store = await copyOf(await small);
  const row = store.event(30);
  assert.ok(row);
  const bytes = Uint8Array.from(row.bytes);
  const at = Buffer.from(bytes).indexOf('"depth":') + 8;
  bytes[at] = bytes[at] === 0x39 ? 0x38 : 0x39;
  await store.database.put(eventKey(30), encodeEvent({ ...row, bytes }));
  const before = await dump(store);
  assert.is(await codeOf(rebuild(store)), 'STORE_CORRUPT');
  assert.equal(differences(before, await dump(store)), []);
  assert.is(store.unfinishedWork(), undefined);
});

test('what was rebuilt takes new events as the old store would have', async () => {
  const { lines, rules, expected } = loadRoom('reset-v10');
  const half = Math.floor(lines.length / 2);
  const engine = await openEngine();
  for (const line of lines.slice(0, half)) await engine.receive(line, { roomVersion: rules.version });
  await engine.core.close();
  await rebuild(engine.store);

  const again = await openEngineOn(engine.store);
  for (const line of lines.slice(half)) await again.receive(line, { roomVersion: rules.version });
  const whole = await openEngine();
  for (const line of lines) await whole.receive(line, { roomVersion: rules.version });
  assert.is(again.currentState(expected.room_id).root, whole.currentState(expected.room_id).root);
  const id = expected.event_ids.at(-1) as EventId;
  assert.is(again.stateAt(id).root, whole.stateAt(id).root);
  assert.equal((await fsck(engine.store)).problems, []);
});

function show({ problems, problemCount }: FsckReport): string {
  return `${problemCount} problems, among them ${JSON.stringify(problems.slice(0, 5))}`;
}

test.run();
