// What clients are answered while the members of a room are still fetched: at once where the answer does not depend on
// them, else when they are there, or after a while that they are not.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Route } from '../../../src/client/route.js';
import { itemsOf, type Json, textOf } from '../harness.js';
import { leaf, v3 } from '../rooms.js';
import { joinedIn } from '../sync/support.js';
import { ALICE, BOB, CAROL, GINA, member, message, PartialScene, SILENT, state } from './support.js';

const test = suite('client/partial: requests');

/** No request waits for what is not there. */
const IMPATIENT = { partialStateWaitMs: 0 };
const REFUSAL = [503, 'ORG.MATRIX.MSC3895_UNABLE_DUE_TO_PARTIAL_STATE'] as const;

const keysOf = (events: readonly Json[]): string[] =>
  events.map((event) => textOf(event['state_key'])).sort();

/** Requests of which every answer holds all members. */
function needy(roomId: string, eventId: string): string[] {
  return [
    v3`rooms/${roomId}/members`,
    `${v3`rooms/${roomId}/members`}?membership=join`,
    `${v3`rooms/${roomId}/members`}?not_membership=leave`,
    v3`rooms/${roomId}/joined_members`,
    v3`rooms/${roomId}/state`,
    v3`rooms/${roomId}/context/${eventId}`,
    v3`rooms/${roomId}/state/m.room.member/${SILENT}`,
  ];
}

test('who asks for all members is refused after a while, is told when to come back, and is answered then', async () => {
  await PartialScene.act(async (scene) => {
    const gina = await scene.enter();
    const { eventId } = scene.join;
    for (const path of needy(scene.roomId, eventId)) {
      const { body } = await scene.rooms.refused(REFUSAL, gina, 'GET', path);
      assert.type(body['retry_after_ms'], 'number', path);
    }
    await scene.complete();
    for (const path of needy(scene.roomId, eventId)) await scene.rooms.ask(gina, 'GET', path);
    const all = await scene.rooms.ask(gina, 'GET', v3`rooms/${scene.roomId}/members`);
    assert.equal(
      keysOf(itemsOf(all['chunk'])),
      ['@asked:alpha.test', ALICE, BOB, CAROL, GINA, SILENT].sort(),
    );
  }, IMPATIENT);
});

test('who asks for all members waits until they are there, and gets them all', async () => {
  await PartialScene.act(async (scene) => {
    const gina = await scene.enter();
    const asked = needy(scene.roomId, scene.join.eventId).map((path) => scene.rooms.ask(gina, 'GET', path));
    await scene.complete();
    const [members, joined, others, byUser, whole, context, silent] = await Promise.all(asked);
    const here = [ALICE, BOB, CAROL, GINA, SILENT];
    assert.equal(keysOf(itemsOf(members?.['chunk'])), ['@asked:alpha.test', ...here].sort());
    assert.equal(keysOf(itemsOf(joined?.['chunk'])), here);
    assert.equal(keysOf(itemsOf(others?.['chunk'])).length, 6);
    assert.equal(Object.keys(byUser?.['joined'] ?? {}).sort(), here);
    const membersIn = (events: readonly Json[]): number =>
      events.filter((event) => textOf(event['type']) === 'm.room.member').length;
    assert.is(membersIn(JSON.parse(textOf(whole)) as Json[]), 6);
    assert.is(membersIn(itemsOf(context?.['state'])), 6);
    assert.is(leaf(silent?.['membership']), 'join');
  });
});

test('whoever hangs up while waiting, and a server that shuts down, end the waiting', async () => {
  await PartialScene.act(async (scene) => {
    const gina = await scene.enter();
    const ending = new AbortController();
    const path = v3`rooms/${scene.roomId}/members`;
    const asked = scene.harness.call(gina, 'GET', path, {}, { signal: ending.signal });
    ending.abort();
    assert.is((await asked).status, 503);
  });
});

test('a stranger is turned away at once, however little is known of the room', async () => {
  await PartialScene.act(async (scene) => {
    await scene.enter();
    const stranger = await scene.harness.user('stranger');
    const { roomId } = scene;
    const paths = [
      ...needy(roomId, scene.join.eventId),
      v3`rooms/${roomId}/state/m.room.topic/`,
      `${v3`rooms/${roomId}/messages`}?dir=b`,
      v3`rooms/${roomId}/state/m.room.member/${GINA}`,
    ];
    for (const path of paths) await scene.rooms.refused([403, 'M_FORBIDDEN'], stranger, 'GET', path);
    await scene.rooms.refused(
      [404, 'M_NOT_FOUND'],
      stranger,
      'GET',
      v3`rooms/${roomId}/event/${scene.join.eventId}`,
    );
    const send = v3`rooms/${roomId}/send/m.room.message/1`;
    await scene.rooms.refused([403, 'M_FORBIDDEN'], stranger, 'PUT', send, { msgtype: 'm.text', body: 'hi' });
    for (const sync of [await scene.lazily(stranger), await scene.eagerly(stranger)]) {
      assert.is(sync['rooms'], undefined);
    }
  });
});

