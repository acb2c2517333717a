import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { RoomId } from '../../../src/event/ids.js';
import { deviceKeys, oneTimeKeys, TestKey } from '../../client/e2ee-support.js';
import { ALICE, BOB, CAROL, itemsOf, leaf, MEMBER, RESIDENT, Resident, STRANGER, v1 } from './resident.js';

const test = suite('federation serve directory');

test('this server says what it is to everybody', async () => {
  const at = await Resident.open();
  const { body } = await at.ask('', 'GET', '/v1/version');
  assert.is(leaf(body['server']?.['name']), 'stateroom');
  await at.close();
});

test('there are no media', async () => {
  const at = await Resident.open();
  await at.refused([404, 'M_NOT_FOUND'], STRANGER, 'GET', v1`media/download/${'x'}`);
  await at.refused([404, 'M_NOT_FOUND'], STRANGER, 'GET', `${v1`media/thumbnail/${'x'}`}?width=1&height=1`);
  await at.close();
});

test('published rooms are listed, largest first, a page at a time, and no others', async () => {
  const at = await Resident.open();
  const small = await at.room([['m.room.name', { name: 'Small' }]]);
  const large = await at.room([['m.room.name', { name: 'Large' }]]);
  await at.join(CAROL);
  await at.room([['m.room.name', { name: 'Hidden' }]]);
  for (const roomId of [small, large]) await at.accounts.directory.setPublished(roomId, true);
  const all = await at.answer(STRANGER, 'GET', '/v1/publicRooms');
  assert.equal(
    itemsOf(all['chunk']).map(({ name }) => leaf(name)),
    ['Large', 'Small'],
  );
  const first = await at.answer(STRANGER, 'GET', '/v1/publicRooms?limit=1');
  const next = leaf(first['next_batch']);
  const second = await at.answer(STRANGER, 'POST', '/v1/publicRooms', { limit: 1, since: next });
  assert.equal(
    itemsOf(second['chunk']).map(({ name }) => leaf(name)),
    ['Small'],
  );
  const found = await at.answer(STRANGER, 'POST', '/v1/publicRooms', {
    filter: { generic_search_term: 'larg' },
  });
  assert.equal(
    itemsOf(found['chunk']).map(({ name }) => leaf(name)),
    ['Large'],
  );
  await at.refused([400, 'M_INVALID_PARAM'], STRANGER, 'GET', '/v1/publicRooms?since=x');
  await at.refused([400, 'M_BAD_JSON'], STRANGER, 'POST', '/v1/publicRooms', { limit: 'many' });
  await at.close();
});

test('a profile is that of one of our users, all of it or one field', async () => {
  const at = await Resident.open();
  await at.accounts.profiles.set(ALICE, 'displayname', 'Alice');
  const path = (userId: string, field = ''): string =>
    `/v1/query/profile?user_id=${encodeURIComponent(userId)}${field === '' ? '' : `&field=${field}`}`;
  assert.equal(await at.answer(STRANGER, 'GET', path(ALICE)), { displayname: 'Alice' });
  assert.equal(await at.answer(STRANGER, 'GET', path(ALICE, 'displayname')), { displayname: 'Alice' });
  await at.refused([404, 'M_NOT_FOUND'], STRANGER, 'GET', path(ALICE, 'avatar_url'));
  await at.refused([404, 'M_NOT_FOUND'], STRANGER, 'GET', path('@nobody:alpha.test'));
  await at.refused([400, 'M_INVALID_PARAM'], STRANGER, 'GET', path(BOB));
  await at.refused([400, 'M_MISSING_PARAM'], STRANGER, 'GET', '/v1/query/profile');
  await at.close();
});

