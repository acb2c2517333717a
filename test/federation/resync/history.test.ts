// History of a room whose state then is mostly not known here: shown at once, on what is known, and made whole later.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId, UserId } from '../../../src/event/ids.js';
import { itemsOf, textOf } from '../../client/harness.js';
import { v3 } from '../membership/people.js';
import { alter, HANG, idsAt, Scene } from './scene.js';

const test = suite('federation/resync history');

const MEMBERS = 12;
const OPTIONS = {
  servers: 2,
  members: MEMBERS,
  tuning: { gaps: { historyLackingMax: 0, backfillEventsMax: 8 } },
} as const;

/** Bob speaks, others are called otherwise since, and Alice joins and learns nothing of them. @returns what he said */
async function longAgo(scene: Scene): Promise<EventId[]> {
  const { bob, roomId, net } = scene;
  const { engine } = bob.site.harness.home;
  const said: EventId[] = [];
  for (let i = 0; i < 5; i++) {
    const path = v3`/v3/rooms/${roomId}/send/m.room.message/${String(i)}`;
    const { event_id } = await bob.ask('PUT', path, { msgtype: 'm.text', body: `old ${i}` });
    said.push(textOf(event_id) as EventId);
  }
  for (let i = 0; i < MEMBERS; i++) {
    const userId = `@m${i}:b.test` as UserId;
    const content = { membership: 'join', displayname: `Member ${i}` };
    await engine.send(roomId, { type: 'm.room.member', sender: userId, stateKey: userId, content });
  }
  net.advance(1_000);
  // The whole of it would take too long for whoever reads.
  scene.script.on(bob.site, 'state', HANG).on(bob.site, 'event', HANG);
  await scene.join();
  await net.settle();
  assert.is(scene.progress?.state, 'fetching');
  return said;
}

/** Alice reads back until there is no more to read for now. */
async function readBack(scene: Scene): Promise<string> {
  let from = textOf((await scene.alice.sync())['next_batch']);
  const bodies: unknown[] = [];
  for (let page = 0; page < 6; page++) {
    const path = v3`/v3/rooms/${scene.roomId}/messages`;
    const answer = await scene.alice.ask('GET', `${path}?dir=b&limit=5&from=${encodeURIComponent(from)}`);
    bodies.push(...itemsOf(answer['chunk']));
    if (answer['end'] === undefined) break;
    from = textOf(answer['end']);
  }
  return JSON.stringify(bodies);
}

test('is read at once, and its state is what it was once the rest has come', () =>
  Scene.play(OPTIONS, async (scene) => {
    const { script, bob, engine } = scene;
    const said = await longAgo(scene);
    const read = await readBack(scene);
    for (let i = 1; i < 5; i++) assert.ok(read.includes(`old ${i}`), read);
    await scene.net.settle();
    const kinds = Array.from(engine.partial.incomplete(), ({ kind }) => kind);
    assert.is(kinds[0], 'join');
    assert.ok(kinds.length > 1 && kinds.slice(1).every((kind) => kind === 'history'), String(kinds));
    const isPlaced = (id: EventId): boolean => engine.graph.isPlaced(id);
    const bases = Array.from(engine.partial.incomplete(), ({ eventId }) => eventId);
    assert.ok(bases.every((id) => isPlaced(id) && engine.reader.event(id).isPartial));
    script.clear();
    await scene.until(() => [...engine.partial.incomplete()].length === 0, 300_000, 20);
    const there = bob.site.harness.home.engine;
    for (const id of [...bases, ...said.filter(isPlaced)]) {
      assert.not(engine.reader.event(id).isPartial);
      assert.is(engine.stateAt(id).root, there.stateAt(id).root, id);
    }
    scene.assertWhole();
  }));

test('is waited for where nobody can tell who may see it', () =>
  Scene.play(OPTIONS, async (scene) => {
    const { script, bob } = scene;
    await longAgo(scene);
    const { engine } = bob.site.harness.home;
    const visibility = String(engine.currentState(scene.roomId).get('m.room.history_visibility', ''));
    const hidden = alter((answer) => ({
      ...answer,
      pdu_ids: idsAt(answer, 'pdu_ids').filter((id) => id !== visibility),
    }));
    script.on(bob.site, 'state_ids', hidden);
    const before = scene.asked('state') + scene.asked('event');
    const read = scene.alice.ask('GET', v3`/v3/rooms/${scene.roomId}/messages` + '?dir=b&limit=5');
    await scene.net.settle();
    scene.net.advance(5_000);
    await read;
    assert.equal(
      Array.from(scene.engine.partial.incomplete(), ({ kind }) => kind),
      ['join'],
    );
    assert.ok(scene.asked('state') + scene.asked('event') > before);
  }));

test.run();
