import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ask, deviceKeys, oneTimeKeys, sync, TestKey } from '../../client/e2ee-support.js';
import { itemsOf, textOf, type TestUser } from '../../client/harness.js';
import { network, type Network, type Site } from '../network.js';

const test = suite('federation between two servers');

interface Pair {
  readonly net: Network;
  readonly a: Site;
  readonly b: Site;
  readonly alice: TestUser;
  readonly bob: TestUser;
}

async function open(): Promise<Pair> {
  const net = await network({ servers: 2 });
  const [a, b] = [net.site(0), net.site(1)];
  return { net, a, b, alice: await a.harness.user('alice'), bob: await b.harness.user('bob') };
}

test('keys are queried and claimed, and a message reaches a device of another server once', async () => {
  const { net, a, b, alice, bob } = await open();
  const keys = deviceKeys(bob, new TestKey(1));
  await ask(b.harness, bob, 'POST', '/v3/keys/upload', {
    device_keys: keys,
    one_time_keys: oneTimeKeys('A', 'B'),
  });
  const queried = await ask(a.harness, alice, 'POST', '/v3/keys/query', {
    device_keys: { [bob.userId]: [] },
  });
  assert.equal(queried['device_keys'], { [bob.userId]: { [bob.deviceId]: { ...keys, unsigned: {} } } });
  const wanted = { [bob.userId]: { [bob.deviceId]: 'signed_curve25519' } };
  const claimed = await Promise.all(
    [1, 2].map(() => ask(a.harness, alice, 'POST', '/v3/keys/claim', { one_time_keys: wanted })),
  );
  const names = claimed.flatMap((one) =>
    Object.keys(one['one_time_keys']?.[bob.userId]?.[bob.deviceId] ?? {}),
  );
  assert.equal(names.sort(), ['signed_curve25519:A', 'signed_curve25519:B'], 'each key is given out once');
  let losses = 2;
  net.faults = ({ request }) =>
    request.uri.includes('/send/') && losses-- > 0 ? { kind: 'drop-answer' } : undefined;
  for (let n = 1; n <= 5; n++) {
    const messages = { [bob.userId]: { '*': { n } } };
    await ask(a.harness, alice, 'PUT', `/v3/sendToDevice/m.test/t${n}`, { messages });
    await net.settle();
    net.advance(10_000);
    await net.settle();
  }
  const { to_device } = await sync(b.harness, bob);
  assert.equal(
    itemsOf(to_device?.['events']).map(({ content }) => Number(textOf(content?.['n']))),
    [1, 2, 3, 4, 5],
  );
  await net.close();
});

test('in a shared room messages, receipts, typing, presence and device changes reach the other side', async () => {
  const { net, a, b, alice, bob } = await open();
  const { body } = await a.harness.call(alice, 'POST', '/v3/createRoom', { preset: 'public_chat' });
  const roomId = encodeURIComponent(textOf(body['room_id']));
  await ask(b.harness, bob, 'POST', `/v3/join/${roomId}?server_name=${a.name}`);
  await net.settle();
  const since = textOf((await sync(b.harness, bob))['next_batch']);
  const { event_id } = await ask(a.harness, alice, 'PUT', `/v3/rooms/${roomId}/send/m.room.message/1`, {
    msgtype: 'm.text',
    body: 'hello',
  });
  const user = encodeURIComponent(alice.userId);
  await ask(a.harness, alice, 'PUT', `/v3/rooms/${roomId}/typing/${user}`, { typing: true });
  await ask(
    a.harness,
    alice,
    'POST',
    `/v3/rooms/${roomId}/receipt/m.read/${encodeURIComponent(textOf(event_id))}`,
  );
  await ask(a.harness, alice, 'PUT', `/v3/presence/${user}/status`, { presence: 'online', status_msg: 'hi' });
  await ask(a.harness, alice, 'POST', '/v3/keys/upload', { device_keys: deviceKeys(alice, new TestKey(3)) });
  await net.settle(100);
  const told = await sync(b.harness, bob, since);
  const room = told['rooms']?.['join']?.[decodeURIComponent(roomId)];
  assert.equal(
    itemsOf(room?.['timeline']?.['events']).map(({ content }) => textOf(content?.['body'])),
    ['hello'],
  );
  const ephemeral = itemsOf(room?.['ephemeral']?.['events']);
  assert.equal(ephemeral.map(({ type }) => textOf(type)).sort(), ['m.receipt', 'm.typing']);
  const presence = itemsOf(told['presence']?.['events']).find(
    ({ sender }) => textOf(sender) === alice.userId,
  );
  assert.is(textOf(presence?.['content']?.['status_msg']), 'hi');
  assert.equal(itemsOf(told['device_lists']?.['changed']).map(textOf), [alice.userId]);
  await net.close();
});

test.run();
