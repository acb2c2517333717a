// Tokens that name a state of the server's own records which was collected since: what is told is complete.

import { randomBytes } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { AccountData } from '../../../src/account/account-data.js';
import { changesSince } from '../../../src/account/changes.js';
import { userRoom } from '../../../src/account/parts.js';
import { ToDevice } from '../../../src/account/to-device.js';
import { openEngine } from '../../../src/engine/engine.js';
import { collectHistory } from '../../../src/engine/maintenance/collect-history.js';
import { fsck } from '../../../src/engine/maintenance/fsck.js';
import type { ServerName, UserId } from '../../../src/event/ids.js';
import { itemsOf, type Json, textOf } from '../harness.js';
import { v3 } from '../rooms.js';
import { Scene } from './support.js';

const test = suite('sync: collected history');

const ALL = { events: 0, ageMs: 0, sliceMin: 2 };
const collect = (scene: Scene) => collectHistory(scene.harness.home.engine, ALL);

const objectOf = (value: unknown): Json => (value ?? {}) as Json;
const eventsIn = (value: unknown): readonly Json[] => itemsOf(objectOf(objectOf(value)['events']));

function accountDataOf(sync: Json): Record<string, unknown> {
  const events = eventsIn(sync['account_data']);
  return Object.fromEntries(events.map(({ type, content }) => [textOf(type), content]));
}

test('account data, receipts and messages to devices that are new since an old token all arrive', () =>
  Scene.play(async (scene) => {
    const { harness, rooms } = scene;
    const alice = await harness.user('alice');
    const bob = await harness.user('bob');
    const roomId = await rooms.create(alice, { preset: 'public_chat' });
    await rooms.join(bob, roomId);
    const first = await rooms.say(alice, roomId, 'first');
    const setData = (value: number) =>
      rooms.ask(alice, 'PUT', v3`user/${alice.userId}/account_data/org.example`, { value });
    const read = (eventId: string) =>
      rooms.ask(bob, 'POST', v3`rooms/${roomId}/receipt/m.read/${eventId}`, {});
    const tell = (n: number) =>
      rooms.ask(bob, 'PUT', v3`sendToDevice/org.example/${String(n)}`, {
        messages: { [alice.userId]: { '*': { n } } },
      });
    await setData(1);
    await read(first);
    await tell(1);
    const old = await scene.token(alice);
    let last = first;
    for (let n = 2; n < 40; n++) {
      await setData(n);
      last = await rooms.say(alice, roomId, `message ${n}`);
      await read(last);
      await tell(n);
    }
    const { events } = await collect(scene);
    assert.ok(events > 60);

    const sync = await scene.sync(alice, { since: old });
    assert.equal(accountDataOf(sync)['org.example'], { value: 39 });
    const room = objectOf(objectOf(objectOf(sync['rooms'])['join'])[roomId]);
    const receipts = eventsIn(room['ephemeral']).find((event) => textOf(event['type']) === 'm.receipt');
    assert.equal(Object.keys(objectOf(receipts?.['content'])), [last]);
    const messages = eventsIn(sync['to_device']);
    assert.equal(
      messages.map(({ content }) => objectOf(content)['n']),
      Array.from({ length: 38 }, (_, i) => i + 2),
      'the first was acknowledged by the token',
    );

    const since = textOf(sync['next_batch']);
    await collect(scene);
    await setData(100);
    await tell(100);
    const next = await scene.sync(alice, { since });
    assert.equal(accountDataOf(next)['org.example'], { value: 100 });
    assert.is(eventsIn(next['to_device']).length, 1);
    assert.equal((await fsck(harness.home.engine.store)).problems, []);
  }));

test('whose keys changed since an old token is told, and everybody is where nothing older is known', () =>
  Scene.play(async (scene) => {
    const { harness, rooms } = scene;
    const alice = await harness.user('alice');
    const bob = await harness.user('bob');
    const roomId = await rooms.create(alice, { preset: 'public_chat' });
    await rooms.join(bob, roomId);
    const { engine, accounts } = harness.home;
    const old = await scene.token(alice);
    for (let n = 0; n < 20; n++)
      await engine.internal.write([accounts.deviceLists.changedRecord(bob.userId)]);
    await engine.internal.write([accounts.deviceLists.changedRecord(alice.userId)]);
    assert.ok((await collect(scene)).events > 0);
    const lists = objectOf((await scene.sync(alice, { since: old }))['device_lists']);
    assert.equal(lists['changed'], [alice.userId, bob.userId]);
  }));

test('a queue in memory whose state was collected is read anew, and a difference to it is everything', async () => {
  const engine = await openEngine({ nodeCacheBytes: 0 });
  const userId = '@alice:example.org' as UserId;
  const parts = { engine, serverName: 'example.org' as ServerName, now: () => 0, randomBytes };
  const toDevice = new ToDevice(parts);
  const accountData = new AccountData(parts);
  const send = (n: number) =>
    engine.internal.write(
      toDevice.records([{ userId, deviceId: 'A', type: 't', sender: userId, content: { n } }]),
    );
  const waiting = () => toDevice.after(userId, 'A', 0, 1_000).map(({ content }) => content['n']);
  await accountData.set(userId, undefined, 'a', {});
  await send(0);
  assert.equal(waiting(), [0]);
  const before = engine.reader.currentState(userRoom(userId));
  for (let n = 1; n < 60; n++) await accountData.set(userId, undefined, 'x', { n });
  await send(1);
  await collectHistory(engine, ALL);
  const now = engine.reader.currentState(userRoom(userId));
  assert.throws(() => [...before.diff(now)], /not in the store|holds no tree node/);
  assert.equal(waiting(), [0, 1]);
  assert.is(changesSince(before, now).length, 4);
  await engine.close();
});

test.run();
