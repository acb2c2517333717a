import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { itemsOf, type Json, type TestUser, textOf } from '../harness.js';
import { v3 } from '../rooms.js';
import { eventsOf, idsOf, joinedIn, leftIn, membersOf, nextOf, Scene, shorts } from './support.js';

const test = suite('sync: rooms by membership');

async function pair(scene: Scene, body: object = { preset: 'public_chat' }) {
  const [alice, bob] = [await scene.harness.user('alice'), await scene.harness.user('bob')];
  return { alice, bob, roomId: await scene.rooms.create(alice, body) };
}

const invitedIn = (sync: Json, roomId: string): Json | undefined => sync['rooms']?.['invite']?.[roomId];

test('an invitation comes once, with stripped state: create, name, who invites, and four keys at most', () =>
  Scene.play(async (scene) => {
    const { alice, bob, roomId } = await pair(scene, { name: 'Tea', preset: 'private_chat' });
    const since = await scene.token(bob);
    await scene.rooms.invite(alice, roomId, bob);
    const sync = await scene.sync(bob, { since });
    const events = itemsOf(invitedIn(sync, roomId)?.['invite_state']?.['events']);
    const types = events.map((event) => `${textOf(event['type'])}|${textOf(event['state_key'])}`);
    for (const type of [
      'm.room.create|',
      'm.room.name|',
      'm.room.join_rules|',
      'm.room.member|@alice:example.org',
    ]) {
      assert.ok(types.includes(type), type);
    }
    assert.is(types.at(-1), 'm.room.member|@bob:example.org');
    for (const event of events)
      assert.equal(Object.keys(event).sort(), ['content', 'sender', 'state_key', 'type']);
    await scene.rooms.say(alice, roomId, 'secret');
    assert.is((await scene.sync(bob, { since: nextOf(sync) }))['rooms'], undefined);
    assert.ok(invitedIn(await scene.sync(bob), roomId) !== undefined, 'an initial sync has it too');
  }));

test('a knock is shown to who knocked, with stripped state', () =>
  Scene.play(async (scene) => {
    const { alice, bob, roomId } = await pair(scene);
    await scene.rooms.set(alice, roomId, 'm.room.join_rules', { join_rule: 'knock' });
    const since = await scene.token(bob);
    await scene.rooms.ask(bob, 'POST', v3`knock/${roomId}`);
    const sync = await scene.sync(bob, { since });
    const events = itemsOf(sync['rooms']?.['knock']?.[roomId]?.['knock_state']?.['events']);
    assert.is(textOf(events[0]?.['type']), 'm.room.create');
  }));

test('a room newly joined comes with its full state and its past, however old the token', () =>
  Scene.play(async (scene) => {
    const { alice, bob, roomId } = await pair(scene);
    await scene.rooms.say(alice, roomId, 'past');
    const since = await scene.token(bob);
    await scene.rooms.join(bob, roomId);
    const filter = { room: { timeline: { limit: 2 } } };
    const room = joinedIn(await scene.sync(bob, { since }, filter), roomId);
    assert.equal(shorts(room, 'timeline'), ['past', 'member|@bob:example.org']);
    assert.is(room?.['timeline']?.['limited'], true);
    assert.ok(shorts(room, 'state').includes('create|'));
    assert.equal(membersOf(room, 'state'), ['@alice:example.org']);
    assert.ok(room?.['summary'] !== undefined);
  }));

test('a duplicate join and a change of profile do not send the state again', () =>
  Scene.play(async (scene) => {
    const { alice, bob, roomId } = await pair(scene);
    await scene.rooms.join(bob, roomId);
    const since = await scene.token(bob);
    const { engine } = scene.harness.home;
    const again = await engine.send(roomId, {
      type: 'm.room.member',
      sender: bob.userId,
      stateKey: bob.userId,
      content: { membership: 'join' },
    });
    await scene.rooms.ask(bob, 'PUT', v3`profile/${bob.userId}/displayname`, { displayname: 'Bobby' });
    const room = joinedIn(await scene.sync(bob, { since }), roomId);
    assert.is(idsOf(room, 'timeline')[0], again.eventId);
    assert.equal(eventsOf(room, 'state'), []);
    assert.is(room?.['timeline']?.['limited'], false);
    assert.is(joinedIn(await scene.sync(alice), roomId)?.['summary']?.['m.joined_member_count'], 2);
  }));

