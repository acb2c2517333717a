// The curves: what each question and each change costs as the room grows, beside the naive answers.

import { treeKeyOf } from '../src/room/state/key.js';
import { verifyProof } from '../src/tree/proof.js';
import type { RootRef } from '../src/tree/types.js';
import type { BenchContext } from './context.js';
import { measure, type Task, timingOf } from './measure.js';
import { CHAIN_LENGTH_MAX, DeltaChain, FullCopy, WalkBack } from './naive.js';
import { receiveTask } from './receive.js';
import type { Findings, Group, Series } from './report/report.js';
import { entriesOf, type Key, SMALL_TYPE, type StateRoom } from './rooms.js';

/** A curve: how it is named and drawn. Its tasks are the same name at each size. */
interface Curve {
  readonly group: Group;
  readonly name: string;
  readonly kind: 'ours' | 'naive';
}

/** What is timed at one size. */
type Work = Omit<Task, 'name'> & { readonly curve: Curve };

const ours = (group: Group, name: string): Curve => ({ group, name, kind: 'ours' });
const naive = (group: Group, name: string): Curve => ({ group, name, kind: 'naive' });

const STATE_EVENTS = 1_000;
const KEYS_DRAWN = 512;

export async function measureScaling(context: BenchContext): Promise<Findings> {
  const works: Array<{ readonly members: number; readonly work: Work }> = [];
  const series: Series[] = [];
  const rooms: StateRoom[] = [];
  const bytes: Array<{ members: number; ours: number; copy: number; chain: number }> = [];
  for (const members of context.sizes) {
    const room = await context.stateRoom(members);
    rooms.push(room);
    const before = room.stored.bytes;
    const base = room.root;
    const roots = await room.update(STATE_EVENTS);
    bytes.push({
      members,
      ours: (room.stored.bytes - before) / STATE_EVENTS,
      copy: FullCopy.bytesPerEvent(room.keys),
      chain: DeltaChain.bytesPerEvent(room.keys),
    });
    const engineRoom = await context.engineRoom(members);
    const all = [
      ...questions(room),
      ...[1, 20, 100].map((changes) => differing(room, base, roots[changes - 1] ?? base, changes)),
      ...changing(room),
      ...naiveAnswers(room),
      {
        curve: ours('engine', 'message, received to committed'),
        ...receiveTask(engineRoom, () => engineRoom.message()),
      },
      {
        curve: ours('engine', 'member event, the same'),
        ...receiveTask(engineRoom, () => engineRoom.profile()),
      },
    ];
    works.push(...all.map((work) => ({ members, work })));
  }
  context.say(`timing ${works.length} tasks`);
  const timings = await measure(
    works.map(({ members, work }) => ({ ...work, name: taskName(work.curve, members) })),
    context.effort,
  );
  for (const room of rooms) await room.close();

  const curves = new Map(works.map(({ work: { curve } }) => [`${curve.group} ${curve.name}`, curve]));
  for (const curve of curves.values()) {
    const points = works
      .filter(({ work }) => work.curve.group === curve.group && work.curve.name === curve.name)
      .map(({ members }) => ({ members, value: timingOf(timings, taskName(curve, members)) }));
    series.push({ ...curve, unit: 'us', points });
  }
  series.push(
    byteSeries(
      ours('bytes', 'state tree, measured'),
      bytes.map(({ members, ours: value }) => ({ members, value })),
    ),
    byteSeries(
      naive('bytes', 'full copy'),
      bytes.map(({ members, copy: value }) => ({ members, value })),
    ),
    byteSeries(
      naive('bytes', 'delta chain of 100'),
      bytes.map(({ members, chain: value }) => ({ members, value })),
    ),
  );
  return {
    series,
    targets: [],
    remarks: [
      'Curves: states of members and 29 other entries, 1,000 member updates deep, in memory. The naive answers ' +
        'are models in memory: no read of a store, no decoding, no message between state events.',
      `A put makes the key, the new nodes and their hashes; ${STATE_EVENTS} of them are stored for the bytes.`,
      'Through the engine: one event at a time, from its bytes to its verdict after the commit, without signatures.',
    ],
  };
}

