import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { itemsOf, textOf } from '../harness.js';
import { leaf, v3 } from '../rooms.js';
import { eventsOf, idsOf, joinedIn, nextOf, Scene, shorts } from './support.js';

const test = suite('sync: timeline');

/** Letters are state, digits messages. */
const LIMITED = { room: { timeline: { limit: 5 }, state: { types: ['letter.*'] } } };
const STORY = ['A', 'B', 'C', 'D', '1', '2', '3', "D'", '4', "D''", '5', "B'", "D'''", "D''''", '6'];

/** Tells the story; gives the tokens after each event, by number, and the ids by name. */
async function tell(scene: Scene) {
  const alice = await scene.harness.user('alice');
  const roomId = await scene.rooms.create(alice);
  const tokens = new Map<number, string>();
  const ids = new Map<string, string>();
  for (const [i, name] of STORY.entries()) {
    const isMessage = /[0-9]/.test(name);
    const id = isMessage
      ? await scene.rooms.say(alice, roomId, name)
      : await scene.rooms.set(alice, roomId, `letter.${name.charAt(0)}`, { name });
    ids.set(name, id);
    tokens.set(i + 1, await scene.token(alice));
  }
  const named = (events: readonly string[]): string[] =>
    events.map((id) => [...ids].find(([, known]) => known === id)?.[0] ?? id);
  return { alice, roomId, tokens, named };
}

test('the worked example: one new event comes alone, without state', () =>
  Scene.play(async (scene) => {
    const { alice, roomId, tokens, named } = await tell(scene);
    const room = joinedIn(await scene.sync(alice, { since: tokens.get(14) ?? '' }, LIMITED), roomId);
    assert.equal(named(idsOf(room, 'timeline')), ['6']);
    assert.equal(eventsOf(room, 'state'), []);
    assert.is(room?.['timeline']?.['limited'], false);
  }));

test('the worked example: a limited timeline has the state of the gap as a difference', () =>
  Scene.play(async (scene) => {
    const { alice, roomId, tokens, named } = await tell(scene);
    const room = joinedIn(await scene.sync(alice, { since: tokens.get(9) ?? '' }, LIMITED), roomId);
    assert.equal(named(idsOf(room, 'timeline')), ['5', "B'", "D'''", "D''''", '6']);
    assert.equal(named(idsOf(room, 'state')), ["D''"]);
    assert.is(room?.['timeline']?.['limited'], true);
  }));

test('the worked example: full state is the state at the start of the timeline', () =>
  Scene.play(async (scene) => {
    const { alice, roomId, tokens, named } = await tell(scene);
    const query = { since: tokens.get(9) ?? '', full_state: 'true' };
    const room = joinedIn(await scene.sync(alice, query, LIMITED), roomId);
    assert.equal(named(idsOf(room, 'timeline')), ['5', "B'", "D'''", "D''''", '6']);
    assert.equal(named(idsOf(room, 'state')), ['A', 'B', 'C', "D''"]);
  }));

test('the worked example: an initial sync has the same timeline and state', () =>
  Scene.play(async (scene) => {
    const { alice, roomId, named } = await tell(scene);
    const room = joinedIn(await scene.sync(alice, {}, LIMITED), roomId);
    assert.equal(named(idsOf(room, 'timeline')), ['5', "B'", "D'''", "D''''", '6']);
    assert.equal(named(idsOf(room, 'state')), ['A', 'B', 'C', "D''"]);
  }));

test('the worked example: state_after is the difference to the end, and there is no state', () =>
  Scene.play(async (scene) => {
    const { alice, roomId, tokens, named } = await tell(scene);
    const since = tokens.get(9) ?? '';
    for (const [parameter, key] of [
      ['use_state_after', 'state_after'],
      ['org.matrix.msc4222.use_state_after', 'org.matrix.msc4222.state_after'],
    ] as const) {
      const room = joinedIn(await scene.sync(alice, { since, [parameter]: 'true' }, LIMITED), roomId);
      assert.equal(named(idsOf(room, key)), ["B'", "D''''"]);
      assert.is(room?.['state'], undefined);
    }
    const last = tokens.get(15) ?? '';
    await scene.rooms.say(alice, roomId, '7');
    const quiet = joinedIn(
      await scene.sync(alice, { since: last, use_state_after: 'true' }, LIMITED),
      roomId,
    );
    assert.equal(quiet?.['state_after'], { events: [] }, 'present even when empty');
  }));

