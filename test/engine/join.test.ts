// A room of other servers: joined from its state somewhere, then gone on with, and its history fetched.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId } from '../../src/event/ids.js';
import type { JsonObject } from '../../src/event/json.js';
import { type Engine, openEngine, openEngineOn } from '../../src/engine/engine.js';
import { fsck } from '../../src/engine/maintenance/fsck.js';
import { rebuild } from '../../src/engine/maintenance/rebuild.js';
import { type FixtureRoom, loadRoom, ROOM_NAMES, type RoomName } from '../fixtures.js';
import { codeOf, copyOf, differences, dump, fillDiskAfter } from './support/stores.js';

const test = suite('engine/join');

/** A room as the server knows it that is asked for a join. */
interface Resident {
  readonly room: FixtureRoom;
  readonly engine: Engine;
  readonly options: { readonly from: string; readonly roomVersion: string };
  /** Index of a join in the middle of the room. */
  readonly at: number;
}

async function resident(name: RoomName): Promise<Resident> {
  const room = loadRoom(name);
  const options = { from: 'resident.test', roomVersion: room.rules.version };
  const engine = await openEngine();
  await Promise.all(room.lines.map((line) => engine.receive(line, options)));
  await engine.core.idle();
  const joins = room.expected.event_ids.flatMap((id, i) => {
    const { pdu, verdict } = engine.reader.event(id);
    const isJoin = pdu.type === 'm.room.member' && pdu.content['membership'] === 'join';
    return isJoin && pdu.stateKey === pdu.sender && verdict === 'accepted' ? [i] : [];
  });
  return { room, engine, options, at: joins[Math.floor(joins.length / 2)] as number };
}

/** What the resident answers to the join. */
function answerOf({ room, engine, options }: Resident, at: number) {
  const eventId = room.expected.event_ids[at] as EventId;
  const state = [...engine.stateAt(eventId, 'before').entries()].map((entry) => entry.eventId);
  const chain = new Set<EventId>([...state, ...engine.reader.event(eventId).pdu.authEvents]);
  for (const id of chain) for (const auth of engine.reader.event(id).pdu.authEvents) chain.add(auth);
  if (room.rules.authorisation.createIsImplied) chain.add(`$${room.expected.room_id.slice(1)}` as EventId);
  const line = (id: EventId) => room.lines[room.expected.event_ids.indexOf(id)] as Uint8Array;
  return {
    ...options,
    event: line(eventId),
    // In no good order: the newest first.
    state: state.map(line).reverse(),
    authChain: [...chain].reverse().map(line),
  };
}

for (const name of ROOM_NAMES.filter((each) => each !== 'crowd-v11')) {
  test(`${name}, joined in the middle, then new events and history: the states that Synapse reports`, async () => {
    const there = await resident(name);
    const { room, at, options } = there;
    const { event_ids: ids, room_id: roomId } = room.expected;
    const engine = await openEngine({ keys: room.keys });
    const outcome = await engine.receiveJoin(answerOf(there, at));
    assert.is(outcome.verdict.verdict, 'accepted');
    assert.equal(outcome.dropped, []);
    assert.equal(engine.forwardExtremities(roomId), [ids[at]]);
    const joinId = ids[at] as EventId;
    assert.is(engine.currentState(roomId).root, there.engine.stateAt(joinId).root);
    assert.equal(engine.backwardExtremities(roomId), [...engine.reader.event(joinId).pdu.prevEvents].sort());

    const current = engine.currentState(roomId).root;
    const forward = engine.forwardExtremities(roomId);
    const old = ids.map((_, i) => i).filter((i) => isAncestor(there, ids[i] as EventId, joinId));
    const batch = old.map((i) => room.lines[i] as Uint8Array).reverse();
    const verdicts = await engine.receiveHistory(batch, { ...options, roomId });
    assert.equal(
      verdicts.map(({ eventId }) => eventId),
      old.map((i) => ids[i]).reverse(),
      'verdicts are in the order given',
    );
    assert.is(engine.currentState(roomId).root, current, 'history changes nothing of what the room is');
    assert.equal(engine.forwardExtremities(roomId), forward);
    assert.equal(engine.backwardExtremities(roomId), []);
    await checkTimeline(engine, roomId);

    await Promise.all(room.lines.map((line) => engine.receive(line, options)));
    await engine.core.idle();
    for (const id of ids) {
      const mine = engine.stateAt(id, 'before');
      assert.is(mine.root, there.engine.stateAt(id, 'before').root, `state before ${id}`);
    }
    await checkSound(engine);
    await there.engine.close();
  });
}

