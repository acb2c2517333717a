import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Harness, itemsOf, type TestUser, textOf } from './harness.js';
import { leaf, Rooms, v3 } from './rooms.js';

const test = suite<{ harness: Harness; rooms: Rooms; alice: TestUser; bob: TestUser; carol: TestUser }>(
  'history visibility',
);

test.before.each(async (context) => {
  context.harness = await Harness.open();
  context.rooms = new Rooms(context.harness);
  context.alice = await context.harness.user('alice');
  context.bob = await context.harness.user('bob');
  context.carol = await context.harness.user('carol');
});
test.after.each(({ harness }) => harness.close());

const visibility = (value: string) => ({
  initial_state: [{ type: 'm.room.history_visibility', content: { history_visibility: value } }],
});

// What a member sees who was invited after `early`, joined after `invited`, left after `in` and is read to then.
const SEEN: readonly (readonly [visibility: string, seen: readonly string[]])[] = [
  ['world_readable', ['early', 'invited', 'in', 'late']],
  ['shared', ['early', 'invited', 'in']],
  ['invited', ['invited', 'in']],
  ['joined', ['in']],
  ['not a visibility', ['early', 'invited', 'in']],
];

for (const [value, seen] of SEEN) {
  test(`a member of a room that is ${value} sees, also after leaving: ${seen.join(', ')}`, async ({
    rooms,
    alice,
    bob,
  }) => {
    const roomId = await rooms.create(alice, visibility(value));
    await rooms.say(alice, roomId, 'early');
    await rooms.invite(alice, roomId, bob);
    await rooms.say(alice, roomId, 'invited');
    await rooms.join(bob, roomId);
    await rooms.say(alice, roomId, 'in');
    assert.equal(
      await rooms.heard(bob, roomId),
      seen.filter((body) => body !== 'late'),
    );
    await rooms.leave(bob, roomId);
    await rooms.say(alice, roomId, 'late');
    assert.equal(await rooms.heard(bob, roomId), seen);
  });

  test(`someone thrown out of a room that is ${value} sees what was until then`, async ({
    rooms,
    alice,
    bob,
  }) => {
    const roomId = await rooms.create(alice, { preset: 'public_chat', ...visibility(value) });
    await rooms.join(bob, roomId);
    await rooms.say(alice, roomId, 'in');
    await rooms.ban(alice, roomId, bob);
    await rooms.say(alice, roomId, 'late');
    assert.equal(await rooms.heard(bob, roomId), value === 'world_readable' ? ['in', 'late'] : ['in']);
  });
}

test('who only was invited reads nothing, unless anybody may', async ({ rooms, alice, bob }) => {
  for (const value of ['shared', 'invited', 'joined']) {
    const roomId = await rooms.create(alice, { ...visibility(value), invite: [bob.userId] });
    await rooms.refused([403, 'M_FORBIDDEN'], bob, 'GET', `${v3`rooms/${roomId}/messages`}?dir=b`);
    await rooms.leave(bob, roomId);
    await rooms.refused([403, 'M_FORBIDDEN'], bob, 'GET', `${v3`rooms/${roomId}/messages`}?dir=b`);
  }
  const open = await rooms.create(alice, visibility('world_readable'));
  await rooms.say(alice, open, 'hello world');
  assert.equal(await rooms.heard(bob, open), ['hello world']);
});

test('what counts is the visibility when an event was sent', async ({ rooms, alice, bob }) => {
  const roomId = await rooms.create(alice, { preset: 'public_chat', ...visibility('joined') });
  await rooms.say(alice, roomId, 'closed');
  const set = (value: string) =>
    rooms.set(alice, roomId, 'm.room.history_visibility', { history_visibility: value });
  await set('world_readable');
  await rooms.say(alice, roomId, 'open');
  const closing = await set('joined');
  await rooms.say(alice, roomId, 'closed again');
  await rooms.refused([403, 'M_FORBIDDEN'], bob, 'GET', `${v3`rooms/${roomId}/messages`}?dir=b`);
  await rooms.join(bob, roomId);
  assert.equal(await rooms.heard(bob, roomId), ['open']);
  const event = await rooms.ask(bob, 'GET', v3`rooms/${roomId}/event/${closing}`);
  assert.is(textOf(event['unsigned']?.['membership']), 'leave');
});

test('both events around an opening are seen: before or after would allow it', async ({
  rooms,
  alice,
  bob,
}) => {
  const roomId = await rooms.create(alice, { preset: 'public_chat', ...visibility('joined') });
  const set = (value: string) =>
    rooms.set(alice, roomId, 'm.room.history_visibility', { history_visibility: value });
  const opening = await set('world_readable');
  const closing = await set('joined');
  const hidden = await set('invited');
  await rooms.join(bob, roomId);
  await rooms.ask(bob, 'GET', v3`rooms/${roomId}/event/${opening}`);
  await rooms.ask(bob, 'GET', v3`rooms/${roomId}/event/${closing}`);
  await rooms.refused([404, 'M_NOT_FOUND'], bob, 'GET', v3`rooms/${roomId}/event/${hidden}`);
});

