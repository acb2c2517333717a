import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Engine, openEngine } from '../../src/engine/engine.js';
import type { StateAnswer } from '../../src/reader/answer.js';
import { ReaderPool, type ReaderPoolOptions } from '../../src/reader/pool.js';
import type { Query } from '../../src/reader/query.js';
import { InPlaceRunner } from '../../src/reader/runner.js';
import { scratchStates } from '../../src/room/state/scratch.js';
import { nodesKey, rootsKey } from '../../src/store/keys.js';
import { encodeRoots } from '../../src/store/records.js';
import { loadRoom } from '../fixtures.js';
import { codeOf, HOSTILE_QUERIES, importRoom, plain, questionsAbout, temporaryFolder } from './helpers.js';

interface Context {
  engine: Engine;
  inPlace: InPlaceRunner;
  path: string;
  remove: () => Promise<void>;
}

const small = loadRoom('small-v11');
const forks = loadRoom('forks-v10');
const reset = loadRoom('reset-v10');
const count: Query = { kind: 'count', of: small.expected.room_id };
const pools = suite<Context>('the pool of reader threads');

pools.before(async (context) => {
  const folder = await temporaryFolder();
  context.remove = () => folder.remove();
  context.engine = await openEngine({ path: folder.path, durability: 'os' });
  context.inPlace = new InPlaceRunner(context.engine.reader);
  context.path = context.engine.store.path ?? '';
  for (const room of [small, forks]) await importRoom(context.engine, room);
});
pools.after(async ({ engine, remove }) => {
  await engine.close();
  await remove();
});

/** A pool on the context's store, for the time of one test. */
async function withPool(
  { path }: Context,
  options: Partial<ReaderPoolOptions>,
  work: (pool: ReaderPool) => Promise<void>,
): Promise<void> {
  const pool = await ReaderPool.open({ path, threads: 2, ...options });
  try {
    await work(pool);
  } finally {
    await pool.close();
  }
}

pools('every query has the same answer in a thread as in place', async (context) => {
  await withPool(context, {}, async (pool) => {
    for (const room of [small, forks]) {
      const queries = questionsAbout(context.engine, room);
      assert.equal(plain(await pool.run(queries)), plain(await context.inPlace.run(queries)));
      const singly = await Promise.all(queries.map((query) => pool.run(query)));
      assert.equal(singly, plain(await context.inPlace.run(queries)));
    }
  });
});

pools('a node cache too small for one state answers alike', async (context) => {
  await withPool(context, { nodeCacheBytes: 0, threads: 1 }, async (pool) => {
    const queries = questionsAbout(context.engine, forks);
    assert.equal(plain(await pool.run(queries)), plain(await context.inPlace.run(queries)));
  });
});

pools('a fault keeps its code, its message and its fields on the way out of a thread', async (context) => {
  await withPool(context, {}, async (pool) => {
    const queries = HOSTILE_QUERIES.map(([, query]) => query as Query);
    assert.equal(plain(await pool.run(queries)), plain(await context.inPlace.run(queries)));
    for (const [code, query] of HOSTILE_QUERIES) assert.is(await codeOf(pool.run(query as Query)), code);
  });
});

pools('queries of one turn go together, and no thread has more than one message', async (context) => {
  await withPool(context, { threads: 1 }, async (pool) => {
    await Promise.all(Array.from({ length: 64 }, () => pool.run(count)));
    assert.is(pool.stats.messages, 1);
    const many = pool.run(Array.from({ length: 100 }, () => count));
    await Promise.resolve();
    assert.is(pool.stats.messagesInFlight, 1);
    assert.is(pool.stats.queued, 36);
    assert.is((await many).length, 100);
    assert.is(pool.stats.messages, 3);
    assert.equal(await pool.run([]), []);
  });
});

