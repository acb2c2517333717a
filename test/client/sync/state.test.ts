import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { itemsOf, type TestUser, textOf } from '../harness.js';
import { v3 } from '../rooms.js';
import { eventsOf, idsOf, joinedIn, membersOf, nextOf, Scene, shorts } from './support.js';

const test = suite('sync: state and members');

const LAZY = { room: { state: { lazy_load_members: true } } };
const LAZY_AND_SHORT = { room: { state: { lazy_load_members: true }, timeline: { limit: 1 } } };

/** A public room of alice's in which others are joined. */
async function room(scene: Scene, ...names: readonly string[]) {
  const alice = await scene.harness.user('alice');
  const roomId = await scene.rooms.create(alice, { preset: 'public_chat' });
  const others: TestUser[] = [];
  for (const name of names) {
    const user = await scene.harness.user(name);
    await scene.rooms.join(user, roomId);
    others.push(user);
  }
  return { alice, roomId, others };
}

test('a resolution of forks changes state that no event of the timeline shows, and it arrives', () =>
  Scene.play(async (scene) => {
    const { alice, roomId, others } = await room(scene, 'bob');
    const bob = others[0] as TestUser;
    const topic = await scene.rooms.set(alice, roomId, 'm.room.topic', { topic: 'first' });
    const levels = { users: { [bob.userId]: 50 } };
    const fork = await scene.rooms.set(alice, roomId, 'm.room.power_levels', levels);
    await scene.rooms.set(bob, roomId, 'm.room.topic', { topic: 'by bob' });
    const sync = await scene.sync(alice);
    const demotion = await scene.fork(roomId, fork, {
      type: 'm.room.power_levels',
      sender: alice.userId,
      stateKey: '',
      content: { users: {} },
    });
    assert.is(demotion.verdict, 'accepted');
    const after = joinedIn(await scene.sync(alice, { since: nextOf(sync) }), roomId);
    assert.equal(idsOf(after, 'timeline'), [demotion.eventId]);
    assert.equal(idsOf(after, 'state'), [topic], 'the topic is what it was before bob');
    assert.is(after?.['timeline']?.['limited'], false);
    const query = { since: nextOf(sync), use_state_after: 'true' };
    const whole = joinedIn(await scene.sync(alice, query), roomId);
    assert.equal([...idsOf(whole, 'state_after')].sort(), [topic, demotion.eventId].sort());
  }));

test('an initial sync of a fork that lost gives the state that won', () =>
  Scene.play(async (scene) => {
    const { alice, roomId, others } = await room(scene, 'bob');
    const bob = others[0] as TestUser;
    const topic = await scene.rooms.set(alice, roomId, 'm.room.topic', { topic: 'first' });
    const fork = await scene.rooms.set(alice, roomId, 'm.room.power_levels', { users: { [bob.userId]: 50 } });
    await scene.rooms.set(bob, roomId, 'm.room.topic', { topic: 'by bob' });
    await scene.fork(roomId, fork, {
      type: 'm.room.power_levels',
      sender: alice.userId,
      stateKey: '',
      content: { users: {} },
    });
    const filter = { room: { timeline: { limit: 1 }, state: { types: ['m.room.topic'] } } };
    assert.equal(idsOf(joinedIn(await scene.sync(alice, {}, filter), roomId), 'state'), [topic]);
    const query = { use_state_after: 'true' };
    assert.equal(idsOf(joinedIn(await scene.sync(alice, query, filter), roomId), 'state_after'), [topic]);
  }));

test('an incremental sync that is not limited has no state to tell', () =>
  Scene.play(async (scene) => {
    const { alice, roomId, others } = await room(scene, 'bob');
    const since = await scene.token(alice);
    await scene.rooms.say(others[0] as TestUser, roomId, 'hi');
    await scene.rooms.set(alice, roomId, 'm.room.topic', { topic: 'news' });
    const answer = joinedIn(await scene.sync(alice, { since }), roomId);
    assert.equal(shorts(answer, 'timeline'), ['hi', 'topic|']);
    assert.equal(answer?.['state'], { events: [] });
  }));

