// What clients were told of a room on part of its state, and how it is put right when the rest is there.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId } from '../../../src/event/ids.js';
import type { Pdu } from '../../../src/event/pdu.js';
import { textOf } from '../harness.js';
import { bodies, leaf, v3 } from '../rooms.js';
import { eventsOf, idsOf, joinedIn, leftIn, membersOf, nextOf, shorts } from '../sync/support.js';
import type { Draft } from '../../simulator/test-server.js';
import { ALICE, BOB, CAROL, GINA, LAZY, member, message, PartialScene, state } from './support.js';

const test = suite('client/partial: corrections');

const MALLORY = '@mallory:beta.test';
const NOT_FOUND = [404, 'M_NOT_FOUND'] as const;

/**
 * Mallory, a moderator, is in the room and banned from it before Gina comes, but goes on as if she were not.
 * @returns what makes events of hers that rest on her join of old
 */
async function mallory(scene: PartialScene): Promise<(draft: Draft) => Pdu> {
  const { alpha, beta } = scene;
  await scene.send(
    alpha,
    state(ALICE, 'm.room.power_levels', { users: { [ALICE]: 100, [MALLORY]: 50 }, invite: 0 }),
  );
  await scene.send(beta, member(MALLORY, 'join'));
  const before = [...beta.room.forwardExtremities] as EventId[];
  await scene.send(alpha, member(MALLORY, 'ban', ALICE));
  return (draft) => {
    const { authEvents } = beta.build({ ...draft, prevEvents: before });
    return beta.build({ ...draft, prevEvents: [scene.join.eventId], authEvents });
  };
}

test('what somebody says who was banned is heard while the ban is unknown, and is gone when it is known', async () => {
  await PartialScene.act(async (scene) => {
    const says = await mallory(scene);
    const gina = await scene.enter();
    const { roomId, rooms } = scene;
    await scene.send(scene.beta, message(BOB, 'one'));
    const lie = says(message(MALLORY, 'I am here'));
    assert.is(await scene.give(lie), 'accepted');
    const first = await scene.lazily(gina);
    const room = joinedIn(first, roomId);
    assert.equal(shorts(room, 'timeline'), [`member|${GINA}`, 'one', 'I am here']);
    assert.equal(membersOf(room, 'state'), [BOB, MALLORY]);
    assert.is(textOf(room?.['unread_notifications']?.['notification_count']), '2');
    await rooms.ask(gina, 'GET', v3`rooms/${roomId}/event/${lie.eventId}`);

    await scene.complete();
    const second = await scene.lazily(gina, nextOf(first));
    const corrected = joinedIn(second, roomId);
    const told = eventsOf(corrected, 'state').find(({ state_key: key }) => leaf(key) === MALLORY);
    assert.is(leaf(told?.['content']?.['membership']), 'ban', 'of her ban the client is told');
    assert.equal(shorts(corrected, 'timeline'), []);
    assert.is(textOf(corrected?.['unread_notifications']?.['notification_count']), '1');
    assert.equal(await rooms.heard(gina, roomId), ['one']);
    await rooms.refused(NOT_FOUND, gina, 'GET', v3`rooms/${roomId}/event/${lie.eventId}`);
    await rooms.refused(NOT_FOUND, gina, 'GET', v3`rooms/${roomId}/context/${lie.eventId}`);
    await scene.send(scene.beta, message(BOB, 'two'));
    const third = joinedIn(await scene.lazily(gina, nextOf(second)), roomId);
    assert.equal(shorts(third, 'timeline'), ['two']);
    assert.equal(shorts(third, 'state'), []);
    for (const sync of [await scene.lazily(gina), await scene.eagerly(gina)]) {
      assert.equal(shorts(joinedIn(sync, roomId), 'timeline'), [`member|${GINA}`, 'one', 'two']);
    }
  });
});

test('who is quoted with an old membership of theirs is told as they are, when that is known', async () => {
  await PartialScene.act(async (scene) => {
    const { beta } = scene;
    const old = beta.current('m.room.member', BOB) as Pdu;
    const now = await scene.send(beta, {
      ...member(BOB, 'join'),
      content: { membership: 'join', displayname: 'B' },
    });
    const gina = await scene.enter();
    const said = beta.build({ ...message(BOB, 'one'), prevEvents: [scene.join.eventId] });
    const authEvents = said.authEvents.map((id) => (id === now.eventId ? old.eventId : id));
    const quoting = beta.build({ ...message(BOB, 'one'), prevEvents: [scene.join.eventId], authEvents });
    assert.is(await scene.give(quoting), 'accepted');
    const first = await scene.lazily(gina);
    assert.ok(idsOf(joinedIn(first, scene.roomId), 'state').includes(old.eventId));
    await scene.complete();
    await scene.rooms.ask(gina, 'GET', v3`rooms/${scene.roomId}/event/${quoting.eventId}`);
    const room = joinedIn(await scene.lazily(gina, nextOf(first)), scene.roomId);
    assert.ok(idsOf(room, 'state').includes(now.eventId));
  });
});