test('who leaves is told up to their leave and no further; older rooms come with include_leave only', () =>
  Scene.play(async (scene) => {
    const { alice, bob, roomId } = await pair(scene);
    await scene.rooms.join(bob, roomId);
    const since = await scene.token(bob);
    await scene.rooms.say(alice, roomId, 'hello');
    await scene.rooms.leave(bob, roomId);
    await scene.rooms.say(alice, roomId, 'gone?');
    await scene.rooms.set(alice, roomId, 'm.room.topic', { topic: 'after' });
    const sync = await scene.sync(bob, { since });
    const left = leftIn(sync, roomId);
    assert.equal(shorts(left, 'timeline'), ['hello', 'member|@bob:example.org']);
    assert.equal(eventsOf(left, 'state'), []);
    assert.is(joinedIn(sync, roomId), undefined);
    assert.is((await scene.sync(bob, { since: nextOf(sync) }))['rooms'], undefined, 'once');
    assert.is((await scene.sync(bob))['rooms'], undefined);
    const filter = { room: { include_leave: true, timeline: { limit: 1 } } };
    const older = leftIn(await scene.sync(bob, {}, filter), roomId);
    assert.equal(shorts(older, 'timeline'), ['member|@bob:example.org']);
    assert.ok(shorts(older, 'state').includes('create|'));
    assert.not.ok(shorts(older, 'state').includes('topic|'), 'state is that of the leave');
    await scene.rooms.ask(bob, 'POST', v3`rooms/${roomId}/forget`);
    assert.is(leftIn(await scene.sync(bob, {}, filter), roomId), undefined);
  }));

test('who is kicked or banned is told so, even where the timeline shows them nothing else', () =>
  Scene.play(async (scene) => {
    const { alice, bob, roomId } = await pair(scene);
    await scene.rooms.join(bob, roomId);
    const since = await scene.token(bob);
    await scene.rooms.ban(alice, roomId, bob);
    const filter = { room: { timeline: { types: ['m.room.message'] } } };
    const left = leftIn(await scene.sync(bob, { since }, filter), roomId);
    assert.equal(shorts(left, 'timeline'), ['member|@bob:example.org']);
  }));

test('a rejected invitation is a left room that shows the rejection and nothing of the room', () =>
  Scene.play(async (scene) => {
    const { alice, bob, roomId } = await pair(scene, { preset: 'private_chat', name: 'Secret' });
    await scene.rooms.say(alice, roomId, 'secret');
    await scene.rooms.invite(alice, roomId, bob);
    const since = await scene.token(bob);
    await scene.rooms.leave(bob, roomId);
    const left = leftIn(await scene.sync(bob, { since }), roomId);
    assert.equal(shorts(left, 'timeline'), ['member|@bob:example.org']);
    assert.equal(eventsOf(left, 'state'), []);
  }));

test('who came and went between two syncs is told of a left room, with its state', () =>
  Scene.play(async (scene) => {
    const { bob, roomId } = await pair(scene);
    const since = await scene.token(bob);
    await scene.rooms.join(bob, roomId);
    await scene.rooms.leave(bob, roomId);
    const filter = { room: { timeline: { limit: 1 } } };
    const left = leftIn(await scene.sync(bob, { since }, filter), roomId);
    assert.equal(shorts(left, 'timeline'), ['member|@bob:example.org']);
    assert.ok(shorts(left, 'state').includes('create|'));
  }));

test('a leave that only a resolution of forks brought about ends the room there', () =>
  Scene.play(async (scene) => {
    const { harness, rooms } = scene;
    const { alice, bob, roomId } = await pair(scene);
    const carol = await harness.user('carol');
    await rooms.join(bob, roomId);
    const fork = await rooms.say(alice, roomId, 'fork');
    await rooms.join(carol, roomId);
    const since = await scene.token(bob);
    const ban = await scene.fork(roomId, fork, {
      type: 'm.room.member',
      sender: alice.userId,
      stateKey: bob.userId,
      content: { membership: 'ban' },
    });
    await rooms.say(alice, roomId, 'after');
    const left = leftIn(await scene.sync(bob, { since }), roomId);
    assert.equal(idsOf(left, 'timeline'), [ban.eventId]);
  }));

test('who comes back gets the room anew', () =>
  Scene.play(async (scene) => {
    const { alice, bob, roomId } = await pair(scene);
    await scene.rooms.join(bob, roomId);
    await scene.rooms.leave(bob, roomId);
    const since = await scene.token(bob);
    await scene.rooms.set(alice, roomId, 'm.room.topic', { topic: 'meanwhile' });
    await scene.rooms.join(bob, roomId);
    const room = joinedIn(await scene.sync(bob, { since }, { room: { timeline: { limit: 1 } } }), roomId);
    assert.ok(shorts(room, 'state').includes('create|'));
    assert.ok(shorts(room, 'state').includes('topic|'));
  }));

test('a stranger hears of nothing', () =>
  Scene.play(async (scene) => {
    const { alice, bob, roomId } = await pair(scene);
    const since = await scene.token(bob);
    await scene.rooms.say(alice, roomId, 'hello');
    const stranger: TestUser = bob;
    assert.is((await scene.sync(stranger, { since }))['rooms'], undefined);
    assert.is((await scene.sync(stranger))['rooms'], undefined);
    const refused = await scene.harness.call(undefined, 'GET', '/v3/sync');
    assert.is(refused.status, 401);
  }));

test.run();
