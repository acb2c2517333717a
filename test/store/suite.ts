// What every store must do, whatever database lies beneath: run for each adapter by `store.test.ts`.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId, RoomId } from '../../src/event/ids.js';
import { type CommitGroup, emptyGroup, type GroupEvent } from '../../src/store/commit-group.js';
import { FrozenStore } from '../../src/store/frozen.js';
import { eventKey, keyspaceRange } from '../../src/store/keys.js';
import { NO_COUNTERS, type RoomRow, type RootsRow } from '../../src/store/records.js';
import { SCHEMA_VERSION, type Store } from '../../src/store/store.js';
import { EMPTY_ROOT } from '../../src/tree/tree.js';
import { codeOf, differences, dump, fillDiskAfter } from '../engine/support/stores.js';

/** An empty store, and how to put it away. */
export interface OpenedStore {
  readonly store: Store;
  readonly discard: () => Promise<void>;
}

const ROOM_ID = '!room:example.org' as RoomId;
const ROOTS: RootsRow = {
  after: EMPTY_ROOT,
  before: EMPTY_ROOT,
  traceId: undefined,
  current: undefined,
  room: undefined,
};

function idOf(seq: number): EventId {
  return `$event${seq}` as EventId;
}

function groupEventAt(seq: number, changes: Partial<GroupEvent> = {}): GroupEvent {
  return {
    seq,
    row: {
      roomId: ROOM_ID,
      roomVersion: '11',
      eventId: idOf(seq),
      verdict: 'accepted',
      code: 'OK',
      reason: '',
      isOutlier: false,
      isPartial: false,
      isRedacted: false,
      hasGivenState: false,
      receivedFrom: 'example.org',
      receivedAt: 1,
      bytes: Buffer.from(`bytes ${seq}`),
    },
    roomNumber: 1,
    type: 'm.room.message',
    stateKey: undefined,
    prevEvents: [],
    redacts: undefined,
    relatesTo: undefined,
    timelineOrder: seq,
    roots: ROOTS,
    chain: undefined,
    givenState: undefined,
    ...changes,
  };
}

function groupOf(events: readonly GroupEvent[], changes: Partial<CommitGroup> = {}): CommitGroup {
  const seq = Math.max(0, ...events.map((event) => event.seq));
  return { ...emptyGroup({ ...NO_COUNTERS, seq, events: events.length }), events, ...changes };
}

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const list: Item[] = [];
  for await (const item of items) list.push(item);
  return list;
}

const ROOM_ROW: RoomRow = {
  roomId: ROOM_ID,
  number: 1,
  version: '11',
  createEventId: idOf(1),
  forwardExtremities: [idOf(2)],
  root: EMPTY_ROOT,
  traceId: undefined,
  depth: 2,
  events: 2,
  stateEvents: 1,
  rejected: 0,
  softFailed: 0,
  stateResets: 0,
  isPartial: false,
  backwardExtremities: [],
  timelineFirst: 0,
};

