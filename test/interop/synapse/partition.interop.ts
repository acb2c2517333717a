// Apart and together again: what both sides do while they cannot reach each other ends in one state; and what was
// said around a power cut arrives, once.

import * as assert from 'uvu/assert';
import { eventually } from '../matrix-user.js';
import { pairSuite, sameState } from './pair.js';

const { test, pair } = pairSuite('apart from Synapse, and together again');

for (const version of ['10', '11', '12']) {
  test(`a ban, levels and topics set while cut off end in one state (version ${version})`, async () => {
    const servers = await pair();
    const alice = await servers.user('ours', 'alice');
    const carol = await servers.user('ours', 'carol');
    const bob = await servers.user('theirs', 'bob');
    const dave = await servers.user('theirs', 'dave');
    const roomId = await alice.createRoom({
      preset: 'public_chat',
      room_version: version,
      power_level_content_override: { users: version === '12' ? {} : { [alice.userId]: 100 } },
    });
    for (const user of [bob, dave]) await user.join(roomId, servers.ourName);
    await carol.join(roomId);
    const levels = await alice.call(
      'GET',
      `/v3/rooms/${encodeURIComponent(roomId)}/state/m.room.power_levels/`,
    );
    const users = (extra: object) => ({ ...levels, users: { ...(levels['users'] as object), ...extra } });
    await alice.setState(roomId, 'm.room.power_levels', '', users({ [bob.userId]: 75, [carol.userId]: 50 }));
    await bob.sees(roomId, 'the levels', ({ type, content }) => {
      const told = content['users'] as Record<string, number> | undefined;
      return type === 'm.room.power_levels' && told?.[bob.userId] === 75;
    });
    await bob.sees(roomId, 'Carol', ({ sender }) => sender === carol.userId);

    servers.cut();
    await alice.setState(roomId, 'm.room.topic', '', { topic: 'as ours have it' });
    await alice.act(roomId, 'ban', dave.userId);
    await alice.setState(roomId, 'm.room.power_levels', '', users({ [bob.userId]: 50, [carol.userId]: 50 }));
    await carol.say(roomId, 'said while cut off, here');
    await bob.setState(roomId, 'm.room.topic', '', { topic: 'as theirs have it' });
    await bob.act(roomId, 'kick', carol.userId);
    await bob.setState(roomId, 'm.room.name', '', { name: 'Named while cut off' });
    await dave.say(roomId, 'said while cut off, there');
    servers.mend();

    // Something new on either side is what makes them talk again.
    await alice.say(roomId, 'are you there?');
    await bob.say(roomId, 'yes');
    await alice.seesText(roomId, 'yes');
    await bob.seesText(roomId, 'are you there?');
    await sameState(roomId, alice, bob);
  });
}

test('what is sent around a power cut of either server arrives exactly once', async () => {
  const servers = await pair();
  const alice = await servers.user('ours', 'alice');
  const bob = await servers.user('theirs', 'bob');
  const roomId = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(roomId, servers.ourName);
  await alice.sees(roomId, 'the join', ({ sender }) => sender === bob.userId);

  const fromAlice: string[] = [];
  for (let i = 0; i < 20; i++) {
    await alice.say(roomId, `alice ${i}`);
    fromAlice.push(`alice ${i}`);
  }
  await servers.crash('ours');
  const again = alice.at(servers.address('ours'));
  for (let i = 20; i < 30; i++) {
    await again.say(roomId, `alice ${i}`);
    fromAlice.push(`alice ${i}`);
  }
  const heardByBob = () =>
    bob
      .room(roomId)
      .timeline.filter(({ sender }) => sender === alice.userId)
      .flatMap(({ content }) => content['body'] ?? []);
  await bob.until('everything of Alice', () => fromAlice.every((line) => heardByBob().includes(line)));
  assert.equal(heardByBob(), fromAlice);

  const fromBob: string[] = [];
  for (let i = 0; i < 10; i++) {
    await bob.say(roomId, `bob ${i}`);
    fromBob.push(`bob ${i}`);
  }
  await servers.crash('theirs');
  const bobAgain = bob.at(servers.address('theirs'));
  await bobAgain.say(roomId, 'bob 10');
  fromBob.push('bob 10');
  const heard = await eventually(
    'everything of Bob in the history',
    async () =>
      (await again.history(roomId))
        .filter(({ sender }) => sender === bob.userId)
        .flatMap(({ content }) => content['body'] ?? []),
    (lines) => fromBob.every((line) => lines.includes(line)),
  );
  assert.equal(heard, fromBob);
  await sameState(roomId, again, bobAgain);
});

test.run();
