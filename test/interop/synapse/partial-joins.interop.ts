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

// What a test that failed left behind would fail the others.
test.before.each(async () => {
  const servers = await pair();
  servers.mend();
  for (const gate of Object.values(servers.gates)) gate.release();
});

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
  servers.gates[hostSide].hold(REST, servers.nameOf(guestSide));
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

/** Everybody says a line, one after the other. @returns the lines */
async function talk(roomId: string, round: string, users: readonly MatrixUser[]): Promise<string[]> {
  const lines: string[] = [];
  for (const user of users) {
    const line = `${round} by ${user.userId}`;
    await user.say(roomId, line);
    lines.push(line);
  }
  return lines;
}

/** Every line is in the room's history once, as these users are told it. */
async function heardOnce(
  roomId: string,
  lines: readonly string[],
  users: readonly MatrixUser[],
): Promise<void> {
  for (const user of users) {
    const heard = await eventually(
      `${user.userId} hearing everything`,
      async () =>
        (await user.history(roomId)).flatMap(({ content: { body } }) =>
          typeof body === 'string' ? [body] : [],
        ),
      (bodies) => lines.every((line) => bodies.includes(line)),
    );
    assert.equal(new Set(heard), new Set(lines));
    assert.is(heard.length, lines.length);
  }
}

for (const [hostSide, version] of [
  ['theirs', '10'],
  ['theirs', '12'],
  ['ours', '11'],
  ['ours', '12'],
] as const) {
  test(`what both sides do while a join is completed, and apart from each other, ends in one state (of ${hostSide}, version ${version})`, async () => {
    const joined = await joinedInPart(hostSide, version);
    const { servers, roomId, host, guest, guestSide, members } = joined;
    const [speaker, mod, kicked, banned, leaver, back, accused, outcast] = members;
    if (!speaker || !mod || !kicked || !banned || !leaver || !back || !accused || !outcast) throw new Error();
    const lines: string[] = [];
    // Synapse kicks nobody of whom it does not know that they are in the room (synapse/handlers/room_member.py).
    const removal = guestSide === 'ours' ? 'kick' : 'ban';

    // While the state is incomplete, and both hear each other.
    const levels = await host.call(
      'GET',
      `/v3/rooms/${encodeURIComponent(roomId)}/state/m.room.power_levels/`,
    );
    const give = (user: MatrixUser, users: object) =>
      user.setState(roomId, 'm.room.power_levels', '', {
        ...levels,
        events: { ...(levels['events'] as object), 'm.room.power_levels': 50 },
        users: { ...(levels['users'] as object), ...users },
      });
    await give(host, { [guest.userId]: 60, [mod.userId]: 50 });
    await guest.sees(roomId, 'the levels', ({ type, content }) => {
      const users = content['users'] as Record<string, number> | undefined;
      return type === 'm.room.power_levels' && users?.[guest.userId] === 60;
    });
    const second = await servers.user(guestSide, 'second');
    const third = await servers.user(guestSide, 'third');
    for (const user of [second, third]) await user.join(roomId, servers.nameOf(hostSide));
    await Promise.all([
      talk(roomId, 'first', [host, speaker, mod]).then((said) => lines.push(...said)),
      talk(roomId, 'second', [guest, second, third]).then((said) => lines.push(...said)),
      guest.act(roomId, removal, kicked.userId),
      host.act(roomId, 'ban', banned.userId),
      leaver.act(roomId, 'leave'),
      guest.setState(roomId, 'm.room.topic', '', { topic: 'of the guest' }),
      mod.setState(roomId, 'm.room.topic', '', { topic: 'of the moderator' }),
    ]);
    await back.act(roomId, 'leave');
    await back.join(roomId);
    // What those say who are thrown out now counts where it was heard before.
    await host.seesText(roomId, `second by ${third.userId}`);
    await guest.seesText(roomId, `first by ${mod.userId}`);

    servers.cut();
    await give(host, { [guest.userId]: 50, [mod.userId]: 40 });
    await host.act(roomId, 'ban', third.userId);
    await mod
      .setState(roomId, 'm.room.topic', '', { topic: 'of the moderator, apart' })
      .catch(() => undefined);
    lines.push(...(await talk(roomId, 'apart', [host, speaker, guest, second])));
    await guest.act(roomId, removal, accused.userId);
    await guest.act(roomId, 'ban', outcast.userId);
    await guest.setState(roomId, 'm.room.name', '', { name: 'Apart' });
    await give(guest, { [guest.userId]: 60, [mod.userId]: 50, [second.userId]: 50 });
    await isInPart(servers, guestSide, roomId);
    servers.mend();

    lines.push(...(await talk(roomId, 'together', [host, guest, speaker, second])));
    await guest.seesText(roomId, `together by ${speaker.userId}`);
    await host.seesText(roomId, `together by ${second.userId}`);
    servers.gates[hostSide].release();
    lines.push(...(await talk(roomId, 'at the end', [guest, host, second, speaker])));
    hasMembers(await completes(joined), joined);
    await heardOnce(roomId, lines, [host, guest]);
  });
}

