// Listings of state by the thousand: what is kept of them never shows.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Harness, itemsOf, type Json, type TestUser, textOf } from './harness.js';
import { Rooms, v3 } from './rooms.js';

const test = suite('client/state-listing');

/** More than are worked out anew each time. */
const MANY = 1_100;

async function play(scene: (harness: Harness, rooms: Rooms) => Promise<void>): Promise<void> {
  const harness = await Harness.open();
  try {
    await scene(harness, new Rooms(harness));
  } finally {
    await harness.close();
  }
}

/** The state that an initial sync tells, timeline included, by type and key. */
async function syncedState(harness: Harness, user: TestUser, roomId: string): Promise<Map<string, string>> {
  const { body } = await harness.call(user, 'GET', '/v3/sync');
  const room = body['rooms']?.['join']?.[roomId];
  const events = [...itemsOf(room?.['state']?.['events']), ...itemsOf(room?.['timeline']?.['events'])];
  return byKey(events.filter((event) => event['state_key'] !== undefined));
}

async function listedState(rooms: Rooms, user: TestUser, roomId: string): Promise<readonly Json[]> {
  return JSON.parse(textOf(await rooms.ask(user, 'GET', v3`rooms/${roomId}/state`))) as Json[];
}

function byKey(events: readonly Json[]): Map<string, string> {
  return new Map(
    events
      .map(
        (event) =>
          [`${textOf(event['type'])} ${textOf(event['state_key'])}`, textOf(event['event_id'])] as const,
      )
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

test('a large state that was told before is told as it is now', () =>
  play(async (harness, rooms) => {
    const alice = await harness.user('alice');
    const roomId = await rooms.create(alice);
    const numbers = Array.from({ length: MANY }, (_, i) => i);
    await Promise.all(numbers.map((i) => rooms.set(alice, roomId, 'org.example.entry', { i }, String(i))));
    const first = await syncedState(harness, alice, roomId);
    assert.ok(first.size > MANY);
    assert.equal(first, byKey(await listedState(rooms, alice, roomId)));
    // One early key changes, one is new, and then so much is said that neither is in the timeline.
    const changed = await rooms.set(alice, roomId, 'org.example.entry', { i: 'new' }, '3');
    const added = await rooms.set(alice, roomId, 'org.example.late', {}, '');
    for (let i = 0; i < 12; i++) await rooms.say(alice, roomId, `message ${i}`);
    const second = await syncedState(harness, alice, roomId);
    assert.is(second.get('org.example.entry 3'), changed);
    assert.is(second.get('org.example.late '), added);
    assert.is(second.size, first.size + 1);
    assert.equal(second, byKey(await listedState(rooms, alice, roomId)));
  }));

test('an event that was listed and then redacted is listed redacted, and says by what', () =>
  play(async (harness, rooms) => {
    const alice = await harness.user('alice');
    const roomId = await rooms.create(alice);
    const topic = await rooms.set(alice, roomId, 'm.room.topic', { topic: 'a secret' });
    const listed = async (): Promise<Json | undefined> =>
      (await listedState(rooms, alice, roomId)).find((event) => textOf(event['event_id']) === topic);
    assert.is(textOf((await listed())?.['content']?.['topic']), 'a secret');
    const redaction = textOf(
      (await rooms.ask(alice, 'PUT', v3`rooms/${roomId}/redact/${topic}/1`, {}))['event_id'],
    );
    const event = await listed();
    assert.equal(event?.['content'], {});
    assert.is(textOf(event?.['unsigned']?.['redacted_because']?.['event_id']), redaction);
    assert.is(textOf(event?.['room_id']), roomId);
  }));

test('whoever may not redact an event changes nothing of how it is listed', () =>
  play(async (harness, rooms) => {
    const alice = await harness.user('alice');
    const mallory = await harness.user('mallory');
    const roomId = await rooms.create(alice);
    const elsewhere = await rooms.create(mallory);
    const topic = await rooms.set(alice, roomId, 'm.room.topic', { topic: 'ours' });
    await harness.home.engine.send(elsewhere, {
      type: 'm.room.redaction',
      sender: mallory.userId,
      content: { redacts: topic },
      redacts: topic,
    });
    const event = (await listedState(rooms, alice, roomId)).find(
      (each) => textOf(each['event_id']) === topic,
    );
    assert.equal(event?.['content'], { topic: 'ours' });
  }));

test.run();