test('what replaced state one may not see is told without its content', async ({ rooms, alice, bob }) => {
  const roomId = await rooms.create(alice, { preset: 'public_chat', ...visibility('joined') });
  const hidden = await rooms.set(alice, roomId, 'm.room.name', { name: 'secret' });
  await rooms.join(bob, roomId);
  const shown = await rooms.set(alice, roomId, 'm.room.name', { name: 'public' });
  const ofBob = (await rooms.ask(bob, 'GET', v3`rooms/${roomId}/event/${shown}`))['unsigned'];
  assert.is(textOf(ofBob?.['replaces_state']), hidden);
  assert.is(ofBob?.['prev_content'], undefined);
  const ofAlice = (await rooms.ask(alice, 'GET', v3`rooms/${roomId}/event/${shown}`))['unsigned'];
  assert.equal(ofAlice?.['prev_content'], { name: 'secret' });
});

test("one sees one's own invitation, leave and ban", async ({ rooms, alice, bob }) => {
  const roomId = await rooms.create(alice, { preset: 'public_chat', ...visibility('joined') });
  await rooms.invite(alice, roomId, bob);
  await rooms.join(bob, roomId);
  await rooms.ban(alice, roomId, bob);
  const page = await rooms.ask(bob, 'GET', `${v3`rooms/${roomId}/messages`}?dir=b&limit=100`);
  const seen = itemsOf(page['chunk'])
    .filter((event) => leaf(event['state_key']) === bob.userId)
    .map((event) => textOf(event['content']?.['membership']));
  assert.equal(seen, ['ban', 'join', 'invite']);
});

test('who left asks the state and the members of when they left', async ({ rooms, alice, bob, carol }) => {
  const roomId = await rooms.create(alice, { preset: 'public_chat', name: 'then' });
  await rooms.join(bob, roomId);
  await rooms.leave(bob, roomId);
  await rooms.set(alice, roomId, 'm.room.name', { name: 'now' });
  await rooms.set(alice, roomId, 'm.room.topic', { topic: 'new' });
  await rooms.join(carol, roomId);
  assert.equal(await rooms.ask(bob, 'GET', v3`rooms/${roomId}/state/m.room.name`), { name: 'then' });
  await rooms.refused([404, 'M_NOT_FOUND'], bob, 'GET', v3`rooms/${roomId}/state/m.room.topic`);
  const members = await rooms.ask(bob, 'GET', v3`rooms/${roomId}/members`);
  assert.equal(
    itemsOf(members['chunk'])
      .map((event) => [textOf(event['state_key']), textOf(event['content']?.['membership'])])
      .sort(),
    [
      [alice.userId, 'join'],
      [bob.userId, 'leave'],
    ],
  );
  const now = `t${Number.MAX_SAFE_INTEGER}`.slice(0, 15);
  const at = await rooms.ask(bob, 'GET', `${v3`rooms/${roomId}/members`}?at=${now}`);
  assert.is(itemsOf(at['chunk']).length, 2);
});

test('a later invitation opens nothing of what was said in between', async ({ rooms, alice, bob }) => {
  const roomId = await rooms.create(alice, { preset: 'private_chat', invite: [bob.userId] });
  await rooms.join(bob, roomId);
  await rooms.say(alice, roomId, 'first');
  await rooms.leave(bob, roomId);
  await rooms.say(alice, roomId, 'between');
  await rooms.invite(alice, roomId, bob);
  assert.equal(await rooms.heard(bob, roomId), ['first']);
  await rooms.leave(bob, roomId);
  assert.equal(await rooms.heard(bob, roomId), ['first']);
  await rooms.invite(alice, roomId, bob);
  await rooms.join(bob, roomId);
  assert.equal(await rooms.heard(bob, roomId), ['first', 'between']);
});

test('a profile change opens and closes nothing', async ({ rooms, alice, bob }) => {
  const roomId = await rooms.create(alice, { preset: 'public_chat', ...visibility('joined') });
  await rooms.say(alice, roomId, 'early');
  await rooms.join(bob, roomId);
  await rooms.say(alice, roomId, 'one');
  await rooms.set(bob, roomId, 'm.room.member', { membership: 'join', displayname: 'B' }, bob.userId);
  await rooms.say(alice, roomId, 'two');
  await rooms.leave(bob, roomId);
  assert.equal(await rooms.heard(bob, roomId), ['one', 'two']);
});

test('ignored users are not heard', async ({ harness, rooms, alice, bob }) => {
  const roomId = await rooms.create(alice, { preset: 'public_chat' });
  await rooms.join(bob, roomId);
  await rooms.say(bob, roomId, 'noise');
  await rooms.say(alice, roomId, 'sense');
  await harness.home.accounts.accountData.set(alice.userId, undefined, 'm.ignored_user_list', {
    ignored_users: { [bob.userId]: {} },
  });
  assert.equal(await rooms.heard(alice, roomId), ['sense']);
  const history = await rooms.history(alice, roomId);
  assert.ok(history.includes(`m.room.member|${bob.userId}`));
});

test.run();
