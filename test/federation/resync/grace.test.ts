// Who just joined looks at the room first.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Scene } from './scene.js';

const test = suite('federation/resync/grace');

test('members are fetched a moment after a join, and at once when somebody asks', () =>
  Scene.play({ tuning: { resync: { graceMs: 500 } } }, async (scene) => {
    await scene.join();
    await scene.net.settle();
    assert.is(scene.asked('state_ids'), 0);
    assert.ok(scene.isPartial);
    assert.is(scene.progress?.nextTryAt, scene.net.clock.now + 500);
    scene.net.advance(499);
    await scene.net.settle();
    assert.is(scene.asked('state_ids'), 0);
    scene.net.advance(1);
    await scene.net.settle();
    scene.assertWhole();
  }));

test('who asks for a round does not wait for it', () =>
  Scene.play({ tuning: { resync: { graceMs: 1e9 } } }, async (scene) => {
    await scene.join();
    await scene.net.settle();
    assert.ok(scene.isPartial);
    assert.ok(scene.resyncs.retryNow(scene.roomId));
    await scene.net.settle();
    scene.assertWhole();
  }));

test.run();
