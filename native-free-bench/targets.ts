// The state tree's targets, each beside what was reached: node reads, bytes, store reads, and times against
// the simplest thing that could do the same in memory.

import { createHash } from 'node:crypto';
import { createSigningKey, verifySignature, verifySignaturePortable } from '../src/event/signing.js';
import { treeKeyOf } from '../src/room/state/key.js';
import { nodesOf } from '../src/tree/stored.js';
import type { RootRef, TreeKey } from '../src/tree/types.js';
import type { BenchContext } from './context.js';
import { measure, ratioOf, type Task, timingOf } from './measure.js';
import { receiveTask } from './receive.js';
import { type Findings, grouped, type Target } from './report/report.js';
import { entriesOf, type StateRoom } from './rooms.js';

/** The targets that the sizes carry: a medium room, a large one and a huge one. */
const MEDIUM = 30_000;
const LARGE = 100_000;
const HUGE = 300_000;
const COLD_QUERIES = 500;

export async function measureTargets(context: BenchContext): Promise<Findings> {
  const targets: Target[] = [];
  const medium = await context.stateRoom(context.size(MEDIUM));
  targets.push(...nodeReads(medium, { mean: 4.4, worst: 5 }));
  const base = medium.root;
  const one = (await medium.update(1))[0] ?? base;
  const hundred = (await medium.update(99)).at(-1) ?? base;
  targets.push(...diffs(medium, base, one, hundred, 450));
  targets.push(...(await storedBytes(medium, context.isQuick ? 1_000 : 10_000)));
  targets.push(...coldReads(medium, context.store));
  targets.push(...(await mediumTimes(medium, context)));
  await medium.close();

  targets.push(...(await sizeRatio(context)));
  if (context.has(HUGE)) targets.push(...(await hugeRoom(context)));
  targets.push(...(await messages(context)), ...(await signatures(context)));
  return {
    series: [],
    targets,
    remarks: [
      'Node reads are looks at nodes, in memory or not. A cold question begins with nothing in memory; its reads ' +
        'are reads of records, of which a delta needs two.',
      'Aims in microseconds and seconds were taken on a quiet machine; the ratios are of one run.',
    ],
  };
}

/** How many nodes a question looks at: every member is asked for once. */
function nodeReads({ tree, root, keys }: StateRoom, limits: { mean: number; worst: number }): Target[] {
  const members = keys.filter(({ type }) => type === 'm.room.member');
  let sum = 0;
  let worst = 0;
  for (const { type, stateKey } of members) {
    const nodes = tree.prove(root, treeKeyOf(type, stateKey)).nodes.length;
    sum += nodes;
    worst = Math.max(worst, nodes);
  }
  const at = `at ${grouped(members.length)}`;
  return [
    target(`nodes a point query ${at}, mean`, 'count', 'at most', limits.mean, sum / members.length),
    target(`nodes a point query ${at}, worst`, 'count', 'at most', limits.worst, worst),
  ];
}

function diffs(room: StateRoom, base: RootRef, one: RootRef, hundred: RootRef, limit: number): Target[] {
  const at = `at ${grouped(room.members)}`;
  return [
    target(`nodes a diff of 1 change ${at}`, 'count', 'at most', 12, diffNodes(room, base, one)),
    target(`nodes a diff of 100 changes ${at}`, 'count', 'at most', limit, diffNodes(room, base, hundred)),
  ];
}

function diffNodes({ tree }: StateRoom, before: RootRef, after: RootRef): number {
  const { visits } = tree.stats;
  for (const _ of tree.diff(before, after));
  return tree.stats.visits - visits;
}

/** What is written for many random member updates, and what the same nodes are when unfolded. */
async function storedBytes(room: StateRoom, events: number): Promise<Target[]> {
  const before = room.stored;
  const first = room.allocate() + 1;
  await room.update(events);
  const last = room.allocate();
  let unfolded = 0;
  for (let record = first; record < last; record++) {
    for (const { bytes } of nodesOf(room, record)) unfolded += bytes.length;
  }
  const at = `${grouped(events)} member updates at ${grouped(room.members)}`;
  return [
    target(
      `node bytes a state event, ${at}`,
      'bytes',
      'at most',
      750,
      (room.stored.bytes - before.bytes) / events,
    ),
    target('the same nodes without deltas', 'bytes', 'at most', 2_200, unfolded / events, 'logical bytes'),
  ];
}

