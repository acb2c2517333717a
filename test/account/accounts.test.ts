import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { RoomId, UserId } from '../../src/event/ids.js';
import { userRoom } from '../../src/account/parts.js';
import { openAccounts, type TestAccounts } from './support.js';

const test = suite<TestAccounts>('accounts');

test.before.each(async (context) => {
  Object.assign(context, await openAccounts());
});
test.after.each(async (context) => context.close());

const ALICE = '@alice:example.org' as UserId;

async function code(work: () => unknown): Promise<string> {
  try {
    await work();
  } catch (error) {
    return (error as { code: string }).code;
  }
  return 'nothing was thrown';
}

test('a user is made with a password, and found by any writing of the name', async ({ accounts }) => {
  assert.is(await accounts.register({ username: 'Alice', password: 'secret', isAdmin: true }), ALICE);
  const user = accounts.users.get(ALICE);
  assert.equal(user, {
    userId: ALICE,
    createdAt: 1_000_000,
    isAdmin: true,
    isDeactivated: false,
    isErased: false,
  });
  for (const name of ['alice', 'ALICE', '@alice:example.org', '@Alice:example.org']) {
    assert.equal(accounts.users.find(name), user, name);
  }
  for (const name of ['', '@', 'bob', '@alice:elsewhere.org', '@alice', 'alice:example.org', '__proto__']) {
    assert.is(accounts.users.find(name), undefined, name);
  }
});

test('user and password land in one commit group', async ({ accounts, engine }) => {
  const before = engine.core.writer.stats.groups;
  await accounts.register({ username: 'alice', password: 'secret' });
  assert.is(engine.core.writer.stats.groups, before + 1);
});

test('a name is given out once, also when it is asked for at the same time, also after its user left', async ({
  accounts,
}) => {
  const results = await Promise.allSettled(
    Array.from({ length: 10 }, () => accounts.register({ username: 'alice', password: 'secret' })),
  );
  assert.is(results.filter(({ status }) => status === 'fulfilled').length, 1);
  await accounts.deactivate(ALICE, { erase: false });
  assert.is(await code(() => accounts.register({ username: 'alice' })), 'ACCOUNT_USER_IN_USE');
});

test('the password is right or wrong in every Unicode writing of it, and nobody has the decoy’s', async ({
  accounts,
}) => {
  await accounts.register({ username: 'alice', password: 'caf\u00e9' });
  assert.is((await accounts.checkPassword('alice', 'cafe\u0301'))?.userId, ALICE);
  assert.is(await accounts.checkPassword('alice', 'cafe'), undefined);
  assert.is(await accounts.checkPassword('nobody', ''), undefined);
  await accounts.register({ username: 'bob' });
  assert.is(await accounts.checkPassword('bob', ''), undefined, 'who has no password cannot log in by one');
});

test('passwords are stored as argon2id hashes, tokens as hashes, neither as they are', async ({
  accounts,
  engine,
}) => {
  await accounts.register({ username: 'alice', password: 'correct horse' });
  const { accessToken, refreshToken } = await accounts.startSession(ALICE, { lifetimeMs: 1_000 });
  assert.match(
    JSON.stringify(engine.internal.get(userRoom(ALICE), 'stateroom.password', '')),
    /"\$argon2id\$/,
  );
  let stored = '';
  for await (const [, { bytes }] of engine.store.events()) stored += Buffer.from(bytes).toString();
  for (const secret of ['correct horse', accessToken, String(refreshToken)]) {
    assert.is(stored.includes(secret), false);
  }
});

test('a password that is changed while it is being checked is not the right one', async ({
  accounts,
  engine,
}) => {
  await accounts.register({ username: 'alice', password: 'old' });
  const record = accounts.passwords.record(ALICE, await accounts.passwords.hash('new'));
  const checking = accounts.checkPassword('alice', 'old');
  // Written in the turn in which the check began: it ends on the new password.
  await engine.internal.write([record]);
  assert.is(await checking, undefined);
  assert.is((await accounts.checkPassword('alice', 'new'))?.userId, ALICE);
});