test('who accepts an invitation sees in their own membership who invited them, and to what', () =>
  Scene.play(async (scene) => {
    const alice = await scene.harness.user('alice');
    const bob = await scene.harness.user('bob');
    const roomId = await scene.rooms.create(alice, { invite: [bob.userId], is_direct: true });
    const { next_batch: since } = await scene.sync(bob, {});
    await scene.rooms.join(bob, roomId);
    for (const [query, section] of [
      [{ since: textOf(since) }, 'timeline'],
      [{ since: textOf(since), use_state_after: 'true' }, 'state_after'],
    ] as const) {
      const room = joinedIn(await scene.sync(bob, query), roomId);
      const membership = itemsOf(room?.[section]?.['events']).find(
        ({ state_key, content }) =>
          leaf(state_key) === bob.userId && leaf(content?.['membership']) === 'join',
      );
      assert.is(membership?.['unsigned']?.['prev_sender'], alice.userId);
      assert.is(membership?.['unsigned']?.['prev_content']?.['is_direct'], true);
    }
  }));

test('prev_batch goes on in /messages exactly where the timeline begins', () =>
  Scene.play(async (scene) => {
    const { alice, roomId, tokens, named } = await tell(scene);
    const room = joinedIn(await scene.sync(alice, { since: tokens.get(9) ?? '' }, LIMITED), roomId);
    const from = textOf(room?.['timeline']?.['prev_batch']);
    const gap = await scene.rooms.ask(
      alice,
      'GET',
      `${v3`rooms/${roomId}/messages`}?dir=b&from=${from}&to=${tokens.get(9) ?? ''}`,
    );
    assert.equal(named(itemsOf(gap['chunk']).map((event) => textOf(event['event_id']))), ["D''"]);
    const before = await scene.rooms.ask(
      alice,
      'GET',
      `${v3`rooms/${roomId}/messages`}?dir=b&from=${from}&limit=2`,
    );
    assert.equal(named(itemsOf(before['chunk']).map((event) => textOf(event['event_id']))), ["D''", '4']);
  }));

test('limited is about the gap: a filter that takes events out does not make a timeline limited or whole', () =>
  Scene.play(async (scene) => {
    const { alice, roomId, tokens, named } = await tell(scene);
    const messages = (limit: number) => ({ room: { timeline: { limit, types: ['m.room.message'] } } });
    const since = tokens.get(4) ?? '';
    const whole = joinedIn(await scene.sync(alice, { since }, messages(6)), roomId);
    assert.equal(named(idsOf(whole, 'timeline')), ['1', '2', '3', '4', '5', '6']);
    assert.is(whole?.['timeline']?.['limited'], false);
    const cut = joinedIn(await scene.sync(alice, { since }, messages(5)), roomId);
    assert.equal(named(idsOf(cut, 'timeline')), ['2', '3', '4', '5', '6']);
    assert.is(cut?.['timeline']?.['limited'], true);
  }));

test('state that a filter takes out of the timeline still reaches state, each key with its newest value', () =>
  Scene.play(async (scene) => {
    const { alice, roomId, tokens, named } = await tell(scene);
    const filter = { room: { timeline: { types: ['m.room.message'] }, state: { types: ['letter.*'] } } };
    const room = joinedIn(await scene.sync(alice, { since: tokens.get(9) ?? '' }, filter), roomId);
    assert.equal(named(idsOf(room, 'timeline')), ['5', '6']);
    assert.equal(named(idsOf(room, 'state')), ["B'", "D''''"]);
    const none = { room: { timeline: { not_rooms: [roomId] }, state: { types: ['letter.*'] } } };
    const silent = joinedIn(await scene.sync(alice, { since: tokens.get(9) ?? '' }, none), roomId);
    assert.equal(named(idsOf(silent, 'state')), ["B'", "D''''"]);
    assert.equal(idsOf(silent, 'timeline'), []);
  }));

test('a small room fits whole in its first timeline, and its state is empty', () =>
  Scene.play(async (scene) => {
    const alice = await scene.harness.user('alice');
    const roomId = await scene.rooms.create(alice);
    const room = joinedIn(await scene.sync(alice, {}, { room: { timeline: { limit: 100 } } }), roomId);
    assert.is(shorts(room, 'timeline')[0], 'create|');
    assert.equal(eventsOf(room, 'state'), []);
    assert.is(room?.['timeline']?.['limited'], false);
  }));

