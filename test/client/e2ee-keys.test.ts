import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ask, claim, deviceKeys, oneTimeKeys, refused, sync, TestKey } from './e2ee-support.js';
import { Harness, itemsOf, type Json, type TestUser, textOf } from './harness.js';

const test = suite<{ server: Harness; alice: TestUser; bob: TestUser }>('device keys and one-time keys');

test.before.each(async (context) => {
  context.server = await Harness.open();
  context.alice = await context.server.user('alice');
  context.bob = await context.server.user('bob');
});
test.after.each(async ({ server }) => server.close());

const UPLOAD = '/v3/keys/upload';
const ALGORITHM = 'signed_curve25519';
const queried = async (server: Harness, who: TestUser, of: TestUser, devices: string[] = []): Promise<Json> =>
  ask(server, who, 'POST', '/v3/keys/query', { device_keys: { [of.userId]: devices } });

test('a device is shown as it uploaded itself, with its display name as unsigned', async (context) => {
  const { server, alice, bob } = context;
  const keys = deviceKeys(alice, new TestKey(1), { 'org.example.more': { n: 1 } });
  const answer = await ask(server, alice, 'POST', UPLOAD, { device_keys: { ...keys, unsigned: { a: 1 } } });
  assert.equal(answer, { one_time_key_counts: { [ALGORITHM]: 0 } });
  const found = await queried(server, bob, alice);
  assert.equal(found['device_keys'], {
    [alice.userId]: { [alice.deviceId]: { ...keys, unsigned: {} } },
  });
  await ask(server, alice, 'PUT', `/v3/devices/${alice.deviceId}`, { display_name: 'Laptop' });
  const named = (await queried(server, bob, alice, [alice.deviceId]))['device_keys']?.[alice.userId];
  assert.equal(named?.[alice.deviceId]?.['unsigned'], { device_display_name: 'Laptop' });
});

test('a query tells only of what is there, has keys and was asked for', async (context) => {
  const { server, alice, bob } = context;
  const phone = await server.device(alice.userId, 'PHONE');
  await server.device(alice.userId, 'NOKEYS');
  await ask(server, alice, 'POST', UPLOAD, { device_keys: deviceKeys(alice, new TestKey(1)) });
  await ask(server, phone, 'POST', UPLOAD, { device_keys: deviceKeys(phone, new TestKey(2)) });
  const devices = async (asked: string[]): Promise<string[]> =>
    Object.keys((await queried(server, bob, alice, asked))['device_keys']?.[alice.userId] ?? {}).sort();
  assert.equal(await devices([]), [alice.deviceId, 'PHONE'].sort());
  assert.equal(await devices(['PHONE', 'NOKEYS', 'NOWHERE', '__proto__']), ['PHONE']);
  const answer = await ask(server, bob, 'POST', '/v3/keys/query', {
    device_keys: { '@nobody:example.org': [], '@carol:remote.example': [] },
    timeout: 10,
  });
  assert.equal(answer['device_keys'], {});
  assert.equal(Object.keys(answer['failures'] ?? {}), ['remote.example']);
});

