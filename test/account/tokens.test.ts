// What a request is worth is known without reading it anew, and never longer than it is so.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { RecordCache } from '../../src/account/record-cache.js';
import type { UserId } from '../../src/event/ids.js';
import { internalRoomId } from '../../src/event/internal.js';
import { openAccounts, type TestAccounts } from './support.js';

const test = suite<TestAccounts>('account/tokens');
test.before.each(async (context) => {
  Object.assign(context, await openAccounts());
});
test.after.each(async (context) => context.close());

const ALICE = '@alice:example.org' as UserId;
const BOB = '@bob:example.org' as UserId;

test('what was read of a room is read again as soon as the room has changed, not before', async ({
  engine,
}) => {
  const roomId = internalRoomId('a');
  const reads: string[] = [];
  const cache = new RecordCache(engine.internal, roomId, (key) => {
    reads.push(key);
    return engine.internal.get(roomId, 't', key)?.['n'];
  });
  const write = (stateKey: string, content: { n: number } | undefined) =>
    engine.internal.write([{ roomId, type: 't', stateKey, content }]);
  assert.is(cache.get('a'), undefined, 'before there is a room');
  await write('a', { n: 1 });
  assert.equal([cache.get('a'), cache.get('a')], [1, 1]);
  assert.equal(reads.splice(0), ['a', 'a']);
  const written = write('a', { n: 2 });
  assert.equal([cache.get('a'), cache.get('a')], [2, 2], 'in the same turn');
  await written;
  assert.is(cache.get('a'), 2);
  await engine.internal.write([{ roomId: internalRoomId('b'), type: 't', stateKey: 'a', content: { n: 9 } }]);
  assert.is(cache.get('a'), 2);
  assert.equal(reads.splice(0), ['a'], 'another room is no matter');
  assert.equal([cache.get('no'), cache.get('no')], [undefined, undefined]);
  assert.equal(reads.splice(0), ['no', 'no'], 'what is not there is not kept');
  const removed = write('a', undefined);
  assert.is(cache.get('a'), undefined);
  await removed;
});

test('a token in use ends in the turn in which its device is taken away, and no other does', async ({
  accounts,
}) => {
  await accounts.register({ username: 'alice' });
  await accounts.register({ username: 'bob' });
  const [phone, laptop, bob] = [
    await accounts.startSession(ALICE),
    await accounts.startSession(ALICE),
    await accounts.startSession(BOB),
  ];
  const kinds = () => [phone, laptop, bob].map(({ accessToken }) => accounts.tokens.check(accessToken).kind);
  assert.equal([kinds(), kinds()].flat(), Array(6).fill('valid'));
  const removed = accounts.removeDevices(ALICE, [phone.deviceId]);
  assert.equal(kinds(), ['unknown', 'valid', 'valid']);
  await removed;
  const deactivated = accounts.deactivate(ALICE, { erase: false });
  assert.equal(kinds(), ['unknown', 'unknown', 'valid']);
  await deactivated;
  assert.equal(kinds(), ['unknown', 'unknown', 'valid']);
});

test('a token in use ends when its device logs in again', async ({ accounts }) => {
  await accounts.register({ username: 'alice' });
  const { accessToken, deviceId } = await accounts.startSession(ALICE);
  assert.is(accounts.tokens.check(accessToken).kind, 'valid');
  const again = accounts.startSession(ALICE, { deviceId });
  assert.is(accounts.tokens.check(accessToken).kind, 'unknown');
  assert.is(accounts.tokens.check((await again).accessToken).kind, 'valid');
});

test('a token in use expires at its time', async ({ accounts, clock }) => {
  await accounts.register({ username: 'alice' });
  const { accessToken } = await accounts.startSession(ALICE, { lifetimeMs: 1_000 });
  const kindAfter = (ms: number): string => {
    clock.now += ms;
    return accounts.tokens.check(accessToken).kind;
  };
  assert.equal([0, 999, 1].map(kindAfter), ['valid', 'valid', 'expired']);
});

test('the first use of a refreshed token ends the one before, which was in use, in the same turn', async ({
  accounts,
}) => {
  await accounts.register({ username: 'alice' });
  const session = await accounts.startSession(ALICE, { lifetimeMs: 1_000 });
  const kind = (token: string) => accounts.tokens.check(token).kind;
  const next = await accounts.tokens.refresh(session.refreshToken ?? '', 1_000);
  const last = await accounts.tokens.refresh(session.refreshToken ?? '', 1_000);
  const [first, lost, used] = [session.accessToken, next?.accessToken ?? '', last?.accessToken ?? ''];
  assert.equal([first, first, lost].map(kind), ['valid', 'valid', 'unknown']);
  assert.equal([used, first, used].map(kind), ['valid', 'unknown', 'valid']);
  const third = await accounts.tokens.refresh(last?.refreshToken ?? '', 1_000);
  assert.equal([used, third?.accessToken ?? '', used].map(kind), ['valid', 'valid', 'unknown']);
});

test('a user who is made administrator, unmade or gone is so in the same turn', async ({ accounts }) => {
  await accounts.register({ username: 'alice' });
  assert.equal([accounts.users.get(ALICE)?.isAdmin, accounts.users.isActive(BOB)], [false, false]);
  const made = accounts.users.setAdmin(ALICE, true);
  assert.is(accounts.users.get(ALICE)?.isAdmin, true);
  await made;
  const unmade = accounts.users.setAdmin(ALICE, false);
  assert.is(accounts.users.get(ALICE)?.isAdmin, false);
  await unmade;
  const gone = accounts.deactivate(ALICE, { erase: true });
  assert.equal(
    [
      accounts.users.get(ALICE)?.isDeactivated,
      accounts.users.get(ALICE)?.isErased,
      accounts.users.isActive(ALICE),
    ],
    [true, true, false],
  );
  await gone;
  await accounts.register({ username: 'bob' });
  assert.is(accounts.users.isActive(BOB), true, 'who was not there is not remembered as such');
});

test.run();