test('types with wildcards, not_types, senders, contains_url and rooms choose what a timeline holds', () =>
  Scene.play(async (scene) => {
    const { harness, rooms } = scene;
    const [alice, bob] = [await harness.user('alice'), await harness.user('bob')];
    const roomId = await rooms.create(alice, { preset: 'public_chat' });
    const otherId = await rooms.create(alice);
    await rooms.join(bob, roomId);
    const since = await scene.token(alice);
    await rooms.say(alice, roomId, 'hello');
    await rooms.say(bob, roomId, 'hi');
    const path = v3`rooms/${roomId}/send/m.image/${'picture'}`;
    await rooms.ask(bob, 'PUT', path, { body: 'picture', url: 'mxc://example.org/a' });
    await rooms.say(alice, otherId, 'elsewhere');
    const heard = async (timeline: object, room: object = {}) => {
      const sync = await scene.sync(alice, { since }, { room: { timeline, ...room } });
      return [...shorts(joinedIn(sync, roomId), 'timeline'), ...shorts(joinedIn(sync, otherId), 'timeline')];
    };
    assert.equal(await heard({}), ['hello', 'hi', 'picture', 'elsewhere']);
    assert.equal(await heard({ types: ['m.room.*'] }), ['hello', 'hi', 'elsewhere']);
    assert.equal(await heard({ types: ['*'], not_types: ['m.*ge'] }), []);
    assert.equal(await heard({ not_types: ['m.im*'] }), ['hello', 'hi', 'elsewhere']);
    assert.equal(await heard({ senders: [bob.userId] }), ['hi', 'picture']);
    assert.equal(await heard({ not_senders: [bob.userId] }), ['hello', 'elsewhere']);
    assert.equal(await heard({ contains_url: true }), ['picture']);
    assert.equal(await heard({ contains_url: false }), ['hello', 'hi', 'elsewhere']);
    assert.equal(await heard({ rooms: [otherId] }), ['elsewhere']);
    assert.equal(await heard({}, { rooms: [roomId] }), ['hello', 'hi', 'picture']);
    assert.equal(await heard({}, { rooms: [roomId, otherId], not_rooms: [roomId] }), ['elsewhere']);
  }));

test('a stored filter does what the same filter does inline; an unknown one is refused', () =>
  Scene.play(async (scene) => {
    const alice = await scene.harness.user('alice');
    const roomId = await scene.rooms.create(alice);
    await scene.rooms.say(alice, roomId, 'hello');
    const filter = { room: { timeline: { limit: 1 } }, event_fields: ['type', 'content.body'] };
    const stored = await scene.rooms.ask(alice, 'POST', v3`user/${alice.userId}/filter`, filter);
    const byId = await scene.sync(alice, { filter: textOf(stored['filter_id']) });
    const inline = await scene.sync(alice, {}, filter);
    assert.equal(joinedIn(byId, roomId), joinedIn(inline, roomId));
    assert.equal(eventsOf(joinedIn(byId, roomId), 'timeline'), [
      { type: 'm.room.message', content: { body: 'hello' } },
    ]);
    for (const unreadable of ['nonesuch', '{', '{"room":[]}', '{"room":{"state":{"lazy_load_members":1}}}']) {
      const answer = await scene.harness.call(
        alice,
        'GET',
        '/v3/sync',
        {},
        { query: { filter: unreadable } },
      );
      assert.is(answer.status, 400, unreadable);
    }
  }));

test('event_format federation gives events as servers exchange them', () =>
  Scene.play(async (scene) => {
    const alice = await scene.harness.user('alice');
    const roomId = await scene.rooms.create(alice);
    await scene.rooms.say(alice, roomId, 'hello');
    const filter = { event_format: 'federation', room: { timeline: { limit: 1 } } };
    const [event] = eventsOf(joinedIn(await scene.sync(alice, {}, filter), roomId), 'timeline');
    assert.ok(event?.['prev_events'] !== undefined && event['signatures'] !== undefined);
  }));

test('only the device that sent an event is told its transaction id', () =>
  Scene.play(async (scene) => {
    const alice = await scene.harness.user('alice');
    const phone = await scene.harness.device(alice.userId);
    const roomId = await scene.rooms.create(alice);
    const path = v3`rooms/${roomId}/send/m.room.message/${'my txn'}`;
    await scene.rooms.ask(alice, 'PUT', path, { msgtype: 'm.text', body: 'hello' });
    const unsignedOf = async (user: { readonly accessToken: string }) =>
      eventsOf(joinedIn(await scene.sync(user), roomId), 'timeline').at(-1)?.['unsigned'];
    assert.is((await unsignedOf(alice))?.['transaction_id'], 'my txn');
    assert.is((await unsignedOf(phone))?.['transaction_id'], undefined);
    assert.is((await unsignedOf(phone))?.['membership'], 'join');
  }));

test('state events say what they replaced', () =>
  Scene.play(async (scene) => {
    const alice = await scene.harness.user('alice');
    const roomId = await scene.rooms.create(alice);
    const before = await scene.rooms.set(alice, roomId, 'm.room.topic', { topic: 'old' });
    await scene.rooms.set(alice, roomId, 'm.room.topic', { topic: 'new' });
    const [event] = eventsOf(joinedIn(await scene.sync(alice), roomId), 'timeline').slice(-1);
    assert.is(event?.['unsigned']?.['replaces_state'], before);
    assert.equal(event?.['unsigned']?.['prev_content'], { topic: 'old' });
  }));

