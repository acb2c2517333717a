// A room joined with part of its state: gone on with at once, completed later, and then as if all had come at once.

import { setImmediate as nextTurn } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId } from '../../src/event/ids.js';
import { type Engine, openEngine } from '../../src/engine/engine.js';
import { fsck } from '../../src/engine/maintenance/fsck.js';
import { rebuild } from '../../src/engine/maintenance/rebuild.js';
import { type FixtureRoom, loadRoom, ROOM_NAMES, type RoomName } from '../fixtures.js';
import { codeOf, copyOf, differences, dump } from './support/stores.js';

const test = suite('engine/partial-state');

/** A fixture room as a server knows it that is asked for a join in the middle of it. */
interface Resident {
  readonly room: FixtureRoom;
  readonly engine: Engine;
  readonly joinId: EventId;
  /** The state before the join. */
  readonly state: readonly EventId[];
  /** Events that are no ancestors of the join, in the order of their arrival. */
  readonly later: readonly EventId[];
}

async function resident(name: RoomName, where = 0.5): Promise<Resident> {
  const room = loadRoom(name);
  const engine = await openEngine();
  const options = { from: 'resident.test', roomVersion: room.rules.version };
  await Promise.all(room.lines.map((line) => engine.receive(line, options)));
  await engine.core.idle();
  const ids = room.expected.event_ids;
  const joins = ids.filter((id) => {
    const { pdu, verdict } = engine.reader.event(id);
    const isJoin = pdu.type === 'm.room.member' && pdu.content['membership'] === 'join';
    return isJoin && pdu.stateKey === pdu.sender && verdict === 'accepted';
  });
  const joinId = joins[Math.floor(joins.length * where)] as EventId;
  const before = new Set<EventId>([joinId]);
  for (const id of before) for (const prev of engine.reader.event(id).pdu.prevEvents) before.add(prev);
  const state = [...engine.stateAt(joinId, 'before').entries()].map(({ eventId }) => eventId);
  return { room, engine, joinId, state, later: ids.filter((id) => !before.has(id)) };
}

const lineOf = ({ room }: Resident, id: EventId): Uint8Array =>
  room.lines[room.expected.event_ids.indexOf(id)] as Uint8Array;

/** What the resident answers: the whole state, or what is no membership and the joining user's own. */
function answerOf(there: Resident, kind: 'whole' | 'partial') {
  const { engine, room, joinId } = there;
  const { pdu: join } = engine.reader.event(joinId);
  const state = there.state.filter((id) => {
    const { pdu } = engine.reader.event(id);
    return kind === 'whole' || pdu.type !== 'm.room.member' || pdu.stateKey === join.stateKey;
  });
  const chain = new Set<EventId>([...state, ...join.authEvents]);
  for (const id of chain) for (const auth of engine.reader.event(id).pdu.authEvents) chain.add(auth);
  if (room.rules.authorisation.createIsImplied) chain.add(`$${room.expected.room_id.slice(1)}` as EventId);
  return {
    from: 'resident.test',
    roomVersion: room.rules.version,
    event: lineOf(there, joinId),
    state: state.map((id) => lineOf(there, id)),
    authChain: [...chain].map((id) => lineOf(there, id)),
    ...(kind === 'partial' ? { isPartial: true, servers: ['resident.test', 'other.test'] } : {}),
  };
}

async function receive(
  engine: Engine,
  there: Resident,
  ids: readonly EventId[],
  asOutlier = false,
): Promise<void> {
  const options = { from: 'resident.test', roomVersion: there.room.rules.version, asOutlier };
  await Promise.all(ids.map((id) => engine.receive(lineOf(there, id), options)));
}

/** Takes the events of the whole state in, with all that they rest on. */
async function fetchState(engine: Engine, there: Resident): Promise<void> {
  const all = new Set(there.state);
  for (const id of all) for (const auth of there.engine.reader.event(id).pdu.authEvents) all.add(auth);
  await receive(engine, there, [...all], true);
  await engine.core.idle();
}

async function checkSound(engine: Engine): Promise<void> {
  await engine.core.idle();
  const { problems } = await fsck(engine.store);
  assert.equal(problems, []);
  await engine.core.close();
  const before = await dump(engine.store);
  const copy = await copyOf(engine.store);
  await rebuild(copy);
  assert.equal((await fsck(copy)).problems, [], 'a rebuilt store is sound');
  assert.equal(differences(before.filter(isKept), (await dump(copy)).filter(isKept)), []);
  await engine.store.close();
  await copy.close();
}

/** What a rebuild must make again to the byte: where nodes lie may differ, what they say may not. */
const isKept = (line: string): boolean => !/^(nodes|roots|rooms|traces|meta) /.test(line);