test('state that somebody set who may not is what it was, in `state` and in `state_after`', async () => {
  await PartialScene.act(async (scene) => {
    const says = await mallory(scene);
    const gina = await scene.enter();
    const since = nextOf(await scene.lazily(gina));
    const lie = says(state(MALLORY, 'm.room.topic', { topic: 'lies' }));
    assert.is(await scene.give(lie), 'accepted');
    const told = await scene.lazily(gina, since);
    assert.equal(shorts(joinedIn(told, scene.roomId), 'timeline'), ['topic|']);
    await scene.complete();
    const topicIn = (room: ReturnType<typeof joinedIn>, part: string): string[] =>
      eventsOf(room, part)
        .filter(({ type }) => leaf(type) === 'm.room.topic')
        .map(({ content }) => leaf(content?.['topic']));
    for (const token of [since, nextOf(told)]) {
      assert.equal(topicIn(joinedIn(await scene.lazily(gina, token), scene.roomId), 'state'), ['parts']);
      const after = await scene.lazily(gina, token, { use_state_after: 'true' });
      assert.equal(topicIn(joinedIn(after, scene.roomId), 'state_after'), ['parts']);
    }
    const topic = v3`rooms/${scene.roomId}/state/m.room.topic/`;
    assert.equal(await scene.rooms.ask(gina, 'GET', topic), { topic: 'parts' });
  });
});

test('a correction comes before what the timeline says of the same key', async () => {
  await PartialScene.act(async (scene) => {
    const old = scene.alpha.current('m.room.topic') as Pdu;
    const now = await scene.send(scene.alpha, state(ALICE, 'm.room.topic', { topic: 'second' }));
    const gina = await scene.enter({ lies: new Map([[now.eventId, old.eventId]]) });
    const since = nextOf(await scene.lazily(gina));
    await scene.complete();
    const untouched = joinedIn(await scene.lazily(gina, since), scene.roomId);
    assert.ok(idsOf(untouched, 'state').includes(now.eventId));
    const third = await scene.send(scene.alpha, state(ALICE, 'm.room.topic', { topic: 'third' }));
    const room = joinedIn(await scene.lazily(gina, since), scene.roomId);
    assert.equal(idsOf(room, 'timeline'), [third.eventId]);
    assert.ok(idsOf(room, 'state').includes(now.eventId), 'the state at the start of the timeline');
    const after = await scene.lazily(gina, since, { use_state_after: 'true' });
    assert.ok(idsOf(joinedIn(after, scene.roomId), 'state_after').includes(third.eventId));
  });
});

test('what somebody redacted who may not is whole again', async () => {
  await PartialScene.act(async (scene) => {
    const says = await mallory(scene);
    const gina = await scene.enter();
    const said = await scene.send(scene.beta, message(BOB, 'one'));
    const redaction = says({ type: 'm.room.redaction', sender: MALLORY, content: { redacts: said.eventId } });
    assert.is(await scene.give(redaction), 'accepted');
    const event = (): Promise<unknown> =>
      scene.rooms
        .ask(gina, 'GET', v3`rooms/${scene.roomId}/event/${said.eventId}`)
        .then(({ content, unsigned }) => [content, unsigned?.['redacted_because'] !== undefined]);
    assert.equal(await event(), [{}, true]);
    await scene.complete();
    assert.equal(await event(), [{ msgtype: 'm.text', body: 'one' }, false]);
    assert.equal(await scene.rooms.heard(gina, scene.roomId), ['one']);
  });
});

/** The resident says that Carol, a moderator, is banned, which she is on a branch that the join does not follow. */
async function carolIsSlandered(scene: PartialScene) {
  const users = { [ALICE]: 100, [CAROL]: 50 };
  await scene.send(scene.alpha, state(ALICE, 'm.room.power_levels', { users, invite: 0 }));
  const fork = [...scene.alpha.room.forwardExtremities] as EventId[];
  await scene.send(scene.alpha, message(ALICE, 'come in'));
  const ban = await scene.alpha.send({ ...member(CAROL, 'ban', ALICE), prevEvents: fork });
  return { gina: await scene.enter({ given: [ban.eventId] }), ban };
}

/** Something that Carol says after Gina's join, knowing of no ban. */
async function carolSays(scene: PartialScene, body: string): Promise<Pdu> {
  const said = await scene.delta.send({ ...message(CAROL, body), prevEvents: [scene.join.eventId] });
  assert.is(await scene.give(said), 'rejected');
  return said;
}