test('the states before all events of a joined room are those of expected.json', async () => {
  const there = await resident('forks-v10');
  const { room, at, options } = there;
  const engine = await openEngine();
  await engine.receiveJoin(answerOf(there, at));
  for (const line of room.lines) await engine.receive(line, options);
  await engine.core.idle();
  const state = new Map<string, readonly [string, string, EventId]>();
  for (const { event_id: id, unset = [], set = [], size } of room.expected.state_at) {
    for (const key of unset) state.delete(JSON.stringify(key));
    for (const row of set) state.set(JSON.stringify(row.slice(0, 2)), row);
    const before = engine.stateAt(id, 'before');
    assert.is(before.count(), size);
    const rows = before
      .sorted()
      .map(({ type, stateKey, eventId }) => JSON.stringify([type, stateKey, eventId]));
    assert.equal(rows.sort(), [...state.values()].map((row) => JSON.stringify(row)).sort());
  }
  await engine.close();
  await there.engine.close();
});

test('a second join after absence replaces what the room was and shares its nodes', async () => {
  const there = await resident('crowd-v11');
  const { room } = there;
  const { room_id: roomId, event_ids: ids } = room.expected;
  const engine = await openEngine();
  const joins = ids.flatMap((id, i) => {
    const { pdu, verdict } = there.engine.reader.event(id);
    const isJoin = pdu.content['membership'] === 'join' && pdu.stateKey === pdu.sender;
    return isJoin && verdict === 'accepted' ? [i] : [];
  });
  const [first, later] = [joins.at(-9), joins.at(-1)] as [number, number];
  await engine.receiveJoin(answerOf(there, first));
  const { nodeRecords, nodeBytes } = engine.store.counters();
  const groups = engine.released({ after: engine.core.release.watermark });
  const outcome = await engine.receiveJoin(answerOf(there, later));
  assert.is(outcome.verdict.verdict, 'accepted');
  assert.equal(engine.forwardExtremities(roomId), [ids[later]]);
  assert.is(engine.currentState(roomId).root, there.engine.stateAt(ids[later] as EventId).root);
  const added = engine.store.counters().nodeBytes - nodeBytes;
  assert.ok(
    added * 2 < nodeBytes,
    `${added} bytes of nodes more, ${nodeBytes} in ${nodeRecords} records before`,
  );
  for await (const { events } of groups) {
    const released = events.find(({ row }) => row.eventId === ids[later]);
    if (released === undefined) continue;
    assert.is(released.timelineOrder, released.seq);
    assert.is(engine.currentState(roomId).root, engine.stateAt(ids[later] as EventId).root);
    break;
  }
  await checkSound(engine);
  await there.engine.close();
});

test('what is bad in an answer is dropped and named, and the rest is joined', async () => {
  const there = await resident('small-v11');
  const { room, at } = there;
  const answer = answerOf(there, at);
  const other = loadRoom('reset-v10').lines[3] as Uint8Array;
  const message = room.lines.find(
    (line) => JSON.parse(Buffer.from(line).toString()).type === 'm.room.message',
  );
  const outcomeOf = async (state: readonly (Uint8Array | string | JsonObject)[]) => {
    const engine = await openEngine({ keys: room.keys });
    const outcome = await engine.receiveJoin({ ...answer, state });
    await checkSound(engine);
    return outcome;
  };
  const forged = JSON.parse(Buffer.from(answer.state[0] as Uint8Array).toString()) as JsonObject;
  const { dropped, verdict } = await outcomeOf([
    ...answer.state,
    '{"nonsense"',
    '[]',
    other,
    message as Uint8Array,
    { ...forged, origin_server_ts: 5 },
    ...answer.state,
  ]);
  assert.is(verdict.verdict, 'accepted');
  assert.equal(dropped.map(({ code }) => code).sort(), [
    'EVENT_BAD_JSON',
    'EVENT_NOT_OBJECT',
    'NOT_STATE',
    'OTHER_ROOM',
    'SIGNATURE_INVALID',
  ]);
});

test('an answer without what the join rests on is refused, nobody sees the room, and it can be tried again', async () => {
  const there = await resident('small-v11');
  const { room, at } = there;
  const answer = answerOf(there, at);
  const { room_id: roomId } = room.expected;
  const isCreate = (line: Uint8Array) => Buffer.from(line).includes('"m.room.create"');
  const without = (lines: readonly Uint8Array[]) => lines.filter((line) => !isCreate(line));
  const engine = await openEngine({ keys: room.keys });
  const refused = async (changes: Partial<typeof answer>): Promise<void> => {
    assert.is(await codeOf(engine.receiveJoin({ ...answer, ...changes })), 'CORE_JOIN_REFUSED');
    assert.is(engine.store.room(roomId), undefined);
    assert.is(await codeOf(Promise.resolve().then(() => engine.currentState(roomId))), 'READER_ROOM_UNKNOWN');
  };
  await refused({ authChain: without(answer.authChain), state: without(answer.state) });
  await refused({ event: room.lines[0] as Uint8Array });
  await refused({ event: new TextEncoder().encode('{}') });
  await refused({ roomVersion: '10' });
  await refused({ roomVersion: 'none' });
  // Nothing of the state but the create event: the join is not allowed on that.
  const only = answer.authChain.filter(isCreate);
  await refused({ authChain: only, state: only });
  assert.is((await engine.receiveJoin(answer)).verdict.verdict, 'accepted');
  assert.is((await engine.receiveJoin(answer)).verdict.verdict, 'duplicate');
  await checkSound(engine);
});