/** Reads of the store for a question when nothing is in memory, on states many versions deep. */
function coldReads(room: StateRoom, store: BenchContext['store']): Target[] {
  let sum = 0;
  let worst = 0;
  let coldMs = 0;
  let singleMs = 0;
  for (let i = 0; i < COLD_QUERIES; i++) {
    const { type, stateKey } = room.randomMember();
    const key = treeKeyOf(type, stateKey);
    const { tree, reads } = room.cold();
    const { hash, record, index, count, joined } = room.root;
    const root = { hash, record, index, count, joined };
    const start = performance.now();
    tree.get(root, key);
    const middle = performance.now();
    room.readRecord(1 + ((record * (i + 1)) % room.stored.records));
    singleMs += performance.now() - middle;
    coldMs += middle - start;
    sum += reads();
    worst = Math.max(worst, reads());
  }
  const at = `at ${grouped(room.members)}`;
  const isReal = store === 'classic-level';
  const remark = isReal ? undefined : 'in memory a read is cheaper than what is done with it';
  return [
    target(`store reads a cold point query ${at}, mean`, 'count', 'at most', 9, sum / COLD_QUERIES),
    target(`store reads a cold point query ${at}, worst`, 'count', 'at most', 9, worst),
    target(
      `cold point query ${at} against one read`,
      'ratio',
      isReal ? 'at most' : 'none',
      15,
      coldMs / singleMs,
      remark,
    ),
  ];
}

async function mediumTimes(room: StateRoom, context: BenchContext): Promise<Target[]> {
  const timings = await measure(againstMap(room), context.effort);
  const at = `at ${grouped(room.members)}`;
  return [
    target(
      `tree.get ${at} against Map.get of a joined string`,
      'ratio',
      'at most',
      1.5,
      ratioOf(timings, 'tree', 'map'),
    ),
    target(
      'the same by type and state key',
      'ratio',
      'none',
      0,
      ratioOf(timings, 'states', 'map'),
      'with the key made',
    ),
    target(`put and hash ${at}`, 'us', 'at most', 15, timingOf(timings, 'put')),
    target(`bulk build and hash ${at}`, 'us', 'at most', 250_000, timingOf(timings, 'build')),
  ];
}

function againstMap(room: StateRoom): Task[] {
  const { tree, states } = room;
  const root = tree.open(room.root);
  const map = new Map(room.keys.map(({ type, stateKey }, i) => [`${type}\0${stateKey}`, i]));
  const drawn = Array.from({ length: 4_096 }, () => {
    const { type, stateKey } = room.randomMember();
    return { type, stateKey, key: treeKeyOf(type, stateKey) };
  });
  const changes = drawn.map((key) => room.changeOf(key));
  const entries = entriesOf(room.keys);
  let at = 0;
  const each = (
    operations: number,
    once: (drawn: { type: string; stateKey: string; key: TreeKey }) => unknown,
  ) => ({
    operations,
    run() {
      for (let i = 0; i < operations; i++) once(drawn[at++ & 4_095] as (typeof drawn)[number]);
    },
  });
  return [
    { name: 'map', ...each(1_000, ({ type, stateKey }) => map.get(`${type}\0${stateKey}`)) },
    { name: 'tree', ...each(1_000, ({ key }) => tree.get(root, key)) },
    { name: 'states', ...each(1_000, ({ type, stateKey }) => states.get(root, type, stateKey)) },
    {
      name: 'put',
      operations: 20,
      run() {
        for (let i = 0; i < 20; i++) {
          const change = changes[at++ & 4_095];
          if (change !== undefined) tree.update(root, [change], room.allocate).discard();
        }
      },
    },
    { name: 'build', run: () => tree.build(entries, room.allocate).discard() },
  ];
}