test('what was refused for a ban that is none comes as news when the state is whole, and stays where it came', async () => {
  await PartialScene.act(async (scene) => {
    const { gina } = await carolIsSlandered(scene);
    const { roomId, rooms } = scene;
    const start = await scene.lazily(gina);
    await scene.send(scene.beta, message(BOB, 'one'));
    const said = await carolSays(scene, 'why not');
    await scene.send(scene.beta, message(BOB, 'two'));
    const first = await scene.lazily(gina, nextOf(start));
    assert.equal(shorts(joinedIn(first, roomId), 'timeline'), ['one', 'two']);
    await rooms.refused(NOT_FOUND, gina, 'GET', v3`rooms/${roomId}/event/${said.eventId}`);

    await scene.complete();
    const second = await scene.lazily(gina, nextOf(first));
    const room = joinedIn(second, roomId);
    assert.equal(shorts(room, 'timeline'), ['why not']);
    const carol = eventsOf(room, 'state').find(({ state_key: key }) => leaf(key) === CAROL);
    assert.is(leaf(carol?.['content']?.['membership']), 'join', 'she is not banned');
    assert.is(textOf(room?.['unread_notifications']?.['notification_count']), '3');
    await scene.send(scene.beta, message(BOB, 'three'));
    const third = await scene.lazily(gina, nextOf(second));
    assert.equal(shorts(joinedIn(third, roomId), 'timeline'), ['three']);
    assert.equal(await rooms.heard(gina, roomId), ['one', 'two', 'why not', 'three']);
    const from = joinedIn(await scene.lazily(gina, nextOf(start)), roomId);
    assert.equal(shorts(from, 'timeline'), ['one', 'two', 'why not', 'three']);
    assert.equal(shorts(joinedIn(await scene.eagerly(gina, nextOf(start)), roomId), 'timeline'), [
      `member|${GINA}`,
      'one',
      'two',
      'why not',
      'three',
    ]);
  });
});

test('an event that came late is paged around, read up to, and counted at its place', async () => {
  await PartialScene.act(async (scene) => {
    const { gina } = await carolIsSlandered(scene);
    const { roomId, rooms } = scene;
    const said = await carolSays(scene, 'why not');
    const one = await scene.send(scene.beta, message(BOB, 'one'));
    await scene.complete();
    await scene.send(scene.beta, message(BOB, 'two'));
    const context = await rooms.ask(
      gina,
      'GET',
      `${v3`rooms/${roomId}/context/${said.eventId}`}?limit=2&filter=${encodeURIComponent('{"lazy_load_members":true}')}`,
    );
    assert.equal(bodies(context['events_before']), ['one']);
    assert.equal(bodies(context['events_after']), ['two']);
    for (const [direction, token, expected] of [
      ['b', 'start', []],
      ['f', 'end', []],
      ['f', 'start', ['one', 'why not', 'two']],
      ['b', 'end', ['two', 'why not', 'one']],
    ] as const) {
      const path = `${v3`rooms/${roomId}/messages`}?dir=${direction}&from=${textOf(context[token])}`;
      assert.equal(bodies((await rooms.ask(gina, 'GET', path))['chunk']), expected, `${direction} ${token}`);
    }
    const unread = async (): Promise<string> => {
      const room = joinedIn(await scene.lazily(gina), roomId);
      return textOf(room?.['unread_notifications']?.['notification_count']);
    };
    const read = (eventId: string) => rooms.ask(gina, 'POST', v3`rooms/${roomId}/receipt/m.read/${eventId}`);
    assert.is(await unread(), '3');
    await read(said.eventId);
    assert.is(await unread(), '1');
    await read(one.eventId);
    assert.is(await unread(), '1', 'what was read stays read');
  });
});

test('a timeline that is cut at an event that came late pages on before it', async () => {
  await PartialScene.act(async (scene) => {
    const { gina } = await carolIsSlandered(scene);
    const { roomId } = scene;
    const since = nextOf(await scene.lazily(gina));
    await carolSays(scene, 'why not');
    await scene.send(scene.beta, message(BOB, 'one'));
    await scene.complete();
    const filter = { room: { ...LAZY.room, timeline: { limit: 1 } } };
    const room = joinedIn(await scene.sync(gina, { since }, filter), roomId);
    assert.equal(shorts(room, 'timeline'), ['why not']);
    assert.is(textOf(room?.['timeline']?.['limited']), 'true');
    const from = textOf(room?.['timeline']?.['prev_batch']);
    const page = await scene.rooms.ask(
      gina,
      'GET',
      `${v3`rooms/${roomId}/messages`}?dir=b&limit=1&from=${from}`,
    );
    assert.equal(bodies(page['chunk']), ['one']);
  });
});