test('full_state gives all state at once, though nothing is new', () =>
  Scene.play(async (scene) => {
    const { alice, roomId } = await room(scene, 'bob');
    const since = await scene.token(alice);
    const answer = joinedIn(await scene.sync(alice, { since, full_state: 'true', timeout: '30000' }), roomId);
    assert.equal(eventsOf(answer, 'timeline'), []);
    assert.ok(shorts(answer, 'state').includes('create|'));
    assert.equal(membersOf(answer, 'state'), ['@alice:example.org', '@bob:example.org']);
  }));

test('lazy members: an initial sync has senders of the timeline, the user, and heroes; never more', () =>
  Scene.play(async (scene) => {
    const names = ['b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'];
    const { alice, roomId, others } = await room(scene, ...names);
    await scene.rooms.say(others[7] as TestUser, roomId, 'hello');
    const answer = joinedIn(await scene.sync(alice, {}, LAZY_AND_SHORT), roomId);
    assert.equal(
      membersOf(answer, 'state'),
      ['alice', 'b', 'c', 'd', 'e', 'f', 'i'].map((name) => `@${name}:example.org`),
    );
    assert.equal(
      itemsOf(answer?.['summary']?.['m.heroes']).map(textOf),
      ['b', 'c', 'd', 'e', 'f'].map((name) => `@${name}:example.org`),
    );
    const eager = { room: { timeline: { limit: 1 } } };
    assert.is(membersOf(joinedIn(await scene.sync(alice, {}, eager), roomId), 'state').length, 9);
  }));

test('lazy members: who was sent before is left out, until the client begins anew or asks for redundant ones', () =>
  Scene.play(async (scene) => {
    const { alice, roomId, others } = await room(scene, 'b', 'c', 'd', 'e', 'f', 'g');
    const g = others[5] as TestUser;
    const sync = await scene.sync(alice, {}, LAZY_AND_SHORT);
    await scene.rooms.say(others[0] as TestUser, roomId, 'known');
    const known = await scene.sync(alice, { since: nextOf(sync) }, LAZY);
    assert.equal(membersOf(joinedIn(known, roomId), 'state'), [], 'a hero of the first answer');
    const redundant = { room: { state: { lazy_load_members: true, include_redundant_members: true } } };
    const again = joinedIn(await scene.sync(alice, { since: nextOf(sync) }, redundant), roomId);
    assert.equal(membersOf(again, 'state'), ['@b:example.org']);
    await scene.rooms.say(g, roomId, 'once');
    const lost = await scene.sync(alice, { since: nextOf(known) }, LAZY);
    await scene.rooms.say(g, roomId, 'twice');
    const repeated = joinedIn(await scene.sync(alice, { since: nextOf(known) }, LAZY), roomId);
    assert.equal(
      membersOf(repeated, 'state'),
      membersOf(joinedIn(lost, roomId), 'state'),
      'an answer may get lost',
    );
    const device = await scene.harness.device(alice.userId);
    const other = joinedIn(await scene.sync(device, { since: nextOf(known) }, LAZY), roomId);
    assert.equal(membersOf(other, 'state'), ['@g:example.org'], 'another device knows nobody');
    const since = nextOf(
      await scene.sync(alice, {}, { room: { state: { lazy_load_members: true }, timeline: { limit: 0 } } }),
    );
    await scene.rooms.say(g, roomId, 'thrice');
    const fresh = joinedIn(await scene.sync(alice, { since }, LAZY), roomId);
    assert.equal(membersOf(fresh, 'state'), ['@g:example.org'], 'who began anew knows nobody either');
  }));

