import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { UserId } from '../../../src/event/ids.js';
import { own } from '../../../src/event/json.js';
import { ask, deviceKeys, TestKey } from '../../client/e2ee-support.js';
import { textOf } from '../../client/harness.js';
import { member, type Other } from './alpha.js';
import { PartialRoom } from './partial-room.js';

const test = suite('federation outbound late news');

const BETA = 'beta.test';
const GAMMA = 'gamma.test';
const DELTA = 'delta.test';

const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, i) => String(from + i));

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'stateroom-'));
  try {
    await run(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const stateKeys = ({ sent }: Other): unknown[] =>
  sent.flatMap(({ pdus }) => pdus.flatMap((pdu) => own(pdu, 'state_key') ?? []));

test('while the state is incomplete our events go to all servers of the list, in it or not', async () => {
  const room = await PartialRoom.open({ members: [BETA], listed: [BETA, DELTA] });
  await room.say('hello');
  await room.at.settle();
  for (const name of ['resident.test', BETA, DELTA]) {
    assert.equal(room.other(name).messages, ['hello'], name);
  }
  await room.close();
});

test('servers that the list lacks get all events of ours when the state is whole, once, in order', async () => {
  const room = await PartialRoom.open({ members: [BETA, GAMMA], listed: [BETA] });
  for (const body of numbers(1, 120)) await room.say(body);
  await room.at.settle();
  assert.equal(room.other(GAMMA).messages, []);
  await room.complete();
  await room.at.settle();
  await room.say('last');
  await room.at.settle();
  for (const name of ['resident.test', BETA, GAMMA]) {
    assert.equal(room.other(name).messages, [...numbers(1, 120), 'last'], name);
  }
  await room.close();
});

test('a server that was listed wrongly hears nothing more when the state is whole', async () => {
  const room = await PartialRoom.open({ members: [BETA], listed: [BETA, DELTA] });
  await room.complete();
  await room.say('later');
  await room.at.settle();
  assert.equal(room.other(DELTA).messages, []);
  assert.equal(room.other(BETA).messages, ['later']);
  await room.close();
});

test('a server that joins meanwhile gets what comes after, and nothing twice', async () => {
  const room = await PartialRoom.open({ members: [BETA, GAMMA], listed: [BETA] });
  await room.say('before');
  await room.everywhere(member('@carol:gamma.test' as UserId, 'join'));
  await room.say('after');
  await room.at.settle();
  assert.equal(room.other(GAMMA).messages, ['after']);
  await room.complete();
  await room.at.settle();
  assert.equal(room.other(GAMMA).messages, ['after', 'before']);
  await room.close();
});

test('a server of the list whose members were seen to leave is sent to until the state is whole', async () => {
  const room = await PartialRoom.open({ members: [BETA] });
  await room.everywhere(member('@bob:beta.test' as UserId, 'leave'));
  await room.say('meanwhile');
  await room.at.settle();
  assert.equal(room.other(BETA).messages, ['meanwhile']);
  await room.complete();
  await room.say('later');
  await room.at.settle();
  assert.equal(room.other(BETA).messages, ['meanwhile']);
  await room.close();
});

test('a server whose user was only believed to be in the room hears nothing more', async () => {
  const eve = '@eve:delta.test' as UserId;
  const room = await PartialRoom.open({ members: [BETA], banned: [eve] });
  await room.asIfJoined(eve, member(eve, 'join'));
  await room.say('meanwhile');
  await room.at.settle();
  assert.equal(room.other(DELTA).messages, ['meanwhile']);
  await room.complete();
  await room.say('later');
  await room.at.settle();
  assert.equal(room.other(DELTA).messages, ['meanwhile']);
  assert.not(room.at.federation.roomServers.isIn(room.other(DELTA).name, room.roomId));
  await room.close();
});

test('a server whose only user was wrongly taken to be thrown out gets what it missed', async () => {
  const [mod, carol] = ['@mod:delta.test' as UserId, '@carol:gamma.test' as UserId];
  const room = await PartialRoom.open({ members: [BETA], banned: [mod], moderators: [mod] });
  room.addOther(GAMMA);
  const joined = await room.everywhere(member(carol, 'join'));
  await room.asIfJoined(mod, member(carol, 'leave'), joined);
  await room.say('missed');
  await room.at.settle();
  assert.equal(room.other(GAMMA).messages, []);
  await room.complete();
  await room.at.settle();
  await room.say('later');
  await room.at.settle();
  assert.equal(room.other(GAMMA).messages, ['missed', 'later']);
  assert.equal(room.other(BETA).messages, ['missed', 'later']);
  await room.close();
});

test('an event of ours that the whole state rejects is not sent any more', async () => {
  const ann = '@ann:alpha.test' as UserId;
  const room = await PartialRoom.open({ members: [BETA, GAMMA], listed: [BETA], banned: [ann] });
  room.other(BETA).mood = 'down';
  await room.at.harness.home.engine.send(room.roomId, member(ann, 'join'));
  await room.say('hello');
  await room.at.settle();
  assert.equal(stateKeys(room.other('resident.test')), [ann]);
  await room.complete();
  await room.at.settle();
  room.other(BETA).mood = 'up';
  await room.at.pass(60_000);
  for (const name of [BETA, GAMMA]) {
    assert.equal(stateKeys(room.other(name)), [], name);
    assert.equal(room.other(name).messages, ['hello'], name);
  }
  await room.close();
});

test('what is late is sent although the server is killed when the state is whole, and again after a loss', () =>
  inFolder(async (folder) => {
    const room = await PartialRoom.open({ folder, members: [BETA, GAMMA], listed: [BETA] });
    const gamma = room.other(GAMMA);
    for (const body of numbers(1, 30)) await room.say(body);
    await room.at.settle();
    gamma.mood = 'down';
    await room.complete();
    await room.at.kill();
    await room.at.settle();
    assert.equal(gamma.messages, []);
    gamma.mood = 'deaf';
    await room.at.pass(60_000);
    await room.at.kill();
    gamma.mood = 'up';
    await room.at.settle();
    await room.at.pass(10 * 60_000);
    const bodies = new Map(gamma.sent.map((sent) => [sent.id, sent]));
    assert.is(bodies.size, 1, 'the same transaction');
    assert.equal(gamma.messages.slice(-30), numbers(1, 30));
    assert.equal(room.other(BETA).messages, numbers(1, 30));
    await room.close();
  }));

/** Nothing is handed out until what is returned is called. */
function standstill(room: PartialRoom): () => void {
  const { roomServers } = room.at.federation;
  const caughtUp = roomServers.caughtUp.bind(roomServers);
  let goOn: () => void = () => undefined;
  const waiting = new Promise<void>((resolve) => (goOn = resolve));
  roomServers.caughtUp = async () => {
    await waiting;
    await caughtUp();
  };
  return goOn;
}

test('events that were handed out only after the state was whole do not go out twice', async () => {
  const room = await PartialRoom.open({ members: [BETA, GAMMA], listed: [BETA] });
  const goOn = standstill(room);
  await room.say('hello');
  await room.complete();
  goOn();
  await room.at.settle();
  for (const name of [BETA, GAMMA]) assert.equal(room.other(name).messages, ['hello'], name);
  await room.close();
});

test('a server that missed things while it was down is made up with', async () => {
  const room = await PartialRoom.open({ members: [BETA, GAMMA], listed: [BETA] });
  room.other(GAMMA).mood = 'down';
  await room.say('one');
  await room.say('two');
  await room.complete();
  await room.at.settle();
  await room.at.pass(60 * 60_000);
  await room.say('three');
  await room.at.settle();
  room.other(GAMMA).mood = 'up';
  await room.at.pass(24 * 60 * 60_000);
  assert.is(room.other(GAMMA).messages.at(-1), 'three');
  await room.close();
});

test('changes of our devices go to all of the list, late to who it lacks, and to nobody else', async () => {
  const room = await PartialRoom.open({ members: [BETA, GAMMA], listed: [BETA, DELTA] });
  const { harness, alice } = room.at;
  await ask(harness, alice, 'POST', '/v3/keys/upload', { device_keys: deviceKeys(alice, new TestKey(1)) });
  await room.at.settle();
  const updates = (name: string): unknown[] =>
    room
      .other(name)
      .edus('m.device_list_update')
      .map((update) => textOf(update['device_id']));
  assert.equal([BETA, GAMMA, DELTA].map(updates), [[alice.deviceId], [], [alice.deviceId]]);
  await room.complete();
  await room.at.settle();
  assert.equal([BETA, GAMMA, DELTA].map(updates), [[alice.deviceId], [alice.deviceId], [alice.deviceId]]);
  const phone = await harness.device(alice.userId, 'PHONE');
  await ask(harness, phone, 'POST', '/v3/keys/upload', { device_keys: deviceKeys(phone, new TestKey(2)) });
  await room.at.settle();
  const [atBeta, atGamma, atDelta] = [BETA, GAMMA, DELTA].map(updates);
  assert.ok(atBeta?.includes('PHONE') === true && atGamma?.includes('PHONE') === true);
  assert.equal(atDelta, [alice.deviceId]);
  await room.close();
});

test('typing, receipts and presence of ours go to the servers of the list', async () => {
  const room = await PartialRoom.open({ members: [BETA], listed: [BETA, DELTA] });
  const { harness, alice } = room.at;
  const event = await room.say('hello');
  const path = `/v3/rooms/${encodeURIComponent(room.roomId)}`;
  const user = encodeURIComponent(alice.userId);
  await ask(harness, alice, 'PUT', `${path}/typing/${user}`, { typing: true });
  await ask(harness, alice, 'POST', `${path}/receipt/m.read/${encodeURIComponent(event)}`);
  await ask(harness, alice, 'PUT', `/v3/presence/${user}/status`, { presence: 'online', status_msg: 'hi' });
  await room.at.settle();
  for (const name of [BETA, DELTA]) {
    for (const type of ['m.typing', 'm.receipt', 'm.presence']) {
      assert.ok(room.other(name).edus(type).length > 0, `${type} to ${name}`);
    }
  }
  await room.close();
});

test('when we leave, all of the list are told, also when the rest is given up before', async () => {
  const room = await PartialRoom.open({ members: [BETA], listed: [BETA, DELTA] });
  const goOn = standstill(room);
  await room.leave();
  await room.everywhere({ type: 'm.room.topic', sender: room.rosa, stateKey: '', content: { topic: 'x' } });
  goOn();
  await room.at.settle();
  for (const name of [BETA, DELTA]) assert.equal(stateKeys(room.other(name)), [room.at.alice.userId], name);
  await room.close();
});

test('who leaves and joins once more sends to the servers of the newer list', async () => {
  const room = await PartialRoom.open({ members: [BETA, GAMMA, DELTA], listed: [BETA] });
  await room.say('first');
  await room.leave();
  await room.join([GAMMA]);
  await room.say('second');
  await room.at.settle();
  assert.equal(
    [BETA, GAMMA, DELTA].map((name) => room.other(name).messages),
    [['first'], ['second'], []],
  );
  await room.complete();
  await room.at.settle();
  assert.equal(
    [BETA, GAMMA, DELTA].map((name) => room.other(name).messages),
    [['first', 'second'], ['second'], ['second']],
  );
  await room.close();
});

test.run();
