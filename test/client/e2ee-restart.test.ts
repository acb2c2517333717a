import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ask, claim, crossSigning, deviceKeys, oneTimeKeys, sync, TestKey } from './e2ee-support.js';
import { Harness, itemsOf, textOf } from './harness.js';

const test = suite<{ path: string }>('encryption after a restart');

test.before.each((context) => {
  context.path = mkdtempSync(join(tmpdir(), 'stateroom-e2ee-'));
});
test.after.each(({ path }) => rmSync(path, { recursive: true }));

test('keys, messages, backups and who changed what are as they were', async ({ path }) => {
  const before = await Harness.open({ path });
  const alice = await before.user('alice');
  const bob = await before.user('bob');
  const room = {
    preset: 'public_chat',
    initial_state: [{ type: 'm.room.encryption', content: { algorithm: 'a' } }],
  };
  const roomId = textOf((await ask(before, alice, 'POST', '/v3/createRoom', room))['room_id']);
  await ask(before, bob, 'POST', `/v3/rooms/${encodeURIComponent(roomId)}/join`);
  const since = textOf((await sync(before, alice))['next_batch']);
  const keys = deviceKeys(bob, new TestKey(1));
  const fallback_keys = { 'signed_curve25519:F': { key: 'F', fallback: true } };
  const one_time_keys = oneTimeKeys('A', 'B', 'C');
  await ask(before, bob, 'POST', '/v3/keys/upload', { device_keys: keys, one_time_keys, fallback_keys });
  const { body } = crossSigning(bob.userId, 10);
  await ask(before, bob, 'POST', '/v3/keys/device_signing/upload', body);
  assert.equal(await claim(before, alice, bob), ['signed_curve25519:A']);
  for (const n of [1, 2, 3]) {
    await ask(before, alice, 'PUT', `/v3/sendToDevice/m.test/${n}`, {
      messages: { [bob.userId]: { '*': { n } } },
    });
  }
  const backup = { algorithm: 'm.megolm_backup.v1.curve25519-aes-sha2', auth_data: {} };
  await ask(before, bob, 'POST', '/v3/room_keys/version', backup);
  const key = { is_verified: true, first_message_index: 0, forwarded_count: 0, session_data: {} };
  const stored = await ask(before, bob, 'PUT', '/v3/room_keys/keys/!a/s?version=1', key);
  await before.close();

  const after = await Harness.open({ path });
  const query = { device_keys: { [bob.userId]: [] } };
  const found = await ask(after, alice, 'POST', '/v3/keys/query', query);
  const devices = { [bob.deviceId]: { ...keys, unsigned: {} } };
  assert.equal(found['device_keys']?.[bob.userId], devices);
  assert.equal(found['master_keys']?.[bob.userId], body.master_key);
  await ask(after, bob, 'POST', '/v3/keys/upload', { one_time_keys });
  const claimed = [];
  for (let i = 0; i < 3; i++) claimed.push(...(await claim(after, alice, bob)));
  assert.equal(
    claimed,
    ['B', 'C', 'F'].map((id) => `signed_curve25519:${id}`),
  );
  await ask(after, alice, 'PUT', '/v3/sendToDevice/m.test/3', {
    messages: { [bob.userId]: { '*': { n: 4 } } },
  });
  const messages = itemsOf((await sync(after, bob))['to_device']?.['events']);
  assert.equal(
    messages.map((event) => Number(event['content']?.['n'])),
    [1, 2, 3],
  );
  const told = (await sync(after, alice, since))['device_lists'];
  assert.equal(told, { changed: [bob.userId], left: [] });
  const version = await ask(after, bob, 'GET', '/v3/room_keys/version');
  assert.equal([textOf(version['etag']), Number(version['count'])], [textOf(stored['etag']), 1]);
  await after.close();
});

test.run();