test('lazy members: what came in an answer that was lost is sent again, also after another one was received', () =>
  Scene.play(async (scene) => {
    const { rooms } = scene;
    const { alice, roomId, others } = await room(scene, 'bob', 'carol');
    const [bob, carol] = others as [TestUser, TestUser];
    // With a name and an alias there are no heroes.
    await rooms.set(alice, roomId, 'm.room.name', { name: 'Named' });
    await rooms.ask(alice, 'PUT', v3`directory/room/${'#named:example.org'}`, { room_id: roomId });
    await rooms.set(alice, roomId, 'm.room.canonical_alias', { alias: '#named:example.org' });
    const since = nextOf(await scene.sync(alice, {}, LAZY_AND_SHORT));
    await rooms.say(bob, roomId, 'one');
    const lost = await scene.sync(alice, { since }, LAZY_AND_SHORT);
    assert.equal(membersOf(joinedIn(lost, roomId), 'state'), [bob.userId]);
    await rooms.say(carol, roomId, 'two');
    const received = await scene.sync(alice, { since }, LAZY_AND_SHORT);
    assert.equal(
      membersOf(joinedIn(received, roomId), 'state'),
      [carol.userId],
      'the timeline has room for one',
    );
    await rooms.say(bob, roomId, 'three');
    const next = await scene.sync(alice, { since: nextOf(received) }, LAZY_AND_SHORT);
    assert.equal(membersOf(joinedIn(next, roomId), 'state'), [bob.userId]);
    await rooms.say(bob, roomId, 'four');
    const last = await scene.sync(alice, { since: nextOf(next) }, LAZY_AND_SHORT);
    assert.equal(membersOf(joinedIn(last, roomId), 'state'), []);
  }));

test('lazy members: who comes back into a room is sent its senders again', () =>
  Scene.play(async (scene) => {
    const { alice, roomId, others } = await room(scene, 'b', 'c', 'd', 'e', 'f', 'g');
    const g = others[5] as TestUser;
    const zoe = await scene.harness.user('zoe');
    await scene.rooms.join(zoe, roomId);
    await scene.rooms.say(g, roomId, 'known');
    let since = nextOf(await scene.sync(zoe, {}, LAZY_AND_SHORT));
    await scene.rooms.leave(zoe, roomId);
    since = nextOf(await scene.sync(zoe, { since }, LAZY_AND_SHORT));
    await scene.rooms.join(zoe, roomId);
    await scene.rooms.say(alice, roomId, 'welcome');
    const back = await scene.sync(zoe, { since }, LAZY_AND_SHORT);
    assert.not.ok(membersOf(joinedIn(back, roomId), 'state').includes(g.userId), 'g says nothing yet');
    await scene.rooms.say(g, roomId, 'hello again');
    const heard = await scene.sync(zoe, { since: nextOf(back) }, LAZY_AND_SHORT);
    assert.equal(membersOf(joinedIn(heard, roomId), 'state'), [g.userId]);
    await scene.rooms.say(g, roomId, 'and again');
    const again = await scene.sync(zoe, { since: nextOf(heard) }, LAZY_AND_SHORT);
    assert.equal(membersOf(joinedIn(again, roomId), 'state'), []);
  }));

test('lazy members: a limited timeline brings every member that changed in the gap', () =>
  Scene.play(async (scene) => {
    const { alice, roomId, others } = await room(scene, 'b', 'c', 'd', 'e', 'f', 'g');
    const since = nextOf(await scene.sync(alice, {}, LAZY));
    await scene.rooms.leave(others[5] as TestUser, roomId);
    await scene.rooms.ask(others[4], 'PUT', v3`profile/${others[4]?.userId ?? ''}/displayname`, {
      displayname: 'Effi',
    });
    const late = await scene.harness.user('late');
    await scene.rooms.join(late, roomId);
    for (const text of ['1', '2']) await scene.rooms.say(alice, roomId, text);
    const answer = joinedIn(await scene.sync(alice, { since }, LAZY_AND_SHORT), roomId);
    assert.equal(shorts(answer, 'timeline'), ['2']);
    const members = membersOf(answer, 'state');
    for (const userId of ['@f:example.org', '@g:example.org', '@late:example.org']) {
      assert.ok(members.includes(userId), `${userId} of ${members.join(' ')}`);
    }
  }));