test('all that does not need the members is answered at once', async () => {
  await PartialScene.act(async (scene) => {
    const gina = await scene.enter();
    const { roomId, rooms } = scene;
    const said = await rooms.say(gina, roomId, 'hello');
    const heard = await scene.send(scene.beta, message(BOB, 'welcome'));
    await rooms.set(gina, roomId, 'm.room.member', { membership: 'join', displayname: 'G' }, GINA);
    const answered: ReadonlyArray<readonly [Route['method'], string, object?]> = [
      ['GET', v3`rooms/${roomId}/state/m.room.topic/`],
      ['GET', `${v3`rooms/${roomId}/state/m.room.topic/`}?format=event`],
      ['GET', v3`rooms/${roomId}/state/m.room.member/${GINA}`],
      ['GET', v3`rooms/${roomId}/event/${heard.eventId}`],
      ['GET', `${v3`rooms/${roomId}/messages`}?dir=b`],
      ['GET', '/v3/joined_rooms'],
      ['PUT', v3`rooms/${roomId}/typing/${GINA}`, { typing: true, timeout: 30_000 }],
      ['POST', v3`rooms/${roomId}/receipt/m.read/${heard.eventId}`],
      ['GET', v3`rooms/${roomId}/aliases`],
      ['POST', '/v3/keys/query', { device_keys: { [GINA]: [] } }],
      ['PUT', v3`user/${GINA}/rooms/${roomId}/tags/m.favourite`, { order: 0.5 }],
      ['PUT', v3`user/${GINA}/rooms/${roomId}/account_data/x`, { a: 1 }],
      ['PUT', v3`profile/${GINA}/displayname`, { displayname: 'Gina' }],
      ['PUT', v3`rooms/${roomId}/redact/${said}/1`, {}],
      ['GET', `${v3`rooms/${roomId}/context/${heard.eventId}`}?filter={"lazy_load_members":true}`],
      ['GET', `${v3`rooms/${roomId}/context/${heard.eventId}`}?filter={"not_types":["m.room.member"]}`],
    ];
    for (const [method, path, body] of answered) await rooms.ask(gina, method, path, body);
    assert.is(scene.engine.partial.isPartial(roomId), true);
  }, IMPATIENT);
});

test('one key of the state is what it is, whichever way it is asked for', async () => {
  await PartialScene.act(async (scene) => {
    const gina = await scene.enter();
    const path = v3`rooms/${scene.roomId}/state/m.room.topic/`;
    assert.equal(await scene.rooms.ask(gina, 'GET', path), { topic: 'parts' });
    const event = await scene.rooms.ask(gina, 'GET', `${path}?format=event`);
    assert.equal(event['content'], { topic: 'parts' });
    assert.is(leaf(event['sender']), ALICE);
    const missing = v3`rooms/${scene.roomId}/state/m.room.avatar/`;
    await scene.rooms.refused([404, 'M_NOT_FOUND'], gina, 'GET', missing);
  }, IMPATIENT);
});

test('a member of another server is told at once when the state has them or they said something, else waited for', async () => {
  await PartialScene.act(async (scene) => {
    const carol = scene.delta.current('m.room.member', CAROL);
    const gina = await scene.enter({ given: carol === undefined ? [] : [carol.eventId] });
    const path = (userId: string): string => v3`rooms/${scene.roomId}/state/m.room.member/${userId}`;
    assert.is(leaf((await scene.rooms.ask(gina, 'GET', path(CAROL)))['membership']), 'join');
    await scene.rooms.refused(REFUSAL, gina, 'GET', path(BOB));
    await scene.send(scene.beta, message(BOB, 'here I am'));
    assert.is(leaf((await scene.rooms.ask(gina, 'GET', path(BOB)))['membership']), 'join');
    const event = await scene.rooms.ask(gina, 'GET', `${path(BOB)}?format=event`);
    assert.is(leaf(event['state_key']), BOB);
    // Of this server's own users all is known.
    await scene.rooms.refused([404, 'M_NOT_FOUND'], gina, 'GET', path('@nobody:gamma.test'));
    await scene.complete();
    await scene.rooms.refused([404, 'M_NOT_FOUND'], gina, 'GET', path('@nobody:beta.test'));
  }, IMPATIENT);
});

