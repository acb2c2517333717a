// Events that are known as outliers before they get their place: a room comes to the same, however it was given.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId } from '../../src/event/ids.js';
import { type Engine, openEngine, openEngineOn } from '../../src/engine/engine.js';
import { fsck } from '../../src/engine/maintenance/fsck.js';
import { rebuild } from '../../src/engine/maintenance/rebuild.js';
import { Random } from '../../tools/generate/random.js';
import { type FixtureRoom, loadRoom, type RoomName } from '../fixtures.js';
import { differences, dump } from './support/stores.js';

const test = suite('engine/places');

/** How often each room is given in another mixture. */
const MIXTURES: ReadonlyArray<readonly [name: RoomName, times: number]> = [
  ['small-v11', 6],
  ['old-v1', 6],
  ['rejects-v11', 6],
  ['reset-v10', 3],
  ['forks-v10', 2],
  ['forks-v12', 2],
];

for (const [name, times] of MIXTURES) {
  test(`${name}, some of it as outliers first, ends as in plain order`, async () => {
    const room = loadRoom(name);
    const plain = await openEngine();
    await give(plain, room, room.expected.event_ids);
    const wanted = rootsOf(plain, room);
    const { events, stateEvents } = plain.store.counters();
    await plain.close();
    for (let i = 0; i < times; i++) {
      const random = new Random(name, `mixture ${i}`);
      const engine = await openEngine();
      await giveMixed(engine, room, random);
      assert.equal(rootsOf(engine, room), wanted);
      assert.is(engine.verdicts().waiting, 0);
      assert.is(engine.store.counters().events, events);
      assert.is(engine.store.counters().stateEvents, stateEvents);
      if (i === 0) await checkSound(engine);
      else await engine.close();
    }
  });
}

test('an event that was an outlier is counted, listed and named once', async () => {
  const room = loadRoom('small-v11');
  const { expected, lines, rules } = room;
  const engine = await openEngine();
  const options = { from: 'file', roomVersion: rules.version };
  for (const line of lines) await engine.receive(line, { ...options, asOutlier: true });
  assert.is(engine.store.room(expected.room_id), undefined, 'a room of outliers is not there yet');
  for (const line of lines) {
    const { verdict } = await engine.receive(line, options);
    assert.is.not(verdict, 'duplicate');
    assert.is((await engine.receive(line, options)).verdict, 'duplicate');
    assert.is((await engine.receive(line, { ...options, asOutlier: true })).verdict, 'duplicate');
  }
  const listed: EventId[] = [];
  for await (const [seq, row] of engine.store.events()) {
    listed.push(row.eventId);
    assert.is(engine.reader.events.at(seq)?.pdu.eventId, row.eventId);
  }
  assert.equal(listed.sort(), [...expected.event_ids].sort());
  const { events, stateEvents } = engine.reader.room(expected.room_id);
  assert.equal([events, stateEvents], [listed.length, engine.store.counters().stateEvents]);
  const versions: EventId[] = [];
  for await (const event of engine.reader.history(expected.room_id, 'm.room.member')) {
    versions.push(event.pdu.eventId);
    assert.ok(event.roots, 'its place is known, whatever row named it');
  }
  assert.is(new Set(versions).size, versions.length);
  await checkSound(engine);
});

test('a reader that knew an outlier sees its place', async () => {
  const { lines, rules, expected } = loadRoom('small-v11');
  const engine = await openEngine();
  const options = { from: 'file', roomVersion: rules.version };
  for (const line of lines.slice(0, 2)) await engine.receive(line, { ...options, asOutlier: true });
  const [create, join] = expected.event_ids as [EventId, EventId];
  assert.is(engine.reader.event(join).isOutlier, true);
  const { seq: outlierSeq } = engine.reader.event(create);
  for (const line of lines.slice(0, 2)) await engine.receive(line, options);
  assert.is(engine.reader.event(join).isOutlier, false);
  assert.is(engine.reader.events.at(outlierSeq)?.isOutlier, false);
  assert.is(engine.stateAt(join).get('m.room.create', ''), create);
  await engine.close();
});

