import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { JsonObject } from '../../src/event/json.js';
import { ask, crossSigning, crossSigningKey, deviceKeys, refused, sync, TestKey } from './e2ee-support.js';
import { Harness, itemsOf, type Json, type TestUser, textOf } from './harness.js';

const test = suite<{ server: Harness; alice: TestUser; bob: TestUser }>('cross-signing');

test.before.each(async (context) => {
  context.server = await Harness.open();
  context.alice = await context.server.user('alice');
  context.bob = await context.server.user('bob');
});
test.after.each(async ({ server }) => server.close());

const KEYS = '/v3/keys/device_signing/upload';
const SIGNATURES = '/v3/keys/signatures/upload';
const queried = async (server: Harness, who: TestUser, of: TestUser): Promise<Json> =>
  ask(server, who, 'POST', '/v3/keys/query', { device_keys: { [of.userId]: [] } });
const passwordOf = ({ userId, password }: TestUser, session: unknown) => ({
  type: 'm.login.password',
  identifier: { type: 'm.id.user', user: userId },
  password,
  session,
});
const without = (json: JsonObject, name: string): JsonObject =>
  Object.fromEntries(Object.entries(json).filter(([key]) => key !== name));

test('the first keys need no password, the same again neither, others do', async ({ server, alice }) => {
  const { body } = crossSigning(alice.userId, 10);
  assert.equal(await ask(server, alice, 'POST', KEYS, body), {});
  assert.equal(await ask(server, alice, 'POST', KEYS, body), {});
  assert.equal(await ask(server, alice, 'POST', KEYS, { master_key: body.master_key }), {});
  const other = crossSigning(alice.userId, 20).body;
  const challenge = await server.call(alice, 'POST', KEYS, other);
  assert.is(challenge.status, 401);
  assert.equal((await queried(server, alice, alice))['master_keys']?.[alice.userId], body.master_key);
  const auth = passwordOf(alice, challenge.body['session']);
  await ask(server, alice, 'POST', KEYS, { ...other, auth });
  assert.equal((await queried(server, alice, alice))['master_keys']?.[alice.userId], other.master_key);
});

test('of two first uploads at once, one is taken and the other asked for the password', async ({
  server,
  alice,
}) => {
  const bodies = [crossSigning(alice.userId, 10).body, crossSigning(alice.userId, 20).body];
  const answers = await Promise.all(bodies.map((body) => server.call(alice, 'POST', KEYS, body)));
  assert.equal(answers.map(({ status }) => status).sort(), [200, 401]);
});

test('a password shown for one set of keys does not let another be uploaded', async ({ server, alice }) => {
  await ask(server, alice, 'POST', KEYS, crossSigning(alice.userId, 10).body);
  const challenge = await server.call(alice, 'POST', KEYS, crossSigning(alice.userId, 20).body);
  const session = { session: challenge.body['session'] };
  const answer = await server.call(alice, 'POST', KEYS, {
    ...crossSigning(alice.userId, 30).body,
    auth: session,
  });
  assert.is(answer.status, 401);
});

test('the user-signing key is shown to its owner only', async ({ server, alice, bob }) => {
  const { body } = crossSigning(alice.userId, 10);
  await ask(server, alice, 'POST', KEYS, body);
  const own = await queried(server, alice, alice);
  assert.equal(own['user_signing_keys'], { [alice.userId]: body.user_signing_key });
  const seen = await queried(server, bob, alice);
  assert.equal(seen['user_signing_keys'], {});
  assert.equal(seen['master_keys'], { [alice.userId]: body.master_key });
  assert.equal(seen['self_signing_keys'], { [alice.userId]: body.self_signing_key });
});