pools(
  'while a room is imported, answers are never older than what was acknowledged, and never torn',
  async () => {
    const folder = await temporaryFolder();
    const engine = await openEngine({ path: folder.path, durability: 'os', readerThreads: 2 });
    await importRoom(engine, small);
    const roomId = reset.expected.room_id;
    const seen: StateAnswer[] = [];
    let seqSeen = 0;
    for (const [line, bytes] of reset.lines.entries()) {
      const { verdict } = await engine.receive(bytes);
      assert.ok(['accepted', 'soft_failed', 'rejected'].includes(verdict), verdict);
      const of = reset.expected.event_ids[line] ?? '';
      const asked = [
        engine.query({ kind: 'count', of }),
        engine.query({ kind: 'state', of: roomId }),
        engine.query({ kind: 'state', of: small.expected.room_id }),
      ] as const;
      const history = engine.query({ kind: 'history', roomId, type: 'm.room.member' });
      const [{ root }, now, other] = await Promise.all(asked);
      assert.is(root, engine.stateAt(of).root);
      assert.is(now.root, engine.currentState(roomId).root);
      assert.is(other.root, engine.currentState(small.expected.room_id).root);
      const seqLast = (await history).rows.at(-1)?.seq ?? 0;
      assert.ok(seqLast >= seqSeen, 'a history does not shrink');
      seqSeen = seqLast;
      seen.push(now);
    }
    const states = scratchStates(reset.rules);
    for (const { root, rows } of seen) {
      const updates = rows.map(([type, stateKey, id]) => ({
        type,
        stateKey,
        event: engine.reader.event(id).pdu,
      }));
      assert.is(states.hash(states.update(states.empty, updates)), root, 'the rows are those of the root');
    }
    await engine.close();
    await folder.remove();
  },
);

pools('queries by the hundred while the writer is at full speed all see their watermark', async () => {
  const folder = await temporaryFolder();
  const engine = await openEngine({ path: folder.path, durability: 'os', readerThreads: 2 });
  const states = scratchStates(forks.rules);
  const importing = forks.lines.map(async (line, i) => {
    const verdict = await engine.receive(line, { roomVersion: forks.rules.version });
    const of = forks.expected.event_ids[i] ?? '';
    const [after, room] = await engine.query([
      { kind: 'state', of },
      { kind: 'state', of: forks.expected.room_id },
    ]);
    assert.ok(after?.ok && room?.ok, `${of} was acknowledged as ${verdict.verdict}`);
    for (const { answer } of [after, room]) {
      const updates = answer.rows.map(([type, stateKey, id]) => ({
        type,
        stateKey,
        event: engine.reader.event(id).pdu,
      }));
      assert.is(states.hash(states.update(states.empty, updates)), answer.root);
    }
  });
  await Promise.all(importing);
  await engine.close();
  await folder.remove();
});

pools('a watermark that the store has not reached is a fault, and spoils no other query', async (context) => {
  await withPool(context, { threads: 1 }, async (pool) => {
    const behind = pool.run(count, { watermark: context.engine.store.counters().seq + 1 });
    const level = pool.run(count, { watermark: context.engine.store.counters().seq });
    assert.is(await codeOf(behind), 'READER_BEHIND');
    assert.is((await level).kind, 'count');
  });
});

pools('a query that takes too long is given up and its thread lives on', async (context) => {
  await withPool(context, { threads: 1 }, async (pool) => {
    assert.is(await codeOf(pool.run(count, { timeoutMs: 0 })), 'READER_TIMEOUT');
    const outcomes = await pool.run([count, count], { timeoutMs: 0 });
    assert.equal(
      outcomes.map((outcome) => !outcome.ok && outcome.error.message),
      ['a query took longer than 0 ms', 'a query took longer than 0 ms'],
    );
    assert.is((await pool.run(count)).kind, 'count');
    assert.is(pool.stats.started, 1);
    assert.is(pool.stats.threads, 1);
  });
});

pools('a query whose caller gives up before its turn is never sent', async (context) => {
  await withPool(context, { threads: 1 }, async (pool) => {
    const controller = new AbortController();
    const { signal } = controller;
    const asked = [pool.run(count, { signal }), pool.run(count, { signal: AbortSignal.abort() })];
    const many = pool.run([count, count], { signal });
    controller.abort();
    for (const one of asked) assert.is(await codeOf(one), 'READER_ABORTED');
    for (const outcome of await many) assert.is(!outcome.ok && outcome.error.code, 'READER_ABORTED');
    assert.is(pool.stats.messages, 0);
    assert.is(pool.stats.queued, 0);
    assert.is((await pool.run(count, { signal: new AbortController().signal })).kind, 'count');
  });
});

pools('a caller that gives up in the middle hears so at once, and the thread lives on', async (context) => {
  await withPool(context, { threads: 1 }, async (pool) => {
    const controller = new AbortController();
    const asked = pool.run(count, { signal: controller.signal });
    await Promise.resolve();
    assert.is(pool.stats.messagesInFlight, 1);
    controller.abort();
    assert.is(await codeOf(asked), 'READER_ABORTED');
    assert.is(pool.stats.messagesInFlight, 1, 'its message is still on the way');
    assert.is((await pool.run(count)).kind, 'count');
    assert.is(pool.stats.started, 1);
  });
});