test('nobody who is not there, or no more, gets a session', async ({ accounts }) => {
  assert.is(await code(() => accounts.startSession(ALICE)), 'ACCOUNT_USER_UNKNOWN');
  await accounts.register({ username: 'alice', password: 'secret' });
  await accounts.deactivate(ALICE, { erase: false });
  assert.is(await code(() => accounts.startSession(ALICE)), 'ACCOUNT_USER_UNKNOWN');
  assert.is(await code(() => accounts.setPassword(ALICE, 'x')), 'ACCOUNT_USER_UNKNOWN');
});

test('a device goes with its tokens and its transactions, in one commit group', async ({
  accounts,
  engine,
}) => {
  await accounts.register({ username: 'alice' });
  const { deviceId, accessToken } = await accounts.startSession(ALICE, { lifetimeMs: 1_000 });
  const transaction = { userId: ALICE, deviceId, endpoint: 'send', txnId: '1' };
  await accounts.transactions.once(transaction, async (record) => {
    await engine.internal.write(record({}));
    return {};
  });
  const before = engine.core.writer.stats.groups;
  await accounts.removeDevices(ALICE, [deviceId, deviceId, 'NEVER']);
  assert.is(engine.core.writer.stats.groups, before + 1);
  assert.is(accounts.tokens.check(accessToken).kind, 'unknown');
  const left = [...engine.currentState(userRoom(ALICE)).entries()].map(({ type }) => type);
  assert.equal(left, []);
});

test('deactivation with erasure takes account data and profile away', async ({ accounts }) => {
  await accounts.register({ username: 'alice', password: 'secret' });
  await accounts.accountData.set(ALICE, undefined, 'a', { x: 1 });
  await accounts.accountData.set(ALICE, '!r:x.org' as RoomId, 'b', { x: 1 });
  await accounts.profiles.set(ALICE, 'displayname', 'Alice');
  await accounts.deactivate(ALICE, { erase: true });
  assert.equal([...accounts.accountData.global(ALICE), ...accounts.accountData.ofRooms(ALICE)], []);
  assert.equal(accounts.profiles.all(ALICE), {});
});

test('when a device was seen is written once in a while, sooner from elsewhere', async ({
  accounts,
  engine,
  clock,
}) => {
  await accounts.register({ username: 'alice' });
  const { deviceId } = await accounts.startSession(ALICE);
  const events = (): number => engine.reader.room(userRoom(ALICE)).events;
  const seen = async (ip: string, laterMs: number): Promise<boolean> => {
    clock.now += laterMs;
    const before = events();
    await accounts.devices.seen(ALICE, deviceId, ip);
    return events() > before;
  };
  assert.is(await seen('10.0.0.1', 0), true);
  assert.is(await seen('10.0.0.1', 60_000), false);
  assert.is(await seen('10.0.0.2', 0), true);
  assert.is(await seen('10.0.0.1', 59_999), false, 'to and fro between two addresses');
  assert.is(await seen('10.0.0.2', 10 * 60_000), true);
  assert.is(accounts.devices.get(ALICE, deviceId)?.lastSeenIp, '10.0.0.2');
});

test('an administrator is made and unmade', async ({ accounts }) => {
  await accounts.register({ username: 'alice' });
  await accounts.users.setAdmin(ALICE, true);
  assert.is(accounts.users.get(ALICE)?.isAdmin, true);
  await accounts.users.setAdmin(ALICE, false);
  assert.is(accounts.users.list()[0]?.isAdmin, false);
  assert.is(
    await code(() => accounts.users.setAdmin('@nobody:example.org' as UserId, true)),
    'ACCOUNT_USER_UNKNOWN',
  );
});

test('ignored users are the keys of m.ignored_user_list, whatever else a client puts there', async ({
  accounts,
}) => {
  const put = (content: object) =>
    accounts.accountData.set(ALICE, undefined, 'm.ignored_user_list', content as never);
  assert.is(accounts.accountData.ignoredUsers(ALICE).size, 0);
  await put({ ignored_users: { '@mallory:x.org': {}, '@trudy:x.org': { since: 1 } } });
  assert.equal([...accounts.accountData.ignoredUsers(ALICE)], ['@mallory:x.org', '@trudy:x.org']);
  for (const odd of [{}, { ignored_users: ['@a:b'] }, { ignored_users: 'x' }]) {
    await put(odd);
    assert.is(accounts.accountData.ignoredUsers(ALICE).size, 0);
  }
});

test.run();
