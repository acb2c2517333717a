import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Transaction, Transactions } from '../../src/account/transactions.js';
import { userRoom } from '../../src/account/parts.js';
import type { UserId } from '../../src/event/ids.js';
import type { JsonObject } from '../../src/event/json.js';
import { openAccounts, type TestAccounts } from './support.js';

const test = suite<TestAccounts>('transaction ids of requests that make no event');

test.before.each(async (context) => {
  Object.assign(context, await openAccounts());
});
test.after.each(async (context) => context.close());

const ALICE = '@alice:example.org' as UserId;
const txn = (txnId: string, change: Partial<Transaction> = {}): Transaction => ({
  userId: ALICE,
  deviceId: 'PHONE',
  endpoint: 'sendToDevice/m.room_key',
  txnId,
  ...change,
});

/** Does something once and counts how often it was done. */
function worker({ engine }: TestAccounts) {
  const done: string[] = [];
  const once = (transactions: Transactions, transaction: Transaction): Promise<JsonObject> =>
    transactions.once(transaction, async (record) => {
      const answer = { n: `answer ${done.length}` };
      done.push(answer.n);
      // An event waits for its turn in its room before it is there.
      await Promise.resolve();
      await engine.internal.write(record(answer));
      return answer;
    });
  return { done, once };
}

test('what is sent twice is done once and answered alike', async (context) => {
  const { done, once } = worker(context);
  const { transactions } = context.accounts;
  const first = await once(transactions, txn('1'));
  assert.equal(await once(transactions, txn('1')), first);
  assert.is(done.length, 1);
});

test('what is sent twice at the same time is done once', async (context) => {
  const { done, once } = worker(context);
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => once(context.accounts.transactions, txn('1'))),
  );
  assert.is(done.length, 1);
  assert.is(new Set(answers.map(({ n }) => n)).size, 1);
});

test('the same id by another device, at another endpoint or of another user is another transaction', async (context) => {
  const { done, once } = worker(context);
  const { transactions } = context.accounts;
  await once(transactions, txn('1'));
  await once(transactions, txn('1', { deviceId: 'LAPTOP' }));
  await once(transactions, txn('1', { endpoint: 'sendToDevice/m.dummy' }));
  await once(transactions, txn('1', { userId: '@bob:example.org' as UserId }));
  assert.is(done.length, 4);
});

test('what failed can be tried again', async (context) => {
  const { transactions } = context.accounts;
  const { done, once } = worker(context);
  const failing = transactions.once(txn('1'), async (record) => {
    record({ n: 'never' });
    throw new Error('refused');
  });
  await failing.then(
    () => assert.unreachable(),
    () => undefined,
  );
  assert.equal(await once(transactions, txn('1')), { n: 'answer 0' });
  assert.is(done.length, 1);
});

test('transactions are known after a restart, in the order in which they were done', async (context) => {
  const { done, once } = worker(context);
  for (let i = 0; i < 5; i++) await once(context.accounts.transactions, txn(String(i)));
  const { transactions } = await context.reopen();
  await once(transactions, txn('3'));
  assert.is(done.length, 5);
});

test('the newest 200 of a device are remembered, before and after a restart', async (context) => {
  const { done, once } = worker(context);
  const kept = (): number => [...context.engine.internal.entries(userRoom(ALICE), 'stateroom.txn')].length;
  for (let i = 0; i < 150; i++) await once(context.accounts.transactions, txn(String(i)));
  const { transactions } = await context.reopen();
  for (let i = 150; i < 250; i++) await once(transactions, txn(String(i)));
  assert.is(kept(), 200);
  await once(transactions, txn('50'));
  assert.is(done.length, 250, 'the oldest that is kept');
  await once(transactions, txn('49'));
  assert.is(done.length, 251, 'the newest that is not');
  assert.is(kept(), 200);
});

test.run();
