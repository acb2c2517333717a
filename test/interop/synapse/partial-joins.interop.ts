// Joins that leave the members for later, between Synapse and us: each way, and whatever happens until the state
// is whole. What is asked for of the rest waits at a gate as long as a test wants the room incomplete.
//
// Synapse leaves members out of every answer to who asks for it, however small the room; and asks for it itself in
// every join of a room that it is not in (synapse/federation/federation_server.py, on_send_join_request;
// synapse/handlers/federation.py, do_invite_join).

import * as assert from 'uvu/assert';
import { eventually, type MatrixUser } from '../matrix-user.js';
import { Crowd, type CrowdedRoom } from './crowd.js';
import { type Pair, pairSuite, sameState, type Side } from './pair.js';

const { test, pair } = pairSuite('joins without members, with Synapse', { small_room_members_max: 0 });

/** What is asked for to complete a state. */
const REST = /\/federation\/v1\/state(_ids)?\//;
const MEMBERS = 12;

const crowds = new Map<Side, Crowd>();

async function crowdOf(side: Side): Promise<Crowd> {
  const crowd = crowds.get(side) ?? new Crowd(await pair(), side);
  crowds.set(side, crowd);
  return crowd;
}

interface Joined extends CrowdedRoom {
  readonly servers: Pair;
  readonly hostSide: Side;
  readonly guestSide: Side;
  readonly guest: MatrixUser;
  /** The host and the guest by the side that they are of. */
  readonly users: Readonly<Record<Side, MatrixUser>>;
}

/** A crowded room of one server, and a user of the other who just joined: the rest of the state is held back. */
async function joinedInPart(hostSide: Side, version: string, members = MEMBERS): Promise<Joined> {
  const servers = await pair();
  const guestSide = hostSide === 'ours' ? 'theirs' : 'ours';
  const room = await (await crowdOf(hostSide)).room({ members, room_version: version });
  const guest = (await servers.user(guestSide, 'guest')).lazily();
  servers.gates[hostSide].hold(REST);
  await guest.join(room.roomId, servers.nameOf(hostSide));
  await isInPart(servers, guestSide, room.roomId);
  const users = hostSide === 'ours' ? { ours: room.host, theirs: guest } : { ours: guest, theirs: room.host };
  return { ...room, servers, hostSide, guestSide, guest, users };
}

async function isInPart(servers: Pair, side: Side, roomId: string): Promise<void> {
  assert.ok(await servers.isPartial(side, roomId), `${side} knows all of ${roomId} already`);
}

async function becomesWhole({ servers, guestSide, roomId }: Joined): Promise<void> {
  await eventually(
    `the state of ${roomId} being whole`,
    () => servers.isPartial(guestSide, roomId),
    (isPartial) => !isPartial,
  );
}

/** Lets what was held back go; the room is whole after it, and the same on both sides. */
async function completes(joined: Joined): Promise<Record<string, string>> {
  const { servers, hostSide, roomId, users } = joined;
  servers.gates[hostSide].release();
  await becomesWhole(joined);
  await sameState(roomId, users.ours, users.theirs);
  return users.ours.state(roomId);
}

function hasMembers(state: Record<string, string>, { host, guest, members, banned }: Joined): void {
  for (const userId of [host, guest, ...members].map((user) => user.userId).concat(banned)) {
    assert.ok(state[`m.room.member ${userId}`] !== undefined, `${userId} is missing`);
  }
}

for (const [hostSide, version, members] of [
  ['theirs', '9', MEMBERS],
  ['theirs', '10', MEMBERS],
  ['theirs', '11', 60],
  ['theirs', '12', MEMBERS],
  ['ours', '10', MEMBERS],
  ['ours', '11', 60],
  ['ours', '12', MEMBERS],
] as const) {
  test(`a room of version ${version} is used before its members are known, then they are (of ${hostSide})`, async () => {
    const joined = await joinedInPart(hostSide, version, members);
    const { servers, roomId, host, guest, members: others, guestSide } = joined;
    assert.ok(
      servers.gates[hostSide].requests.some(
        (request) =>
          decodeURIComponent(request).includes(`/send_join/${roomId}/`) &&
          request.includes('omit_members=true'),
      ),
    );
    await guest.say(roomId, 'here I am');
    await host.seesText(roomId, 'here I am');
    const [first, second] = others;
    assert.ok(first !== undefined && second !== undefined);
    await first.say(roomId, 'who are you?');
    await guest.seesText(roomId, 'who are you?');
    await host.setState(roomId, 'm.room.topic', '', { topic: 'Guests' });
    await guest.sees(roomId, 'the topic', ({ type }) => type === 'm.room.topic');
    await host.act(roomId, 'kick', second.userId);
    await guest.sees(roomId, 'the kick', ({ state_key }) => state_key === second.userId);
    await isInPart(servers, guestSide, roomId);
    hasMembers(await completes(joined), joined);
    await guest.say(roomId, 'now I know all of you');
    await host.seesText(roomId, 'now I know all of you');
  });
}

test.run();
