// The history of internal rooms, collected: nothing that is looked up is lost, the store stays small, and what is
// left can be checked and rebuilt.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { HistoryKept } from '../../src/core/internal-history.js';
import { type Engine, openEngine, openEngineOn } from '../../src/engine/engine.js';
import { collectHistory } from '../../src/engine/maintenance/collect-history.js';
import { fsck } from '../../src/engine/maintenance/fsck.js';
import { rebuild } from '../../src/engine/maintenance/rebuild.js';
import type { RoomId } from '../../src/event/ids.js';
import { internalRoomId } from '../../src/event/internal.js';
import { collectGarbage } from '../../src/store/gc.js';
import { eventKey } from '../../src/store/keys.js';
import { Store } from '../../src/store/store.js';
import { Random } from '../../tools/generate/random.js';

const test = suite('core/internal-history');
const ROOM = internalRoomId('receipts', 'a');
const ALL: HistoryKept = { events: 0, ageMs: 0, sliceMin: 2 };

/** Writes and removes records at random; what must be there afterwards, by key. */
async function write(
  engine: Engine,
  random: Random,
  writes: number,
  model: Map<string, number>,
  roomId: RoomId = ROOM,
): Promise<void> {
  for (let i = 0; i < writes; i++) {
    const stateKey = `key ${random.below(60)}`;
    const isRemoval = random.oneIn(5);
    if (isRemoval) model.delete(stateKey);
    else model.set(stateKey, i);
    const content = isRemoval ? undefined : { i };
    await engine.internal.write([{ roomId, type: 't', stateKey, content }]);
  }
}

function read(engine: Engine, roomId: RoomId = ROOM): Record<string, unknown> {
  const entries = [...engine.internal.entries(roomId, 't')];
  return Object.fromEntries(entries.map(({ stateKey, content }) => [stateKey, content['i']]).sort());
}

const expected = (model: ReadonlyMap<string, number>) => Object.fromEntries([...model].sort());

async function assertSound(store: Store): Promise<void> {
  const { problems } = await fsck(store);
  assert.equal(problems, []);
}

/** How many nodes nothing needs. */
async function garbage(engine: Engine): Promise<number> {
  const { nodes, nodesKept } = await collectGarbage(engine.store, {
    change: (changes) => engine.core.writer.changeRecords(changes),
  });
  return nodes - nodesKept;
}

test('what is looked up is as before, fsck finds nothing, and no node is left that nothing needs', async () => {
  const engine = await openEngine({ now: () => 1_000 });
  const random = new Random('1', 'history');
  const model = new Map<string, number>();
  for (let round = 0; round < 4; round++) {
    await write(engine, random, 100, model);
    const { events } = await collectHistory(engine, { ...ALL, events: random.below(40) });
    assert.ok(events > 0);
    assert.equal(read(engine), expected(model));
    await assertSound(engine.store);
    assert.is(await garbage(engine), 0);
  }
  await engine.close();
});

test('a million receipts, scaled down: the store holds what is current and a bounded history', async () => {
  const engine = await openEngine();
  const sizes: number[] = [];
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 40; i++) {
      const records = Array.from({ length: 50 }, (_, user) => ({
        roomId: ROOM,
        type: 't',
        stateKey: `user ${user}`,
        content: { i },
      }));
      await engine.internal.write(records);
    }
    await collectHistory(engine, { ...ALL, events: 100 });
    const { events, nodeBytes } = engine.store.counters();
    assert.ok(events <= 150, `${events} events of ${2_000 * (round + 1)}`);
    sizes.push(nodeBytes);
  }
  assert.ok(
    sizes.every((bytes) => bytes < 10_000),
    `node bytes stay: ${sizes.join(' ')}`,
  );
  assert.is(Object.keys(read(engine)).length, 50);
  await assertSound(engine.store);
  await engine.close();
});

