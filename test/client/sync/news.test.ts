import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Json, type TestUser, textOf } from '../harness.js';
import { v3 } from '../rooms.js';
import { eventsOf, joinedIn, nextOf, Scene, shorts } from './support.js';

const test = suite('sync: what is no event of a room');

async function pair(scene: Scene) {
  const [alice, bob] = [await scene.harness.user('alice'), await scene.harness.user('bob')];
  const roomId = await scene.rooms.create(alice, { preset: 'public_chat' });
  await scene.rooms.join(bob, roomId);
  return { alice, bob, roomId };
}

const countsOf = (room: Json | undefined): unknown => room?.['unread_notifications'];
const counts = (notification_count: number, highlight_count = 0) => ({ notification_count, highlight_count });

test('account data comes whole at first, then what changed; push rules are part of it', () =>
  Scene.play(async (scene) => {
    const alice = await scene.harness.user('alice');
    const roomId = await scene.rooms.create(alice);
    await scene.rooms.ask(alice, 'PUT', v3`user/${alice.userId}/account_data/org.example.a`, { n: 1 });
    const sync = await scene.sync(alice);
    const types = eventsOf(sync, 'account_data').map((event) => textOf(event['type']));
    assert.equal(types.sort(), ['m.push_rules', 'org.example.a']);
    const since = nextOf(sync);
    await scene.rooms.ask(alice, 'PUT', v3`user/${alice.userId}/account_data/org.example.b`, { n: 2 });
    await scene.rooms.ask(alice, 'PUT', v3`user/${alice.userId}/rooms/${roomId}/tags/m.favourite`, {
      order: 0.5,
    });
    const next = await scene.sync(alice, { since });
    assert.equal(eventsOf(next, 'account_data'), [{ type: 'org.example.b', content: { n: 2 } }]);
    assert.equal(eventsOf(joinedIn(next, roomId), 'account_data'), [
      { type: 'm.tag', content: { tags: { 'm.favourite': { order: 0.5 } } } },
    ]);
    const filter = { account_data: { not_types: ['*'] }, room: { account_data: { types: [] } } };
    const filtered = await scene.sync(alice, { since }, filter);
    assert.is(filtered['account_data'], undefined);
    assert.is(filtered['rooms'], undefined);
    assert.is((await scene.sync(alice, { since: nextOf(next) }))['account_data'], undefined);
  }));

test('public receipts reach everybody, private ones their owner alone', () =>
  Scene.play(async (scene) => {
    const { alice, bob, roomId } = await pair(scene);
    const eventId = await scene.rooms.say(alice, roomId, 'read me');
    const [sinceAlice, sinceBob] = [await scene.token(alice), await scene.token(bob)];
    await scene.rooms.ask(bob, 'POST', v3`rooms/${roomId}/receipt/m.read.private/${eventId}`);
    const ts = scene.harness.home.now();
    assert.equal(eventsOf(joinedIn(await scene.sync(bob, { since: sinceBob }), roomId), 'ephemeral'), [
      { type: 'm.receipt', content: { [eventId]: { 'm.read.private': { [bob.userId]: { ts } } } } },
    ]);
    assert.is((await scene.sync(alice, { since: sinceAlice }))['rooms'], undefined);
    await scene.rooms.ask(bob, 'POST', v3`rooms/${roomId}/receipt/m.read/${eventId}`, { thread_id: 'main' });
    const expected = [
      {
        type: 'm.receipt',
        content: { [eventId]: { 'm.read': { [bob.userId]: { ts, thread_id: 'main' } } } },
      },
    ];
    const next = await scene.sync(alice, { since: sinceAlice });
    assert.equal(eventsOf(joinedIn(next, roomId), 'ephemeral'), expected);
    assert.is((await scene.sync(alice, { since: nextOf(next) }))['rooms'], undefined);
    assert.equal(eventsOf(joinedIn(await scene.sync(alice), roomId), 'ephemeral'), expected);
    const filter = { room: { ephemeral: { not_types: ['m.receipt'] } } };
    assert.is((await scene.sync(alice, { since: sinceAlice }, filter))['rooms'], undefined);
  }));

