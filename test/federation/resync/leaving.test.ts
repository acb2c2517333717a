// Rooms that are left, or left and joined anew, before their state is whole.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { UserId } from '../../../src/event/ids.js';
import { RESYNC_OPTIONS } from '../../../src/federation/resync/options.js';
import { v3 } from '../membership/people.js';
import { HANG, memberEvent, Scene, stepOf } from './scene.js';

const test = suite('federation/resync leaving');

const leave = ({ alice, roomId }: Scene) => alice.ask('POST', v3`/v3/rooms/${roomId}/leave`);

test('a server ends at once, though the keys of others are being waited for', () =>
  Scene.play({ members: 20 }, async (scene) => {
    const { script, others, net } = scene;
    for (const { site } of others) script.on(site, '*', HANG);
    await scene.join();
    await net.settle();
    assert.is(scene.progress?.state, 'fetching');
    await net.stop(scene.name);
  }));

test('when the last of us leaves nothing more is asked, and nothing is left of it', () =>
  Scene.play({ members: 20 }, async (scene) => {
    scene.script.on(scene.bob.site, 'state', HANG);
    await scene.join();
    await scene.net.settle();
    assert.is(scene.progress?.state, 'fetching');
    await leave(scene);
    await scene.net.settle();
    assert.is(scene.progress, undefined);
    assert.equal([...scene.engine.partial.incomplete()], []);
    assert.is(scene.resyncs.stats.running, 0);
    const before = scene.net.asked.length;
    scene.net.advance(3_600_000);
    await scene.net.settle();
    const asked = scene.net.asked
      .slice(before)
      .filter(({ from, uri }) => from === 'a.test' && uri.includes('/state'));
    assert.equal(asked, []);
  }));

test('who leaves while others of us are there leaves them in a room that is completed', () =>
  Scene.play({}, async (scene) => {
    scene.script.on(scene.bob.site, 'state_ids', HANG);
    await scene.join();
    const amy = await scene.person('amy');
    await amy.ask('POST', v3`/v3/join/${scene.roomId}`);
    await leave(scene);
    await scene.net.settle();
    assert.ok(scene.isPartial);
    scene.script.clear();
    await scene.until(() => !scene.isPartial, 60_000);
    assert.is(scene.engine.currentState(scene.roomId).membership('@m1:b.test'), 'join');
    assert.is(amy.membershipOf(scene.roomId, amy), 'join');
    assert.is(amy.membershipOf(scene.roomId, scene.alice), 'leave');
  }));

test('a room that is joined anew is completed from there, and the old join given up', () =>
  Scene.play({}, async (scene) => {
    const { net, script, bob, roomId, engine } = scene;
    script.on(bob.site, 'state_ids', HANG);
    await scene.join();
    await net.settle();
    const first = engine.partial.joinOf(roomId)?.eventId;
    assert.ok(first);
    await leave(scene);
    await net.settle();
    net.advance(1_000);
    await scene.join();
    await net.settle();
    const second = engine.partial.joinOf(roomId)?.eventId;
    assert.is.not(second, first);
    assert.is(engine.partial.get(first), undefined);
    assert.equal(
      Array.from(engine.partial.incomplete(), ({ eventId }) => eventId),
      [second],
    );
    script.clear();
    await scene.until(() => !scene.isPartial, 60_000);
    scene.assertWhole();
  }));

for (const treeEntriesMin of [0, 500]) {
  const how = treeEntriesMin === 0 ? 'by the difference of trees' : 'by ids';
  const options = {
    members: 20,
    tuning: { resync: { fetching: { ...RESYNC_OPTIONS.fetching, treeEntriesMin } } },
  };
  test(`who had the whole room before, left and comes back, fetches nothing of what they had: ${how}`, () =>
    Scene.play(options, async (scene) => {
      const { net, bob, roomId } = scene;
      await scene.join();
      await net.settle();
      scene.assertWhole();
      await leave(scene);
      await net.settle();
      const there = bob.site.harness.home.engine;
      for (let i = 0; i < 5; i++) await there.send(roomId, memberEvent(`@new${i}:b.test` as UserId, 'join'));
      net.advance(1_000);
      const before = net.asked.length;
      await scene.join();
      await net.settle();
      scene.assertWhole();
      const asked = net.asked
        .slice(before)
        .filter(({ from, uri }) => from === 'a.test' && !uri.includes('/send/'));
      const steps = asked.map(({ uri }) => stepOf(uri));
      const single = Array.from({ length: 5 }, () => 'event');
      const fetching = treeEntriesMin === 0 ? ['state_difference', 'events'] : ['state_ids', ...single];
      assert.equal(steps, ['make_join', 'send_join', ...fetching]);
    }));
}

test('what was left before the server ended is not completed after its start', () =>
  Scene.play({ isOnDisk: true }, async (scene) => {
    const { net, script, bob } = scene;
    script.on(bob.site, 'state_ids', HANG);
    await scene.join();
    await net.settle();
    // As if it had ended between the leave and what follows from it.
    await scene.resyncs.close();
    await leave(scene);
    await net.settle();
    assert.is([...scene.engine.partial.incomplete()].length, 1);
    await net.stop('a.test');
    await net.start(scene.name);
    await net.settle();
    assert.equal([...scene.engine.partial.incomplete()], []);
    assert.is(scene.resyncs.stats.rooms, 0);
  }));

test('who is thrown out has the state completed first, where anybody gives it', () =>
  Scene.play({}, async (scene) => {
    const { net, script, bob, alice, roomId } = scene;
    script.on(bob.site, 'state_ids', HANG);
    await scene.join();
    await net.settle();
    await bob.ask('POST', v3`/v3/rooms/${roomId}/kick`, { user_id: alice.userId });
    await scene.until(() => scene.resyncs.stats.rooms === 0, 60_000, 10);
    assert.is(alice.membershipOf(roomId, alice), 'leave');
    assert.equal([...scene.engine.partial.incomplete()], []);
  }));

test.run();
