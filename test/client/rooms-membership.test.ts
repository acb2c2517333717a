import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Harness, itemsOf, type TestUser, textOf } from './harness.js';
import { Rooms, v3 } from './rooms.js';

const test = suite<{ harness: Harness; rooms: Rooms; alice: TestUser; bob: TestUser; carol: TestUser }>(
  'membership',
);

test.before.each(async (context) => {
  context.harness = await Harness.open();
  context.rooms = new Rooms(context.harness);
  context.alice = await context.harness.user('alice');
  context.bob = await context.harness.user('bob');
  context.carol = await context.harness.user('carol');
});
test.after.each(({ harness }) => harness.close());

test('a private room is joined by invitation only', async ({ rooms, alice, bob, carol }) => {
  const roomId = await rooms.create(alice);
  await rooms.refused([403, 'M_FORBIDDEN'], bob, 'POST', v3`rooms/${roomId}/join`);
  await rooms.invite(alice, roomId, bob);
  await rooms.join(bob, roomId);
  await rooms.refused([403, 'M_FORBIDDEN'], carol, 'POST', v3`rooms/${roomId}/join`);
});

test('a room is joined by id and by alias, both percent-encoded', async ({ rooms, alice, bob, carol }) => {
  const roomId = await rooms.create(alice, { preset: 'public_chat', room_alias_name: 'pub' });
  assert.equal(await rooms.ask(bob, 'POST', v3`join/${'#pub:example.org'}`), { room_id: roomId });
  assert.equal(await rooms.ask(carol, 'POST', v3`join/${roomId}`), { room_id: roomId });
  await rooms.refused([404, 'M_NOT_FOUND'], bob, 'POST', v3`join/${'#none:example.org'}`);
  await rooms.refused([404, 'M_NOT_FOUND'], bob, 'POST', v3`join/${'!none:example.org'}`);
  await rooms.refused([400, 'M_INVALID_PARAM'], bob, 'POST', v3`join/${'#odd'}`);
  await rooms.refused([404, 'M_NOT_FOUND'], bob, 'POST', v3`rooms/${'#pub:example.org'}/join`);
});

test('joining again says nothing new', async ({ rooms, alice, bob }) => {
  const roomId = await rooms.create(alice, { preset: 'public_chat' });
  await rooms.join(bob, roomId);
  const before = await rooms.history(bob, roomId);
  await rooms.join(bob, roomId);
  assert.equal(await rooms.history(bob, roomId), before);
});

test('member events bear the profile of the user who comes in', async ({ harness, rooms, alice, bob }) => {
  await harness.home.accounts.profiles.set(bob.userId, 'displayname', 'Bob');
  await harness.home.accounts.profiles.set(bob.userId, 'avatar_url', 'mxc://example.org/bob');
  const roomId = await rooms.create(alice);
  const member = () => rooms.ask(alice, 'GET', v3`rooms/${roomId}/state/m.room.member/${bob.userId}`);
  await rooms.invite(alice, roomId, bob);
  const profile = { displayname: 'Bob', avatar_url: 'mxc://example.org/bob' };
  assert.equal(await member(), { ...profile, membership: 'invite' });
  await rooms.ask(bob, 'POST', v3`rooms/${roomId}/join`, { reason: 'why not' });
  assert.equal(await member(), { ...profile, reason: 'why not', membership: 'join' });
  await rooms.leave(bob, roomId);
  assert.equal(await member(), { membership: 'leave' });
});

test('leaving twice is leaving once; a stranger cannot leave', async ({ rooms, alice, bob, carol }) => {
  const roomId = await rooms.create(alice, { preset: 'public_chat' });
  await rooms.join(bob, roomId);
  await rooms.leave(bob, roomId);
  await rooms.leave(bob, roomId);
  await rooms.refused([403, 'M_FORBIDDEN'], carol, 'POST', v3`rooms/${roomId}/leave`);
  await rooms.refused([403, 'M_FORBIDDEN'], carol, 'POST', v3`rooms/${'!none:example.org'}/leave`);
});

test('an invitation is rejected by leaving', async ({ rooms, alice, bob }) => {
  const roomId = await rooms.create(alice, { invite: [bob.userId] });
  await rooms.leave(bob, roomId);
  await rooms.refused([403, 'M_FORBIDDEN'], bob, 'POST', v3`rooms/${roomId}/join`);
});

test('inviting twice is inviting once; who is in is not invited', async ({ rooms, alice, bob }) => {
  const roomId = await rooms.create(alice);
  await rooms.invite(alice, roomId, bob);
  const before = await rooms.history(alice, roomId);
  await rooms.invite(alice, roomId, bob);
  assert.equal(await rooms.history(alice, roomId), before);
  await rooms.join(bob, roomId);
  const again = { user_id: bob.userId };
  await rooms.refused([403, 'M_FORBIDDEN'], alice, 'POST', v3`rooms/${roomId}/invite`, again);
});

