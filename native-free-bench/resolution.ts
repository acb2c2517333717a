// State resolution: what a merge costs where the conflict stays the same and the room grows, and where there
// are many forward extremities.
//
// The branches are real events in an engine, on a room that was joined; resolved is what the core resolves, by
// the same call, without its memory of resolutions done before. Counts are taken with nothing in memory.

import { Reader } from '../src/reader/reader.js';
import { resolve } from '../src/room/resolution/resolve.js';
import { RoomStates } from '../src/room/state/room-states.js';
import { assert } from '../src/lib/errors.js';
import type { Draft } from '../src/tree/draft.js';
import type { RootRef } from '../src/tree/types.js';
import { type BenchContext, DEFAULT_VERSION } from './context.js';
import type { End, EngineRoom, Said } from './engine-room.js';
import { measure, ratioOf, type Task, type Timings, timingOf } from './measure.js';
import { grouped, type Findings, type Series, type Target } from './report/report.js';

const CONFLICTS = 20;
const EXTREMITIES = 60;
const MEDIUM = 30_000;
/** As many `prev_events` as an event may have. */
const PREV_EVENTS_MAX = 20;
/** The version before state resolution changed to v2.1; looked at in two sizes, the default in all. */
const OLDER_VERSION = '11';

/** A merge to be resolved. */
interface Merge {
  readonly room: EngineRoom;
  readonly roots: readonly RootRef[];
}

export async function measureResolution(context: BenchContext): Promise<Findings> {
  const targets: Target[] = [];
  const series: Series[] = [];
  const sizesOfVersion = new Map([[DEFAULT_VERSION, context.sizes.filter((size) => size >= 1_000)]]);
  if (!context.isQuick) sizesOfVersion.set(OLDER_VERSION, [1_000, context.size(MEDIUM)]);
  for (const [version, sizes] of sizesOfVersion) {
    const merges = new Map<number, Merge>();
    for (const size of sizes) merges.set(size, await twoForks(await context.engineRoom(size, version)));
    const medium = await context.engineRoom(context.size(MEDIUM), version);
    const many = await manyForks(medium, EXTREMITIES);
    const split = await manyForks(medium, 2);
    const timings = await measure(
      [
        ...sizes.map((size) => resolveTask(`at ${size}`, merges.get(size))),
        resolveTask('of 2', { ...many, roots: many.roots.slice(0, 2) }),
        resolveTask('split in 2', split),
        resolveTask(`of ${EXTREMITIES}`, many),
      ],
      context.effort,
    );
    const points = sizes.map((members) => ({ members, value: timingOf(timings, `at ${members}`) }));
    series.push({
      group: 'engine',
      kind: 'ours',
      unit: 'us',
      points,
      name: `merge of 20 conflicts, version ${version}`,
    });
    targets.push(...targetsOf(version, merges, medium, timings), ...extremities(version, timings));
  }
  return {
    series,
    targets,
    remarks: [
      `Resolution: two branches of ${CONFLICTS} state events on the same ${CONFLICTS} keys (17 profiles, topic, name, ` +
        'power levels); many branches have one profile each. Nodes and events are those of a first time, with ' +
        'nothing in memory; times are of repetitions, with all in memory.',
    ],
  };
}

function targetsOf(
  version: string,
  merges: ReadonlyMap<number, Merge>,
  medium: EngineRoom,
  timings: Timings,
): Target[] {
  const merge = merges.get(medium.users.length);
  const [first] = merges.keys();
  const last = [...merges.keys()].at(-1);
  assert(merge !== undefined && first !== undefined && last !== undefined, 'there are sizes to compare');
  const { nodes, visits, events } = coldCounts(merge);
  const at = `at ${grouped(medium.users.length)}, version ${version}`;
  return [
    {
      name: `nodes and events read to merge ${CONFLICTS} conflicts ${at}`,
      unit: 'count',
      bound: 'below',
      limit: 400,
      reached: nodes + events,
      remark: `${nodes} nodes (${visits} looks), ${events} events`,
    },
    {
      name: `that merge at ${grouped(last)} against ${grouped(first)}, version ${version}`,
      unit: 'ratio',
      bound: 'at most',
      limit: 1.5,
      reached: ratioOf(timings, `at ${last}`, `at ${first}`),
    },
  ];
}

