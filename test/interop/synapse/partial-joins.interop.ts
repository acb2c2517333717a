// Rooms of a real Synapse that are joined without their members, and made whole afterwards.

import * as assert from 'uvu/assert';
import { eventually, type MatrixUser } from '../matrix-user.js';
import { type Pair, pairSuite, sameState } from './pair.js';

const { test, pair } = pairSuite('joins without members from Synapse');

const MEMBERS = 6;

/** A room of Bob's at Synapse with others in it, one banned and one invited. */
async function theirRoom(servers: Pair, body: object = {}) {
  const bob = await servers.user('theirs', 'bob');
  const roomId = await bob.createRoom({ preset: 'public_chat', name: 'Theirs', ...body });
  const others: MatrixUser[] = [];
  for (let i = 0; i < MEMBERS; i++) others.push(await servers.user('theirs', 'member'));
  const [banned, invited, ...joined] = others;
  assert.ok(banned && invited);
  for (const user of joined) await user.join(roomId);
  await bob.act(roomId, 'ban', banned.userId);
  await bob.act(roomId, 'invite', invited.userId);
  return { bob, roomId, joined };
}

function lines(servers: Pair, roomId: string, words: string): string[] {
  return servers
    .ourLog()
    .split('\n')
    .filter((line) => line.includes(roomId) && line.includes(words));
}

async function becomesWhole(servers: Pair, roomId: string): Promise<void> {
  await eventually(
    `${roomId} being whole`,
    () => Promise.resolve(lines(servers, roomId, 'the state of a room is whole')),
    (found) => found.length > 0,
  );
}

for (const version of ['10', '12']) {
  test(`a room of version ${version} is entered without its members, and has them all afterwards`, async () => {
    const servers = await pair();
    const alice = await servers.user('ours', 'alice');
    const { bob, roomId } = await theirRoom(servers, { room_version: version });
    await alice.join(roomId, servers.theirName);
    const [joined] = lines(servers, roomId, 'joined a room of other servers');
    assert.ok(joined?.includes('"partial":true'), joined ?? servers.ourLog());
    await alice.say(roomId, 'nobody is known to me yet');
    await bob.seesText(roomId, 'nobody is known to me yet');
    await becomesWhole(servers, roomId);
    await sameState(roomId, alice, bob);
  });
}

test('a second user of ours comes in meanwhile, and who left comes back', async () => {
  const servers = await pair();
  const alice = await servers.user('ours', 'alice');
  const amy = await servers.user('ours', 'amy');
  const { bob, roomId, joined } = await theirRoom(servers);
  await alice.join(roomId, servers.theirName);
  await amy.join(roomId);
  await becomesWhole(servers, roomId);
  await sameState(roomId, amy, bob);
  for (const user of [alice, amy]) await user.act(roomId, 'leave');
  const [gone] = joined;
  await gone?.act(roomId, 'leave');
  await bob.setState(roomId, 'm.room.name', '', { name: 'Renamed' });
  await alice.join(roomId, servers.theirName);
  await sameState(roomId, alice, bob);
});

test('a server of ours that is killed right after a join goes on with it when it is started', async () => {
  const servers = await pair();
  const alice = await servers.user('ours', 'alice');
  const { bob, roomId } = await theirRoom(servers);
  await alice.join(roomId, servers.theirName);
  await servers.crash('ours');
  const again = alice.at(servers.address('ours'));
  await sameState(roomId, again, bob);
  await again.say(roomId, 'back again');
  await bob.seesText(roomId, 'back again');
});

test.run();
