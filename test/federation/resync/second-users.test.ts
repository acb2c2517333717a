// What further users of the joining server do, and what is done to them, before the state of the room is whole.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { RoomId } from '../../../src/event/ids.js';
import type { Person } from '../membership/people.js';
import { v3 } from '../membership/people.js';
import { HANG, Scene } from './scene.js';

const test = suite('federation/resync second users');

/** Alice is in the room, and nothing more is known of its members for now. */
async function partially(scene: Scene): Promise<void> {
  const { script, bob, others, net } = scene;
  for (const { site } of [bob, ...others]) script.on(site, 'state_ids', HANG);
  await scene.join();
  await net.settle();
  assert.ok(scene.isPartial);
  net.advance(1_000);
}

/** It is whole, and what Bob has, key by key. */
async function wholly(scene: Scene): Promise<void> {
  scene.script.clear();
  await scene.until(() => !scene.isPartial, 60_000);
  await scene.share();
  await scene.until(() => {
    const { engine, roomId, bob } = scene;
    return engine.currentState(roomId).root === bob.site.harness.home.engine.currentState(roomId).root;
  }, 60_000);
  scene.assertWhole();
}

const inRoom = (scene: Scene, person: Person, what: string, body: object = {}) =>
  person.answer('POST', `${v3`/v3/rooms/${scene.roomId}/`}${what}`, body);

test('a second user joins a public room without asking anybody', () =>
  Scene.play({}, async (scene) => {
    await partially(scene);
    const amy = await scene.person('amy');
    const before = scene.asked('send_join');
    assert.is((await inRoom(scene, amy, 'join')).status, 200);
    assert.is(scene.asked('send_join'), before);
    assert.is(amy.membershipOf(scene.roomId, amy), 'join');
    await wholly(scene);
    assert.is(amy.membershipOf(scene.roomId, amy), 'join');
  }));

test('one who was banned is in for a while, and is not once that is known', () =>
  Scene.play({}, async (scene) => {
    const amy = await scene.person('amy');
    await inRoom(scene, scene.bob, 'ban', { user_id: amy.userId });
    await scene.net.settle();
    await partially(scene);
    if (amy.membershipOf(scene.roomId, amy) === undefined) await inRoom(scene, amy, 'join');
    await wholly(scene);
    assert.is(amy.membershipOf(scene.roomId, amy), 'ban');
  }));

const INVITE_ONLY = { preset: 'private_chat' };

for (const tellsNeededMembers of [false, true]) {
  const how = tellsNeededMembers
    ? 'here, where it is told of the invitation'
    : 'by a resident, which knows of it';
  test(`one who was invited is let in ${how}`, () =>
    Scene.play(
      { servers: 2, members: 0, room: INVITE_ONLY, options: { tellsNeededMembers } },
      async (scene) => {
        const { bob, alice, net } = scene;
        const amy = await scene.person('amy');
        const [ann, abe] = [await scene.person('ann'), await scene.person('abe')];
        for (const { userId } of [alice, amy, ann]) await inRoom(scene, bob, 'invite', { user_id: userId });
        await net.settle();
        await partially(scene);
        const shown = (await amy.sync())['rooms']?.['invite']?.[scene.roomId];
        assert.ok(shown, 'the invitation is shown although the room may not tell of it yet');
        const before = scene.asked('send_join');
        assert.is((await inRoom(scene, amy, 'join')).status, 200);
        assert.is(scene.asked('send_join') - before, tellsNeededMembers ? 0 : 1);
        assert.is(amy.membershipOf(scene.roomId, amy), 'join');
        assert.is((await amy.sync())['rooms']?.['invite'], undefined);
        assert.is((await inRoom(scene, ann, 'leave')).status, 200);
        assert.is((await inRoom(scene, abe, 'join')).status, 403);
        await net.settle();
        await wholly(scene);
        assert.is(bob.membershipOf(scene.roomId, amy), 'join');
        assert.is(bob.membershipOf(scene.roomId, ann), 'leave');
        assert.is((await ann.sync())['rooms']?.['invite'], undefined);
      },
    ));
}

