import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { buildEvent } from '../../../src/event/build.js';
import type { EventId, RoomId, ServerName, UserId } from '../../../src/event/ids.js';
import type { JsonObject } from '../../../src/event/json.js';
import type { Pdu } from '../../../src/event/pdu.js';
import { rulesOf } from '../../../src/event/rules.js';
import { createSigningKey } from '../../../src/event/signing.js';
import { v3 } from '../rooms.js';
import type { TestUser } from '../harness.js';
import { eventsOf, leftIn, nextOf, Scene } from './support.js';

const test = suite('sync: rooms that this server is not in');

const ELSEWHERE = 'elsewhere.org' as ServerName;
const ROOM = '!room:elsewhere.org' as RoomId;
const CAROL = '@carol:elsewhere.org' as UserId;
const key = createSigningKey('ed25519:x', new Uint8Array(32).fill(3));

function memberEvent(sender: UserId, target: UserId, content: JsonObject): Pdu {
  const rules = rulesOf('11');
  assert.ok(rules);
  return buildEvent(
    {
      type: 'm.room.member',
      sender,
      stateKey: target,
      content,
      roomId: ROOM,
      prevEvents: [`$${'p'.repeat(43)}` as EventId],
      authEvents: [`$${'a'.repeat(43)}` as EventId],
      depth: 7,
      originServerTs: 1_000,
    },
    { rules, server: ELSEWHERE, key },
  );
}

const NAME = { type: 'm.room.name', state_key: '', sender: CAROL, content: { name: 'Far away' } };

function invite({ userId }: TestUser) {
  const event = memberEvent(CAROL, userId, { membership: 'invite' });
  const noise = { ...NAME, origin_server_ts: 5, hashes: {} };
  return { membership: 'invite', event, state: [noise, { type: 1 }], server: ELSEWHERE } as const;
}

test('an invitation from elsewhere is told once, pruned to stripped state, the invitation itself in it', () =>
  Scene.play(async (scene) => {
    const alice = await scene.harness.user('alice');
    const since = await scene.token(alice);
    await scene.harness.home.accounts.outside.set(alice.userId, invite(alice));
    const told = [
      NAME,
      { type: 'm.room.member', state_key: alice.userId, sender: CAROL, content: { membership: 'invite' } },
    ];
    const sync = await scene.sync(alice, { since });
    assert.equal(sync['rooms'], { invite: { [ROOM]: { invite_state: { events: told } } } });
    assert.is((await scene.sync(alice, { since: nextOf(sync) }))['rooms'], undefined);
    assert.equal((await scene.sync(alice))['rooms'], sync['rooms']);
    assert.equal(
      (await scene.sync(alice, { since: nextOf(sync), full_state: 'true' }))['rooms'],
      sync['rooms'],
    );
  }));

test('a long poll is woken by it', () =>
  Scene.play(async (scene) => {
    const alice = await scene.harness.user('alice');
    const since = await scene.token(alice);
    const waiting = scene.sync(alice, { since, timeout: '30000' });
    await scene.harness.home.accounts.outside.set(alice.userId, invite(alice));
    assert.ok((await waiting)['rooms']?.['invite']?.[ROOM]);
  }));

test('none is shown from somebody ignored', () =>
  Scene.play(async (scene) => {
    const alice = await scene.harness.user('alice');
    const content = { ignored_users: { [CAROL]: {} } };
    await scene.rooms.ask(alice, 'PUT', v3`user/${alice.userId}/account_data/m.ignored_user_list`, content);
    await scene.harness.home.accounts.outside.set(alice.userId, invite(alice));
    assert.is((await scene.sync(alice))['rooms'], undefined);
  }));

test('one that came to nothing is told as a room left, and older ones only to who asks for them', () =>
  Scene.play(async (scene) => {
    const alice = await scene.harness.user('alice');
    const { outside } = scene.harness.home.accounts;
    await outside.set(alice.userId, invite(alice));
    const since = await scene.token(alice);
    const event = memberEvent(CAROL, alice.userId, { membership: 'leave' });
    await outside.set(alice.userId, { ...invite(alice), membership: 'leave', event });
    const sync = await scene.sync(alice, { since });
    const [left] = eventsOf(leftIn(sync, ROOM), 'timeline');
    assert.is(left?.['event_id'], event.eventId);
    assert.is((await scene.sync(alice))['rooms'], undefined);
    const whole = await scene.sync(alice, {}, { room: { include_leave: true } });
    assert.ok(whole['rooms']?.['leave']?.[ROOM]);
    await scene.rooms.ask(alice, 'POST', v3`rooms/${ROOM}/forget`, {});
    assert.is((await scene.sync(alice, {}, { room: { include_leave: true } }))['rooms'], undefined);
  }));

test('a knock elsewhere is told with what its server said of the room', () =>
  Scene.play(async (scene) => {
    const alice = await scene.harness.user('alice');
    const event = memberEvent(alice.userId, alice.userId, { membership: 'knock' });
    const knock = { membership: 'knock', event, state: [NAME], server: ELSEWHERE } as const;
    await scene.harness.home.accounts.outside.set(alice.userId, knock);
    const events = (await scene.sync(alice))['rooms']?.['knock']?.[ROOM]?.['knock_state']?.['events'];
    assert.equal(events?.[0 as never], NAME);
  }));

test('who was invited from elsewhere is known until this server is in the room', () =>
  Scene.play(async (scene) => {
    const alice = await scene.harness.user('alice');
    const { outside } = scene.harness.home.accounts;
    await outside.set(alice.userId, invite(alice));
    assert.equal([...outside.usersOf(ROOM)], [alice.userId]);
    await outside.entered(ROOM);
    assert.is(outside.get(alice.userId, ROOM), undefined);
    assert.equal([...outside.usersOf(ROOM)], []);
  }));

test.run();
