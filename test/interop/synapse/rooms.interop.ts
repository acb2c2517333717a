// Rooms shared with a real Synapse: joined each way, talked in, changed, in the room versions that are in use.

import * as assert from 'uvu/assert';
import { eventually, type MatrixUser } from '../matrix-user.js';
import { pairSuite, sameState } from './pair.js';

const { test, pair } = pairSuite('a room shared with Synapse');

for (const version of ['9', '10', '11', '12']) {
  test(`a user of Synapse joins our room of version ${version} by its alias, and both talk`, async () => {
    const servers = await pair();
    const alice = await servers.user('ours', 'alice');
    const bob = await servers.user('theirs', 'bob');
    const alias = `room${version}`;
    const roomId = await alice.createRoom({
      preset: 'public_chat',
      room_version: version,
      room_alias_name: alias,
      name: 'Ours',
    });
    assert.is(await bob.join(`#${alias}:${servers.ourName}`), roomId);
    await bob.say(roomId, 'hello from Synapse');
    await alice.seesText(roomId, 'hello from Synapse');
    await alice.say(roomId, 'hello from stateroom');
    await bob.seesText(roomId, 'hello from stateroom');
    await sameState(roomId, alice, bob);
  });

  test(`a user of ours joins a room of version ${version} on Synapse, and both talk`, async () => {
    const servers = await pair();
    const alice = await servers.user('ours', 'alice');
    const bob = await servers.user('theirs', 'bob');
    const roomId = await bob.createRoom({ preset: 'public_chat', room_version: version, name: 'Theirs' });
    assert.is(await alice.join(roomId, servers.theirName), roomId);
    await bob.say(roomId, 'welcome');
    await alice.seesText(roomId, 'welcome');
    await alice.say(roomId, 'thank you');
    await bob.seesText(roomId, 'thank you');
    await sameState(roomId, alice, bob);
  });
}

async function sharedRoom(): Promise<{
  readonly roomId: string;
  readonly alice: MatrixUser;
  readonly bob: MatrixUser;
}> {
  const servers = await pair();
  const alice = await servers.user('ours', 'alice');
  const bob = await servers.user('theirs', 'bob');
  const roomId = await alice.createRoom({ preset: 'public_chat', name: 'Shared' });
  await bob.join(roomId, servers.ourName);
  await alice.sees(roomId, 'the join', ({ sender }) => sender === bob.userId);
  return { roomId, alice, bob };
}

test('an edit and a redaction arrive each way', async () => {
  const { roomId, alice, bob } = await sharedRoom();
  for (const [from, to] of [
    [alice, bob],
    [bob, alice],
  ] as const) {
    const eventId = await from.say(roomId, `first by ${from.userId}`);
    await to.seesText(roomId, `first by ${from.userId}`);
    await from.send(roomId, 'm.room.message', {
      msgtype: 'm.text',
      body: `* second by ${from.userId}`,
      'm.new_content': { msgtype: 'm.text', body: `second by ${from.userId}` },
      'm.relates_to': { rel_type: 'm.replace', event_id: eventId },
    });
    await to.seesText(roomId, `* second by ${from.userId}`);
    const redacted = await from.say(roomId, `regretted by ${from.userId}`);
    await to.seesText(roomId, `regretted by ${from.userId}`);
    await from.call(
      'PUT',
      `/v3/rooms/${encodeURIComponent(roomId)}/redact/${redacted}/t${redacted.slice(1, 9)}`,
      {},
    );
    const path = `/v3/rooms/${encodeURIComponent(roomId)}/event/${redacted}`;
    const shown = await eventually(
      'a redacted event',
      () => to.call('GET', path),
      ({ content }) => JSON.stringify(content) === '{}',
    );
    assert.equal(shown['content'], {});
  }
});

test('power levels, topic and name change by either side', async () => {
  const { roomId, alice, bob } = await sharedRoom();
  const path = `/v3/rooms/${encodeURIComponent(roomId)}/state/m.room.power_levels/`;
  const levels = await alice.call('GET', path);
  await alice.setState(roomId, 'm.room.power_levels', '', {
    ...levels,
    users: { ...(levels['users'] as object), [bob.userId]: 50 },
  });
  await bob.sees(roomId, 'the levels', ({ type, content }) => {
    const users = content['users'] as Record<string, number> | undefined;
    return type === 'm.room.power_levels' && users?.[bob.userId] === 50;
  });
  await bob.setState(roomId, 'm.room.topic', '', { topic: 'set by a moderator of Synapse' });
  await alice.sees(roomId, 'the topic', ({ type }) => type === 'm.room.topic');
  await alice.setState(roomId, 'm.room.name', '', { name: 'Renamed' });
  await bob.sees(roomId, 'the name', ({ content }) => content['name'] === 'Renamed');
  await sameState(roomId, alice, bob);
});

test('a new display name reaches the members of the other server', async () => {
  const { roomId, alice, bob } = await sharedRoom();
  for (const [who, other] of [
    [alice, bob],
    [bob, alice],
  ] as const) {
    const displayname = `Renamed ${who.userId}`;
    await who.call('PUT', `/v3/profile/${encodeURIComponent(who.userId)}/displayname`, { displayname });
    await other.sees(roomId, 'the new name', ({ content }) => content['displayname'] === displayname);
    const profile = await other.call('GET', `/v3/profile/${encodeURIComponent(who.userId)}`);
    assert.is(profile['displayname'], displayname);
  }
});

test('history from before a join is read back across the servers', async () => {
  const servers = await pair();
  for (const [home, guest] of [
    ['theirs', 'ours'],
    ['ours', 'theirs'],
  ] as const) {
    const host = await servers.user(home, 'host');
    const roomId = await host.createRoom({ preset: 'public_chat', name: 'Old' });
    const said = Array.from({ length: 60 }, (_, i) => `line ${i}`);
    for (const line of said) await host.say(roomId, line);
    const reader = await servers.user(guest, 'reader');
    await reader.join(roomId, home === 'ours' ? servers.ourName : servers.theirName);
    const read = await eventually(
      `${guest} reading all of ${home}'s history`,
      async () => (await reader.history(roomId)).flatMap(({ content }) => content['body'] ?? []),
      (lines) => lines.length >= said.length,
    );
    assert.equal(read, said);
  }
});

test('a directory lists the rooms of the other server', async () => {
  const servers = await pair();
  const alice = await servers.user('ours', 'alice');
  const bob = await servers.user('theirs', 'bob');
  const roomId = await alice.createRoom({ preset: 'public_chat', visibility: 'public', name: 'Listed' });
  const listed = await bob.call('GET', `/v3/publicRooms?server=${encodeURIComponent(servers.ourName)}`);
  const rooms = listed['chunk'] as ReadonlyArray<{ readonly room_id: string }>;
  assert.ok(rooms.some(({ room_id }) => room_id === roomId));
});

test.run();