test('an invitation names a user of this server', async ({ rooms, alice }) => {
  const roomId = await rooms.create(alice);
  const path = v3`rooms/${roomId}/invite`;
  await rooms.refused([400, 'M_MISSING_PARAM'], alice, 'POST', path, {});
  await rooms.refused([400, 'M_BAD_JSON'], alice, 'POST', path, { user_id: 5 });
  await rooms.refused([400, 'M_INVALID_PARAM'], alice, 'POST', path, { user_id: 'nobody' });
  await rooms.refused([403, 'M_FORBIDDEN'], alice, 'POST', path, { user_id: '@far:elsewhere.org' });
  await rooms.refused([403, 'M_THREEPID_DENIED'], alice, 'POST', path, { medium: 'email', address: 'a@b.c' });
});

test('kicks need the level, reach those who are in, and lift no ban', async ({
  rooms,
  alice,
  bob,
  carol,
}) => {
  const roomId = await rooms.create(alice, { preset: 'public_chat' });
  await rooms.join(bob, roomId);
  await rooms.join(carol, roomId);
  const kick = v3`rooms/${roomId}/kick`;
  await rooms.refused([403, 'M_FORBIDDEN'], bob, 'POST', kick, { user_id: carol.userId });
  await rooms.ask(alice, 'POST', kick, { user_id: carol.userId, reason: 'out' });
  await rooms.refused([403, 'M_FORBIDDEN'], alice, 'POST', kick, { user_id: carol.userId });
  await rooms.ban(alice, roomId, bob);
  await rooms.refused([403, 'M_FORBIDDEN'], alice, 'POST', kick, { user_id: bob.userId });
  const member = await rooms.ask(alice, 'GET', v3`rooms/${roomId}/state/m.room.member/${bob.userId}`);
  assert.is(textOf(member['membership']), 'ban');
});

test('who is banned does not come back before the ban is lifted', async ({ rooms, alice, bob }) => {
  const roomId = await rooms.create(alice, { preset: 'public_chat' });
  const unban = v3`rooms/${roomId}/unban`;
  await rooms.refused([403, 'M_BAD_STATE'], alice, 'POST', unban, { user_id: bob.userId });
  await rooms.ban(alice, roomId, bob);
  await rooms.refused([403, 'M_FORBIDDEN'], bob, 'POST', v3`rooms/${roomId}/join`);
  await rooms.refused([403, 'M_FORBIDDEN'], bob, 'POST', v3`rooms/${roomId}/leave`);
  await rooms.refused([403, 'M_FORBIDDEN'], alice, 'POST', v3`rooms/${roomId}/invite`, {
    user_id: bob.userId,
  });
  await rooms.ask(alice, 'POST', unban, { user_id: bob.userId });
  await rooms.join(bob, roomId);
});

test('knocking asks for an invitation', async ({ rooms, alice, bob }) => {
  const roomId = await rooms.create(alice, {
    initial_state: [{ type: 'm.room.join_rules', content: { join_rule: 'knock' } }],
  });
  const knock = await rooms.ask(bob, 'POST', v3`knock/${roomId}`, { reason: 'please' });
  assert.equal(knock, { room_id: roomId });
  await rooms.refused([403, 'M_FORBIDDEN'], bob, 'POST', v3`rooms/${roomId}/join`);
  await rooms.invite(alice, roomId, bob);
  await rooms.join(bob, roomId);
  const closed = await rooms.create(alice);
  await rooms.refused([403, 'M_FORBIDDEN'], bob, 'POST', v3`knock/${closed}`);
  await rooms.refused([404, 'M_NOT_FOUND'], bob, 'POST', v3`knock/${'!none:example.org'}`);
});

test('a forgotten room can be read no more, until one is in it again', async ({ rooms, alice, bob }) => {
  const roomId = await rooms.create(alice, { preset: 'public_chat' });
  await rooms.join(bob, roomId);
  await rooms.refused([400, 'M_UNKNOWN'], bob, 'POST', v3`rooms/${roomId}/forget`);
  await rooms.leave(bob, roomId);
  await rooms.heard(bob, roomId);
  await rooms.ask(bob, 'POST', v3`rooms/${roomId}/forget`);
  await rooms.refused([403, 'M_FORBIDDEN'], bob, 'GET', `${v3`rooms/${roomId}/messages`}?dir=b`);
  await rooms.join(bob, roomId);
  await rooms.heard(bob, roomId);
});

for (const joinRule of ['restricted', 'knock_restricted']) {
  test(`members of an allowed room may join one that is ${joinRule}`, async ({
    rooms,
    alice,
    bob,
    carol,
  }) => {
    const space = await rooms.create(alice, { preset: 'public_chat' });
    const allow = [
      { type: 'org.unknown', room_id: space },
      { type: 'm.room_membership', room_id: '!unknown:elsewhere.org' },
      { type: 'm.room_membership', room_id: space },
    ];
    const roomId = await rooms.create(alice, {
      initial_state: [{ type: 'm.room.join_rules', content: { join_rule: joinRule, allow } }],
    });
    await rooms.join(bob, space);
    await rooms.ask(bob, 'POST', v3`join/${roomId}`);
    const member = await rooms.ask(bob, 'GET', v3`rooms/${roomId}/state/m.room.member/${bob.userId}`);
    assert.equal(member, { membership: 'join', join_authorised_via_users_server: alice.userId });
    await rooms.refused([403, 'M_FORBIDDEN'], carol, 'POST', v3`join/${roomId}`);
    await rooms.invite(alice, roomId, carol);
    await rooms.join(carol, roomId);
  });
}