test('a receipt never goes back, needs a visible event and a sane thread', () =>
  Scene.play(async (scene) => {
    const { alice, bob, roomId } = await pair(scene);
    const first = await scene.rooms.say(alice, roomId, 'first');
    const second = await scene.rooms.say(alice, roomId, 'second');
    await scene.rooms.ask(bob, 'POST', v3`rooms/${roomId}/receipt/m.read/${second}`);
    const since = await scene.token(alice);
    await scene.rooms.ask(bob, 'POST', v3`rooms/${roomId}/receipt/m.read/${first}`);
    assert.is((await scene.sync(alice, { since }))['rooms'], undefined);
    const path = v3`rooms/${roomId}/receipt/m.read/${first}`;
    for (const thread_id of ['', 7, second]) {
      await scene.rooms.refused([400, 'M_INVALID_PARAM'], bob, 'POST', path, { thread_id });
    }
    await scene.rooms.refused(
      [404, 'M_NOT_FOUND'],
      bob,
      'POST',
      v3`rooms/${roomId}/receipt/m.read/${'$nowhere'}`,
    );
    await scene.rooms.refused(
      [400, 'M_INVALID_PARAM'],
      bob,
      'POST',
      v3`rooms/${roomId}/receipt/m.dunno/${first}`,
    );
    const stranger = await scene.harness.user('stranger');
    await scene.rooms.refused([403, 'M_FORBIDDEN'], stranger, 'POST', path);
    await scene.rooms.refused([403, 'M_FORBIDDEN'], stranger, 'POST', v3`rooms/${roomId}/read_markers`);
    await scene.rooms.leave(bob, roomId);
    await scene.rooms.refused([403, 'M_FORBIDDEN'], bob, 'POST', path);
  }));

test('read markers set receipts and the fully-read marker together', () =>
  Scene.play(async (scene) => {
    const { alice, bob, roomId } = await pair(scene);
    const eventId = await scene.rooms.say(alice, roomId, 'read me');
    const since = await scene.token(bob);
    const body = { 'm.fully_read': eventId, 'm.read': eventId };
    await scene.rooms.ask(bob, 'POST', v3`rooms/${roomId}/read_markers`, body);
    const room = joinedIn(await scene.sync(bob, { since }), roomId);
    assert.equal(eventsOf(room, 'account_data'), [{ type: 'm.fully_read', content: { event_id: eventId } }]);
    assert.equal(shorts(room, 'ephemeral'), ['m.receipt']);
  }));

test('unread counts come with the event, highlights by mention, and go with the receipt', () =>
  Scene.play(async (scene) => {
    const { alice, bob, roomId } = await pair(scene);
    let since = await scene.token(bob);
    const next = async (): Promise<Json | undefined> => {
      const sync = await scene.sync(bob, { since });
      since = nextOf(sync);
      return joinedIn(sync, roomId);
    };
    await scene.rooms.say(alice, roomId, 'one');
    assert.equal(countsOf(await next()), counts(1));
    const mention = { msgtype: 'm.text', body: 'bob!', 'm.mentions': { user_ids: [bob.userId] } };
    const path = v3`rooms/${roomId}/send/m.room.message/${'mention'}`;
    const { event_id: mentioned } = await scene.rooms.ask(alice, 'PUT', path, mention);
    assert.equal(countsOf(await next()), counts(2, 1));
    await scene.rooms.ask(alice, 'PUT', v3`rooms/${roomId}/send/m.reaction/${'r'}`, {});
    assert.equal(countsOf(await next()), counts(2, 1), 'reactions do not notify');
    await scene.rooms.ask(bob, 'POST', v3`rooms/${roomId}/receipt/m.read.private/${textOf(mentioned)}`);
    assert.equal(countsOf(await next()), counts(0));
    await scene.rooms.say(alice, roomId, 'three');
    await scene.rooms.say(bob, roomId, 'my own');
    assert.equal(countsOf(await next()), counts(1));
    assert.equal(
      countsOf(joinedIn(await scene.sync(bob), roomId)),
      counts(1),
      'an initial sync counts the same',
    );
    const rule = v3`pushrules/global/room/${roomId}`;
    await scene.rooms.ask(bob, 'PUT', rule, { actions: [] });
    await scene.rooms.say(alice, roomId, 'muted');
    assert.equal(countsOf(await next()), counts(0), 'the user muted the room');
  }));