test('what is young enough, and no more than so many, is kept: its states can still be asked for', async () => {
  let now = 0;
  const engine = await openEngine({ now: () => now });
  const seqs: number[] = [];
  for (; now < 100; now++) {
    seqs.push(await engine.internal.write([{ roomId: ROOM, type: 't', stateKey: 'a', content: { now } }]));
  }
  const places = async (): Promise<number[]> => {
    const found: number[] = [];
    const number = engine.store.room(ROOM)?.number ?? 0;
    for await (const [, seq] of engine.store.timeline(number)) found.push(seq);
    return found;
  };
  assert.is((await collectHistory(engine, { events: 1_000, ageMs: 1_000, sliceMin: 2 })).events, 0);
  await collectHistory(engine, { events: 1_000, ageMs: 50, sliceMin: 2 });
  const young = await places();
  assert.equal(young, seqs.slice(-young.length));
  assert.is(young.length, 51, 'those younger than 50, and the first place before them');
  for (const seq of young) {
    const event = engine.reader.events.at(seq);
    assert.is(engine.reader.stateAt(event?.pdu.eventId ?? '').get('t', 'a'), event?.pdu.eventId);
  }
  await collectHistory(engine, { events: 10, ageMs: 1_000, sliceMin: 2 });
  assert.is((await places()).length, 11);
  await assertSound(engine.store);
  await engine.close();
});

test('it goes on beside a writer', async () => {
  const engine = await openEngine();
  const model = new Map<string, number>();
  const random = new Random('2', 'history');
  await write(engine, random, 300, model);
  const writing = write(engine, random, 300, model);
  let collected = 0;
  for (let i = 0; i < 10; i++) collected += (await collectHistory(engine, { ...ALL, events: 20 })).events;
  await writing;
  assert.ok(collected > 200);
  assert.equal(read(engine), expected(model));
  await assertSound(engine.store);
  await engine.close();
});

test('a rebuild makes the same of what is left, and collecting goes on after it', async () => {
  const path = await mkdtemp(join(tmpdir(), 'stateroom-history-'));
  const random = new Random('3', 'history');
  const model = new Map<string, number>();
  let engine = await openEngine({ path, durability: 'os' });
  await write(engine, random, 300, model);
  await collectHistory(engine, { ...ALL, events: 50 });
  const root = engine.reader.currentState(ROOM).root;
  await engine.close();

  const store = await Store.open({ kind: 'folder', path, create: false }, { forRepair: true });
  await rebuild(store);
  await assertSound(store);
  engine = await openEngineOn(store);
  assert.is(engine.reader.currentState(ROOM).root, root);
  assert.equal(read(engine), expected(model));
  await write(engine, random, 100, model);
  assert.ok((await collectHistory(engine, { ...ALL, events: 10 })).events > 0);
  assert.equal(read(engine), expected(model));
  await assertSound(store);
  await engine.close();
  await rm(path, { recursive: true, force: true });
});

test('a slice that cannot be written is not begun: the store opens as it was', async () => {
  const path = await mkdtemp(join(tmpdir(), 'stateroom-history-'));
  const random = new Random('4', 'history');
  const model = new Map<string, number>();
  const store = await Store.open({ kind: 'folder', path, create: true }, { durability: 'os' });
  const engine = await openEngineOn(store);
  await write(engine, random, 200, model);
  const before = store.counters();
  const { database } = store;
  const batch = database.batch.bind(database);
  Object.defineProperty(database, 'batch', {
    configurable: true,
    value: () => {
      throw new Error('the disk is gone');
    },
  });
  await collectHistory(engine, ALL).then(
    () => assert.unreachable(),
    (error: Error) => assert.match(error.message, 'the disk is gone'),
  );
  Object.defineProperty(database, 'batch', { configurable: true, value: batch });
  assert.equal(store.counters(), before);
  await engine.close().catch(() => undefined);

  const again = await openEngine({ path });
  assert.equal(read(again), expected(model));
  await assertSound(again.store);
  assert.ok((await collectHistory(again, ALL)).events > 0);
  await assertSound(again.store);
  await again.close();
  await rm(path, { recursive: true, force: true });
});

test('fsck tells of a kept record that is gone', async () => {
  const engine = await openEngine();
  await write(engine, new Random('5', 'history'), 200, new Map());
  await collectHistory(engine, ALL);
  const { seqs } = await settled(engine);
  const [seq] = seqs;
  assert.ok(seq !== undefined);
  await engine.store.database.del(eventKey(seq ?? 0));
  const { problems } = await fsck(engine.store);
  assert.ok(problems.some(({ code }) => code === 'ROOTS_WRONG'));
  await engine.close();
});

async function settled(engine: Engine): Promise<{ readonly seqs: number[] }> {
  const seqs: number[] = [];
  for await (const [seq, row] of engine.store.events()) if (row.isOutlier) seqs.push(seq);
  return { seqs };
}

test.run();