test('keys that are malformed, unsigned or named like a device are refused', async ({
  server,
  alice,
  bob,
}) => {
  const { body, master } = crossSigning(alice.userId, 10);
  const { master_key, self_signing_key } = body;
  const invalid = [400, 'M_INVALID_PARAM'] as const;
  const attempts: (readonly [readonly [number, string], unknown])[] = [
    [[400, 'M_MISSING_PARAM'], {}],
    [[400, 'M_MISSING_PARAM'], { self_signing_key }],
    [invalid, { master_key: crossSigningKey(bob.userId, 'master', master) }],
    [invalid, { master_key: crossSigningKey(alice.userId, 'self_signing', master) }],
    [invalid, { master_key: { ...master_key, keys: {} } }],
    [invalid, { master_key: { ...master_key, keys: { 'ed25519:a': 'a' } } }],
    [
      invalid,
      { master_key: { ...master_key, keys: { ...(master_key['keys'] as object), 'ed25519:b': 'b' } } },
    ],
    [[400, 'M_INVALID_SIGNATURE'], { master_key, self_signing_key: without(self_signing_key, 'signatures') }],
    [[400, 'M_INVALID_SIGNATURE'], { ...body, master_key: crossSigning(alice.userId, 20).body.master_key }],
    [[413, 'M_TOO_LARGE'], { master_key: { ...master_key, more: 'x'.repeat(20_000) } }],
    [[400, 'M_BAD_JSON'], { master_key: [] }],
  ];
  for (const [expected, attempt] of attempts) await refused(server, expected, alice, 'POST', KEYS, attempt);
  await server.device(alice.userId, master.publicKey);
  await refused(server, [403, 'M_FORBIDDEN'], alice, 'POST', KEYS, body);
  assert.equal((await queried(server, alice, alice))['master_keys'], {});
});

test('a new master key takes away the keys that the old one signed', async ({ server, alice }) => {
  await ask(server, alice, 'POST', KEYS, crossSigning(alice.userId, 10).body);
  const { master_key } = crossSigning(alice.userId, 20).body;
  const { body } = await server.call(alice, 'POST', KEYS, { master_key });
  await ask(server, alice, 'POST', KEYS, { master_key, auth: passwordOf(alice, body['session']) });
  const found = await queried(server, alice, alice);
  assert.equal(found['master_keys'], { [alice.userId]: master_key });
  assert.equal(found['self_signing_keys'], {});
  assert.equal(found['user_signing_keys'], {});
});

test('a device signed by the self-signing key is shown so to everybody', async ({ server, alice, bob }) => {
  const { body, selfSigning } = crossSigning(alice.userId, 10);
  const keys = deviceKeys(alice, new TestKey(1));
  await ask(server, alice, 'POST', '/v3/keys/upload', { device_keys: keys });
  await ask(server, alice, 'POST', KEYS, body);
  const signed = selfSigning.sign(keys, alice.userId, `ed25519:${selfSigning.publicKey}`);
  const answer = await ask(server, alice, 'POST', SIGNATURES, {
    [alice.userId]: { [alice.deviceId]: signed },
  });
  assert.equal(answer, { failures: {} });
  const seen = (await queried(server, bob, alice))['device_keys']?.[alice.userId]?.[alice.deviceId];
  assert.equal(seen, { ...signed, unsigned: {} });
  const other = deviceKeys(alice, new TestKey(2));
  await ask(server, alice, 'POST', '/v3/keys/upload', { device_keys: other });
  const now = (await queried(server, bob, alice))['device_keys']?.[alice.userId]?.[alice.deviceId];
  assert.equal(now, { ...other, unsigned: {} }, 'a signature of other keys is not shown');
});

test('a master key is shown to everybody with the signatures of all its devices', async (context) => {
  const { server, alice, bob } = context;
  const phone = await server.device(alice.userId, 'PHONE');
  const { body, master } = crossSigning(alice.userId, 10);
  const [key, phoneKey] = [new TestKey(1), new TestKey(2)];
  await ask(server, alice, 'POST', '/v3/keys/upload', { device_keys: deviceKeys(alice, key) });
  await ask(server, phone, 'POST', '/v3/keys/upload', { device_keys: deviceKeys(phone, phoneKey) });
  await ask(server, alice, 'POST', KEYS, body);
  for (const [device, deviceKey] of [
    [alice, key],
    [phone, phoneKey],
  ] as const) {
    const signed = deviceKey.sign(body.master_key, alice.userId, `ed25519:${device.deviceId}`);
    await ask(server, device, 'POST', SIGNATURES, { [alice.userId]: { [master.publicKey]: signed } });
  }
  const seen = (await queried(server, bob, alice))['master_keys']?.[alice.userId]?.['signatures'];
  assert.equal(
    Object.keys(seen?.[alice.userId] ?? {}).sort(),
    ['ed25519:PHONE', `ed25519:${alice.deviceId}`].sort(),
  );
});