test('unread counts by thread are separate on request', () =>
  Scene.play(async (scene) => {
    const { alice, bob, roomId } = await pair(scene);
    const root = await scene.rooms.say(alice, roomId, 'root');
    const inThread = async (txn: string): Promise<string> => {
      const content = {
        msgtype: 'm.text',
        body: txn,
        'm.relates_to': { rel_type: 'm.thread', event_id: root },
      };
      const path = v3`rooms/${roomId}/send/m.room.message/${txn}`;
      return textOf((await scene.rooms.ask(alice, 'PUT', path, content))['event_id']);
    };
    await inThread('first');
    const second = await inThread('second');
    const filter = { room: { timeline: { unread_thread_notifications: true } } };
    const room = joinedIn(await scene.sync(bob, {}, filter), roomId);
    assert.equal(countsOf(room), counts(1));
    assert.equal(room?.['unread_thread_notifications'], { [root]: counts(2) });
    assert.equal(countsOf(joinedIn(await scene.sync(bob), roomId)), counts(3));
    await scene.rooms.ask(bob, 'POST', v3`rooms/${roomId}/receipt/m.read/${second}`, { thread_id: root });
    const read = joinedIn(await scene.sync(bob, {}, filter), roomId);
    assert.is(read?.['unread_thread_notifications'], undefined);
    assert.equal(countsOf(read), counts(1));
  }));

test('typing is told when it begins and when it ends, by itself too', () =>
  Scene.play(async (scene) => {
    const { alice, bob, roomId } = await pair(scene);
    let since = await scene.token(alice);
    const typing = async (): Promise<unknown> => {
      const sync = await scene.sync(alice, { since, set_presence: 'offline' });
      since = nextOf(sync);
      return eventsOf(joinedIn(sync, roomId), 'ephemeral')[0]?.['content']?.['user_ids'];
    };
    const path = v3`rooms/${roomId}/typing/${bob.userId}`;
    await scene.rooms.ask(bob, 'PUT', path, { typing: true, timeout: 5_000 });
    assert.equal(await typing(), [bob.userId]);
    assert.is(await typing(), undefined);
    await scene.rooms.ask(bob, 'PUT', path, { typing: false });
    assert.equal(await typing(), []);
    await scene.rooms.ask(bob, 'PUT', path, { typing: true, timeout: 5_000 });
    assert.equal(await typing(), [bob.userId]);
    scene.harness.advance(5_001);
    assert.equal(await typing(), []);
    await scene.rooms.refused([403, 'M_FORBIDDEN'], alice, 'PUT', path, { typing: true });
    const stranger = await scene.harness.user('stranger');
    const theirs = v3`rooms/${roomId}/typing/${stranger.userId}`;
    await scene.rooms.refused([403, 'M_FORBIDDEN'], stranger, 'PUT', theirs, { typing: true });
    await scene.rooms.refused([400, 'M_BAD_JSON'], bob, 'PUT', path, { typing: 'yes' });
  }));

test('presence reaches those who share a room; a sync shows one online unless it says otherwise', () =>
  Scene.play(async (scene) => {
    const { alice, bob } = await pair(scene);
    const stranger = await scene.harness.user('stranger');
    const since = nextOf(await scene.sync(alice));
    const sinceStranger = nextOf(await scene.sync(stranger));
    await scene.sync(bob, { set_presence: 'offline' });
    const heardOf = async (user: TestUser, from: string): Promise<unknown[]> =>
      eventsOf(await scene.sync(user, { since: from }), 'presence').map((event) => [
        textOf(event['sender']),
        textOf(event['content']?.['presence']),
      ]);
    const others = async () =>
      (await heardOf(alice, since)).filter((entry) => !String(entry).startsWith(alice.userId));
    assert.equal(await others(), []);
    await scene.sync(bob);
    assert.equal(await others(), [[bob.userId, 'online']]);
    assert.equal(await heardOf(stranger, sinceStranger), []);
    const status = v3`presence/${bob.userId}/status`;
    await scene.rooms.ask(bob, 'PUT', status, { presence: 'unavailable', status_msg: 'tea' });
    assert.equal(await others(), [[bob.userId, 'unavailable']]);
    const seen = await scene.rooms.ask(alice, 'GET', status);
    assert.equal([textOf(seen['presence']), textOf(seen['status_msg'])], ['unavailable', 'tea']);
    await scene.rooms.refused([403, 'M_FORBIDDEN'], stranger, 'GET', status);
    await scene.rooms.refused([403, 'M_FORBIDDEN'], alice, 'PUT', status, { presence: 'online' });
    const filter = { presence: { not_senders: [bob.userId] } };
    const filtered = eventsOf(await scene.sync(alice, { since }, filter), 'presence');
    assert.not.ok(filtered.some((event) => textOf(event['sender']) === bob.userId));
    await scene.rooms.ask(bob, 'PUT', status, { presence: 'online' });
    scene.harness.advance(6 * 60_000);
    assert.equal(await others(), [[bob.userId, 'offline']]);
  }));