test('an alias of ours leads to its room and to servers that are in it', async () => {
  const at = await Resident.open();
  const roomId = await at.room();
  await at.accounts.aliases.add('#room:alpha.test', roomId, ALICE);
  const path = (alias: string): string => `/v1/query/directory?room_alias=${encodeURIComponent(alias)}`;
  const answer = await at.answer(STRANGER, 'GET', path('#room:alpha.test'));
  assert.equal(answer, { room_id: roomId, servers: [RESIDENT, MEMBER] });
  await at.refused([404, 'M_NOT_FOUND'], STRANGER, 'GET', path('#none:alpha.test'));
  await at.refused([400, 'M_INVALID_PARAM'], STRANGER, 'GET', path('#room:beta.test'));
  await at.close();
});

test('a space is told with the rooms that the server could join, and those that it could not are named', async () => {
  const at = await Resident.open();
  const open = await at.room([['m.room.name', { name: 'Open' }]]);
  const closed = await at.room([['m.room.name', { name: 'Closed' }]]);
  await at.state('m.room.join_rules', { join_rule: 'invite' });
  const shared = await at.room([['m.room.name', { name: 'Restricted' }]]);
  await at.state('m.room.join_rules', {
    join_rule: 'restricted',
    allow: [{ type: 'm.room_membership', room_id: open }],
  });
  const space = await at.room();
  const child = (roomId: RoomId, content: object): Promise<unknown> =>
    at.state('m.space.child', { via: [RESIDENT], ...content }, roomId);
  await child(closed, {});
  await child(shared, { order: 'b' });
  await child(open, { order: 'a', suggested: true });
  await child('!unknown:delta.test' as RoomId, {});
  await at.state('m.space.child', {}, '!removed:alpha.test');
  const ask = (query = '') => at.answer(STRANGER, 'GET', `${v1`hierarchy/${space}`}${query}`);
  const asStranger = await ask();
  assert.equal(
    itemsOf(asStranger['children']).map(({ name }) => leaf(name)),
    ['Open'],
  );
  assert.equal(itemsOf(asStranger['inaccessible_children']).map(leaf), [shared, closed]);
  const told = itemsOf(asStranger['room']?.['children_state']).map((event) => leaf(event['state_key']));
  assert.equal(told, [open, shared, closed, '!unknown:delta.test']);
  assert.equal(
    itemsOf((await ask('?suggested_only=true'))['children']).map(({ name }) => leaf(name)),
    ['Open'],
  );
  await at.join(CAROL, open);
  const asMember = itemsOf((await ask())['children']);
  assert.equal(
    asMember.map(({ name }) => leaf(name)),
    ['Open', 'Restricted'],
  );
  assert.equal(asMember[1]?.['allowed_room_ids'], [open]);
  await at.refused([404, 'M_NOT_FOUND'], STRANGER, 'GET', v1`hierarchy/${closed}`);
  await at.refused([404, 'M_NOT_FOUND'], STRANGER, 'GET', v1`hierarchy/${'!unknown:delta.test'}`);
  await at.answer(MEMBER, 'GET', v1`hierarchy/${closed}`);
  await at.close();
});

test('an OpenID token tells whose it is until it runs out, and nobody else', async () => {
  const at = await Resident.open();
  const { token, expiresInMs } = await at.accounts.openId.issue(ALICE);
  const path = (text: string): string => `/v1/openid/userinfo?access_token=${encodeURIComponent(text)}`;
  const { body } = await at.ask('', 'GET', path(token));
  assert.equal(body, { sub: ALICE });
  for (const wrong of [`${token}x`, 'sro_', 'sro_.', `sro_${'/'.repeat(20)}.x`, 'x', '']) {
    await at.refused([401, 'M_UNKNOWN_TOKEN'], '', 'GET', path(wrong));
  }
  await at.refused([401, 'M_MISSING_TOKEN'], '', 'GET', '/v1/openid/userinfo');
  at.tick(expiresInMs + 1);
  await at.refused([401, 'M_UNKNOWN_TOKEN'], '', 'GET', path(token));
  await at.accounts.openId.issue(ALICE);
  const { token: last } = await at.accounts.openId.issue(ALICE);
  await at.accounts.deactivate(ALICE, { erase: false });
  await at.refused([401, 'M_UNKNOWN_TOKEN'], '', 'GET', path(last));
  await at.close();
});