/** The states before and after all events that have a place, and what became of them. */
function verdictsOf(engine: Engine, ids: readonly EventId[]): string[] {
  return ids.flatMap((id) => {
    const event = engine.reader.events.get(id);
    if (event === undefined || event.isOutlier) return [];
    const verdict = event.verdict === 'rejected' ? 'rejected' : 'not rejected';
    return `${id} ${verdict} ${engine.stateAt(id, 'before').root} ${engine.stateAt(id).root}`;
  });
}

for (const name of ROOM_NAMES.filter((each) => each !== 'crowd-v11')) {
  test(`${name}, joined with part of its state, completed while events arrive: as if joined in full`, async () => {
    const there = await resident(name);
    const { room, joinId, later } = there;
    const roomId = room.expected.room_id;
    const full = await openEngine({ keys: room.keys });
    await full.receiveJoin(answerOf(there, 'whole'));
    await receive(full, there, later);
    await full.core.idle();

    const engine = await openEngine({ keys: room.keys });
    await engine.receiveJoin(answerOf(there, 'partial'));
    assert.is(engine.partial.isPartial(roomId), true);
    assert.equal(engine.partial.serversIn(roomId), ['resident.test', 'other.test']);
    assert.equal(
      [...engine.partial.incomplete()].map(({ eventId, kind }) => [eventId, kind]),
      [[joinId, 'join']],
    );
    const third = Math.floor(later.length / 3);
    await receive(engine, there, later.slice(0, third));
    assert.is(engine.reader.events.get(joinId)?.isPartial, true);
    assert.ok(engine.currentState(roomId).count() < full.currentState(roomId).count());
    assert.is(await codeOf(engine.completeState(joinId, there.state)), 'CORE_STATE_INCOMPLETE');

    await fetchState(engine, there);
    let isTold = false;
    const told = engine.partial.whenFull(roomId).then(() => (isTold = true));
    const [outcome] = await Promise.all([
      engine.completeState(joinId, there.state),
      receive(engine, there, later.slice(third, 2 * third)),
    ]);
    assert.is(outcome.isNew, true);
    await told;
    assert.is(isTold, true);
    assert.is(engine.partial.isPartial(roomId), false);
    assert.equal([...engine.partial.incomplete()], []);
    await receive(engine, there, later.slice(2 * third));
    await engine.core.idle();

    const ids = [joinId, ...later];
    assert.equal(verdictsOf(engine, ids), verdictsOf(full, ids));
    assert.equal(engine.forwardExtremities(roomId), full.forwardExtremities(roomId));
    assert.is(engine.currentState(roomId).root, full.currentState(roomId).root);
    assert.is((await engine.completeState(joinId, there.state)).isNew, false, 'completed once');
    await checkSound(engine);
    await full.close();
    await there.engine.close();
  });
}

test('what came before the join and gets here after it is no end of the room, before and after the completion', async () => {
  const there = await resident('forks-v12');
  const { room, joinId, state } = there;
  const roomId = room.expected.room_id;
  const engine = await openEngine({ keys: room.keys });
  await engine.receiveJoin(answerOf(there, 'partial'));
  const past = new Set<EventId>([joinId]);
  for (const id of past) for (const prev of there.engine.reader.event(id).pdu.prevEvents) past.add(prev);
  past.delete(joinId);
  // As events are that fill a gap which some fork of the room reaches back through.
  const order = room.expected.event_ids.filter((id) => past.has(id));
  for (const id of order) await receive(engine, there, [id]);
  await engine.core.idle();
  assert.equal(engine.forwardExtremities(roomId), [joinId]);
  await engine.completeState(joinId, state);
  assert.equal(engine.forwardExtremities(roomId), [joinId]);
  assert.is(engine.currentState(roomId).root, there.engine.stateAt(joinId).root);
  await checkSound(engine);
  await there.engine.close();
});

test('who waits for a state to be whole finds it committed', async () => {
  const there = await resident('forks-v10');
  const { room, joinId } = there;
  const roomId = room.expected.room_id;
  const engine = await openEngine();
  await engine.receiveJoin(answerOf(there, 'partial'));
  await fetchState(engine, there);
  const write = engine.store.write.bind(engine.store);
  let isWhole: boolean | undefined;
  engine.store.write = async (group) => {
    // What was decided is on its way to disk: whoever asks now must wait for it all the same.
    if (isWhole === undefined && !engine.partial.isPartial(roomId)) {
      isWhole = false;
      told = waited();
    }
    await nextTurn();
    await write(group);
  };
  const waited = async (): Promise<void> => {
    await engine.partial.whenFull(roomId);
    isWhole = engine.store.room(roomId)?.isPartial === false;
  };
  let told: Promise<void> | undefined;
  await engine.completeState(joinId, there.state);
  await told;
  assert.is(isWhole, true);
  await engine.close();
  await there.engine.close();
});

test.run();
