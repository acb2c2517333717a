import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { RoomId, UserId } from '../../../src/event/ids.js';
import { own } from '../../../src/event/json.js';
import { receiptEdus } from '../../../src/federation/outbound/edus.js';
import { textOf } from '../../client/harness.js';
import { deviceKeys, TestKey } from '../../client/e2ee-support.js';
import { Alpha, type Other } from './alpha.js';

const test = suite('federation outbound edus');

const encoded = encodeURIComponent;

const keysOf = (userId: UserId, deviceId: string) =>
  deviceKeys({ userId, deviceId, accessToken: '' }, new TestKey(deviceId.length));

function send(at: Alpha, txn: string, messages: object, type = 'm.test') {
  return at.harness.call(at.alice, 'PUT', `/v3/sendToDevice/${type}/${txn}`, { messages });
}

/** The numbers that messages to a device carry, as they came; each message once, by its id. */
function numbersTo(other: Other, deviceId: string): number[] {
  const seen = new Set<string>();
  return other.edus('m.direct_to_device').flatMap((edu) => {
    const id = textOf(edu['message_id']);
    if (seen.has(id)) return [];
    seen.add(id);
    return [Number(textOf(edu['messages']?.[other.user]?.[deviceId]?.['n']))];
  });
}

test('typing is told when it begins, and when it ends by itself', async () => {
  const at = await Alpha.open();
  const beta = await at.other();
  const path = `/v3/rooms/${encoded(at.roomId)}/typing/${encoded(at.alice.userId)}`;
  await at.harness.call(at.alice, 'PUT', path, { typing: true, timeout: 10_000 });
  await at.settle();
  at.net.advance(11_000);
  at.harness.home.ephemeral.sweep();
  await at.settle();
  const told = beta.edus('m.typing');
  assert.equal(
    told.map((edu) => [textOf(edu['user_id']), textOf(edu['room_id']), edu['typing'] as unknown]),
    [
      [at.alice.userId, at.roomId, true],
      [at.alice.userId, at.roomId, false],
    ],
  );
  await at.close();
});

test('public receipts are told, the newest of each thread; private ones are not', async () => {
  const at = await Alpha.open();
  const beta = await at.other();
  const [first, second] = [await at.say('1'), await at.say('2')];
  await at.settle();
  beta.clear();
  const receipt = (type: string, eventId: string, body = {}) =>
    at.harness.call(
      at.alice,
      'POST',
      `/v3/rooms/${encoded(at.roomId)}/receipt/${type}/${encoded(eventId)}`,
      body,
    );
  await receipt('m.read.private', second);
  await at.settle();
  assert.equal(beta.edus('m.receipt'), []);
  beta.mood = 'down';
  await receipt('m.read', first);
  await receipt('m.read', second);
  await receipt('m.read', second, { thread_id: 'main' });
  await at.settle();
  beta.mood = 'up';
  await at.pass(60_000);
  const told = beta.edus('m.receipt').map((edu) => edu[at.roomId]?.['m.read']?.[at.alice.userId]);
  assert.ok(
    told.every(
      (entry) =>
        textOf(entry?.['event_ids']?.['0']) === second || textOf(entry?.['event_ids']?.['0']) === first,
    ),
  );
  assert.is(textOf(told.at(-1)?.['event_ids']?.['0']), second);
  assert.ok(told.some((entry) => textOf(entry?.['data']?.['thread_id']) === 'main'));
  await at.close();
});

test('receipts of several threads of one user go into several EDUs, those of many users into one', () => {
  const roomId = '!r:alpha.test' as RoomId;
  const item = (user: string, threadId: string | undefined, seq: number) => ({
    seq,
    roomId,
    receipt: { userId: user as UserId, type: 'm.read' as const, threadId, eventId: '$e' as never, ts: seq },
  });
  const edus = receiptEdus([item('@a:x', undefined, 1), item('@b:x', undefined, 2), item('@a:x', 'main', 3)]);
  assert.is(edus.length, 2);
  assert.equal(own(edus[1] ?? {}, 'content'), {
    [roomId]: { 'm.read': { '@a:x': { event_ids: ['$e'], data: { ts: 3, thread_id: 'main' } } } },
  });
});

test('presence is told to those who share a room, the newest word only', async () => {
  const at = await Alpha.open();
  const beta = await at.other();
  const set = (presence: string, status_msg: string) =>
    at.harness.call(at.alice, 'PUT', `/v3/presence/${encoded(at.alice.userId)}/status`, {
      presence,
      status_msg,
    });
  beta.mood = 'down';
  await set('online', 'one');
  await set('unavailable', 'two');
  await set('online', 'three');
  await at.settle();
  beta.mood = 'up';
  await at.pass(60_000);
  const [told, ...more] = beta.edus('m.presence');
  assert.equal(more, []);
  assert.is(textOf(told?.['push']?.['0']?.['user_id']), at.alice.userId);
  assert.is(textOf(told?.['push']?.['0']?.['status_msg']), 'three');
  await at.close();
});