pools('more queries than may wait are refused at once, and those that wait are answered', async (context) => {
  await withPool(context, { threads: 1, queueMax: 4 }, async (pool) => {
    const waiting = pool.run([count, count, count]);
    const refused = codeOf(pool.run([count, count]));
    const last = pool.run(count);
    assert.is(await codeOf(pool.run(count)), 'READER_BUSY');
    assert.is(await refused, 'READER_BUSY');
    assert.equal(
      (await waiting).map(({ ok }) => ok),
      [true, true, true],
    );
    assert.is((await last).kind, 'count');
    assert.is((await pool.run(count)).kind, 'count');
  });
});

pools('closing ends what waits with a code, and nothing is taken afterwards', async (context) => {
  await withPool(context, { threads: 1 }, async (pool) => {
    const under = pool.run(Array.from({ length: 500 }, () => count));
    const closing = pool.close();
    assert.is(await codeOf(pool.run(count)), 'READER_CLOSED');
    for (const outcome of await under) assert.ok(outcome.ok || outcome.error.code === 'READER_CLOSED');
    assert.ok((await under).some(({ ok }) => !ok));
    await closing;
    assert.is(pool.stats.threads, 0);
    assert.is(await codeOf(pool.run(count)), 'READER_CLOSED');
    assert.is(await codeOf(pool.run([count])), 'READER_CLOSED');
    await pool.close();
    assert.is(pool.stats.threads, 0, 'no thread was started by asking');
  });
});

pools('an engine closes its readers before its store, and says so afterwards', async (context) => {
  const folder = await temporaryFolder();
  const engine = await openEngine({ path: folder.path, durability: 'os', readerThreads: 1 });
  await importRoom(engine, small);
  const questions = questionsAbout(engine, small);
  const asked = engine.query(questions);
  await engine.close();
  const expected = plain(await context.inPlace.run(questions));
  for (const [i, outcome] of (await asked).entries()) {
    if (outcome.ok) assert.equal(outcome.answer, expected[i]);
    else assert.is(outcome.error.code, 'READER_CLOSED');
  }
  assert.is(await codeOf(engine.query(count)), 'READER_CLOSED');
  await folder.remove();
});

pools('a thread that cannot open the store says why', async (context) => {
  const path = `${context.path}-nowhere`;
  assert.is(await codeOf(ReaderPool.open({ path, threads: 2 })), 'STORE_MISSING');
});

pools('a thread finds a state again whose record was written anew behind its caches', async () => {
  const folder = await temporaryFolder();
  const engine = await openEngine({
    path: folder.path,
    durability: 'os',
    readerThreads: 1,
    nodeCacheBytes: 0,
  });
  await importRoom(engine, forks);
  const { store } = engine;
  const [of = ''] = forks.expected.event_ids;
  const { seq } = engine.reader.event(of);
  const before = await engine.query({ kind: 'state', of });
  const row = store.roots(seq);
  const bytes = row && store.readRecord(row.after.record);
  assert.ok(row && bytes && row.after.count === 1, 'one leaf that leans on no other record');

  const others = forks.expected.event_ids.filter((_, line) => line > 100).map((id) => ({ of: id }));
  await engine.query(others.map((name): Query => ({ kind: 'state', ...name })));
  const record = 1_000_000;
  await store.database.put(nodesKey(record), Buffer.from(bytes));
  await store.database.put(rootsKey(seq), encodeRoots({ ...row, after: { ...row.after, record } }));
  await store.database.del(nodesKey(row.after.record));
  assert.equal(await engine.query({ kind: 'state', of }), before);

  await store.database.del(nodesKey(record));
  await engine.query(others.map((name): Query => ({ kind: 'state', ...name })));
  assert.is(await codeOf(engine.query({ kind: 'state', of })), 'TREE_NODE_MISSING');
  await engine.close();
  await folder.remove();
});

pools('opening, asking and closing in any state of work crashes no process', async (context) => {
  const folder = await temporaryFolder();
  const script = fileURLToPath(new URL('./open-and-close.js', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script, folder.path], { timeout: 120_000 });
  assert.is(stdout, 'opened and closed 20 times\n');
  await folder.remove();
  assert.is((await context.inPlace.run(count)).kind, 'count');
});

pools.run();
