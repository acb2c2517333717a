// fsck against damage of every kind: rows that are missing, superfluous or wrong, and bytes that were flipped.

import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { fsck } from '../../src/engine/maintenance/fsck.js';
import { rebuild } from '../../src/engine/maintenance/rebuild.js';
import type { EventId, RoomId } from '../../src/event/ids.js';
import { StateroomError } from '../../src/lib/errors.js';
import { Reader } from '../../src/reader/reader.js';
import { COUNTERS_KEY } from '../../src/store/commit-group.js';
import {
  chainKey,
  citedKey,
  edgeKey,
  eventKey,
  idKey,
  keyspaceRange,
  nodesKey,
  queueKey,
  roomKey,
  rootsKey,
  timelineKey,
  transactionKey,
  traceKey,
  versionKey,
} from '../../src/store/keys.js';
import {
  encodeEvent,
  encodeNumber,
  encodeRoom,
  encodeRoots,
  type EventRow,
  type RoomRow,
} from '../../src/store/records.js';
import type { Store } from '../../src/store/store.js';
import { nodesOf } from '../../src/tree/stored.js';
import { loadRoom } from '../fixtures.js';
import { copyOf, differences, dump, filledStore, givenStateStore, VARIED_ROOMS } from './support/stores.js';

const test = suite('engine/fsck');

const varied = filledStore();
const small = filledStore(['small-v11', 'reset-v10']);

test('finds nothing wrong with what imports made, and counts it', async () => {
  const store = await varied;
  const report = await fsck(store);
  assert.equal(report.problems, []);
  assert.is(report.problemCount, 0);
  assert.is(report.repair, 'none');
  assert.is(report.rooms, VARIED_ROOMS.length);
  assert.is(report.events, store.counters().events);
  assert.is(report.records, store.counters().nodeRecords);
  assert.ok(report.nodes > report.records);
});

/** One kind of damage to a store, and the code by which fsck must name it. */
interface Damage {
  readonly what: string;
  readonly code: string;
  readonly keyspace?: string;
  readonly repair?: 'rebuild' | 'lost';
  readonly damage: (store: Store) => Promise<void>;
}

const NOTHING = Buffer.alloc(0);