test('a redacted event is served redacted, with the redaction', () =>
  Scene.play(async (scene) => {
    const alice = await scene.harness.user('alice');
    const roomId = await scene.rooms.create(alice);
    const eventId = await scene.rooms.say(alice, roomId, 'secret');
    await scene.rooms.ask(alice, 'PUT', v3`rooms/${roomId}/redact/${eventId}/${'r'}`, { reason: 'oops' });
    const timeline = eventsOf(joinedIn(await scene.sync(alice), roomId), 'timeline');
    const event = timeline.find((candidate) => textOf(candidate['event_id']) === eventId);
    assert.equal(event?.['content'], {});
    assert.is(event?.['unsigned']?.['redacted_because']?.['content']?.['reason'], 'oops');
  }));

test('what somebody ignored says is dropped at once, their state is not, and the filter of the client still holds', () =>
  Scene.play(async (scene) => {
    const { harness, rooms } = scene;
    const [alice, bob, carol] = [
      await harness.user('alice'),
      await harness.user('bob'),
      await harness.user('carol'),
    ];
    const roomId = await rooms.create(alice, { preset: 'public_chat', initial_state: [] });
    await rooms.set(alice, roomId, 'm.room.power_levels', { users: {}, state_default: 0 });
    await rooms.join(bob, roomId);
    await rooms.join(carol, roomId);
    const since = await scene.token(alice);
    await rooms.ask(alice, 'PUT', v3`user/${alice.userId}/account_data/m.ignored_user_list`, {
      ignored_users: { [bob.userId]: {} },
    });
    await rooms.say(bob, roomId, 'rude');
    await rooms.set(bob, roomId, 'm.room.topic', { topic: 'rude topic' });
    await rooms.say(carol, roomId, 'kind');
    const room = joinedIn(await scene.sync(alice, { since }), roomId);
    assert.equal(shorts(room, 'timeline'), ['topic|', 'kind']);
    assert.is(room?.['timeline']?.['limited'], false);
    const filter = { room: { timeline: { not_senders: [carol.userId] } } };
    assert.equal(shorts(joinedIn(await scene.sync(alice, { since }, filter), roomId), 'timeline'), [
      'topic|',
    ]);
    const elsewhere = await rooms.create(bob);
    await rooms.invite(bob, elsewhere, alice);
    const later = await scene.sync(alice, { since });
    assert.is(later['rooms']?.['invite'], undefined, 'nor does their invitation come');
  }));

test('who joins later sees as much of the past as history visibility grants at each event', () =>
  Scene.play(async (scene) => {
    const { harness, rooms } = scene;
    const [alice, bob] = [await harness.user('alice'), await harness.user('bob')];
    const roomId = await rooms.create(alice, { preset: 'public_chat' });
    await rooms.say(alice, roomId, 'shared');
    await rooms.set(alice, roomId, 'm.room.history_visibility', { history_visibility: 'joined' });
    await rooms.say(alice, roomId, 'for members');
    await rooms.set(alice, roomId, 'm.room.history_visibility', { history_visibility: 'world_readable' });
    await rooms.say(alice, roomId, 'for everybody');
    await rooms.set(alice, roomId, 'm.room.history_visibility', { history_visibility: 'invited' });
    await rooms.say(alice, roomId, 'before the invitation');
    await rooms.invite(alice, roomId, bob);
    await rooms.say(alice, roomId, 'since the invitation');
    await rooms.join(bob, roomId);
    const room = joinedIn(await scene.sync(bob, {}, { room: { timeline: { limit: 50 } } }), roomId);
    const heard = shorts(room, 'timeline').filter((short) => /^[a-z ]+$/.test(short));
    assert.equal(heard, ['shared', 'for everybody', 'since the invitation']);
  }));

test('rejected and soft-failed events never appear', () =>
  Scene.play(async (scene) => {
    const { harness, rooms } = scene;
    const [alice, bob] = [await harness.user('alice'), await harness.user('bob')];
    const roomId = await rooms.create(alice, { preset: 'public_chat' });
    await rooms.join(bob, roomId);
    const before = await rooms.say(alice, roomId, 'before');
    await rooms.ban(alice, roomId, bob);
    const since = await scene.token(alice);
    const message = (sender: string) => ({ type: 'm.room.message', sender, content: { body: 'late' } });
    assert.is((await scene.fork(roomId, before, message(bob.userId))).verdict, 'soft_failed');
    assert.is((await scene.fork(roomId, before, message('@stranger:example.com'))).verdict, 'rejected');
    const sync = await scene.sync(alice, { since });
    assert.is(joinedIn(sync, roomId), undefined);
    assert.not.ok(shorts(joinedIn(await scene.sync(alice), roomId), 'timeline').includes('late'));
    await rooms.say(alice, roomId, 'after');
    assert.equal(shorts(joinedIn(await scene.sync(alice, { since: nextOf(sync) }), roomId), 'timeline'), [
      'after',
    ]);
  }));

test.run();