test('device lists: who changed keys, who came to share an encrypted room, who shares none any more', () =>
  Scene.play(async (scene) => {
    const { alice, bob, roomId } = await pair(scene);
    const carol = await scene.harness.user('carol');
    const { accounts, engine } = scene.harness.home;
    const changed = (...users: readonly TestUser[]) =>
      engine.internal.write(users.map(({ userId }) => accounts.deviceLists.changedRecord(userId)));
    let since = await scene.token(alice);
    const lists = async (): Promise<unknown> => {
      const sync = await scene.sync(alice, { since });
      since = nextOf(sync);
      return sync['device_lists'];
    };
    await changed(bob);
    assert.equal(await lists(), { changed: [bob.userId], left: [] });
    await scene.rooms.set(alice, roomId, 'm.room.encryption', { algorithm: 'm.megolm.v1.aes-sha2' });
    assert.equal(await lists(), { changed: [alice.userId, bob.userId], left: [] });
    await changed(bob, carol);
    assert.equal(await lists(), { changed: [bob.userId], left: [] });
    await scene.rooms.join(carol, roomId);
    assert.equal(await lists(), { changed: [carol.userId], left: [] });
    await scene.rooms.leave(bob, roomId);
    assert.equal(await lists(), { changed: [], left: [bob.userId] });
    await changed(alice);
    assert.equal(await lists(), { changed: [alice.userId], left: [] }, 'one follows oneself');
    await scene.rooms.leave(alice, roomId);
    assert.equal(await lists(), { changed: [], left: [carol.userId] });
    assert.is((await scene.sync(alice))['device_lists'], undefined, 'never in an initial sync');
  }));

test('messages to a device come in order, a hundred at a time, and go only when the next token comes back', () =>
  Scene.play(async (scene) => {
    const { alice, bob } = await pair(scene);
    const { toDevice } = scene.harness.home.accounts;
    const { engine } = scene.harness.home;
    const send = (from: number, count: number) =>
      engine.internal.write(
        toDevice.records(
          Array.from({ length: count }, (_, i) => ({
            userId: alice.userId,
            deviceId: alice.deviceId,
            type: 'org.example',
            sender: bob.userId,
            content: { n: from + i },
          })),
        ),
      );
    const numbers = (sync: Json): unknown[] =>
      eventsOf(sync, 'to_device').map((event) => event['content']?.['n']);
    const range = (from: number, to: number): number[] =>
      Array.from({ length: to - from }, (_, i) => from + i);
    const start = await scene.sync(alice);
    await send(0, 230);
    const first = await scene.sync(alice, { since: nextOf(start) });
    assert.equal(numbers(first), range(0, 100));
    assert.equal(numbers(await scene.sync(alice, { since: nextOf(start) })), range(0, 100), 'a lost answer');
    const second = await scene.sync(alice, { since: nextOf(first) });
    assert.equal(numbers(second), range(100, 200));
    await send(230, 1);
    const third = await scene.sync(alice, { since: nextOf(second) });
    assert.equal(numbers(third), range(200, 231));
    assert.equal(numbers(await scene.sync(alice, { since: nextOf(third) })), []);
    assert.equal(toDevice.after(alice.userId, alice.deviceId, 0, 10), []);
    assert.equal(numbers(await scene.sync(alice, { since: nextOf(start) })), [], 'they are gone');
    const phone = await scene.harness.device(alice.userId);
    assert.equal(numbers(await scene.sync(phone)), [], 'another device never saw them');
  }));

test('counts of one-time keys and unused fallback keys are always told', () =>
  Scene.play(async (scene) => {
    const alice = await scene.harness.user('alice');
    const sync = await scene.sync(alice);
    for (const answer of [sync, await scene.sync(alice, { since: nextOf(sync) })]) {
      assert.equal(answer['device_one_time_keys_count'], { signed_curve25519: 0 });
      assert.equal(answer['device_unused_fallback_key_types'], []);
    }
  }));

test('receipts of several threads at one event are told apart', () =>
  Scene.play(async (scene) => {
    const { alice, bob, roomId } = await pair(scene);
    const eventId = await scene.rooms.say(alice, roomId, 'read me');
    const path = v3`rooms/${roomId}/receipt/m.read/${eventId}`;
    await scene.rooms.ask(bob, 'POST', path);
    await scene.rooms.ask(bob, 'POST', path, { thread_id: 'main' });
    const events = eventsOf(joinedIn(await scene.sync(alice), roomId), 'ephemeral');
    const threads = events.map(
      (event) => event['content']?.[eventId]?.['m.read']?.[bob.userId]?.['thread_id'],
    );
    assert.equal(threads.map(String).sort(), ['main', 'undefined']);
  }));

test.run();