const DAMAGES: readonly Damage[] = [
  {
    what: 'an id that is missing',
    code: 'INDEX_ROW_MISSING',
    keyspace: 'ids',
    damage: (store) => store.database.del(idKey(eventAt(store, 70).eventId)),
  },
  {
    what: 'an id that leads to another event',
    code: 'INDEX_ROW_WRONG',
    keyspace: 'ids',
    damage: (store) => store.database.put(idKey(eventAt(store, 70).eventId), encodeNumber(69)),
  },
  {
    what: 'an id of no event',
    code: 'INDEX_ROW_SUPERFLUOUS',
    keyspace: 'ids',
    damage: (store) => store.database.put(idKey('$nobody'), encodeNumber(3)),
  },
  {
    what: 'a row in the timeline that follows from nothing',
    code: 'INDEX_ROW_SUPERFLUOUS',
    keyspace: 'timeline',
    damage: (store) => store.database.put(timelineKey(1, 5_000), encodeNumber(5)),
  },
  {
    what: 'a request that made no event',
    code: 'INDEX_ROW_SUPERFLUOUS',
    keyspace: 'transactions',
    damage: (store) => store.database.put(transactionKey(new Uint8Array(16)), encodeNumber(5)),
  },
  {
    what: 'an edge that follows from nothing',
    code: 'INDEX_ROW_SUPERFLUOUS',
    keyspace: 'edges',
    damage: (store) => store.database.put(edgeKey('$some', 'relation', 9), NOTHING),
  },
  {
    what: 'a version that follows from nothing',
    code: 'INDEX_ROW_SUPERFLUOUS',
    keyspace: 'versions',
    damage: (store) => store.database.put(versionKey(1, 'm.room.name', '', 9), NOTHING),
  },
  {
    what: 'roots of no event',
    code: 'INDEX_ROW_SUPERFLUOUS',
    keyspace: 'roots',
    damage: async (store) => store.database.put(rootsKey(9_999), encodeRoots(rootsAt(store, 5))),
  },
  {
    what: 'a chain that names the wrong events',
    code: 'INDEX_ROW_WRONG',
    keyspace: 'chains',
    damage: async (store) => {
      const other = await store.database.get(chainKey(2));
      assert.ok(other);
      await store.database.put(chainKey(5), other);
    },
  },
  {
    what: 'a newest citer that is not the newest',
    code: 'INDEX_ROW_WRONG',
    keyspace: 'cited',
    damage: (store) => store.database.put(citedKey(1), encodeNumber(2)),
  },
  {
    what: 'a citer of an event that nobody cites',
    code: 'INDEX_ROW_SUPERFLUOUS',
    keyspace: 'cited',
    damage: (store) => store.database.put(citedKey(9_999), encodeNumber(2)),
  },
  {
    what: 'roots of another event',
    code: 'ROOTS_WRONG',
    damage: async (store) => store.database.put(rootsKey(60), encodeRoots(rootsAt(store, 8))),
  },
  {
    what: 'roots whose counts are wrong',
    code: 'ROOTS_WRONG',
    damage: async (store) => {
      const roots = rootsAt(store, 60);
      const after = { ...roots.after, joined: roots.after.joined + 1 };
      await store.database.put(rootsKey(60), encodeRoots({ ...roots, after }));
    },
  },
  {
    what: 'a resolution whose row cannot be read',
    code: 'TRACE_WRONG',
    damage: async (store) => {
      for await (const key of store.database.keys({ ...keyspaceRange('traces'), limit: 1 })) {
        await store.database.put(key, Buffer.from('c1', 'hex'));
      }
    },
  },
  {
    what: 'a resolution of a room that is not there',
    code: 'TRACE_WRONG',
    damage: async (store) => store.database.put(traceKey('ab'), Buffer.from('c0', 'hex')),
  },
  {
    what: 'a room with other forward extremities',
    code: 'ROOM_ROW_WRONG',
    damage: (store) => changeRoom(store, { forwardExtremities: [eventAt(store, 9).eventId] }),
  },
  {
    what: 'a room with wrong counts',
    code: 'ROOM_ROW_WRONG',
    damage: (store) => changeRoom(store, { stateEvents: 1_000 }),
  },
  {
    what: 'a room with an old root',
    code: 'ROOM_ROW_WRONG',
    damage: async (store) => changeRoom(store, { root: rootsAt(store, 9).after }),
  },
  {
    what: 'a room without events',
    code: 'ROOM_ROW_WRONG',
    damage: async (store) => {
      const room = roomOf(store);
      const roomId = '!empty:example.org' as RoomId;
      await store.database.put(roomKey(roomId), encodeRoom({ ...room, roomId, number: 77 }));
    },
  },
  {
    what: 'counters that count wrong',
    code: 'COUNTERS_WRONG',
    damage: (store) => store.writeMeta(COUNTERS_KEY, { ...store.counters(), nodeBytes: 3 }),
  },
  {
    what: 'counters that would give out a seq twice',
    code: 'COUNTERS_WRONG',
    damage: (store) => store.writeMeta(COUNTERS_KEY, { ...store.counters(), seq: 3 }),
  },
  {
    what: 'a record of nodes that is missing',
    code: 'NODE_MISSING',
    damage: async (store) => {
      for await (const [record] of store.records()) {
        for (const { children } of nodesOf(store, record)) {
          const child = children.find((ref) => ref.record !== record);
          if (child !== undefined) return store.database.del(nodesKey(child.record));
        }
      }
      throw new Error('some node refers to another record');
    },
  },
  {
    what: 'an event whose row cannot be read',
    code: 'EVENT_UNREADABLE',
    repair: 'lost',
    damage: (store) => store.database.put(eventKey(50), Buffer.from('not a row')),
  },
  {
    what: 'an event with other content',
    code: 'EVENT_DAMAGED',
    repair: 'lost',
    damage: (store) =>
      changeEvent(store, 50, (row) => ({
        ...row,
        bytes: Buffer.from(
          Buffer.from(row.bytes)
            .toString()
            .replace(/"content": ?\{/g, '$&"x":1,'),
        ),
      })),
  },
  {
    what: 'an event that counts as redacted and is not',
    code: 'EVENT_DAMAGED',
    repair: 'lost',
    damage: (store) => changeEvent(store, 50, (row) => ({ ...row, isRedacted: true })),
  },
  {
    what: 'an event under the id of another',
    code: 'EVENT_DAMAGED',
    repair: 'lost',
    damage: (store) => changeEvent(store, 50, (row) => ({ ...row, eventId: eventAt(store, 51).eventId })),
  },
  {
    what: 'a waiting event that cannot be read',
    code: 'QUEUE_UNREADABLE',
    repair: 'lost',
    damage: (store) => store.database.put(queueKey('horizon', 1), Buffer.from('c0', 'hex')),
  },
];

for (const { what, code, keyspace, repair = 'rebuild', damage } of DAMAGES) {
  test(`names ${what}`, async () => {
    const store = await copyOf(await small);
    await damage(store);
    const report = await fsck(store, { problemsMax: 1_000_000 });
    const found = report.problems.find(
      (problem) =>
        problem.code === code && (keyspace === undefined || problem.fields['keyspace'] === keyspace),
    );
    assert.ok(found, `${report.problemCount} problems, ${JSON.stringify(report.problems.slice(0, 4))}`);
    assert.is(report.repair, repair);
    if (repair === 'rebuild') assert.match(found.message, 'stateroom rebuild');
    assert.is(report.problems.length, report.problemCount);
  });
}

test('names a given state that is missing', async () => {
  const store = await givenStateStore();
  assert.is((await fsck(store)).problemCount, 0);
  await store.database.clear(keyspaceRange('given'));
  const report = await fsck(store);
  assert.is(report.repair, 'lost');
  assert.ok(report.problems.some(({ code }) => code === 'GIVEN_STATE_DAMAGED'));
});

test('lists no more problems than it is asked to, and counts all', async () => {
  const store = await copyOf(await small);
  await store.database.clear(keyspaceRange('versions'));
  const report = await fsck(store, { problemsMax: 3 });
  assert.is(report.problems.length, 3);
  assert.ok(report.problemCount > 100);
});

test('any byte of a record that flips is found, by whoever reads it and by fsck, and repaired', async () => {
  const whole = await filledStore(['reset-v10']);
  const before = await dump(whole);
  const records: number[] = [];
  for await (const [record] of whole.records()) records.push(record);
  const states = contentOf(whole, await rootsOf(whole));
  let found = 0;
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.nat(), fc.integer({ min: 1, max: 255 }), async (which, where, flip) => {
      const store = await copyOf(whole);
      const record = records[which % records.length] as number;
      const bytes = Buffer.from(store.readRecord(record) ?? NOTHING);
      const at = where % bytes.length;
      bytes[at] = (bytes[at] as number) ^ flip;
      await store.database.put(nodesKey(record), bytes);

      const report = await fsck(store);
      if (report.problemCount === 0) {
        // What no state rests on may say anything.
        assert.equal(contentOf(store, await rootsOf(store)), states);
        return;
      }
      found++;
      assert.is(report.repair, 'rebuild', JSON.stringify(report.problems.slice(0, 3)));
      const faults = faultsOf(contentOf(store, await rootsOf(store)), states);
      for (const fault of faults) assert.match(fault, /^TREE_NODE_(CORRUPT|MISSING) record \d+ index \d+$/);
      await rebuild(store);
      assert.equal(differences(before, await dump(store)), []);
    }),
    { numRuns: 25 },
  );
  assert.ok(found > 12, `only ${found} flips mattered`);
});

