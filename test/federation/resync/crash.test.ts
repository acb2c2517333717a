// The joining server ends, without any warning, at every step of a join and of what completes it: after each request
// that it sends, and after each batch that it writes. Each time it has the room whole in the end, as a full join has.
//
// Model: what was written before is on disk, nothing that comes after; requests that were sent were sent. The server
// then starts again on what is there. Where the room is not, the user tries again, as one does.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { fsck } from '../../../src/engine/maintenance/fsck.js';
import { fillDiskAfter } from '../../engine/support/stores.js';
import type { Fault } from '../faults.js';
import { v3 } from '../membership/people.js';
import { DROP, Scene } from './scene.js';

const test = suite('federation/resync crashes');

const OPTIONS = { servers: 2, members: 12, isOnDisk: true };

/** Ends what cannot write any more, and lets go of its folder. */
async function kill({ net, engine }: Scene): Promise<void> {
  await net.stop('a.test').catch(() => undefined);
  await engine.store.close().catch(() => undefined);
}

/** Starts again what has ended, and sees it through. */
async function recover(scene: Scene, when: string): Promise<void> {
  const { net, roomId, script, bob, others } = scene;
  await kill(scene);
  for (const { site } of [bob, ...others]) script.on(site, '*', undefined);
  script.onAsk = () => undefined;
  await net.start(scene.name);
  const room = scene.engine.store.room(roomId);
  const isIn =
    room !== undefined && scene.engine.currentState(roomId).membership(scene.alice.userId) === 'join';
  // Either there is no room, or one with a record of what it lacks, or all of it.
  const lacks = [...scene.engine.partial.incomplete()].length;
  if (isIn) assert.is(lacks, room.isPartial ? 1 : 0, when);
  else assert.is(lacks, 0, when);
  net.advance(60_000);
  if (!isIn) await scene.join();
  await scene.until(() => !scene.isPartial, 60_000, 20);
  await scene.until(() => isSettled(scene), 60_000, 20);
  scene.assertWhole();
  assert.equal((await fsck(scene.engine.store)).problems, [], when);
}

function isSettled({ engine, roomId, bob }: Scene): boolean {
  return engine.currentState(roomId).root === bob.site.harness.home.engine.currentState(roomId).root;
}

/** What comes before the join that is ended. */
type Before = (scene: Scene) => Promise<void>;

const nothing: Before = async () => {};

/** Alice was in the room, and had it whole. */
const alreadyThere: Before = async (scene) => {
  const { net, alice, bob, roomId } = scene;
  await scene.join();
  await scene.until(() => !scene.isPartial);
  await alice.ask('POST', v3`/v3/rooms/${roomId}/leave`);
  await net.settle();
  await bob.ask('PUT', v3`/v3/rooms/${roomId}/state/m.room.name/`, { name: 'Renamed' });
  net.advance(1_000);
};

/** @returns whether it came to the crash */
async function crashAtRequest(at: number, fault: Fault, before: Before): Promise<boolean> {
  let isDown = false;
  await Scene.play(OPTIONS, async (scene) => {
    await before(scene);
    const { script, bob, others, engine } = scene;
    let asked = 0;
    script.onAsk = () => {
      if (asked++ < at || isDown) return;
      isDown = true;
      fillDiskAfter(engine.store, 0);
      for (const { site } of [bob, ...others]) script.on(site, '*', fault);
    };
    await scene.join().catch(() => undefined);
    await ended(scene, () => isDown);
    if (isDown) await recover(scene, `request ${at}`);
    else scene.assertWhole();
  });
  return isDown;
}

/** @returns whether it came to the crash */
async function crashAfterWrite(at: number, before: Before): Promise<boolean> {
  let isDown = false;
  await Scene.play(OPTIONS, async (scene) => {
    await before(scene);
    const { engine } = scene;
    fillDiskAfter(engine.store, at);
    await scene.join().catch(() => undefined);
    await ended(scene, () => engine.core.writer.failure !== undefined);
    isDown = engine.core.writer.failure !== undefined;
    if (isDown) await recover(scene, `write ${at}`);
    else scene.assertWhole();
    // What it writes as it ends may be one too many.
    await kill(scene);
  });
  return isDown;
}

/** Waits until it is down, or the room is whole and nothing more happens. */
async function ended(scene: Scene, isDown: () => boolean): Promise<void> {
  const isWhole = (): boolean => scene.engine.partial.joinOf(scene.roomId)?.completed !== undefined;
  do await scene.net.settle().catch(() => undefined);
  while (!isDown() && !isWhole());
}

for (const [what, before] of [
  ['a first join', nothing],
  ['coming back', alreadyThere],
] as const) {
  test(`it ends after each write of ${what} in turn`, async () => {
    let at = 0;
    while (await crashAfterWrite(at, before)) at++;
    assert.ok(at >= 4, `${at} writes`);
  });

  for (const fault of [DROP, { kind: 'drop-answer' }] as const) {
    test(`it ends at each request of ${what} in turn: ${fault.kind}`, async () => {
      let at = 0;
      while (await crashAtRequest(at, fault, before)) at++;
      assert.ok(at >= 3, `${at} requests`);
    });
  }
}

test.run();