test('events wait for an outlier to get its place, and are taken when it does', async () => {
  const { lines, rules, expected } = loadRoom('small-v11');
  const engine = await openEngine();
  const options = { from: 'file', roomVersion: rules.version };
  for (const line of lines.slice(0, 10)) await engine.receive(line, options);
  const [tenth, eleventh] = lines.slice(10, 12) as [Uint8Array, Uint8Array];
  await engine.receive(tenth, { ...options, asOutlier: true });
  const verdict = await engine.receive(eleventh, options);
  assert.is(verdict.verdict, 'waiting');
  assert.equal(verdict.missing, [expected.event_ids[10]]);
  assert.equal(
    [...engine.waiting()].map(({ eventId, missing }) => [eventId, missing]),
    [[expected.event_ids[11], [expected.event_ids[10]]]],
  );
  await engine.core.close();
  const again = await openEngineOn(engine.store);
  await again.core.idle();
  assert.is(again.verdicts().waiting, 1, 'it still waits after a start');
  assert.is((await again.receive(tenth, options)).verdict, 'accepted');
  await again.core.idle();
  assert.is(again.verdicts().waiting, 0);
  assert.ok(again.stateAt(expected.event_ids[11] as EventId));
  await checkSound(again);
});

test('a waiting event that comes again with the state before it takes its place', async () => {
  const { lines, rules, expected } = loadRoom('small-v11');
  const options = { from: 'file', roomVersion: rules.version };
  const [eventId, line] = [expected.event_ids[35] as EventId, lines[35] as Uint8Array];
  const whole = await openEngine();
  for (const each of lines) await whole.receive(each, options);
  const state = whole.stateAt(eventId, 'before').sorted();
  await whole.close();

  const late: string[] = [];
  const engine = await openEngine({ onLateVerdict: ({ verdict }) => late.push(verdict) });
  for (const each of lines.slice(0, 30)) await engine.receive(each, options);
  assert.is((await engine.receive(line, options)).verdict, 'waiting');
  assert.is((await engine.receive(line, options)).verdict, 'waiting');
  for (const each of lines.slice(30, 32)) await engine.receive(each, { ...options, asOutlier: true });
  const givenState = state.map((entry) => entry.eventId);
  assert.is((await engine.receive(line, { ...options, givenState })).verdict, 'accepted');
  assert.equal(late, ['accepted']);
  assert.is(engine.verdicts().waiting, 0);
  assert.equal(engine.backwardExtremities(expected.room_id), engine.reader.event(eventId).pdu.prevEvents);
  for (const each of lines.slice(30)) await engine.receive(each, options);
  await engine.core.idle();
  assert.equal(engine.backwardExtremities(expected.room_id), []);
  assert.equal(engine.forwardExtremities(expected.room_id), expected.forward_extremities_a);
  await checkSound(engine);
});

/** Each event in its order, some of them as outliers before, at a time when what they cite is known. */
async function giveMixed(engine: Engine, room: FixtureRoom, random: Random): Promise<void> {
  const { lines, expected } = room;
  const options = { from: 'file', roomVersion: room.rules.version };
  const ahead = random.between(1, lines.length);
  for (const [i, line] of lines.entries()) {
    if (i % ahead === 0) {
      for (const each of lines.slice(i, i + ahead)) {
        if (random.below(3) > 0) await engine.receive(each, { ...options, asOutlier: true });
      }
    }
    const { verdict } = await engine.receive(line, options);
    assert.is.not(verdict, 'duplicate', `${expected.event_ids[i]} gets its place`);
  }
  await engine.core.idle();
}

async function give(
  engine: Engine,
  { lines, expected, rules }: FixtureRoom,
  ids: readonly EventId[],
): Promise<void> {
  for (const id of ids) {
    const line = lines[expected.event_ids.indexOf(id)] as Uint8Array;
    await engine.receive(line, { from: 'file', roomVersion: rules.version });
  }
}

function rootsOf(engine: Engine, { expected }: FixtureRoom): string[] {
  const roots = expected.event_ids.map((id) => {
    const { verdict } = engine.reader.event(id);
    return `${verdict} ${engine.stateAt(id, 'before').root} ${engine.stateAt(id, 'after').root}`;
  });
  const extremities = engine.forwardExtremities(expected.room_id);
  return [...roots, engine.currentState(expected.room_id).root, ...extremities];
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
