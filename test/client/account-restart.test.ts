import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Harness, itemsOf, textOf } from './harness.js';

const test = suite<{ path: string }>('a restart');

test.before.each((context) => {
  context.path = mkdtempSync(join(tmpdir(), 'stateroom-account-'));
});
test.after.each(({ path }) => rmSync(path, { recursive: true }));

test('keeps users, tokens, devices, data, rooms and transactions', async ({ path }) => {
  const before = await Harness.open({ path });
  const alice = await before.user('alice', 'secret');
  const own = `/v3/user/${alice.userId}`;
  const login = {
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user: 'alice' },
    password: 'secret',
  };
  const session = (await before.call(undefined, 'POST', '/v3/login', { ...login, refresh_token: true })).body;
  await before.call(alice, 'PUT', `${own}/account_data/a`, { n: 0.5 });
  await before.call(alice, 'PUT', `/v3/profile/${alice.userId}/displayname`, { displayname: 'Alice' });
  await before.call(alice, 'PUT', '/v3/pushrules/global/content/tea', {
    pattern: 'tea',
    actions: ['notify'],
  });
  const filter = (await before.call(alice, 'POST', `${own}/filter`, { room: { timeline: { limit: 3 } } }))
    .body;
  const roomId = textOf((await before.call(alice, 'POST', '/v3/createRoom')).body.room_id);
  const send = `/v3/rooms/${encodeURIComponent(roomId)}/send/m.room.message/txn1`;
  const message = { msgtype: 'm.text', body: 'once' };
  const sent = (await before.call(alice, 'PUT', send, message)).body;
  await before.close();

  const after = await Harness.open({ path });
  assert.is((await after.call(alice, 'GET', '/v3/account/whoami')).body.device_id, alice.deviceId);
  const fresh = await after.call(undefined, 'POST', '/v3/refresh', { refresh_token: session.refresh_token });
  assert.is(fresh.status, 200);
  assert.is((await after.call(undefined, 'POST', '/v3/login', login)).status, 200);
  assert.is(itemsOf((await after.call(alice, 'GET', '/v3/devices')).body.devices).length, 3);
  assert.equal((await after.call(alice, 'GET', `${own}/account_data/a`)).body, { n: 0.5 });
  assert.equal((await after.call(alice, 'GET', `${own}/filter/${textOf(filter.filter_id)}`)).body, {
    room: { timeline: { limit: 3 } },
  });
  assert.is((await after.call(alice, 'GET', '/v3/pushrules/global/content/tea')).body.pattern, 'tea');
  const profile = await after.call(alice, 'GET', `/v3/profile/${alice.userId}/displayname`);
  assert.is(profile.body.displayname, 'Alice');
  assert.equal((await after.call(alice, 'GET', '/v3/joined_rooms')).body, { joined_rooms: [roomId] });
  assert.is((await after.call(alice, 'PUT', send, message)).body.event_id, sent.event_id, 'sent once');
  const path1 = `/v3/rooms/${encodeURIComponent(roomId)}/event/${encodeURIComponent(textOf(sent.event_id))}`;
  const { unsigned } = (await after.call(alice, 'GET', path1)).body;
  assert.is((unsigned as { transaction_id?: string }).transaction_id, 'txn1');
  await after.close();
});

test('ends what had ended before', async ({ path }) => {
  const before = await Harness.open({ path });
  const alice = await before.user('alice');
  const phone = await before.device(alice.userId, 'PHONE');
  await before.call(phone, 'POST', '/v3/logout');
  await before.close();
  const after = await Harness.open({ path });
  assert.is((await after.call(phone, 'GET', '/v3/account/whoami')).status, 401);
  assert.is((await after.call(alice, 'GET', '/v3/account/whoami')).status, 200);
  await after.close();
});

test.run();