/** The promises of a store, on the stores that `open` gives. */
export function storeSuite(name: string, open: () => Promise<OpenedStore>): void {
  const test = suite(`store on ${name}`);

  /** A test with a store of its own. */
  function promise(what: string, check: (store: Store) => Promise<void>): void {
    test(what, async () => {
      const { store, discard } = await open();
      try {
        await check(store);
      } finally {
        await discard();
      }
    });
  }

  promise('is empty at first, but for its schema', async (store) => {
    assert.is((await dump(store)).length, 1);
    assert.is(store.meta('schema'), SCHEMA_VERSION);
    assert.equal(store.counters(), NO_COUNTERS);
    assert.is(store.event(1), undefined);
    assert.is(store.seqOf(idOf(1)), undefined);
    assert.is(store.roots(1), undefined);
    assert.is(store.chain(1), undefined);
    assert.is(store.citedBy(1), undefined);
    assert.is(store.given(1), undefined);
    assert.is(store.room(ROOM_ID), undefined);
    assert.is(store.trace('t'), undefined);
    assert.is(store.readRecord(1), undefined);
    assert.is(store.queued('q', 1), undefined);
  });

  promise('reads back every row of a group', async (store) => {
    const chain = { authSeqs: [1], citedBefore: [0] };
    const second = groupEventAt(2, {
      type: 'm.room.topic',
      stateKey: '',
      chain,
      givenState: [1],
      prevEvents: [idOf(1)],
    });
    await store.write(
      groupOf([groupEventAt(1), second], {
        nodes: [{ record: 7, bytes: Buffer.from('nodes') }],
        rooms: [ROOM_ROW],
        traces: [{ id: 'trace', value: { a: 1 } }],
        cited: [[1, 2]],
        queues: [{ queue: 'q', position: 3, value: { waits: true } }],
      }),
    );
    assert.is(Buffer.from(store.event(2)?.bytes ?? []).toString(), 'bytes 2');
    assert.is(store.seqOf(idOf(2)), 2);
    assert.is(store.roots(2)?.after.count, 0);
    assert.equal(store.chain(2), chain);
    assert.is(store.chain(1), undefined);
    assert.equal(store.given(2), [1]);
    assert.is(store.citedBy(1), 2);
    assert.is(store.room(ROOM_ID)?.depth, 2);
    assert.equal(store.trace('trace'), { a: 1 });
    assert.is(Buffer.from(store.readRecord(7) ?? []).toString(), 'nodes');
    assert.equal(store.queued('q', 3), { waits: true });
    assert.is(store.counters().seq, 2);
    assert.equal(await all(store.edges(idOf(1), 'prev')), [2]);
    assert.equal(await all(store.edges(idOf(1), 'relation')), []);
    assert.equal(await all(store.versions(1, 'm.room.topic')), [2]);
    assert.is((await all(store.rooms())).length, 1);
  });

  promise('gives events in the order of seq, across every width of number', async (store) => {
    const seqs = [1, 2, 255, 256, 257, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, 2 ** 40];
    await store.write(groupOf([...seqs].reverse().map((seq) => groupEventAt(seq))));
    assert.equal(
      (await all(store.events())).map(([seq]) => seq),
      seqs,
    );
    assert.equal(
      (await all(store.events(256, 65_536))).map(([seq]) => seq),
      [256, 257, 65_535],
    );
    assert.equal(
      (await all(store.allRoots())).map(([seq]) => seq),
      seqs,
    );
  });

  promise('gives a timeline oldest first, with fetched history before it, or reversed', async (store) => {
    const orders = [-300, -2, -1, 1, 2, 256, 70_000];
    await store.write(
      groupOf([...orders].reverse().map((timelineOrder, i) => groupEventAt(i + 1, { timelineOrder }))),
    );
    assert.equal(
      (await all(store.timeline(1))).map(([order]) => order),
      orders,
    );
    assert.equal(
      (await all(store.timeline(1, { reverse: true }))).map(([order]) => order),
      orders.toReversed(),
    );
    assert.equal(
      (await all(store.timeline(1, { from: -1, to: 256 }))).map(([order]) => order),
      [-1, 1, 2],
    );
    assert.equal(await all(store.timeline(2)), []);
  });

  promise('tells edges to one event from those to another whose id begins alike', async (store) => {
    await store.write(
      groupOf([
        groupEventAt(1, { prevEvents: ['$a' as EventId] }),
        groupEventAt(2, { prevEvents: ['$aa' as EventId, '$a' as EventId] }),
        groupEventAt(3, { redacts: '$a' as EventId, relatesTo: '$aa' as EventId }),
      ]),
    );
    assert.equal(await all(store.edges('$a', 'prev')), [1, 2]);
    assert.equal(await all(store.edges('$a', 'prev', { reverse: true, limit: 1 })), [2]);
    assert.equal(await all(store.edges('$aa', 'prev')), [2]);
    assert.equal(await all(store.edges('$a', 'redaction')), [3]);
    assert.equal(await all(store.edges('$aa', 'relation')), [3]);
  });

  promise('knows at once when a first event relates to one that had none', async (store) => {
    await store.write(groupOf([groupEventAt(1), groupEventAt(2, { relatesTo: '$a' as EventId })]));
    assert.equal([await store.childless.has('$a'), await store.childless.has('$b')], [false, true]);
    const asked = store.childless.has('$c');
    await store.write(groupOf([groupEventAt(3, { relatesTo: '$b' as EventId })]));
    await store.write(groupOf([groupEventAt(4, { relatesTo: '$c' as EventId })]));
    await asked;
    assert.equal([await store.childless.has('$b'), await store.childless.has('$c')], [false, false]);
  });

  promise('writing a group again changes nothing', async (store) => {
    const group = groupOf([groupEventAt(1), groupEventAt(2)], { rooms: [ROOM_ROW] });
    await store.write(group);
    const before = await dump(store);
    await store.write(group);
    assert.equal(differences(before, await dump(store)), []);
  });

  promise('takes queue rows away, and changes and takes records', async (store) => {
    await store.write(
      groupOf([], {
        queues: [1, 2, 300].map((position) => ({ queue: 'q', position, value: position })),
        nodes: [1, 2].map((record) => ({ record, bytes: Buffer.from(`old ${record}`) })),
      }),
    );
    await store.write(
      groupOf([], {
        queues: [{ queue: 'q', position: 2, value: undefined }],
        changedRecords: [
          { record: 1, bytes: Buffer.from('new'), lengthBefore: 5 },
          { record: 2, bytes: undefined, lengthBefore: 5 },
        ],
      }),
    );
    assert.equal(
      (await all(store.queue<number>('q'))).map(([position]) => position),
      [1, 300],
    );
    assert.equal(
      (await all(store.records())).map(([record, bytes]) => `${record} ${Buffer.from(bytes).toString()}`),
      ['1 new'],
    );
  });

  promise(
    'a group that cannot be written leaves nothing, and what was written before stays',
    async (store) => {
      await store.write(groupOf([groupEventAt(1)]));
      const before = await dump(store);
      fillDiskAfter(store, 0);
      assert.is(await codeOf(store.write(groupOf([groupEventAt(2)]))), 'STORE_WRITE_FAILED');
      assert.is(await codeOf(store.writeMeta('some', 1)), 'STORE_WRITE_FAILED');
      assert.equal(differences(before, await dump(store)), []);
      assert.is(store.event(1)?.eventId, idOf(1));
    },
  );

  promise('frozen, it stays as it was while the store goes on', async (store) => {
    await store.write(groupOf([groupEventAt(1)]));
    const frozen = new FrozenStore(store);
    await store.write(groupOf([groupEventAt(2)]));
    assert.ok(frozen.get(eventKey(1)));
    assert.is(frozen.get(eventKey(2)), undefined);
    assert.is((await all(frozen.keys(keyspaceRange('events')))).length, 1);
    assert.is((await all(frozen.rows(keyspaceRange('events'), true))).length, 1);
    await frozen.close();
    assert.is((await all(store.events())).length, 2);
  });

  promise('a row that cannot be read is refused by name', async (store) => {
    await store.database.put(eventKey(5), Buffer.from('no row'));
    assert.throws(
      () => store.event(5),
      (error: Error & { code?: string }) => error.code === 'STORE_CORRUPT',
    );
  });

  test.run();
}
