// Memberships across a real Synapse: invitations, knocks, restricted joins, kicks and bans, each way.

import * as assert from 'uvu/assert';
import { eventually, type MatrixUser, RequestFailure } from '../matrix-user.js';
import { pairSuite, sameState, type Side } from './pair.js';

const { test, pair } = pairSuite('memberships across Synapse');

const DIRECTIONS: ReadonlyArray<readonly [host: Side, guest: Side]> = [
  ['ours', 'theirs'],
  ['theirs', 'ours'],
];

async function couple(hostSide: Side, guestSide: Side) {
  const servers = await pair();
  const host = await servers.user(hostSide, 'host');
  const guest = await servers.user(guestSide, 'guest');
  const hostName = hostSide === 'ours' ? servers.ourName : servers.theirName;
  const [ours, theirs] = hostSide === 'ours' ? [host, guest] : [guest, host];
  return { host, guest, hostName, ours, theirs };
}

async function membership(seenBy: MatrixUser, roomId: string, userId: string): Promise<unknown> {
  const path = `/v3/rooms/${encodeURIComponent(roomId)}/state/m.room.member/${encodeURIComponent(userId)}`;
  try {
    return (await seenBy.call('GET', path))['membership'];
  } catch (error) {
    if (error instanceof RequestFailure && error.status === 404) return undefined;
    throw error;
  }
}

function becomes(seenBy: MatrixUser, roomId: string, userId: string, expected: string): Promise<unknown> {
  return eventually(
    `${userId} being ${expected}`,
    () => membership(seenBy, roomId, userId),
    (value) => value === expected,
  );
}

/** The user's own server knows that they are out. */
async function isOut(user: MatrixUser, roomId: string): Promise<void> {
  await eventually(
    `${user.userId} being out`,
    () => user.call('GET', '/v3/joined_rooms'),
    ({ joined_rooms: joined }) => !(joined as readonly string[]).includes(roomId),
  );
}

for (const [hostSide, guestSide] of DIRECTIONS) {
  const way = `${hostSide} to ${guestSide}`;

  for (const version of ['10', '12']) {
    test(`an invitation is seen with the room's name and accepted (${way}, version ${version})`, async () => {
      const { host, guest, ours, theirs } = await couple(hostSide, guestSide);
      const roomId = await host.createRoom({
        room_version: version,
        name: 'Private',
        invite: [guest.userId],
      });
      const stripped = await guest.until('the invitation', () => guest.invite(roomId));
      assert.is(stripped.find(({ type }) => type === 'm.room.name')?.content['name'], 'Private');
      await guest.join(roomId);
      await becomes(host, roomId, guest.userId, 'join');
      await guest.say(roomId, 'here I am');
      await host.seesText(roomId, 'here I am');
      await sameState(roomId, ours, theirs);
    });
  }

  test(`an invitation is turned down (${way})`, async () => {
    const { host, guest } = await couple(hostSide, guestSide);
    const roomId = await host.createRoom({ name: 'Private' });
    await host.act(roomId, 'invite', guest.userId);
    await guest.until('the invitation', () => guest.invite(roomId));
    await guest.act(roomId, 'leave');
    await becomes(host, roomId, guest.userId, 'leave');
    await guest.until('the end of it', () => guest.invite(roomId) === undefined);
  });

  test(`an invitation is withdrawn (${way})`, async () => {
    const { host, guest } = await couple(hostSide, guestSide);
    const roomId = await host.createRoom({ name: 'Private' });
    await host.act(roomId, 'invite', guest.userId);
    await guest.until('the invitation', () => guest.invite(roomId));
    await host.act(roomId, 'kick', guest.userId);
    await guest.until('the end of it', () => guest.invite(roomId) === undefined);
  });

  test(`a knock is answered with an invitation (${way})`, async () => {
    const { host, guest, hostName } = await couple(hostSide, guestSide);
    const roomId = await host.createRoom({
      name: 'Knock',
      initial_state: [{ type: 'm.room.join_rules', state_key: '', content: { join_rule: 'knock' } }],
    });
    const query = `server_name=${encodeURIComponent(hostName)}&via=${encodeURIComponent(hostName)}`;
    await guest.call('POST', `/v3/knock/${encodeURIComponent(roomId)}?${query}`, { reason: 'please' });
    await becomes(host, roomId, guest.userId, 'knock');
    await host.act(roomId, 'invite', guest.userId);
    await guest.until('the invitation', () => guest.invite(roomId));
    await guest.join(roomId);
    await becomes(host, roomId, guest.userId, 'join');
  });

  test(`a restricted room lets in who is in the other, and nobody else (${way})`, async () => {
    const { host, guest, hostName, ours, theirs } = await couple(hostSide, guestSide);
    const lobby = await host.createRoom({ preset: 'public_chat', name: 'Lobby' });
    const roomId = await host.createRoom({
      name: 'Restricted',
      initial_state: [
        {
          type: 'm.room.join_rules',
          state_key: '',
          content: {
            join_rule: 'restricted',
            allow: [{ type: 'm.room_membership', room_id: lobby }],
          },
        },
      ],
    });
    const refused = await guest.join(roomId, hostName).catch((error: unknown) => error);
    assert.ok(refused instanceof RequestFailure && refused.status === 403, String(refused));
    await guest.join(lobby, hostName);
    await guest.join(roomId, hostName);
    await becomes(host, roomId, guest.userId, 'join');
    await guest.say(roomId, 'let in');
    await host.seesText(roomId, 'let in');
    await sameState(roomId, ours, theirs);
  });

  test(`who is kicked is out, and comes back; who is banned does not (${way})`, async () => {
    const { host, guest, hostName, ours, theirs } = await couple(hostSide, guestSide);
    const roomId = await host.createRoom({ preset: 'public_chat', name: 'Strict' });
    await guest.join(roomId, hostName);
    await becomes(host, roomId, guest.userId, 'join');
    await host.act(roomId, 'kick', guest.userId);
    await isOut(guest, roomId);
    await guest.join(roomId, hostName);
    await becomes(host, roomId, guest.userId, 'join');
    await guest.say(roomId, 'back again');
    await host.seesText(roomId, 'back again');
    await sameState(roomId, ours, theirs);
    await host.act(roomId, 'ban', guest.userId);
    await isOut(guest, roomId);
    const refused = await guest.join(roomId, hostName).catch((error: unknown) => error);
    assert.ok(refused instanceof RequestFailure && refused.status === 403, String(refused));
    await host.act(roomId, 'unban', guest.userId);
    await eventually(
      'a join after the ban',
      () => guest.join(roomId, hostName).catch((error: unknown) => error),
      (answer) => answer === roomId,
    );
    await becomes(host, roomId, guest.userId, 'join');
  });

  test(`a guest leaves and is gone (${way})`, async () => {
    const { host, guest, hostName } = await couple(hostSide, guestSide);
    const roomId = await host.createRoom({ preset: 'public_chat' });
    await guest.join(roomId, hostName);
    await becomes(host, roomId, guest.userId, 'join');
    await guest.act(roomId, 'leave');
    await becomes(host, roomId, guest.userId, 'leave');
  });
}

test.run();