function taskName({ group, name }: Curve, members: number): string {
  return `${group}: ${name} at ${members}`;
}

function byteSeries(curve: Curve, points: Series['points']): Series {
  return { ...curve, unit: 'bytes', points };
}

function drawn(room: StateRoom): Key[] {
  return Array.from({ length: KEYS_DRAWN }, () => room.randomMember());
}

/** A function that gives the next of a list, for ever. */
function inTurn<T>(list: readonly T[]): () => T {
  let at = 0;
  return () => {
    at = at + 1 < list.length ? at + 1 : 0;
    return list[at] as T;
  };
}

function batch(operations: number, once: () => unknown): Pick<Work, 'run' | 'operations'> {
  const run = (): void => {
    for (let i = 0; i < operations; i++) once();
  };
  return { run, operations };
}

function countAll(entries: Iterable<unknown>): number {
  let count = 0;
  for (const _ of entries) count++;
  return count;
}

function questions(room: StateRoom): Work[] {
  const { states, tree, root } = room;
  const keys = drawn(room);
  const next = inTurn(keys);
  const nextPair = inTurn(
    keys.map(({ type, stateKey }) => {
      const key = treeKeyOf(type, stateKey);
      return { key, proof: tree.prove(root, key) };
    }),
  );
  const ask = (): unknown => {
    const { type, stateKey } = next();
    return states.get(root, type, stateKey);
  };
  const check = (): unknown => {
    const { key, proof } = nextPair();
    return verifyProof(root.hash, key, proof);
  };
  return [
    { curve: ours('query', 'state tree'), ...batch(200, ask) },
    { curve: ours('questions', 'count of a type'), ...batch(50, () => states.count(root, SMALL_TYPE)) },
    {
      curve: ours('questions', 'scan of a type, 20 entries'),
      ...batch(10, () => countAll(states.entries(root, SMALL_TYPE))),
    },
    { curve: ours('questions', 'proof made'), ...batch(50, () => tree.prove(root, nextPair().key)) },
    { curve: ours('questions', 'proof verified'), ...batch(10, check) },
    { curve: ours('whole', 'scan of all members'), run: () => countAll(states.members(root, 'join')) },
  ];
}

function differing(room: StateRoom, before: RootRef, after: RootRef, changes: number): Work {
  const name = changes === 1 ? 'diff of 1 change' : `diff of ${changes} changes`;
  const run = (): number => countAll(room.states.diff(before, after));
  return { curve: ours('questions', name), run };
}

function changing(room: StateRoom): Work[] {
  const { tree, root } = room;
  const put = (): void => tree.update(root, [room.memberChange()], room.allocate).discard();
  const entries = entriesOf(room.keys);
  return [
    { curve: ours('put', 'state tree'), ...batch(10, put) },
    { curve: ours('whole', 'bulk build'), run: () => tree.build(entries, room.allocate).discard() },
  ];
}

function naiveAnswers(room: StateRoom): Work[] {
  const { keys } = room;
  const next = inTurn(drawn(room));
  const walk = new WalkBack(keys);
  const copy = new FullCopy(keys);
  const chain = new DeltaChain(keys);
  // Half of a chain's length: what a question meets on average.
  for (let i = 0; i < CHAIN_LENGTH_MAX / 2; i++) chain.put(next());
  const growing = new DeltaChain(keys);
  return [
    { curve: naive('query', 'walk back through events'), ...batch(4, () => walk.get(next())) },
    { curve: naive('query', 'delta chain of 100'), ...batch(50, () => chain.get(next())) },
    { curve: naive('query', 'full copy'), ...batch(200, () => copy.get(next())) },
    { curve: naive('put', 'full copy'), run: () => copy.put(next()) },
    { curve: naive('put', 'delta chain of 100'), ...batch(CHAIN_LENGTH_MAX, () => growing.put(next())) },
  ];
}
