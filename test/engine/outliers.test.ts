// Many outliers of a room at once: what is good is stored, and nothing else.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId } from '../../src/event/ids.js';
import { type JsonObject, parseJson } from '../../src/event/json.js';
import { type Engine, openEngine } from '../../src/engine/engine.js';
import { type FixtureRoom, loadRoom } from '../fixtures.js';

const test = suite('engine/outliers');

/** A room, and an engine that knows no more of it than its create event. */
async function begun(): Promise<{
  readonly room: FixtureRoom;
  readonly engine: Engine;
  readonly state: number[];
}> {
  const room = loadRoom('forks-v12');
  const engine = await openEngine({ keys: room.keys });
  const all = await openEngine();
  for (const line of room.lines) await all.receive(line, { roomVersion: room.rules.version });
  const kept = new Set<string>(room.expected.event_ids.slice(0, 1));
  const state = room.expected.event_ids.flatMap((id, i) => {
    const { pdu, verdict } = all.reader.event(id);
    const isKept = verdict === 'accepted' && pdu.authEvents.every((cited) => kept.has(cited));
    if (i === 0 || pdu.stateKey === undefined || !isKept) return [];
    kept.add(id);
    return [i];
  });
  await all.close();
  await engine.receive(room.lines[0] as Uint8Array, { roomVersion: room.rules.version });
  return { room, engine, state };
}

function jsonOf({ lines }: FixtureRoom, i: number): JsonObject {
  return parseJson(lines[i] as Uint8Array) as JsonObject;
}

function batchOf({ rules, expected }: FixtureRoom) {
  return {
    roomId: expected.room_id as never,
    roomVersion: rules.version,
    from: 'resident.test',
    isWanted: () => true,
  };
}

test('in whatever order they come, all of a state are stored without a place, and each is told once', async () => {
  const { room, engine, state } = await begun();
  let told = 0;
  const taken = await engine.receiveOutliers({
    ...batchOf(room),
    events: [...state].reverse().map((i) => jsonOf(room, i)),
    onStored: (events) => {
      told += events;
    },
  });
  assert.is(taken.size, state.length);
  assert.is(told, state.length);
  for (const id of taken) assert.is(engine.graph.event(id)?.isOutlier, true);
  const again = await engine.receiveOutliers({ ...batchOf(room), events: state.map((i) => jsonOf(room, i)) });
  assert.is(again.size, state.length, 'what is known already is known');
  assert.is(told, state.length);
  await engine.close();
});

test('left out are those not wanted, of another room, badly signed, malformed, or that cite what is not there', async () => {
  const { room, engine, state } = await begun();
  const ids = room.expected.event_ids;
  const refs = new Set(state.flatMap((i) => jsonOf(room, i)['auth_events'] as string[]));
  const last = state.filter((i) => !refs.has(ids[i] ?? '')).slice(-4);
  assert.is(last.length, 4);
  const [unwanted, elsewhere, unsigned, good] = last as [number, number, number, number];
  const cited = state.filter((i) => !last.includes(i));
  const events = [
    ...cited.map((i) => jsonOf(room, i)),
    jsonOf(room, unwanted),
    { ...jsonOf(room, elsewhere), room_id: '!elsewhere:example.org' },
    { ...jsonOf(room, unsigned), signatures: {} },
    jsonOf(room, good),
    {},
    { type: 'm.room.topic' },
  ];
  const taken = await engine.receiveOutliers({
    ...batchOf(room),
    events,
    isWanted: (id) => id !== ids[unwanted],
  });
  assert.ok(taken.has(ids[good] as EventId));
  for (const i of [unwanted, elsewhere, unsigned]) {
    assert.not.ok(taken.has(ids[i] as EventId));
    assert.not.ok(engine.graph.isKnown(ids[i] as EventId));
  }
  await engine.close();
});

test('without what they cite none is stored, nor by the rules of an unknown version', async () => {
  const { room, engine, state } = await begun();
  const all = state.map((i) => jsonOf(room, i));
  const events = all.filter((event) => (event['auth_events'] as string[]).length > 2).slice(-3);
  assert.is(events.length, 3);
  assert.is((await engine.receiveOutliers({ ...batchOf(room), events })).size, 0);
  assert.is((await engine.receiveOutliers({ ...batchOf(room), roomVersion: 'none', events })).size, 0);
  await engine.close();
});

test('what a state asks of an outlier follows what becomes of it', async () => {
  const { room, engine, state } = await begun();
  await engine.receiveOutliers({ ...batchOf(room), events: state.map((i) => jsonOf(room, i)) });
  for (const i of state) {
    const id = room.expected.event_ids[i] as EventId;
    const [facts, event] = [engine.graph.facts(id), engine.graph.event(id)];
    assert.is(facts?.stateKey, event?.pdu.stateKey);
    assert.is(facts?.seq, event?.seq);
  }
  for (const line of room.lines.slice(1)) await engine.receive(line, { roomVersion: room.rules.version });
  for (const id of room.expected.event_ids) {
    const [facts, event] = [engine.graph.facts(id), engine.graph.event(id)];
    assert.is(event?.isOutlier, false);
    assert.is(facts?.seq, event?.seq);
    assert.is(facts?.verdict, event?.verdict);
  }
  await engine.close();
});

test.run();
