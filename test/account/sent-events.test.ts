import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Transaction } from '../../src/account/transactions.js';
import type { EventId, UserId } from '../../src/event/ids.js';
import { fsck } from '../../src/engine/maintenance/fsck.js';
import { rebuild } from '../../src/engine/maintenance/rebuild.js';
import { openAccounts, type TestAccounts } from './support.js';

interface Context extends TestAccounts {
  readonly roomId: string;
}

const test = suite<Context>('transaction ids of events');
const ALICE = '@alice:example.org' as UserId;

test.before.each(async (context) => {
  Object.assign(context, await openAccounts());
  const { accounts, engine } = context;
  await accounts.register({ username: 'alice' });
  await accounts.startSession(ALICE, { deviceId: 'PHONE' });
  const { roomId } = await engine.createRoom(ALICE);
  const content = { membership: 'join' };
  await engine.send(roomId, { type: 'm.room.member', sender: ALICE, stateKey: ALICE, content });
  Object.assign(context, { roomId });
});
test.after.each(async (context) => context.close());

const txn = (txnId: string, change: Partial<Transaction> = {}): Transaction => ({
  userId: ALICE,
  deviceId: 'PHONE',
  endpoint: 'send/!r/m.room.message',
  txnId,
  ...change,
});

function say(
  { engine, roomId }: Context,
  accounts: TestAccounts['accounts'],
  request: Transaction,
): Promise<EventId> {
  return accounts.sentEvents.once(request, async (transaction) => {
    const template = { type: 'm.room.message', sender: ALICE, content: { body: request.txnId } };
    return (await engine.send(roomId, template, { transaction })).eventId;
  });
}

function messages({ engine, roomId }: Context): number {
  return engine.store.room(roomId as never)?.events ?? 0;
}

test('what is sent twice is one event', async (context) => {
  const { accounts } = context;
  const sent = await say(context, accounts, txn('1'));
  const before = messages(context);
  assert.is(await say(context, accounts, txn('1')), sent);
  assert.is(messages(context), before);
});

test('what is sent twice at the same time is one event', async (context) => {
  const before = messages(context);
  const ids = await Promise.all(Array.from({ length: 20 }, () => say(context, context.accounts, txn('1'))));
  assert.is(new Set(ids).size, 1);
  assert.is(messages(context), before + 1);
});

test('the same id by another device, at another endpoint or of another user is another event', async (context) => {
  const { accounts } = context;
  const ids = [
    await say(context, accounts, txn('1')),
    await say(context, accounts, txn('1', { deviceId: 'LAPTOP' })),
    await say(context, accounts, txn('1', { endpoint: 'send/!other/m.room.message' })),
    await say(context, accounts, txn('1', { userId: '@bob:example.org' as UserId })),
  ];
  assert.is(new Set(ids).size, 4);
});

test('a device that comes again under an id after it was logged out is another', async (context) => {
  const { accounts, clock } = context;
  const sent = await say(context, accounts, txn('1'));
  await accounts.devices.rename(ALICE, 'PHONE', 'a new name');
  assert.is(await say(context, accounts, txn('1')), sent, 'a renamed one is the same');
  clock.now++;
  await accounts.startSession(ALICE, { deviceId: 'PHONE' });
  assert.is(await say(context, accounts, txn('1')), sent, 'one that logs in once more too');
  await accounts.removeDevices(ALICE, ['PHONE']);
  await accounts.startSession(ALICE, { deviceId: 'PHONE' });
  assert.is.not(await say(context, accounts, txn('1')), sent);
});

test('what was refused can be sent again', async (context) => {
  const { accounts, engine, roomId } = context;
  await accounts.sentEvents
    .once(txn('1'), async (transaction) => {
      const template = { type: 'm.room.message', sender: '@bob:example.org', content: {} };
      return (await engine.send(roomId, template, { transaction })).eventId;
    })
    .then(
      () => assert.unreachable('bob is not in the room'),
      () => undefined,
    );
  const before = messages(context);
  await say(context, accounts, txn('1'));
  assert.is(messages(context), before + 1);
});

test('an event says which device sent it with which id', async (context) => {
  const sent = await say(context, context.accounts, txn('a\0b'));
  const { transaction } = context.engine.reader.events.get(sent) ?? {};
  assert.equal([transaction?.deviceId, transaction?.txnId], ['PHONE', 'a\0b']);
});

test('however many were sent since, and after a restart, what is sent again is the same event', async (context) => {
  const sent = await say(context, context.accounts, txn('0'));
  for (let i = 1; i < 250; i++) await say(context, context.accounts, txn(String(i)));
  assert.is(await say(context, await context.reopen(), txn('0')), sent);
});

test('a rebuild of the indexes keeps what was sent by which request', async (context) => {
  const sent = await say(context, context.accounts, txn('1'));
  const { engine } = context;
  await engine.core.close();
  await rebuild(engine.store);
  assert.equal((await fsck(engine.store)).problems, []);
  const [key] = await engine.store.database.keys({ gte: Buffer.from('k'), lt: Buffer.from('l') }).all();
  assert.is(engine.store.eventOfTransaction(key?.subarray(1) ?? new Uint8Array()), sent);
});

test.run();
