// History that was fetched after a join: where it stands in the timeline, and who sees it.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type TestUser, textOf } from '../harness.js';
import { bodies, v3 } from '../rooms.js';
import { ALICE, BOB, message, PartialScene, state } from './support.js';

const test = suite('client/partial: history');

/** Bob says some things before Gina comes, and they are fetched when all is known, after what else is to happen. */
async function withHistory(scene: PartialScene, before: (gina: TestUser) => Promise<void> = async () => {}) {
  const said = [];
  for (const body of ['one', 'two', 'three']) said.push(await scene.send(scene.beta, message(BOB, body)));
  const gina = await scene.enter();
  await scene.complete();
  await before(gina);
  await scene.engine.receiveHistory(
    scene.past.filter(({ eventId }) => eventId !== scene.join.eventId).map(({ json }) => json),
    { from: 'alpha.test', roomVersion: scene.join.rules.version, roomId: scene.roomId },
  );
  return { gina, said };
}

test('what is around an event that was fetched later is found at its place', async () => {
  await PartialScene.act(async (scene) => {
    const { gina, said } = await withHistory(scene);
    const path = v3`rooms/${scene.roomId}/context/${said[1]?.eventId ?? ''}`;
    const context = await scene.rooms.ask(gina, 'GET', `${path}?limit=2`);
    assert.equal(bodies(context['events_before']), ['one']);
    assert.equal(bodies(context['events_after']), ['three']);
    const from = `${v3`rooms/${scene.roomId}/messages`}?dir=b&limit=1&from=${textOf(context['end'])}`;
    assert.equal(bodies((await scene.rooms.ask(gina, 'GET', from))['chunk']), ['three']);
  });
});

test('who left sees what was before, also when it was fetched later', async () => {
  await PartialScene.act(async (scene) => {
    const { gina, said } = await withHistory(scene, (user) => scene.rooms.leave(user, scene.roomId));
    assert.equal(await scene.rooms.heard(gina, scene.roomId), ['one', 'two', 'three']);
    const path = v3`rooms/${scene.roomId}/event/${said[0]?.eventId ?? ''}`;
    assert.equal((await scene.rooms.ask(gina, 'GET', path))['content']?.['body'], 'one');
  });
});

test('who looks into a room that anyone may read now sees nothing of what was fetched from before that', async () => {
  await PartialScene.act(async (scene) => {
    const { gina, said } = await withHistory(scene);
    const readable = { history_visibility: 'world_readable' };
    await scene.send(scene.alpha, state(ALICE, 'm.room.history_visibility', readable));
    await scene.send(scene.beta, message(BOB, 'four'));
    const stranger = await scene.harness.user('stranger');
    assert.equal(await scene.rooms.heard(gina, scene.roomId), ['one', 'two', 'three', 'four']);
    assert.equal(await scene.rooms.heard(stranger, scene.roomId), ['four']);
    const path = v3`rooms/${scene.roomId}/event/${said[0]?.eventId ?? ''}`;
    await scene.rooms.refused([404, 'M_NOT_FOUND'], stranger, 'GET', path);
  });
});

test.run();