test('an invitation that is withdrawn meanwhile is no more', async () => {
  const scene = await Scene.open({ servers: 2, members: 0, room: INVITE_ONLY });
  try {
    const { bob, alice, net } = scene;
    const amy = await scene.person('amy');
    for (const { userId } of [alice, amy]) await inRoom(scene, bob, 'invite', { user_id: userId });
    await net.settle();
    await partially(scene);
    assert.is((await inRoom(scene, bob, 'kick', { user_id: amy.userId })).status, 200);
    await scene.until(() => amy.membershipOf(scene.roomId, amy) === 'leave', 1_000);
    assert.is((await amy.sync())['rooms']?.['invite'], undefined);
    await wholly(scene);
  } finally {
    await scene.close();
  }
});

test('a restricted room lets in who is in the other room, though of neither the state is all known', async () => {
  const scene = await Scene.open({ servers: 2, members: 2 });
  try {
    const { bob, net, alice } = scene;
    const allow = [{ type: 'm.room_membership', room_id: scene.roomId }];
    const join_rules = {
      type: 'm.room.join_rules',
      state_key: '',
      content: { join_rule: 'restricted', allow },
    };
    const inner = (await bob.createRoom({ name: 'Inner', initial_state: [join_rules] })) as RoomId;
    await partially(scene);
    const amy = await scene.person('amy');
    await inRoom(scene, amy, 'join');
    await net.settle();
    const path = `${v3`/v3/join/${inner}`}?via=${bob.site.name}`;
    for (const person of [alice, amy]) {
      assert.is((await person.answer('POST', path)).status, 200);
      assert.is(person.membershipOf(inner, person), 'join');
      await net.settle();
    }
    await wholly(scene);
    await scene.until(() => !scene.engine.partial.isPartial(inner), 60_000);
    await scene.share(inner);
    const there = bob.site.harness.home.engine;
    assert.is(scene.engine.currentState(inner).root, there.currentState(inner).root);
  } finally {
    await scene.close();
  }
});

test('who is not known to be there is kicked, banned and invited all the same, and the rules decide', async () => {
  const scene = await Scene.open({ members: 4 });
  try {
    const { bob, alice, net, roomId } = scene;
    const { engine } = bob.site.harness.home;
    const levels = engine.reader.event(
      String(engine.currentState(roomId).get('m.room.power_levels', '')),
    ).pdu;
    const users = { ...(levels.content['users'] as object | undefined), [alice.userId]: 50 };
    const path = v3`/v3/rooms/${roomId}/state/m.room.power_levels/`;
    await bob.ask('PUT', path, { ...levels.content, users });
    await net.settle();
    await partially(scene);
    const kicked = await inRoom(scene, alice, 'kick', { user_id: '@m0:b.test' });
    assert.is(kicked.status, 200, JSON.stringify(kicked.body));
    assert.is((await inRoom(scene, alice, 'ban', { user_id: '@m1:b.test' })).status, 200);
    assert.is((await inRoom(scene, alice, 'unban', { user_id: '@m1:b.test' })).status, 200);
    await wholly(scene);
    const view = scene.engine.currentState(roomId);
    assert.is(view.membership('@m0:b.test'), 'leave');
    assert.is(view.membership('@m1:b.test'), 'leave');
    assert.is(view.membership('@m2:b.test'), 'join');
    assert.is((await inRoom(scene, alice, 'kick', { user_id: '@nobody:b.test' })).status, 403);
  } finally {
    await scene.close();
  }
});

test('a knock is made here, and stands on the whole state', async () => {
  const knock = [{ type: 'm.room.join_rules', state_key: '', content: { join_rule: 'knock' } }];
  const scene = await Scene.open({
    servers: 2,
    members: 0,
    room: { preset: 'private_chat', initial_state: knock },
  });
  try {
    await inRoom(scene, scene.bob, 'invite', { user_id: scene.alice.userId });
    await scene.net.settle();
    await partially(scene);
    const amy = await scene.person('amy');
    assert.is((await amy.answer('POST', v3`/v3/knock/${scene.roomId}`)).status, 200);
    assert.is(amy.membershipOf(scene.roomId, amy), 'knock');
    await wholly(scene);
    assert.is(scene.bob.membershipOf(scene.roomId, amy), 'knock');
  } finally {
    await scene.close();
  }
});

test.run();