test('a device is told with its keys and name, its version grows with each change, and one-time keys go once', async () => {
  const at = await Resident.open();
  const { deviceKeys: identity, oneTimeKeys: stock } = at.accounts;
  await at.accounts.startSession(ALICE, { deviceId: 'PHONE', displayName: 'phone' });
  const who = { userId: ALICE, deviceId: 'PHONE', accessToken: '' };
  const told = async () => at.answer(STRANGER, 'GET', v1`user/devices/${ALICE}`);
  const before = Number((await told())['stream_id']);
  const keys = deviceKeys(who, new TestKey(1));
  await at.engine.internal.write([
    ...identity.uploadRecords(ALICE, 'PHONE', keys),
    ...stock.uploadRecords(ALICE, 'PHONE', oneTimeKeys('a', 'b'), {}),
  ]);
  const devices = await told();
  assert.ok(Number(devices['stream_id']) > before);
  assert.equal(devices['devices'], [{ device_id: 'PHONE', keys, device_display_name: 'phone' }]);
  const query = { device_keys: { [ALICE]: ['PHONE', 'OTHER'] } };
  const queried = await at.answer(STRANGER, 'POST', '/v1/user/keys/query', query);
  const unsigned = { device_display_name: 'phone' };
  assert.equal(queried['device_keys'], { [ALICE]: { PHONE: { ...keys, unsigned } } });
  const claim = async (): Promise<string[]> => {
    const body = { one_time_keys: { [ALICE]: { PHONE: 'signed_curve25519' } } };
    const answer = await at.answer(STRANGER, 'POST', '/v1/user/keys/claim', body);
    return Object.keys(answer['one_time_keys']?.[ALICE]?.['PHONE'] ?? {});
  };
  const claimed = [...(await claim()), ...(await claim()), ...(await claim())];
  assert.equal(claimed.sort(), ['signed_curve25519:a', 'signed_curve25519:b']);
  await at.close();
});

test('the devices and keys of our users are told, without signatures that are theirs alone', async () => {
  const at = await Resident.open();
  await at.accounts.startSession(ALICE, { deviceId: 'PHONE', displayName: 'phone' });
  const devices = await at.answer(STRANGER, 'GET', v1`user/devices/${ALICE}`);
  assert.is(leaf(devices['user_id']), ALICE);
  assert.equal(devices['devices'], [], 'a device without keys is none to others');
  assert.type(devices['stream_id'], 'number');
  const keys = await at.answer(STRANGER, 'POST', '/v1/user/keys/query', { device_keys: { [ALICE]: [] } });
  assert.equal(keys['device_keys'], { [ALICE]: {} });
  const claimed = await at.answer(STRANGER, 'POST', '/v1/user/keys/claim', {
    one_time_keys: { [ALICE]: { PHONE: 'signed_curve25519' } },
  });
  assert.equal(claimed, { one_time_keys: {} });
  await at.refused([404, 'M_NOT_FOUND'], STRANGER, 'GET', v1`user/devices/${'@nobody:alpha.test'}`);
  await at.refused([400, 'M_INVALID_PARAM'], STRANGER, 'GET', v1`user/devices/${BOB}`);
  await at.refused([400, 'M_INVALID_PARAM'], STRANGER, 'POST', '/v1/user/keys/query', {
    device_keys: { [BOB]: [] },
  });
  await at.refused([400, 'M_MISSING_PARAM'], STRANGER, 'POST', '/v1/user/keys/query', {});
  await at.refused([400, 'M_BAD_JSON'], STRANGER, 'POST', '/v1/user/keys/claim', {
    one_time_keys: { [ALICE]: 7 },
  });
  await at.close();
});

test.run();