test('device keys must be the uploader’s own, well formed and signed by itself', async (context) => {
  const { server, alice, bob } = context;
  const key = new TestKey(1);
  const good = deviceKeys(alice, key);
  const invalid = [400, 'M_INVALID_PARAM'] as const;
  const other = { ...alice, deviceId: 'OTHER' };
  const attempts: (readonly [readonly [number, string], unknown])[] = [
    [invalid, deviceKeys(bob, key)],
    [invalid, deviceKeys(other, key)],
    [invalid, deviceKeys(alice, key, { algorithms: 'all' })],
    [invalid, deviceKeys(alice, key, { keys: { [`ed25519:${alice.deviceId}`]: 'short' } })],
    [invalid, deviceKeys(alice, key, { keys: { 'ed25519:OTHER': key.publicKey } })],
    [invalid, deviceKeys(alice, key, { keys: {} })],
    [[400, 'M_INVALID_SIGNATURE'], { ...good, algorithms: ['changed'] }],
    [[400, 'M_INVALID_SIGNATURE'], { ...good, signatures: {} }],
    [[400, 'M_INVALID_SIGNATURE'], new TestKey(2).sign(good, alice.userId, `ed25519:${alice.deviceId}`)],
    [[413, 'M_TOO_LARGE'], deviceKeys(alice, key, { more: 'x'.repeat(20_000) })],
    [invalid, { ...good, pi: 3.14 }],
    [[400, 'M_BAD_JSON'], 'keys'],
  ];
  for (const [expected, device_keys] of attempts) {
    await refused(server, expected, alice, 'POST', UPLOAD, { device_keys, one_time_keys: oneTimeKeys('A') });
  }
  const answer = await ask(server, alice, 'POST', UPLOAD, {});
  assert.is(
    Number(answer['one_time_key_counts']?.[ALGORITHM]),
    0,
    'no one-time key was taken with refused keys',
  );
  assert.equal((await queried(server, bob, alice))['device_keys'], { [alice.userId]: {} });
});

test('one-time keys are given out once each, in the order that they were uploaded', async ({
  server,
  alice,
  bob,
}) => {
  for (const id of ['Z', 'A', 'M']) {
    await ask(server, alice, 'POST', UPLOAD, { one_time_keys: oneTimeKeys(id) });
  }
  const counts = (await ask(server, alice, 'POST', UPLOAD, {}))['one_time_key_counts'];
  assert.equal(counts, { [ALGORITHM]: 3 });
  const claimed = [];
  for (let i = 0; i < 4; i++) claimed.push(...(await claim(server, bob, alice)));
  assert.equal(
    claimed,
    ['Z', 'A', 'M'].map((id) => `${ALGORITHM}:${id}`),
  );
});

test('racing claims never give the same key twice', async ({ server, alice, bob }) => {
  const ids = Array.from({ length: 40 }, (_, i) => `K${i}`);
  await ask(server, alice, 'POST', UPLOAD, { one_time_keys: oneTimeKeys(...ids) });
  const claims = await Promise.all(Array.from({ length: 60 }, () => claim(server, bob, alice)));
  const given = claims.flat();
  assert.is(given.length, 40);
  assert.is(new Set(given).size, 40);
});

test('a key uploaded again is the same; another of its name is refused with all others', async (context) => {
  const { server, alice, bob } = context;
  await ask(server, alice, 'POST', UPLOAD, { one_time_keys: oneTimeKeys('A', 'B') });
  const again = await ask(server, alice, 'POST', UPLOAD, { one_time_keys: oneTimeKeys('B', 'C') });
  assert.is(Number(again['one_time_key_counts']?.[ALGORITHM]), 3);
  const other = { ...oneTimeKeys('D'), 'signed_curve25519:A': { key: 'another', signatures: {} } };
  await refused(server, [400, 'M_UNKNOWN'], alice, 'POST', UPLOAD, { one_time_keys: other });
  assert.is(Number((await ask(server, alice, 'POST', UPLOAD))['one_time_key_counts']?.[ALGORITHM]), 3);
  const signedAnew = {
    'signed_curve25519:A': { key: 'key of A', signatures: { [alice.userId]: { a: 'b' } } },
  };
  await ask(server, alice, 'POST', UPLOAD, { one_time_keys: signedAnew });
  assert.equal(await claim(server, bob, alice), [`${ALGORITHM}:A`]);
});

test('a key that was given out does not come back when its upload is repeated', async ({
  server,
  alice,
  bob,
}) => {
  const body = { one_time_keys: oneTimeKeys('A') };
  await ask(server, alice, 'POST', UPLOAD, body);
  assert.equal(await claim(server, bob, alice), [`${ALGORITHM}:A`]);
  await ask(server, alice, 'POST', UPLOAD, body);
  assert.equal(await claim(server, bob, alice), []);
  const fresh = { 'signed_curve25519:A': { key: 'made anew', signatures: {} } };
  await ask(server, alice, 'POST', UPLOAD, { one_time_keys: fresh });
  assert.equal(await claim(server, bob, alice), [`${ALGORITHM}:A`]);
});