test('a signature of another’s master key is shown to its signer, who is told', async (context) => {
  const { server, alice, bob } = context;
  const carol = await server.user('carol');
  const [ofAlice, ofBob] = [crossSigning(alice.userId, 10), crossSigning(bob.userId, 20)];
  await ask(server, alice, 'POST', KEYS, ofAlice.body);
  await ask(server, bob, 'POST', KEYS, ofBob.body);
  const room = {
    preset: 'public_chat',
    initial_state: [{ type: 'm.room.encryption', content: { algorithm: 'a' } }],
  };
  const roomId = textOf((await ask(server, alice, 'POST', '/v3/createRoom', room))['room_id']);
  for (const user of [bob, carol])
    await ask(server, user, 'POST', `/v3/rooms/${encodeURIComponent(roomId)}/join`);
  const everybody = [alice, bob, carol];
  const tokens = await Promise.all(
    everybody.map(async (user) => textOf((await sync(server, user))['next_batch'])),
  );
  const { userSigning } = ofAlice;
  const signed = userSigning.sign(ofBob.body.master_key, alice.userId, `ed25519:${userSigning.publicKey}`);
  const upload = { [bob.userId]: { [ofBob.master.publicKey]: signed } };
  assert.equal(await ask(server, alice, 'POST', SIGNATURES, upload), { failures: {} });
  const masterSeenBy = async (user: TestUser): Promise<unknown> =>
    (await queried(server, user, bob))['master_keys']?.[bob.userId];
  assert.equal(await masterSeenBy(alice), signed);
  assert.equal(await masterSeenBy(bob), ofBob.body.master_key);
  assert.equal(await masterSeenBy(carol), ofBob.body.master_key);
  const told = await Promise.all(
    everybody.map(async (user, i) =>
      itemsOf((await sync(server, user, tokens[i]))['device_lists']?.['changed']),
    ),
  );
  assert.equal(told, [[bob.userId], [], []]);
});

test('signatures fail one by one: unknown keys, other content, other signers', async ({
  server,
  alice,
  bob,
}) => {
  const { body, selfSigning, userSigning, master } = crossSigning(alice.userId, 10);
  const ofBob = crossSigning(bob.userId, 20);
  const keys = deviceKeys(alice, new TestKey(1));
  await ask(server, alice, 'POST', '/v3/keys/upload', { device_keys: keys });
  await ask(server, alice, 'POST', KEYS, body);
  await ask(server, bob, 'POST', KEYS, ofBob.body);
  const bobsDevice = deviceKeys(bob, new TestKey(2));
  await ask(server, bob, 'POST', '/v3/keys/upload', { device_keys: bobsDevice });
  const self = `ed25519:${selfSigning.publicKey}`;
  const attempts = {
    [alice.userId]: {
      [alice.deviceId]: selfSigning.sign({ ...keys, algorithms: [] }, alice.userId, self),
      NOWHERE: selfSigning.sign(keys, alice.userId, self),
      [master.publicKey]: userSigning.sign(body.master_key, alice.userId, `ed25519:${userSigning.publicKey}`),
      [selfSigning.publicKey]: master.sign(
        body.self_signing_key,
        alice.userId,
        `ed25519:${master.publicKey}`,
      ),
    },
    [bob.userId]: {
      [ofBob.master.publicKey]: selfSigning.sign(ofBob.body.master_key, alice.userId, self),
      [bob.deviceId]: userSigning.sign(bobsDevice, alice.userId, `ed25519:${userSigning.publicKey}`),
    },
  };
  const { failures } = await ask(server, alice, 'POST', SIGNATURES, attempts);
  const codes = (of: Json | undefined): unknown =>
    Object.fromEntries(Object.entries(of ?? {}).map(([key, failure]) => [key, textOf(failure['errcode'])]));
  assert.equal(codes(failures?.[alice.userId]), {
    [alice.deviceId]: 'M_INVALID_SIGNATURE',
    NOWHERE: 'M_NOT_FOUND',
    [master.publicKey]: 'M_INVALID_SIGNATURE',
    [selfSigning.publicKey]: 'M_NOT_FOUND',
  });
  assert.equal(codes(failures?.[bob.userId]), {
    [ofBob.master.publicKey]: 'M_INVALID_SIGNATURE',
    [bob.deviceId]: 'M_NOT_FOUND',
  });
  assert.equal((await queried(server, alice, bob))['master_keys']?.[bob.userId], ofBob.body.master_key);
});

test('who is deactivated has no keys any more', async ({ server, alice, bob }) => {
  await ask(server, alice, 'POST', KEYS, crossSigning(alice.userId, 10).body);
  await server.home.accounts.deactivate(alice.userId, { erase: false });
  const found = await queried(server, bob, alice);
  assert.equal(found['master_keys'], {});
  assert.is(server.home.accounts.crossSigning.get(alice.userId, 'master'), undefined);
});

test.run();