/** Against two of the same branches, and against two branches with all that the many say between them. */
function extremities(version: string, timings: Timings): Target[] {
  const many = `of ${EXTREMITIES}`;
  const against = (other: string, words: string): Target => {
    const [less, more] = [other, many].map((name) => (timingOf(timings, name) / 1e3).toFixed(2));
    return {
      name: `${EXTREMITIES} forward extremities against ${words}, version ${version}`,
      unit: 'ratio',
      bound: 'below',
      limit: 10,
      reached: ratioOf(timings, many, other),
      remark: `${more} ms and ${less} ms`,
    };
  };
  return [against('of 2', '2 of them'), against('split in 2', '2 with the same changes')];
}

/** Two branches that say different things at the same keys; merged again by an event at the end. */
async function twoForks(room: EngineRoom): Promise<Merge> {
  const keys = CONFLICTS - 3;
  const sayings = (branch: number): Said[] => [
    room.powerLevels(10 + branch),
    ...Array.from({ length: keys }, (_, i) => room.profile(room.user(10 + i))),
    room.set('m.room.topic', { topic: `Topic of branch ${branch}` }),
    room.set('m.room.name', { name: `Name of branch ${branch}` }),
  ];
  return grow(room, [sayings(0), sayings(1)]);
}

/** As many member events as there are branches at most, shared out evenly among so many branches. */
async function manyForks(room: EngineRoom, branches: number): Promise<Merge> {
  const sayings = Array.from({ length: EXTREMITIES }, (_, i) => room.profile(room.user(10 + i)));
  const share = EXTREMITIES / branches;
  return grow(
    room,
    Array.from({ length: branches }, (_, i) => sayings.slice(i * share, (i + 1) * share)),
  );
}

/** Receives branches, remembers the states at their ends, and ties them together again. */
async function grow(room: EngineRoom, branches: readonly (readonly Said[])[]): Promise<Merge> {
  const ends: End[] = [];
  for (const branch of branches) {
    const end = room.branch();
    for (const said of branch) await room.receive(room.next(said, end));
    ends.push(end);
  }
  const roots = ends.flatMap(({ ids }) => {
    const [id] = ids;
    return id === undefined ? [] : [room.engine.stateAt(id).rootRef];
  });
  const depth = Math.max(...ends.map((end) => end.depth));
  let ids = ends.flatMap((end) => end.ids);
  while (ids.length > 1) {
    const tied: typeof ids = [];
    for (let at = 0; at < ids.length; at += PREV_EVENTS_MAX) {
      const end: End = { ...room.branch(), ids: ids.slice(at, at + PREV_EVENTS_MAX), depth };
      const built = room.next(
        { type: 'm.room.message', sender: room.creator, content: { body: 'tied' } },
        end,
      );
      await room.receive(built);
      tied.push(built.pdu.eventId);
      room.end.depth = Math.max(room.end.depth, end.depth);
    }
    ids = tied;
  }
  room.end.ids = ids;
  adopt(room);
  return { room, roots };
}

/** After a merge the authorising events are what resolution says they are. */
function adopt(room: EngineRoom): void {
  const state = room.engine.currentState(room.roomId);
  for (const name of room.end.authorising.keys()) {
    const [type = '', stateKey = ''] = name.split('\n');
    const id = state.get(type, stateKey);
    if (id !== undefined) room.end.authorising.set(name, id);
  }
}

function resolveTask(name: string, merge: Merge | undefined): Task {
  assert(merge !== undefined, `there is a merge ${name}`);
  const { room, roots } = merge;
  const { tree } = room.engine.reader;
  const opened = roots.map((root) => tree.open(root));
  return {
    name,
    run() {
      const drafts: Draft[] = [];
      const states = scratchStates(new Reader(room.engine.store, tree), room, drafts);
      resolve(room.rules, opened, states, room.engine.core.known);
      for (const draft of drafts) draft.discard();
    },
  };
}

/** Nodes loaded, looks at nodes and distinct events read, with nothing in memory. */
function coldCounts({ room, roots }: Merge): { nodes: number; visits: number; events: number } {
  const reader = new Reader(room.engine.store);
  const drafts: Draft[] = [];
  const named = roots.map(({ hash, record, index, count, joined }) => ({
    hash,
    record,
    index,
    count,
    joined,
  }));
  const { eventsRead } = resolve(room.rules, named, scratchStates(reader, room, drafts), reader.events);
  for (const draft of drafts) draft.discard();
  const { misses, visits } = reader.tree.stats;
  return { nodes: misses, visits, events: eventsRead };
}

/** Numbers of records that are never written. */
let scratchRecord = 2 ** 39;

function scratchStates({ tree }: Reader, room: EngineRoom, drafts: Draft[]): RoomStates {
  return new RoomStates(tree, room.rules, {
    allocate: () => ++scratchRecord,
    keep: (draft) => drafts.push(draft),
  });
}