test('members as of a token from before the state was whole are those that are known now', async () => {
  await PartialScene.act(async (scene) => {
    const gina = await scene.enter();
    const token = textOf(joinedIn(await scene.lazily(gina), scene.roomId)?.['timeline']?.['prev_batch']);
    const at = textOf((await scene.lazily(gina))['next_batch']);
    await scene.complete();
    await scene.send(scene.beta, member(BOB, 'leave'));
    const path = `${v3`rooms/${scene.roomId}/members`}?membership=join`;
    const then = await scene.rooms.ask(gina, 'GET', `${path}&at=${at}`);
    assert.equal(keysOf(itemsOf(then['chunk'])), [ALICE, BOB, CAROL, GINA, SILENT]);
    const now = await scene.rooms.ask(gina, 'GET', path);
    assert.equal(keysOf(itemsOf(now['chunk'])), [ALICE, CAROL, GINA, SILENT]);
    await scene.rooms.refused([403, 'M_FORBIDDEN'], gina, 'GET', `${path}&at=${token}`);
  });
});

test('pages and contexts that load members lazily hold the senders, as their events cite them', async () => {
  await PartialScene.act(async (scene) => {
    const gina = await scene.enter();
    await scene.send(scene.beta, message(BOB, 'one'));
    const two = await scene.send(scene.delta, message(CAROL, 'two'));
    const filter = encodeURIComponent('{"lazy_load_members":true}');
    const page = await scene.rooms.ask(
      gina,
      'GET',
      `${v3`rooms/${scene.roomId}/messages`}?dir=b&filter=${filter}`,
    );
    assert.equal(keysOf(itemsOf(page['state'])), [BOB, CAROL, GINA]);
    const context = await scene.rooms.ask(
      gina,
      'GET',
      `${v3`rooms/${scene.roomId}/context/${two.eventId}`}?limit=2&filter=${filter}`,
    );
    const members = itemsOf(context['state']).filter((event) => textOf(event['type']) === 'm.room.member');
    assert.equal(keysOf(members), [BOB, CAROL]);
  }, IMPATIENT);
});

test('users are invited, kicked and banned while most members are unknown', async () => {
  await PartialScene.act(async (scene) => {
    await scene.send(
      scene.alpha,
      state(ALICE, 'm.room.power_levels', { users: { [ALICE]: 100, [GINA]: 50 }, invite: 0 }),
    );
    const gina = await scene.enter();
    const hugo = await scene.harness.user('hugo');
    const { roomId, rooms } = scene;
    await rooms.invite(gina, roomId, hugo);
    const invited = await scene.eagerly(hugo);
    assert.ok(invited['rooms']?.['invite']?.[roomId], 'the invitation is told to eager clients too');
    await rooms.ask(gina, 'POST', v3`rooms/${roomId}/kick`, { user_id: hugo.userId });
    await rooms.ban(gina, roomId, hugo);
    await rooms.ask(gina, 'POST', v3`rooms/${roomId}/ban`, { user_id: SILENT });
    await scene.send(scene.beta, message(BOB, 'oh'));
    await rooms.ask(gina, 'POST', v3`rooms/${roomId}/ban`, { user_id: BOB });
    await scene.complete();
    const banned = await rooms.ask(gina, 'GET', `${v3`rooms/${roomId}/members`}?membership=ban`);
    assert.equal(keysOf(itemsOf(banned['chunk'])), [BOB, hugo.userId, SILENT].sort());
  }, IMPATIENT);
});

test('whoever left while nobody fetches the members any more is told those that are known', async () => {
  await PartialScene.act(async (scene) => {
    const gina = await scene.enter();
    await scene.rooms.leave(gina, scene.roomId);
    await scene.rooms.refused(REFUSAL, gina, 'GET', v3`rooms/${scene.roomId}/members`);
    await scene.engine.partial.giveUp(scene.join.eventId);
    const known = await scene.rooms.ask(gina, 'GET', v3`rooms/${scene.roomId}/members`);
    assert.equal(keysOf(itemsOf(known['chunk'])), [GINA]);
  }, IMPATIENT);
});

test.run();
