// One of two residents fails, at every step of a join and of what completes it, in every way: the other one is enough.
//
// Model: requests of the joining server to the first resident, of one kind, come to grief in one way until the room is
// whole. Invariant: the join succeeds, and in the end the room here is what it is there, key by key.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Fault } from '../faults.js';
import { v3 } from '../membership/people.js';
import { alter, DROP, HANG, refuse, Scene, type Step } from './scene.js';

const test = suite('federation/resync residents');

const STEPS: readonly Step[] = ['make_join', 'send_join', 'state_ids', 'state', 'event', 'event_auth'];

const FAULTS: ReadonlyArray<readonly [name: string, fault: Fault]> = [
  ['is not reached', DROP],
  ['is not heard', { kind: 'drop-answer' }],
  ['hangs', HANG],
  ['answers twice', { kind: 'duplicate' }],
  ['is slow', { kind: 'delay', ms: 8_000 }],
  ['breaks off', { kind: 'truncate', bytes: 100 }],
  ['answers nonsense', { kind: 'garbage' }],
  ['has a fault of its own', { kind: 'garbage', status: 500 }],
  ['refuses', refuse(403, 'M_FORBIDDEN')],
  ['knows nothing of it', refuse(404, 'M_NOT_FOUND')],
  ['answers with nothing', alter(() => ({}))],
];

for (const [name, fault] of FAULTS) {
  for (const step of STEPS) {
    // A state of which most is lacking is asked for whole.
    const members = step === 'state' ? 12 : 1;
    test(`one ${name} when asked for ${step}`, () => play(members, step, fault));
  }
}

function play(members: number, step: Step, fault: Fault): Promise<void> {
  return Scene.play({ members }, async (scene) => {
    const { script, bob, others, net, roomId } = scene;
    const [other] = others;
    assert.ok(other);
    script.on(bob.site, step, fault);
    const joining = scene.join([bob.site, other.site]);
    await scene.until(() => scene.isIn && !scene.isPartial, 20_000, 40);
    await joining;
    script.clear();
    // A join that was taken twice leaves two ends; whatever is said next follows both.
    net.advance(1_000);
    await bob.ask('PUT', v3`/v3/rooms/${roomId}/send/m.room.message/1`, { body: 'all of it' });
    const there = bob.site.harness.home.engine;
    await scene.until(() => scene.engine.currentState(roomId).root === there.currentState(roomId).root);
    scene.assertWhole();
  });
}

test.run();