test('a user of this server who joined though they are banned is told that they are not in the room', async () => {
  await PartialScene.act(async (scene) => {
    const hugo = await scene.harness.user('hugo');
    const { roomId, rooms } = scene;
    const ban = await scene.send(scene.alpha, member(hugo.userId, 'ban', ALICE));
    const gina = await scene.enter();
    const early = nextOf(await scene.lazily(hugo));
    await rooms.join(hugo, roomId);
    const said = await rooms.say(hugo, roomId, 'in');
    const [lazy, eager] = [await scene.lazily(hugo), await scene.eagerly(hugo)];
    assert.ok(joinedIn(lazy, roomId));
    const polling = scene.lazily(hugo, nextOf(lazy), { timeout: '30000' });
    await scene.complete();
    const woken = await polling;
    for (const sync of [woken, await scene.eagerly(hugo, nextOf(eager))]) {
      assert.equal(idsOf(leftIn(sync, roomId), 'state'), [ban.eventId]);
      assert.equal(shorts(leftIn(sync, roomId), 'timeline'), []);
    }
    assert.is((await scene.lazily(hugo, nextOf(woken)))['rooms'], undefined, 'once');
    assert.ok(leftIn(await scene.lazily(hugo, early), roomId));
    await rooms.refused([403, 'M_FORBIDDEN'], hugo, 'GET', v3`rooms/${roomId}/members`);
    await rooms.refused(NOT_FOUND, gina, 'GET', v3`rooms/${roomId}/event/${said}`);
    assert.equal(await rooms.heard(gina, roomId), []);
  });
});

test('a user of this server whom somebody threw out who may not is back in the room, and gets it whole', async () => {
  await PartialScene.act(async (scene) => {
    const says = await mallory(scene);
    const gina = await scene.enter();
    const { roomId } = scene;
    const start = await scene.lazily(gina);
    const kick = says(member(GINA, 'leave', MALLORY));
    assert.is(await scene.give(kick), 'accepted');
    const out = await scene.lazily(gina, nextOf(start));
    assert.ok(shorts(leftIn(out, roomId), 'timeline').includes(`member|${GINA}`));
    await scene.complete();
    await scene.send(scene.beta, message(BOB, 'one'));
    for (const [since, filter] of [
      [nextOf(out), LAZY],
      [nextOf(out), {}],
    ] as const) {
      const room = joinedIn(await scene.sync(gina, { since }, filter), roomId);
      assert.equal(shorts(room, 'timeline'), [`member|${GINA}`, 'one']);
      assert.ok(shorts(room, 'state').includes('create|'));
    }
  });
});

test('a user of this server whom somebody threw out, as only the whole state shows, is told of it', async () => {
  await PartialScene.act(async (scene) => {
    const { gina } = await carolIsSlandered(scene);
    const since = nextOf(await scene.lazily(gina));
    const kick = await scene.delta.send({
      ...member(GINA, 'leave', CAROL),
      prevEvents: [scene.join.eventId],
    });
    assert.is(await scene.give(kick), 'rejected');
    await scene.complete();
    for (const timeline of [{}, { not_types: ['m.room.member'] }]) {
      const filter = { room: { ...LAZY.room, timeline } };
      const room = leftIn(await scene.sync(gina, { since }, filter), scene.roomId);
      assert.equal(idsOf(room, 'timeline'), [kick.eventId]);
    }
    await scene.rooms.refused([403, 'M_FORBIDDEN'], gina, 'GET', v3`rooms/${scene.roomId}/joined_members`);
  });
});

test('where very much was told wrong all of the room is told anew', async () => {
  await PartialScene.act(async (scene) => {
    const lies = new Map<EventId, EventId>();
    for (let i = 0; i <= 500; i++) {
      const set = (n: number): Promise<Pdu> =>
        scene.beforehand({ type: 'x.part', sender: ALICE, stateKey: `${i}`, content: { n } });
      const old = await set(1);
      lies.set((await set(2)).eventId, old.eventId);
    }
    const gina = await scene.enter({ lies });
    const first = await scene.lazily(gina);
    assert.is(eventsOf(joinedIn(first, scene.roomId), 'state').length, 4 + 501);
    await scene.send(scene.alpha, message(ALICE, 'one'));
    await scene.complete();
    const room = joinedIn(await scene.lazily(gina, nextOf(first)), scene.roomId);
    const parts = eventsOf(room, 'state').filter(({ type }) => leaf(type) === 'x.part');
    assert.is(parts.length, 501);
    assert.ok(parts.every(({ content }) => textOf(content?.['n']) === '2'));
    assert.ok(shorts(room, 'state').includes('create|'));
    assert.ok(membersOf(room, 'state').includes(ALICE));
    assert.equal(shorts(room, 'timeline'), [`member|${GINA}`, 'one']);
  });
});

test.run();