test('a join that was cut short by a full disk leaves a room that nobody sees and that can be joined', async () => {
  const there = await resident('small-v11');
  const { room, at } = there;
  const answer = answerOf(there, at);
  for (const batches of [0, 1]) {
    const engine = await openEngine();
    const { store } = engine;
    fillDiskAfter(store, batches);
    assert.is(await codeOf(engine.receiveJoin(answer)), 'STORE_WRITE_FAILED');
    await engine.core.close().catch(() => undefined);
    assert.is(store.room(room.expected.room_id), undefined);
    assert.equal((await fsck(store)).problems, []);
    const again = await openEngineOn(await copyOf(store));
    assert.is((await again.receiveJoin(answer)).verdict.verdict, 'accepted');
    await checkSound(again);
  }
  await there.engine.close();
});

test('a join by way of a stream, verified in threads, is the same', async () => {
  const there = await resident('forks-v12');
  const answer = answerOf(there, there.at);
  async function* stream(lines: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
    yield* lines;
  }
  const engine = await openEngine({ keys: there.room.keys, verifierThreads: 1 });
  const { verdict, stored, state } = await engine.receiveJoin({
    ...answer,
    state: stream(answer.state),
    authChain: stream(answer.authChain),
  });
  assert.is(verdict.verdict, 'accepted');
  assert.is(state, answer.state.length);
  assert.is(stored, answer.authChain.length);
  await checkSound(engine);
  await there.engine.close();
});

test('history below a gap takes its place on a given state, newest batch first', async () => {
  const there = await resident('small-v11');
  const { room, at, options } = there;
  const { event_ids: ids, room_id: roomId } = room.expected;
  const engine = await openEngine();
  await engine.receiveJoin(answerOf(there, at));
  const old = ids.filter((id) => isAncestor(there, id, ids[at] as EventId));
  const line = (id: EventId) => room.lines[ids.indexOf(id)] as Uint8Array;
  for (let end = old.length; end > 0; end -= 10) {
    const batch = old.slice(Math.max(0, end - 10), end);
    const first = batch[0] as EventId;
    const state = [...there.engine.stateAt(first, 'before').entries()].map(({ eventId }) => eventId);
    for (const id of state) await engine.receive(line(id), { ...options, asOutlier: true });
    const givenStates = first === ids[0] ? new Map() : new Map([[first, state]]);
    const verdicts = await engine.receiveHistory(batch.map(line), { ...options, roomId, givenStates });
    assert.equal([...new Set(verdicts.map(({ verdict }) => verdict))], ['accepted']);
  }
  await engine.core.idle();
  await checkTimeline(engine, roomId);
  assert.equal(engine.backwardExtremities(roomId), []);
  for (const id of old) assert.is(engine.stateAt(id).root, there.engine.stateAt(id).root);
  assert.equal(engine.forwardExtremities(roomId), [ids[at]]);
  await checkSound(engine);
  await there.engine.close();
});

/** Does the second event follow the first, directly or through others? */
function isAncestor({ engine }: Resident, id: EventId, of: EventId): boolean {
  const before = new Set(engine.reader.event(of).pdu.prevEvents);
  for (const each of before) for (const prev of engine.reader.event(each).pdu.prevEvents) before.add(prev);
  return before.has(id);
}

/** No event comes before one that it follows. */
async function checkTimeline(engine: Engine, roomId: string): Promise<void> {
  const seen = new Set<EventId>();
  const ids: EventId[] = [];
  for await (const [, seq] of engine.store.timeline(engine.reader.room(roomId).number)) {
    const event = engine.reader.events.at(seq);
    assert.ok(event?.roots, 'what is in the timeline has its place');
    ids.push(event.pdu.eventId);
  }
  assert.is(new Set(ids).size, ids.length);
  for (const id of ids) {
    for (const prev of engine.reader.event(id).pdu.prevEvents)
      assert.ok(seen.has(prev) || !ids.includes(prev));
    seen.add(id);
  }
}

/** Nothing is wrong with the store, and a rebuild gives the same. */
async function checkSound(engine: Engine): Promise<void> {
  await engine.core.close();
  assert.equal((await fsck(engine.store)).problems, []);
  const before = await dump(engine.store);
  await rebuild(engine.store);
  assert.equal(differences(before, await dump(engine.store)), []);
  await engine.store.close();
}

test.run();
