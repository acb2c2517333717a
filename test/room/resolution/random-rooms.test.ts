// 240 random rooms, with the state that Synapse gave for each merge and at the end.

import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId } from '../../../src/event/ids.js';
import type { JsonObject } from '../../../src/event/json.js';
import type { ResolutionTrace } from '../../../src/room/resolution/contract.js';
import { explainKey } from '../../../src/room/resolution/explain.js';
import { resolve } from '../../../src/room/resolution/resolve.js';
import { referenceResolve, type PlainState } from '../../reference/resolve.js';
import { MapStates, changeOf, type MapRoot } from './map-states.js';
import { permutations } from './permutations.js';
import { Replay } from './replay.js';
import { roomOfFixture, type TestRoom } from './test-room.js';

interface RandomRoom {
  readonly name: string;
  readonly room_version: string;
  readonly events: readonly JsonObject[];
  readonly extremities: readonly string[];
  readonly state_sets: readonly (readonly string[])[];
  readonly expected: readonly { readonly event_id: string }[];
  readonly merges: readonly {
    readonly event_id: string;
    readonly base: string;
    readonly set: readonly string[];
    readonly removed: readonly (readonly [type: string, stateKey: string])[];
  }[];
}

const fixture = new URL('../../../../test/fixtures/state-resolution/random.jsonl.gz', import.meta.url);
const rooms = gunzipSync(readFileSync(fixture))
  .toString('utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as RandomRoom);

const test = suite('state resolution of random rooms');

test('the fixture holds 240 rooms of seven versions', () => {
  assert.is(rooms.length, 240);
  assert.equal([...new Set(rooms.map((room) => room.room_version))], ['1', '2', '6', '9', '10', '11', '12']);
});

for (const random of rooms) {
  test(`${random.name}: all merges and the end are as Synapse and the reference have them`, () => {
    const room = roomOfFixture(random.room_version, random.events);
    const states = new MapStates();
    const replay = new Replay(room, states);
    const merges = new Map(random.merges.map((merge) => [merge.event_id, merge]));

    for (const event of room.events.values()) {
      const merge = merges.get(event.eventId);
      if (merge !== undefined) {
        const removed = merge.removed.map(([type, stateKey]) => ({ type, stateKey, event: undefined }));
        const set = merge.set.map((id) => changeOf(room.event(id)));
        const expected = states.update(replay.after(room.event(merge.base)), [...removed, ...set]);
        checkResolution(room, states, replay.inputsOf(event), expected);
      }
      replay.after(event);
    }

    const inputs = random.state_sets.map((ids) => states.of(ids.map((id) => room.event(id))));
    random.extremities.forEach((id, i) => assert.equal(replay.after(room.event(id)), inputs[i]));
    checkResolution(
      room,
      states,
      inputs,
      states.of(random.expected.map(({ event_id: id }) => room.event(id))),
    );
  });
}

function checkResolution(
  room: TestRoom,
  states: MapStates,
  inputs: readonly MapRoot[],
  expected: MapRoot,
): void {
  let trace: string | undefined;
  for (const order of permutations(inputs, room.events.size)) {
    const result = resolve(room.rules, order, states, room.graph);
    assert.equal(sorted(result.root), sorted(expected));
    assert.is(states.hash(result.root), states.hash(expected));
    if (trace === undefined) checkExplanations(result.trace);
    trace ??= JSON.stringify(result.trace);
    assert.is(JSON.stringify(result.trace), trace);
  }
  assert.is(states.fullReads, 0);
  const reference = referenceResolve(room, inputs.map(plain));
  assert.equal([...reference].sort(), sorted(expected));
}

function checkExplanations(trace: ResolutionTrace): void {
  for (const { type, stateKey, winner } of trace.keys) {
    const sentences = explainKey(trace, type, stateKey);
    assert.ok(sentences.length >= 3);
    assert.ok(sentences.every((sentence) => sentence.endsWith('.') && !sentence.includes('undefined')));
    assert.ok(sentences.at(-1)?.startsWith(winner ?? 'Nothing was allowed'));
  }
}

function plain(root: MapRoot): PlainState {
  return new Map([...root.entries].map(([key, { eventId }]) => [key, eventId]));
}

function sorted(root: MapRoot): [string, EventId][] {
  return [...plain(root)].sort();
}

test.run();