test('whoever may invite by default lets others into a restricted room', async ({
  rooms,
  alice,
  bob,
  carol,
}) => {
  const space = await rooms.create(carol, { preset: 'public_chat' });
  const allow = [{ type: 'm.room_membership', room_id: space }];
  const roomId = await rooms.create(alice, {
    invite: [bob.userId],
    initial_state: [{ type: 'm.room.join_rules', content: { join_rule: 'restricted', allow } }],
  });
  await rooms.join(bob, roomId);
  await rooms.leave(alice, roomId);
  await rooms.join(carol, roomId);
  const member = await rooms.ask(carol, 'GET', v3`rooms/${roomId}/state/m.room.member/${carol.userId}`);
  assert.is(textOf(member['join_authorised_via_users_server']), bob.userId);
});

test('nobody lets a user in where nobody may invite', async ({ rooms, alice, bob, carol }) => {
  const space = await rooms.create(carol, { preset: 'public_chat' });
  const allow = [{ type: 'm.room_membership', room_id: space }];
  const roomId = await rooms.create(alice, {
    invite: [bob.userId],
    power_level_content_override: { invite: 50 },
    initial_state: [{ type: 'm.room.join_rules', content: { join_rule: 'restricted', allow } }],
  });
  await rooms.join(bob, roomId);
  await rooms.leave(alice, roomId);
  await rooms.refused([403, 'M_FORBIDDEN'], carol, 'POST', v3`rooms/${roomId}/join`);
});

test('a client cannot choose who lets it in', async ({ rooms, alice, bob }) => {
  const space = await rooms.create(alice);
  const allow = [{ type: 'm.room_membership', room_id: space }];
  const roomId = await rooms.create(alice, {
    initial_state: [{ type: 'm.room.join_rules', content: { join_rule: 'restricted', allow } }],
  });
  await rooms.refused(
    [403, 'M_FORBIDDEN'],
    bob,
    'PUT',
    v3`rooms/${roomId}/state/m.room.member/${bob.userId}`,
    { membership: 'join', join_authorised_via_users_server: alice.userId },
  );
});

test('who let a user in is said by the server alone', async ({ rooms, alice, bob }) => {
  const roomId = await rooms.create(alice, { preset: 'public_chat' });
  const claim = { membership: 'join', join_authorised_via_users_server: alice.userId };
  await rooms.set(bob, roomId, 'm.room.member', claim, bob.userId);
  const member = await rooms.ask(bob, 'GET', v3`rooms/${roomId}/state/m.room.member/${bob.userId}`);
  assert.equal(member, { membership: 'join' });
});

test('a member event may be written by its own endpoint', async ({ rooms, alice, bob }) => {
  const roomId = await rooms.create(alice, { preset: 'public_chat' });
  await rooms.set(bob, roomId, 'm.room.member', { membership: 'join', displayname: 'B' }, bob.userId);
  const joined = await rooms.ask(alice, 'GET', v3`rooms/${roomId}/joined_members`);
  assert.equal(joined['joined']?.[bob.userId], { display_name: 'B' });
  const path = v3`rooms/${roomId}/state/m.room.member/${bob.userId}`;
  await rooms.refused([400, 'M_BAD_JSON'], bob, 'PUT', path, { membership: 'odd' });
  await rooms.refused([400, 'M_INVALID_PARAM'], bob, 'PUT', v3`rooms/${roomId}/state/m.room.member/x`, {
    membership: 'join',
  });
});

test('joined_rooms lists rooms that one is joined to', async ({ rooms, alice, bob }) => {
  const first = await rooms.create(alice, { preset: 'public_chat' });
  const second = await rooms.create(alice, { invite: [bob.userId] });
  await rooms.join(bob, first);
  const ofBob = await rooms.ask(bob, 'GET', '/v3/joined_rooms');
  assert.equal(itemsOf(ofBob['joined_rooms']).map(textOf), [first]);
  await rooms.leave(alice, second);
  const ofAlice = await rooms.ask(alice, 'GET', '/v3/joined_rooms');
  assert.equal(itemsOf(ofAlice['joined_rooms']).map(textOf), [first]);
});

test('a ban and a join that race leave the user banned', async ({ harness, rooms, alice, bob }) => {
  const roomId = await rooms.create(alice, { preset: 'public_chat' });
  await Promise.all([
    harness.call(bob, 'POST', v3`rooms/${roomId}/join`),
    harness.call(alice, 'POST', v3`rooms/${roomId}/ban`, { user_id: bob.userId }),
    harness.call(bob, 'POST', v3`rooms/${roomId}/join`),
  ]);
  const member = await rooms.ask(alice, 'GET', v3`rooms/${roomId}/state/m.room.member/${bob.userId}`);
  assert.is(textOf(member['membership']), 'ban');
});

test.run();
