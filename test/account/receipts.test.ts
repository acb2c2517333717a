import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { accountDataOf } from '../../src/account/account-data.js';
import { RECEIPT, type Receipt, receiptOf, receiptsRoom } from '../../src/account/receipts.js';
import { userRoom } from '../../src/account/parts.js';
import type { EventId, RoomId, UserId } from '../../src/event/ids.js';
import { openAccounts, type TestAccounts } from './support.js';

const test = suite<TestAccounts>('receipts, aliases, directory, account data records');

test.before.each(async (context) => {
  Object.assign(context, await openAccounts());
});
test.after.each(async (context) => context.close());

const ALICE = '@alice:example.org' as UserId;
const BOB = '@bob:example.org' as UserId;
const ROOM = '!room:example.org' as RoomId;

const receipt = (change: Partial<Receipt> = {}): Receipt => ({
  userId: ALICE,
  type: 'm.read',
  threadId: undefined,
  eventId: '$one' as EventId,
  ts: 5,
  ...change,
});

test('a receipt replaces the one of the same user, type and thread, and no other', async ({
  accounts,
  engine,
}) => {
  const { receipts } = accounts;
  const all = (): Receipt[] =>
    [...engine.internal.entries(receiptsRoom(ROOM), RECEIPT)].map(({ stateKey, content }) =>
      receiptOf(stateKey, content),
    );
  const set = [
    receipt(),
    receipt({ type: 'm.read.private' }),
    receipt({ threadId: 'main' }),
    receipt({ threadId: '$thread' }),
    receipt({ userId: BOB }),
  ];
  await engine.internal.write(set.map((one) => receipts.record(ROOM, one)));
  const newer = receipt({ eventId: '$two' as EventId, ts: 6 });
  await engine.internal.write([receipts.record(ROOM, newer)]);
  assert.is(all().length, 5);
  for (const one of [newer, ...set.slice(1)]) {
    assert.equal(receipts.get(ROOM, one.userId, one.type, one.threadId), one);
    assert.ok(all().some((found) => JSON.stringify(found) === JSON.stringify(one)));
  }
  assert.is(receipts.get('!other:example.org' as RoomId, ALICE, 'm.read', undefined), undefined);
});

test('two rooms never share their receipts, however their ids are written', () => {
  const ids = ['!x:y:8448', '!x/y:8448', '!x%3Ay:8448', '!x%3Ay%3A8448', '!x%253Ay:8448', '!x:y/8448'];
  assert.is(new Set(ids.map((id) => receiptsRoom(id as RoomId))).size, ids.length);
});

test('what changed between two points is a difference of two roots', async ({ accounts, engine }) => {
  await engine.internal.write([accounts.receipts.record(ROOM, receipt())]);
  const before = engine.currentState(receiptsRoom(ROOM));
  await engine.internal.write([accounts.receipts.record(ROOM, receipt({ userId: BOB }))]);
  const changed = [...before.diff(engine.currentState(receiptsRoom(ROOM)))];
  assert.equal(
    changed.map(({ type, stateKey }) => [type, stateKey.split('\0')[0]]),
    [['stateroom.receipt', BOB]],
  );
});

test('records of account data tell their room and type', async ({ accounts, engine }) => {
  await accounts.accountData.set(ALICE, undefined, 'a', {});
  await accounts.accountData.set(ALICE, ROOM, 'b', {});
  await accounts.profiles.set(ALICE, 'displayname', 'Alice');
  const keys = [...engine.currentState(userRoom(ALICE)).entries()].map(({ type, stateKey }) =>
    accountDataOf(type, stateKey),
  );
  const found = keys.flatMap((key) => (key === undefined ? [] : [`${key.roomId} ${key.type}`]));
  assert.equal(found.sort(), [`${ROOM} b`, 'undefined a']);
});

test('an alias names one room until it is taken away', async ({ accounts }) => {
  const { aliases } = accounts;
  await aliases.add('#one:example.org', ROOM, ALICE);
  await aliases.add('#two:example.org', ROOM, BOB);
  assert.equal(aliases.ofRoom(ROOM), ['#one:example.org', '#two:example.org']);
  assert.equal(aliases.get('#two:example.org'), { alias: '#two:example.org', roomId: ROOM, creator: BOB });
  const races = await Promise.allSettled(
    ['!a:x', '!b:x', '!c:x'].map((id) => aliases.add('#raced:example.org', id as RoomId, ALICE)),
  );
  assert.is(races.filter(({ status }) => status === 'fulfilled').length, 1);
  assert.is(await aliases.remove('#one:example.org'), true);
  assert.is(await aliases.remove('#one:example.org'), false);
  assert.is(aliases.get('#one:example.org'), undefined);
  assert.equal(aliases.ofRoom(ROOM), ['#two:example.org']);
});

test('a room is listed in the directory until it is taken out', async ({ accounts }) => {
  const { directory } = accounts;
  await directory.setPublished(ROOM, true);
  await directory.setPublished(ROOM, true);
  assert.equal(directory.list(), [ROOM]);
  await directory.setPublished(ROOM, false);
  assert.equal([directory.list(), directory.isPublished(ROOM)], [[], false]);
});

test.run();