test('a join is completed after a power cut that came while nobody could be asked', async () => {
  const joined = await joinedInPart('theirs', '11');
  const { servers, roomId, host, guest } = joined;
  await guest.say(roomId, 'before the power cut');
  await host.seesText(roomId, 'before the power cut');
  servers.cut();
  await servers.crash('ours');
  const again = guest.at(servers.address('ours'));
  await isInPart(servers, 'ours', roomId);
  await again.say(roomId, 'after the power cut');
  servers.mend();
  await host.say(roomId, 'are you there?');
  await again.seesText(roomId, 'are you there?');
  const whole = { ...joined, guest: again, users: { ours: again, theirs: host } };
  hasMembers(await completes(whole), whole);
  await heardOnce(roomId, ['before the power cut', 'after the power cut', 'are you there?'], [host, again]);
});

for (const hostSide of ['theirs', 'ours'] as const) {
  test(`who leaves before the members are known comes back (to ${hostSide})`, async () => {
    const joined = await joinedInPart(hostSide, '11');
    const { servers, roomId, host, guest, guestSide } = joined;
    await guest.act(roomId, 'leave');
    await host.sees(roomId, 'the leave', ({ sender, content }) => {
      return sender === guest.userId && content['membership'] === 'leave';
    });
    if (guestSide === 'ours') await becomesWhole(joined);
    await host.setState(roomId, 'm.room.topic', '', { topic: 'While nobody was here' });
    await guest.join(roomId, servers.nameOf(hostSide));
    await isInPart(servers, guestSide, roomId);
    await guest.say(roomId, 'back again');
    await host.seesText(roomId, 'back again');
    hasMembers(await completes(joined), joined);
  });
}

test('an encrypted room tells whose devices are in it once its members are known', async () => {
  const joined = await joinedInPart('theirs', '11');
  const { roomId, host, guest, members } = joined;
  await host.setState(roomId, 'm.room.encryption', '', { algorithm: 'm.megolm.v1.aes-sha2' });
  await guest.sees(roomId, 'the encryption', ({ type }) => type === 'm.room.encryption');
  await completes(joined);
  await guest.until('the devices of all', () =>
    [host, ...members].every(({ userId }) => guest.changedDevices.has(userId)),
  );
});

test('a restricted room is joined in part by who is in the room that it names', async () => {
  const servers = await pair();
  const lobby = await (await crowdOf('theirs')).room({ members: 2 });
  const guest = (await servers.user('ours', 'guest')).lazily();
  const { host, members } = lobby;
  const roomId = await host.createRoom({
    name: 'Restricted',
    invite: members.map(({ userId }) => userId),
    initial_state: [
      {
        type: 'm.room.join_rules',
        state_key: '',
        content: { join_rule: 'restricted', allow: [{ type: 'm.room_membership', room_id: lobby.roomId }] },
      },
    ],
  });
  servers.gates.theirs.hold(REST, servers.ourName);
  await guest.join(lobby.roomId, servers.theirName);
  await guest.join(roomId, servers.theirName);
  for (const room of [lobby.roomId, roomId]) await isInPart(servers, 'ours', room);
  await guest.say(roomId, 'let in');
  await host.seesText(roomId, 'let in');
  servers.gates.theirs.release();
  for (const room of [lobby.roomId, roomId]) await sameState(room, guest, host);
});

test('the rest of the state is had from a third server where the one that let us in is gone', async () => {
  const servers = await pair();
  const third = await servers.third();
  const room = await (await crowdOf('theirs')).room({ members: MEMBERS });
  const { roomId, host } = room;
  const dave = await servers.user(third, 'dave');
  await dave.join(roomId, servers.theirName);
  await sameState(roomId, dave, host);
  const guest = (await servers.user('ours', 'guest')).lazily();
  servers.gates.theirs.hold(REST, servers.ourName);
  await guest.join(roomId, servers.theirName);
  await isInPart(servers, 'ours', roomId);
  servers.wires.theirs.cut();
  await guest.say(roomId, 'is anybody there?');
  await dave.seesText(roomId, 'is anybody there?');
  await dave.say(roomId, 'I am');
  await guest.seesText(roomId, 'I am');
  await eventually(
    'the state being whole',
    () => servers.isPartial('ours', roomId),
    (isPartial) => !isPartial,
  );
  await sameState(roomId, guest, dave);
  servers.wires.theirs.mend();
  servers.gates.theirs.release();
  await host.say(roomId, 'so am I');
  await guest.seesText(roomId, 'so am I');
  await sameState(roomId, guest, host);
});

test('a server that comes into a room whose members are not known here hears us, and is thrown out', async () => {
  const joined = await joinedInPart('theirs', '12');
  const { servers, roomId, host, guest } = joined;
  const third = await servers.third();
  const dave = (await servers.user(third, 'dave')).lazily();
  const eve = await servers.user(third, 'eve');
  // We cannot let anybody in now, and say so.
  await dave.join(roomId, servers.ourName, servers.theirName);
  await eve.join(roomId, servers.theirName);
  await guest.sees(roomId, 'Dave', ({ sender }) => sender === dave.userId);
  await guest.say(roomId, 'hello Dave');
  await dave.seesText(roomId, 'hello Dave');
  await dave.say(roomId, 'hello guest');
  await guest.seesText(roomId, 'hello guest');
  await host.act(roomId, 'ban', eve.userId);
  await guest.sees(roomId, 'the ban', ({ state_key }) => state_key === eve.userId);
  await isInPart(servers, 'ours', roomId);
  hasMembers(await completes(joined), joined);
  await sameState(roomId, dave, host);
});

test.run();