test('a flipped byte makes a state unreadable with the place of the node, until it is rebuilt', async () => {
  const store = await copyOf(await small);
  const { expected } = loadRoom('small-v11');
  const eventId = expected.event_ids.at(-1) as EventId;
  const seq = store.seqOf(eventId) as number;
  const { record, index } = rootsAt(store, seq).after;
  const right = new Reader(store).stateAt(eventId).sorted();
  const bytes = Buffer.from(store.readRecord(record) ?? NOTHING);
  bytes[bytes.length - 5] = (bytes[bytes.length - 5] as number) ^ 1;
  await store.database.put(nodesKey(record), bytes);
  try {
    new Reader(store).stateAt(eventId).sorted();
    assert.unreachable('the damage must be noticed');
  } catch (error) {
    assert.instance(error, StateroomError);
    assert.is((error as StateroomError).code, 'TREE_NODE_CORRUPT');
    assert.is((error as StateroomError).fields['record'], record);
    assert.is((error as StateroomError).fields['index'], index);
  }
  assert.is((await fsck(store)).repair, 'rebuild');
  await rebuild(store);
  assert.equal(new Reader(store).stateAt(eventId).sorted(), right);
  assert.equal((await fsck(store)).problems, []);
});

function eventAt(store: Store, seq: number): EventRow {
  const row = store.event(seq);
  assert.ok(row, `there is an event at ${seq}`);
  return row;
}

function rootsAt(store: Store, seq: number) {
  const roots = store.roots(seq);
  if (roots === undefined) throw new Error(`there are roots at ${seq}`);
  return roots;
}

function roomOf(store: Store): RoomRow {
  const room = store.room(eventAt(store, 1).roomId);
  if (room === undefined) throw new Error('there is a room');
  return room;
}

async function changeRoom(store: Store, changes: Partial<RoomRow>): Promise<void> {
  const room = roomOf(store);
  await store.database.put(roomKey(room.roomId), encodeRoom({ ...room, ...changes }));
}

async function changeEvent(store: Store, seq: number, change: (row: EventRow) => EventRow): Promise<void> {
  await store.database.put(eventKey(seq), encodeEvent(change(eventAt(store, seq))));
}

/** Ids of the events with states around them. */
async function rootsOf(store: Store): Promise<EventId[]> {
  const ids: EventId[] = [];
  for await (const [seq] of store.allRoots()) if (seq % 7 === 0) ids.push(eventAt(store, seq).eventId);
  return ids;
}

/** The states after events as text, or what prevents reading them. */
function contentOf(store: Store, ids: readonly EventId[]): string[] {
  const reader = new Reader(store);
  return ids.map((id) => {
    try {
      return JSON.stringify(reader.stateAt(id).sorted());
    } catch (error) {
      if (!(error instanceof StateroomError)) throw error;
      return `${error.code} record ${error.fields['record']} index ${error.fields['index']}`;
    }
  });
}

function faultsOf(contents: readonly string[], right: readonly string[]): string[] {
  return contents.filter((content, i) => content !== right[i]);
}

test.run();
