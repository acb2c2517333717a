// What passes between a real Synapse and us beside events: typing, receipts, presence, messages to devices, keys.

import * as assert from 'uvu/assert';
import { createSigningKey, signJson } from '../../../src/event/signing.js';
import { toBase64 } from '../../../src/lib/base64.js';
import { type Json, type MatrixUser } from '../matrix-user.js';
import { pairSuite } from './pair.js';

const { test, pair } = pairSuite('beside events, with Synapse');

async function sharedRoom() {
  const servers = await pair();
  const alice = await servers.user('ours', 'alice');
  const bob = await servers.user('theirs', 'bob');
  const roomId = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(roomId, servers.ourName);
  await alice.sees(roomId, 'the join', ({ sender }) => sender === bob.userId);
  await bob.sees(roomId, 'the join', ({ sender }) => sender === bob.userId);
  return {
    roomId,
    alice,
    bob,
    ways: [
      [alice, bob],
      [bob, alice],
    ] as const,
  };
}

test('typing is seen on the other server', async () => {
  const { roomId, ways } = await sharedRoom();
  for (const [who, other] of ways) {
    const path = `/v3/rooms/${encodeURIComponent(roomId)}/typing/${encodeURIComponent(who.userId)}`;
    await who.call('PUT', path, { typing: true, timeout: 20_000 });
    await other.until('typing', () => hasEphemeral(other, roomId, 'm.typing', who.userId));
  }
});

test('a read receipt is seen on the other server', async () => {
  const { roomId, ways } = await sharedRoom();
  for (const [who, other] of ways) {
    const eventId = await other.say(roomId, `read this, ${who.userId}`);
    await who.seesText(roomId, `read this, ${who.userId}`);
    await who.call('POST', `/v3/rooms/${encodeURIComponent(roomId)}/receipt/m.read/${eventId}`, {});
    await other.until('the receipt', () => hasEphemeral(other, roomId, 'm.receipt', who.userId));
  }
});

function hasEphemeral(user: MatrixUser, roomId: string, type: string, about: string): boolean {
  return user
    .room(roomId)
    .ephemeral.some((event) => event['type'] === type && JSON.stringify(event['content']).includes(about));
}

test('presence is seen on the other server', async () => {
  const { ways } = await sharedRoom();
  for (const [who, other] of ways) {
    const path = `/v3/presence/${encodeURIComponent(who.userId)}/status`;
    await who.call('PUT', path, { presence: 'unavailable', status_msg: `away from ${who.deviceId}` });
    await other.until('presence', () =>
      other.presence.some(
        ({ sender, content }) =>
          sender === who.userId && content['status_msg'] === `away from ${who.deviceId}`,
      ),
    );
  }
});

function deviceKeys({ userId, deviceId }: MatrixUser): Json {
  const key = createSigningKey(`ed25519:${deviceId}`, new Uint8Array(32).fill(deviceId.charCodeAt(0)));
  const keys = {
    user_id: userId,
    device_id: deviceId,
    algorithms: ['m.olm.v1.curve25519-aes-sha2', 'm.megolm.v1.aes-sha2'],
    keys: {
      [`curve25519:${deviceId}`]: toBase64(new Uint8Array(32).fill(9)),
      [key.keyId]: toBase64(key.publicKey),
    },
  };
  return signJson(keys, userId, key);
}

test('device keys are queried, one-time keys claimed, and messages to devices delivered once', async () => {
  const { ways } = await sharedRoom();
  for (const [who, other] of ways) {
    await who.call('POST', '/v3/keys/upload', {
      device_keys: deviceKeys(who),
      one_time_keys: {
        'signed_curve25519:AAAA': { key: toBase64(new Uint8Array(32).fill(1)), signatures: {} },
      },
    });
    await other.until('a changed device', () => other.changedDevices.has(who.userId));
    const queried = await other.call('POST', '/v3/keys/query', { device_keys: { [who.userId]: [] } });
    const devices = (queried['device_keys'] as Record<string, Record<string, Json>>)[who.userId] ?? {};
    assert.equal(devices[who.deviceId]?.['keys'], deviceKeys(who)['keys']);

    const claimed = await other.call('POST', '/v3/keys/claim', {
      one_time_keys: { [who.userId]: { [who.deviceId]: 'signed_curve25519' } },
    });
    const keys = (claimed['one_time_keys'] as Record<string, Record<string, Json>>)[who.userId] ?? {};
    assert.equal(Object.keys(keys[who.deviceId] ?? {}), ['signed_curve25519:AAAA']);

    for (let i = 0; i < 3; i++) {
      await other.call('PUT', `/v3/sendToDevice/m.test/t${other.deviceId}${i}`, {
        messages: { [who.userId]: { [who.deviceId]: { number: i } } },
      });
    }
    const numbers = () =>
      who.toDevice.filter(({ sender }) => sender === other.userId).map(({ content }) => content['number']);
    await who.until('all messages', () => numbers().length >= 3);
    await who.sync();
    assert.equal(numbers(), [0, 1, 2]);
  }
});

test.run();