test('lazy members: of a thousand an answer holds a handful, and the summary counts them all', () =>
  Scene.play(async (scene) => {
    const { alice, roomId } = await room(scene);
    const { engine } = scene.harness.home;
    for (let first = 0; first < 1_000; first += 50) {
      const batch = Array.from({ length: 50 }, (_, i) => `@m${first + i}:example.org`);
      await Promise.all(
        batch.map((sender) =>
          engine.send(roomId, {
            type: 'm.room.member',
            sender,
            stateKey: sender,
            content: { membership: 'join' },
          }),
        ),
      );
    }
    const sync = await scene.sync(alice, {}, LAZY_AND_SHORT);
    const answer = joinedIn(sync, roomId);
    assert.is(membersOf(answer, 'state').length, 6, 'alice and five heroes; the sender is in the timeline');
    assert.equal(
      itemsOf(answer?.['summary']?.['m.heroes']).map(textOf),
      [0, 1, 2, 3, 4].map((i) => `@m${i}:example.org`),
    );
    assert.is(answer?.['summary']?.['m.joined_member_count'], 1_001);
    const reads = engine.reader.events.reads;
    await scene.rooms.say(alice, roomId, 'hello');
    const next = joinedIn(await scene.sync(alice, { since: nextOf(sync) }, LAZY), roomId);
    assert.equal(membersOf(next, 'state'), []);
    assert.ok(engine.reader.events.reads - reads < 200, 'and costs what changed, not the room');
  }));

test('summary: counts and heroes come first, then only when they change', () =>
  Scene.play(async (scene) => {
    const { alice, roomId, others } = await room(scene, 'bob', 'carol');
    const [bob, carol] = others as [TestUser, TestUser];
    const dora = await scene.harness.user('dora');
    await scene.rooms.invite(alice, roomId, dora);
    const sync = await scene.sync(alice);
    assert.equal(joinedIn(sync, roomId)?.['summary'], {
      'm.heroes': [bob.userId, carol.userId, dora.userId],
      'm.joined_member_count': 3,
      'm.invited_member_count': 1,
    });
    await scene.rooms.say(bob, roomId, 'hi');
    const same = await scene.sync(alice, { since: nextOf(sync) });
    assert.is(joinedIn(same, roomId)?.['summary'], undefined);
    await scene.rooms.leave(bob, roomId);
    await scene.rooms.join(dora, roomId);
    const changed = joinedIn(await scene.sync(alice, { since: nextOf(same) }), roomId);
    assert.equal(changed?.['summary'], {
      'm.heroes': [carol.userId, dora.userId],
      'm.joined_member_count': 3,
      'm.invited_member_count': 0,
    });
  }));

test('summary: alone, one is told who was there; in a room with name and alias nobody', () =>
  Scene.play(async (scene) => {
    const { alice, roomId, others } = await room(scene, 'bob');
    await scene.rooms.leave(others[0] as TestUser, roomId);
    const heroesOf = async (): Promise<unknown> =>
      joinedIn(await scene.sync(alice), roomId)?.['summary']?.['m.heroes'];
    assert.equal(await heroesOf(), ['@bob:example.org']);
    await scene.rooms.set(alice, roomId, 'm.room.name', { name: 'Tea' });
    assert.equal(await heroesOf(), ['@bob:example.org']);
    const alias = '#tea:example.org';
    await scene.rooms.ask(alice, 'PUT', v3`directory/room/${alias}`, { room_id: roomId });
    await scene.rooms.set(alice, roomId, 'm.room.canonical_alias', { alias });
    assert.is(await heroesOf(), undefined);
  }));

test.run();
