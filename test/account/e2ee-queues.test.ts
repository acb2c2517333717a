import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { UserId } from '../../src/event/ids.js';
import { ToDevice } from '../../src/account/to-device.js';
import { openAccounts, SERVER, type TestAccounts } from './support.js';

const test = suite<{ opened: TestAccounts; alice: UserId }>('queues of messages and one-time keys');

test.before.each(async (context) => {
  context.opened = await openAccounts();
  context.alice = await context.opened.accounts.register({ username: 'alice' });
  await context.opened.accounts.startSession(context.alice, { deviceId: 'A' });
});
test.after.each(async ({ opened }) => opened.close());

const message = (userId: UserId, n: number, deviceId = 'A') => ({
  userId,
  deviceId,
  type: 'm.test',
  sender: userId,
  content: { n },
});

function queues({ engine }: TestAccounts, queueMax: number): ToDevice {
  let drawn = 0;
  return new ToDevice(
    {
      engine,
      serverName: SERVER,
      now: () => 0,
      randomBytes: (length) =>
        new Uint8Array(new Uint32Array(Array<number>(length).fill(++drawn)).buffer, 0, length),
    },
    queueMax,
  );
}

test('a queue is bounded: one message more, and the oldest goes', async ({ opened, alice }) => {
  const toDevice = queues(opened, 5);
  for (let n = 0; n < 9; n++) {
    await opened.engine.internal.write([...toDevice.records([message(alice, n), message(alice, n, 'B')])]);
  }
  for (const deviceId of ['A', 'B']) {
    assert.equal(
      toDevice.after(alice, deviceId, 0, 100).map(({ content }) => content.n),
      [4, 5, 6, 7, 8],
    );
  }
});

test('a message has the seq of its record, and is not told before it is committed', async (context) => {
  const { alice, opened } = context;
  const { toDevice } = opened.accounts;
  const written = opened.engine.internal.write([...toDevice.records([message(alice, 1), message(alice, 2)])]);
  assert.equal(toDevice.after(alice, 'A', 0, 10), []);
  const seq = await written;
  assert.equal(
    toDevice.after(alice, 'A', 0, 10).map((waiting) => waiting.seq),
    [seq - 1, seq],
  );
  assert.equal(
    toDevice.after(alice, 'A', seq - 1, 10).map((waiting) => waiting.seq),
    [seq],
  );
  assert.equal(
    toDevice.after(alice, 'A', 0, 10, seq - 1).map((waiting) => waiting.seq),
    [seq - 1],
  );
  assert.equal(
    toDevice.after(alice, 'A', 0, 1).map((waiting) => waiting.seq),
    [seq - 1],
  );
});

test('what is acknowledged is gone for all who look, and acknowledging twice does nothing', async ({
  opened,
  alice,
}) => {
  const { toDevice } = opened.accounts;
  const seq = await opened.engine.internal.write([
    ...toDevice.records([1, 2, 3].map((n) => message(alice, n))),
  ]);
  const other = await opened.reopen();
  assert.is(other.toDevice.after(alice, 'A', 0, 10).length, 3);
  await Promise.all([toDevice.acknowledge(alice, 'A', seq - 1), toDevice.acknowledge(alice, 'A', seq - 1)]);
  await toDevice.acknowledge(alice, 'A', seq - 1);
  for (const accounts of [opened.accounts, other]) {
    assert.equal(
      accounts.toDevice.after(alice, 'A', 0, 10).map(({ content }) => content.n),
      [3],
    );
  }
});

test('a device that goes takes the messages along that are not on disk yet', async ({ opened, alice }) => {
  const { accounts, engine } = opened;
  const sending = engine.internal.write([...accounts.toDevice.records([message(alice, 1)])]);
  await Promise.all([sending, accounts.removeDevices(alice, ['A'])]);
  await accounts.startSession(alice, { deviceId: 'A' });
  assert.equal(accounts.toDevice.after(alice, 'A', 0, 10), []);
});

test('of the keys that were given out the last hundred are remembered, and no more', async ({
  opened,
  alice,
}) => {
  const { accounts, engine } = opened;
  const wanted = { userId: alice, deviceId: 'A', algorithm: 'x' };
  for (let round = 0; round < 5; round++) {
    const keys = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`x:${round * 50 + i}`, 'key']));
    await engine.internal.write([...accounts.oneTimeKeys.uploadRecords(alice, 'A', keys, {})]);
    assert.is((await accounts.oneTimeKeys.claim(Array.from({ length: 60 }, () => wanted))).length, 50);
  }
  const kept = [...engine.internal.entries('!user/@alice/example.org' as never, 'stateroom.one_time_key')];
  assert.is(kept.length, 100);
  const again = await opened.reopen();
  assert.equal(again.oneTimeKeys.counts(alice, 'A'), { signed_curve25519: 0 });
  assert.is(again.oneTimeKeys.uploadRecords(alice, 'A', { 'x:249': 'key' }, {}).length, 0);
});

test.run();