test('a fallback key is given out when no one-time key is left, again and again', async (context) => {
  const { server, alice, bob } = context;
  const fallback = (id: string) => ({ [`${ALGORITHM}:${id}`]: { key: id, fallback: true, signatures: {} } });
  const unused = async (): Promise<unknown> =>
    (await sync(server, alice))['device_unused_fallback_key_types'];
  assert.equal(await unused(), []);
  await ask(server, alice, 'POST', UPLOAD, { one_time_keys: oneTimeKeys('A'), fallback_keys: fallback('F') });
  assert.equal(await claim(server, bob, alice), [`${ALGORITHM}:A`]);
  assert.equal(await unused(), [ALGORITHM]);
  assert.equal(await claim(server, bob, alice), [`${ALGORITHM}:F`]);
  assert.equal(await unused(), []);
  assert.equal(await claim(server, bob, alice), [`${ALGORITHM}:F`]);
  await ask(server, alice, 'POST', UPLOAD, { fallback_keys: fallback('F') });
  assert.equal(await unused(), [], 'the same key again is still used');
  await ask(server, alice, 'POST', UPLOAD, { fallback_keys: fallback('G') });
  assert.equal(await unused(), [ALGORITHM]);
  assert.equal(await claim(server, bob, alice), [`${ALGORITHM}:G`], 'one per algorithm is kept');
  const two = { ...fallback('H'), ...fallback('I') };
  await refused(server, [400, 'M_INVALID_PARAM'], alice, 'POST', UPLOAD, { fallback_keys: two });
});

test('a device has a bounded number of one-time and fallback keys', async ({ server, alice }) => {
  const ids = Array.from({ length: 500 }, (_, i) => `K${i}`);
  await ask(server, alice, 'POST', UPLOAD, { one_time_keys: oneTimeKeys(...ids) });
  const tooMany = { one_time_keys: oneTimeKeys('more') };
  await refused(server, [413, 'M_TOO_LARGE'], alice, 'POST', UPLOAD, tooMany);
  const fallbacks = Object.fromEntries(Array.from({ length: 11 }, (_, i) => [`algorithm${i}:A`, 'key']));
  await refused(server, [413, 'M_TOO_LARGE'], alice, 'POST', UPLOAD, { fallback_keys: fallbacks });
  const large = { one_time_keys: { 'curve25519:large': 'x'.repeat(5_000) } };
  await refused(server, [413, 'M_TOO_LARGE'], alice, 'POST', UPLOAD, large);
  assert.is(Number((await ask(server, alice, 'POST', UPLOAD))['one_time_key_counts']?.[ALGORITHM]), 500);
});

test('deleting a device deletes its keys, its one-time keys and its messages', async ({
  server,
  alice,
  bob,
}) => {
  const phone = await server.device(alice.userId, 'PHONE');
  const upload = { device_keys: deviceKeys(phone, new TestKey(2)), one_time_keys: oneTimeKeys('A') };
  await ask(server, phone, 'POST', UPLOAD, { ...upload, fallback_keys: { 'signed_curve25519:F': 'F' } });
  const messages = { [alice.userId]: { PHONE: { hello: 1 } } };
  await ask(server, bob, 'PUT', '/v3/sendToDevice/m.test/1', { messages });
  await server.home.accounts.removeDevices(alice.userId, ['PHONE']);
  assert.equal(await claim(server, bob, phone), []);
  assert.equal((await queried(server, bob, alice))['device_keys'], { [alice.userId]: {} });
  const back = await server.device(alice.userId, 'PHONE');
  const first = await sync(server, back);
  assert.is(first['to_device'], undefined);
  assert.equal(first['device_one_time_keys_count'], { [ALGORITHM]: 0 });
  assert.equal(first['device_unused_fallback_key_types'], []);
});

