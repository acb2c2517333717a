import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { UserId } from '../../../src/event/ids.js';
import { ask } from '../../client/e2ee-support.js';
import { itemsOf, textOf } from '../../client/harness.js';
import { member } from '../outbound/alpha.js';
import { PartialRoom } from '../outbound/partial-room.js';
import { Bobs, devicesOf, lists, now, query } from './bobs.js';

const test = suite('federation users of rooms with an incomplete state');

const BETA = 'beta.test';
const GAMMA = 'gamma.test';
const BOB = '@bob:beta.test' as UserId;
const BOB_OF_GAMMA = '@bob:gamma.test' as UserId;
const ROSA = '@rosa:resident.test';
const STRANGER = '@stranger:beta.test' as UserId;

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'stateroom-'));
  try {
    await run(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A server says that a device of a user of theirs changed. */
function tell({ at }: PartialRoom, userId: UserId, streamId = 1): Promise<void> {
  const update = { deviceId: 'PHONE', streamId, prevIds: [], isDeleted: true };
  return at.federation.users.sink.deviceUpdate({
    userId,
    ...update,
    displayName: undefined,
    keys: undefined,
  });
}

test('keys of who may share a room are asked for each time, and kept once it is known that they do', async () => {
  const room = await PartialRoom.open({ members: [BETA] });
  const bobs = new Bobs(room.other(BETA));
  bobs.add('PHONE', 1);
  for (const asked of [1, 2]) {
    assert.equal(await devicesOf(room.at, BOB), ['PHONE']);
    assert.is(bobs.asked.query, asked);
  }
  await room.complete();
  await room.at.settle();
  for (const _ of [3, 4]) assert.equal(await devicesOf(room.at, BOB), ['PHONE']);
  assert.is(bobs.asked.query, 3);
  await room.close();
});

test('who changed meanwhile has changed when it is known that they share a room, and no other', async () => {
  const room = await PartialRoom.open({ members: [BETA] });
  const since = await now(room.at);
  for (const userId of [BOB, STRANGER, BOB_OF_GAMMA]) await tell(room, userId);
  await room.at.settle();
  assert.equal((await lists(room.at, since)).changed, [], 'it is not known yet');
  await room.complete();
  await room.at.settle();
  const told = await lists(room.at, since);
  assert.equal([told.changed, told.left], [[BOB], []]);
  assert.equal((await lists(room.at, told.next)).changed, [], 'they have changed once');
  await room.close();
});

test('what changed meanwhile is known after a crash', () =>
  inFolder(async (folder) => {
    const room = await PartialRoom.open({ folder, members: [BETA] });
    const since = await now(room.at);
    await tell(room, BOB);
    await room.at.kill();
    await room.complete();
    await room.at.kill();
    await room.at.settle();
    assert.equal((await lists(room.at, since)).changed, [BOB]);
    await room.close();
  }));

test('kept keys of who goes from all rooms that they are known to be in are not relied on, and not forgotten', async () => {
  const room = await PartialRoom.open({ members: [BETA] });
  const { at } = room;
  const beta = room.other(BETA);
  const bobs = new Bobs(beta);
  bobs.add('PHONE', 1);
  await at.join(beta);
  await at.settle();
  await query(at, BOB);
  assert.is(bobs.asked.query, 1);
  await at.leave(beta);
  await at.settle();
  bobs.add('TABLET', 2);
  await bobs.tell(at, 'TABLET', [1]);
  assert.equal(await devicesOf(at, BOB), ['PHONE', 'TABLET']);
  assert.is(bobs.asked.query, 2);
  beta.mood = 'down';
  assert.equal(await devicesOf(at, BOB), ['PHONE'], 'what was known last');
  beta.mood = 'up';
  await at.pass(60 * 60_000);
  const since = await now(at);
  await room.complete();
  await at.settle();
  assert.is(bobs.asked.devices, 1, 'the list is asked for');
  assert.equal(await devicesOf(at, BOB), ['PHONE', 'TABLET']);
  assert.is(bobs.asked.query, 2, 'and kept');
  assert.equal((await lists(at, since)).changed, [BOB]);
  await room.close();
});

test('kept keys of who turns out to share no room are forgotten', async () => {
  const room = await PartialRoom.open({ listed: [BETA] });
  const { at } = room;
  const beta = room.other(BETA);
  const bobs = new Bobs(beta);
  bobs.add('PHONE', 1);
  await at.join(beta);
  await at.settle();
  await query(at, BOB);
  await at.leave(beta);
  await at.settle();
  await room.complete();
  await at.settle();
  beta.mood = 'down';
  assert.equal(await devicesOf(at, BOB), []);
  await room.close();
});

for (const listed of [[BETA], []])
  test(`an answer that is older than a change is not kept when both came before it was known who shares, ${listed.length} listed`, async () => {
    const room = await PartialRoom.open({ members: [BETA], listed });
    const bobs = new Bobs(room.other(BETA));
    bobs.add('PHONE', 1);
    const { answers } = room.other(BETA);
    room.other(BETA).answers = async (request) => {
      const answer = await answers(request);
      if (request.uri.endsWith('/user/keys/query') && bobs.asked.query === 1) {
        bobs.add('TABLET', 2);
        await bobs.tell(room.at, 'TABLET', [1]);
        await room.complete();
        await room.at.federation.roomServers.caughtUp();
      }
      return answer;
    };
    await query(room.at, BOB);
    await room.at.settle();
    assert.equal(await devicesOf(room.at, BOB), ['PHONE', 'TABLET']);
    await room.close();
  });

test('when the state is whole all members of an encrypted room have changed, but for those known by another', async () => {
  const room = await PartialRoom.open({ members: [BETA, GAMMA], listed: [BETA], isEncrypted: true });
  const { at } = room;
  await at.set('m.room.encryption', '', { algorithm: 'm.megolm.v1.aes-sha2' });
  await at.join(room.other(GAMMA));
  const since = await now(at);
  await room.complete();
  const told = await lists(at, since);
  assert.equal([told.changed, told.left], [[BOB, ROSA], []]);
  assert.equal((await lists(at, told.next)).changed, []);
  await room.close();
});

test('users who were only believed to be in an encrypted room are left when its state is whole', async () => {
  const eve = '@eve:delta.test' as UserId;
  const room = await PartialRoom.open({ members: [BETA], banned: [eve], isEncrypted: true });
  await room.asIfJoined(eve, member(eve, 'join'));
  await room.at.settle();
  const since = await now(room.at);
  await room.complete();
  await room.at.settle();
  const { left, next } = await lists(room.at, since);
  assert.equal(left, [eve]);
  const query = { from: since, to: next };
  const { body } = await room.at.harness.call(room.at.alice, 'GET', '/v3/keys/changes', undefined, { query });
  assert.equal(itemsOf(body['left']).map(textOf), [eve]);
  assert.equal(itemsOf(body['changed']).map(textOf), [room.at.alice.userId, BOB, ROSA]);
  await room.close();
});

test('a user who was wrongly taken to be thrown out has changed when the state is whole', async () => {
  const [mod, carol] = ['@mod:delta.test' as UserId, '@carol:gamma.test' as UserId];
  const room = await PartialRoom.open({ banned: [mod], moderators: [mod], isEncrypted: true });
  room.addOther(GAMMA);
  const joined = await room.everywhere(member(carol, 'join'));
  const first = await now(room.at);
  await room.asIfJoined(mod, member(carol, 'leave'), joined);
  await room.at.settle();
  const meanwhile = await lists(room.at, first);
  assert.equal(meanwhile.left, [carol]);
  assert.not(room.at.federation.roomServers.sharesRoom(carol));
  await room.complete();
  await room.at.settle();
  assert.equal((await lists(room.at, meanwhile.next)).changed, [room.at.alice.userId, carol, ROSA]);
  assert.ok(room.at.federation.roomServers.sharesRoom(carol));
  await room.close();
});

test('who left an encrypted room before its state was whole is left by it too', async () => {
  const room = await PartialRoom.open({ members: [BETA, GAMMA], isEncrypted: true });
  const since = await now(room.at);
  await room.everywhere(member(BOB, 'leave'));
  await room.complete();
  await room.at.settle();
  const told = await lists(room.at, since);
  assert.equal([told.changed, told.left], [[room.at.alice.userId, BOB_OF_GAMMA, ROSA], [BOB]]);
  await room.close();
});

test('of a room without encryption nobody is told of when its state is whole', async () => {
  const room = await PartialRoom.open({ members: [BETA] });
  const since = await now(room.at);
  await room.complete();
  const told = await lists(room.at, since);
  assert.equal([told.changed, told.left], [[], []]);
  await room.close();
});

test('somebody who leaves the room has left all who turn out to have been in it', async () => {
  const room = await PartialRoom.open({ members: [BETA], isEncrypted: true });
  const { at } = room;
  const since = await now(at);
  await at.harness.home.engine.send(room.roomId, member(at.alice.userId, 'leave'));
  await room.complete();
  const told = await lists(at, since);
  assert.equal([told.changed, told.left], [[], [BOB, ROSA]]);
  await room.close();
});

test('presence of who may share a room is shown, and of nobody else', async () => {
  const room = await PartialRoom.open({ members: [BETA], listed: [BETA] });
  const { at } = room;
  const online = { presence: 'online', last_active_ago: 1, status_msg: 'here' };
  for (const [name, userId] of [
    [BETA, BOB],
    [GAMMA, BOB_OF_GAMMA],
  ] as const) {
    const push = [{ user_id: userId, ...online }];
    const body = { origin: name, pdus: [], edus: [{ edu_type: 'm.presence', content: { push } }] };
    const stranger = name === BETA ? room.other(BETA).stranger : at.net.stranger(GAMMA);
    await stranger.ask(at.federation.parts.serverName, 'PUT', '/_matrix/federation/v1/send/1', body);
  }
  const path = `/v3/presence/${encodeURIComponent(BOB)}/status`;
  assert.is(textOf((await ask(at.harness, at.alice, 'GET', path))['status_msg']), 'here');
  const other = `/v3/presence/${encodeURIComponent(BOB_OF_GAMMA)}/status`;
  assert.is((await at.harness.call(at.alice, 'GET', other)).status, 403);
  await room.close();
});

test('a message to a device reaches a server of the list, and one from it reaches us', async () => {
  const room = await PartialRoom.open({ members: [BETA] });
  const { at } = room;
  const beta = room.other(BETA);
  await ask(at.harness, at.alice, 'PUT', '/v3/sendToDevice/m.test/1', {
    messages: { [BOB]: { PHONE: { n: 1 } } },
  });
  await at.settle();
  assert.is(beta.edus('m.direct_to_device').length, 1);
  const content = {
    sender: BOB,
    type: 'm.test',
    message_id: 'm1',
    messages: { [at.alice.userId]: { [at.alice.deviceId]: { n: 2 } } },
  };
  await beta.stranger.ask(at.federation.parts.serverName, 'PUT', '/_matrix/federation/v1/send/1', {
    origin: BETA,
    pdus: [],
    edus: [{ edu_type: 'm.direct_to_device', content }],
  });
  const { to_device } = await ask(at.harness, at.alice, 'GET', '/v3/sync');
  assert.is(itemsOf(to_device?.['events']).length, 1);
  await room.close();
});

test.run();
