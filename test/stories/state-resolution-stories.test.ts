// Stories of state resolution that lie outside this repository: a folder of JSON files named by
// STATEROOM_STORIES.
//
// A story holds `room_version`, `events` with symbolic ids (no hashes, no signatures), `expected`, the
// resolved state, and either `batches`, the groups in which the events arrive (event by event, batch by batch
// and all at once must end in the same state at the forward extremities), or `state_sets`, to be resolved as
// they are.

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { JsonObject } from '../../src/event/json.js';
import { resolve } from '../../src/room/resolution/resolve.js';
import { MapStates, type MapRoot } from '../room/resolution/map-states.js';
import { permutations } from '../room/resolution/permutations.js';
import { Replay } from '../room/resolution/replay.js';
import { pduOfFixture, roomOfFixture, TestRoom } from '../room/resolution/test-room.js';

interface Story {
  readonly name: string;
  readonly room_version: string;
  readonly events: readonly JsonObject[];
  readonly batches?: readonly (readonly string[])[];
  readonly state_sets?: readonly (readonly string[])[];
  readonly expected: readonly {
    readonly type: string;
    readonly state_key: string;
    readonly event_id: string;
  }[];
}

const test = suite('state resolution stories');
const folder = process.env['STATEROOM_STORIES'];

if (folder === undefined || folder === '') {
  test('no folder of stories is named by STATEROOM_STORIES, so none is told', () => {
    assert.not.ok(folder);
  });
} else {
  const files = readdirSync(folder).filter((file) => file.endsWith('.json'));
  test('the folder named by STATEROOM_STORIES holds stories', () => assert.ok(files.length > 0));
  for (const file of files.sort()) tell(JSON.parse(readFileSync(join(folder, file), 'utf8')) as Story);
}

function tell(story: Story): void {
  if (story.state_sets !== undefined) tellStateSets(story, story.state_sets);
  if (story.batches === undefined) return;
  const wholly = story.batches.flat();
  tellArrival(
    story,
    'event by event',
    wholly.map((id) => [id]),
  );
  tellArrival(story, 'batch by batch', story.batches);
  tellArrival(story, 'all at once', [wholly]);
}

function tellStateSets(story: Story, sets: readonly (readonly string[])[]): void {
  permutations(sets, 1).forEach((order, i) => {
    test(`${story.name}: its states resolve, permutation ${i + 1}`, () => {
      const room = roomOfFixture(story.room_version, story.events);
      const states = new MapStates();
      const roots = order.map((ids) => states.of(ids.map((id) => room.event(id))));
      assert.equal(rows(resolve(room.rules, roots, states, room.graph).root), wanted(story));
    });
  });
}

/** The events arrive in these groups; after each the state at the forward extremities is resolved. */
function tellArrival(story: Story, how: string, groups: readonly (readonly string[])[]): void {
  for (const [i, turn] of permutations([0, 1, 2], 1).entries()) {
    test(`${story.name}: ${how}, permutation ${i + 1} of the extremities`, () => {
      const byId = new Map(story.events.map((json) => [json['event_id'], json] as const));
      const room = new TestRoom(story.room_version);
      const states = new MapStates();
      const replay = new Replay(room, states);
      const extremities = new Set<string>();
      let current = states.empty;
      for (const id of groups.flat()) {
        const json = byId.get(id);
        if (json === undefined) throw new Error(`no such event: ${id}`);
        const event = room.put(pduOfFixture(json, room.rules));
        for (const prev of event.prevEvents) extremities.delete(prev);
        extremities.add(id);
        if (!groups.some((group) => group.at(-1) === id)) continue;
        const roots = [...extremities].map((extremity) => replay.after(room.event(extremity)));
        current = replay.resolved(inTurn(roots, turn));
      }
      assert.equal(rows(current), wanted(story));
    });
  }
}

/** The roots in another order: those at the places of the turn first, as far as there are so many. */
function inTurn(roots: readonly MapRoot[], turn: readonly number[]): MapRoot[] {
  return turn.flatMap((start) => roots.filter((_, i) => i % turn.length === start));
}

function wanted(story: Story): string[] {
  return story.expected.map((row) => JSON.stringify([row.type, row.state_key, row.event_id])).sort();
}

function rows(root: MapRoot): string[] {
  return [...root.entries.values()]
    .map((entry) => JSON.stringify([entry.type, entry.stateKey, entry.eventId]))
    .sort();
}

test.run();