test('keys/changes names who changed keys, who came and who left between two tokens', async (context) => {
  const { server, alice, bob } = context;
  const stranger = await server.user('stranger');
  const room = {
    preset: 'public_chat',
    initial_state: [{ type: 'm.room.encryption', content: { algorithm: 'a' } }],
  };
  const roomId = textOf((await ask(server, alice, 'POST', '/v3/createRoom', room))['room_id']);
  const token = async (): Promise<string> => textOf((await sync(server, alice))['next_batch']);
  const between = async (from: string, to: string): Promise<unknown> => {
    const query = `from=${encodeURIComponent(from)}&to=${encodeURIComponent(to)}`;
    const answer = await ask(server, alice, 'GET', `/v3/keys/changes?${query}`);
    return [itemsOf(answer['changed']), itemsOf(answer['left'])];
  };
  const path = (what: string): string => `/v3/rooms/${encodeURIComponent(roomId)}/${what}`;
  const tokens = [await token()];
  await ask(server, bob, 'POST', path('join'));
  tokens.push(await token());
  await ask(server, bob, 'POST', UPLOAD, { device_keys: deviceKeys(bob, new TestKey(1)) });
  await ask(server, stranger, 'POST', UPLOAD, { device_keys: deviceKeys(stranger, new TestKey(2)) });
  tokens.push(await token());
  await ask(server, bob, 'POST', UPLOAD, { device_keys: deviceKeys(bob, new TestKey(1)) });
  await ask(server, bob, 'POST', UPLOAD, { one_time_keys: oneTimeKeys('A') });
  tokens.push(await token());
  await server.home.accounts.removeDevices(bob.userId, [bob.deviceId]);
  tokens.push(await token());
  const bobAgain = await server.device(bob.userId);
  await ask(server, bobAgain, 'POST', path('leave'));
  tokens.push(await token());
  const [t0 = '', t1 = '', t2 = '', t3 = '', t4 = '', t5 = ''] = tokens;
  assert.equal(await between(t0, t1), [[bob.userId], []], 'now shares an encrypted room');
  assert.equal(await between(t1, t2), [[bob.userId], []], 'added keys; the stranger shares no room');
  assert.equal(await between(t2, t3), [[], []], 'the same keys again are no change, nor are one-time keys');
  assert.equal(await between(t3, t4), [[bob.userId], []], 'removed a device with keys');
  assert.equal(await between(t4, t5), [[], [bob.userId]], 'left all encrypted rooms that were shared');
  assert.equal(await between(t0, t5), [[], []], 'came and left in between');
  await refused(server, [400, 'M_MISSING_PARAM'], alice, 'GET', '/v3/keys/changes?from=s1_1.0.0.0');
  await refused(server, [400, 'M_INVALID_PARAM'], alice, 'GET', '/v3/keys/changes?from=x&to=y');
});

test('who is met in a second room is not new, and who leaves one of two has not left', async (context) => {
  const { server, alice, bob } = context;
  const room = {
    preset: 'public_chat',
    initial_state: [{ type: 'm.room.encryption', content: { algorithm: 'a' } }],
  };
  const [first, second] = [
    textOf((await ask(server, alice, 'POST', '/v3/createRoom', room))['room_id']),
    textOf((await ask(server, alice, 'POST', '/v3/createRoom', room))['room_id']),
  ];
  await ask(server, bob, 'POST', `/v3/rooms/${encodeURIComponent(first)}/join`);
  const lists = server.home.accounts.deviceLists;
  const seq = (): number => server.home.engine.core.release.watermark;
  const before = seq();
  await ask(server, bob, 'POST', `/v3/rooms/${encodeURIComponent(second)}/join`);
  assert.equal(await lists.changedSince(alice.userId, before), { changed: [], left: [] });
  const both = seq();
  await ask(server, bob, 'POST', `/v3/rooms/${encodeURIComponent(first)}/leave`);
  assert.equal(await lists.changedSince(alice.userId, both), { changed: [], left: [] });
  await ask(server, bob, 'POST', `/v3/rooms/${encodeURIComponent(second)}/leave`);
  assert.equal(await lists.changedSince(alice.userId, both), { changed: [], left: [bob.userId] });
});

test.run();