/** The same question in a small and a large room, in one run. */
async function sizeRatio(context: BenchContext): Promise<Target[]> {
  const small = await context.stateRoom(1_000);
  const large = await context.stateRoom(context.size(LARGE));
  const targets = context.has(LARGE) ? nodeReads(large, { mean: 5, worst: 5 }) : [];
  const ask = (name: string, room: StateRoom): Task => {
    const drawn = Array.from({ length: 512 }, () => room.randomMember());
    const root = room.tree.open(room.root);
    const run = (): void => {
      for (const { type, stateKey } of drawn) room.states.get(root, type, stateKey);
    };
    return { name, run, operations: drawn.length };
  };
  const timings = await measure([ask('small', small), ask('large', large)], context.effort);
  const name = `point query at ${grouped(large.members)} against 1,000`;
  targets.push(target(name, 'ratio', 'at most', 2.5, ratioOf(timings, 'large', 'small')));
  await small.close();
  await large.close();
  return targets;
}

async function hugeRoom(context: BenchContext): Promise<Target[]> {
  const room = await context.stateRoom(HUGE);
  const targets = nodeReads(room, { mean: 5, worst: 6 });
  const base = room.root;
  const hundred = (await room.update(100)).at(-1) ?? base;
  targets.push(
    target('nodes a diff of 100 changes at 300,000', 'count', 'at most', 600, diffNodes(room, base, hundred)),
  );
  const [bytes] = await storedBytes(room, 2_000);
  if (bytes !== undefined) targets.push({ ...bytes, limit: 630 });
  const timings = await measure(againstMap(room), { ...context.effort, rounds: 3 });
  targets.push(
    target('tree.get at 300,000 against Map.get', 'ratio', 'at most', 1.2, ratioOf(timings, 'tree', 'map')),
    target('put and hash at 300,000', 'us', 'at most', 40, timingOf(timings, 'put')),
    target('bulk build and hash at 300,000', 'us', 'at most', 1_000_000, timingOf(timings, 'build')),
  );
  await room.close();
  return targets;
}

/** An incoming message in a small and in a large room; and that it writes no node. */
async function messages(context: BenchContext): Promise<Target[]> {
  const small = await context.engineRoom(100);
  const large = await context.engineRoom(context.size(MEDIUM));
  const records = (): number => large.engine.store.counters().nodeRecords;
  const before = records();
  const timings = await measure(
    [
      { name: 'small', ...receiveTask(small, () => small.message()) },
      { name: 'large', ...receiveTask(large, () => large.message()) },
    ],
    context.effort,
  );
  const ratio = ratioOf(timings, 'large', 'small');
  return [
    target(`message received at ${grouped(large.users.length)} against 100`, 'ratio', 'at most', 2, ratio),
    target('tree records that messages write', 'count', 'at most', 0, records() - before),
  ];
}

/** What is not measured elsewhere, because it depends on no room: one signature. */
async function signatures(context: BenchContext): Promise<Target[]> {
  const key = createSigningKey('ed25519:bench', createHash('sha256').update('benchmark').digest());
  const message = new Uint8Array(500).fill(7);
  const signature = key.sign(message);
  const timings = await measure(
    [
      { name: 'portable', run: () => verifySignaturePortable(key.publicKey, signature, message) },
      { name: 'node', run: () => verifySignature(key.publicKey, signature, message) },
    ],
    context.effort,
  );
  return [
    target('one signature verified, in JavaScript', 'us', 'none', 0, timingOf(timings, 'portable')),
    target('one signature verified, node:crypto', 'us', 'none', 0, timingOf(timings, 'node')),
  ];
}

function target(
  name: string,
  unit: Target['unit'],
  bound: Target['bound'],
  limit: number,
  reached: number,
  remark?: string,
): Target {
  return { name, unit, bound, limit, reached, ...(remark === undefined ? {} : { remark }) };
}