test('messages to devices arrive in order and once, over outages, lost answers and kills', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'stateroom-'));
  const at = await Alpha.open({ folder });
  const beta = await at.other();
  const bob = beta.user;
  const [ones, all]: [number[], number[]] = [[], []];
  for (let n = 1; n <= 150; n++) {
    const target = n % 3 === 0 ? { [bob]: { '*': { n } } } : { [bob]: { PHONE: { n } } };
    (n % 3 === 0 ? all : ones).push(n);
    if (n === 40) beta.mood = 'down';
    if (n === 60) beta.mood = 'deaf';
    await send(at, `t${n}`, target);
    if (n === 80) {
      await at.pass(60_000);
      await at.kill();
    }
  }
  beta.mood = 'up';
  await at.pass(3_600_000);
  assert.equal(
    numbersTo(beta, 'PHONE').filter((n) => !Number.isNaN(n)),
    ones,
  );
  assert.equal(
    numbersTo(beta, '*').filter((n) => !Number.isNaN(n)),
    all,
  );
  const withId = new Map(beta.sent.map((sent) => [sent.id, JSON.stringify(sent.edus)]));
  for (const { id, edus } of beta.sent)
    assert.is(withId.get(id), JSON.stringify(edus), 'one id, one content');
  assert.is(at.federation.sender.stats().toDevice, 0);
  await at.close();
  rmSync(folder, { recursive: true, force: true });
});

test('a message to devices that a client sends twice under one transaction id goes once', async () => {
  const at = await Alpha.open();
  const beta = await at.other();
  const target = { [beta.user]: { PHONE: { n: 1 } } };
  await send(at, 'same', target);
  await send(at, 'same', target);
  await at.settle();
  assert.equal(numbersTo(beta, 'PHONE'), [1]);
  assert.is(textOf(beta.edus('m.direct_to_device')[0]?.['sender']), at.alice.userId);
  await at.close();
});

test('a change of a device names the one before it, and tells the keys', async () => {
  const at = await Alpha.open();
  const beta = await at.other();
  const { accounts, engine } = at.harness.home;
  const { userId, deviceId } = at.alice;
  const upload = (id: string) =>
    engine.internal.write(accounts.deviceKeys.uploadRecords(userId, id, keysOf(userId, id)));
  await upload(deviceId);
  const { deviceId: second } = await at.harness.device(userId);
  await upload(second);
  await accounts.removeDevices(userId, [second]);
  await at.settle();
  const told = beta.edus('m.device_list_update');
  const ids = told.map((edu) => edu['stream_id'] as unknown as number);
  assert.equal(
    told.map((edu) => textOf(edu['device_id'])),
    [deviceId, second, second],
  );
  assert.equal(
    told.map((edu) => edu['prev_id'] as unknown),
    [[], [ids[0]], [ids[1]]],
  );
  assert.equal(told[0]?.['keys'], keysOf(userId, deviceId));
  assert.is(told[2]?.['deleted'], true);
  assert.is(accounts.deviceLists.streamId(userId), ids[2]);
  await at.close();
});

test('presence is told for the sake of rooms with few servers, or not at all', async () => {
  for (const presenceServersMax of [2, 0]) {
    const at = await Alpha.open({ tuning: { sender: { presenceServersMax } } });
    const [beta, gamma, delta] = [
      await at.other(),
      await at.other('gamma.test'),
      await at.other('delta.test'),
    ];
    const small = await at.room();
    for (const other of [beta, gamma]) await at.join(other, other.user, small);
    await at.settle();
    await at.harness.call(at.alice, 'PUT', `/v3/presence/${at.alice.userId}/status`, { presence: 'online' });
    await at.settle();
    const told = [beta, gamma, delta].map((other) => other.edus('m.presence').length);
    assert.equal(told, presenceServersMax === 0 ? [0, 0, 0] : [1, 1, 0]);
    await at.close();
  }
});

test('a new name of a device is a change of it where it has keys, and no news where it is the same', async () => {
  const at = await Alpha.open();
  const beta = await at.other();
  const { accounts, engine } = at.harness.home;
  const { userId, deviceId } = at.alice;
  const rename = (name: string) =>
    at.harness.call(at.alice, 'PUT', `/v3/devices/${deviceId}`, { display_name: name });
  await rename('Nobody knows it');
  await engine.internal.write(accounts.deviceKeys.uploadRecords(userId, deviceId, keysOf(userId, deviceId)));
  for (const name of ['Pocket', 'Pocket']) await rename(name);
  await at.settle();
  const told = beta.edus('m.device_list_update');
  assert.is(told.length, 2);
  assert.is(textOf(told[1]?.['device_display_name']), 'Pocket');
  assert.equal(told[1]?.['prev_id'], [told[0]?.['stream_id']]);
  assert.equal(told[1]?.['keys'], keysOf(userId, deviceId));
  await at.close();
});

test('device changes that a server missed are told by one update that does not follow on the last', async () => {
  const at = await Alpha.open();
  const beta = await at.other();
  const { accounts, engine } = at.harness.home;
  const { userId } = at.alice;
  const upload = (id: string) =>
    engine.internal.write(accounts.deviceKeys.uploadRecords(userId, id, keysOf(userId, id)));
  await upload('FIRST');
  await at.settle();
  const [known] = beta.edus('m.device_list_update');
  beta.clear();
  beta.mood = 'down';
  await at.say('begun');
  await at.settle();
  for (let waited = 0; waited < 6; waited++) await at.pass(120_000);
  for (let n = 0; n < 10; n++) await upload(`D${n}`);
  await at.settle();
  beta.mood = 'up';
  await at.pass(3_600_000);
  const [update, ...more] = beta.edus('m.device_list_update');
  assert.equal(more, []);
  assert.is(update?.['stream_id'], accounts.deviceLists.streamId(userId));
  assert.not.equal(update?.['prev_id'], [known?.['stream_id']]);
  await at.close();
});

test.run();
