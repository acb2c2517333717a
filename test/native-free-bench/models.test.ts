// What is compared is comparable: the naive models give the answers that the tree gives, and the rooms that
// are measured are what they are said to be.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EngineRoom } from '../../native-free-bench/engine-room.js';
import { CHAIN_LENGTH_MAX, DeltaChain, FullCopy, WalkBack } from '../../native-free-bench/naive.js';
import { StateRoom, stateKeys } from '../../native-free-bench/rooms.js';
import { storeOpener } from '../../native-free-bench/stores.js';

const models = suite('benchmark models');
const rooms = suite('benchmark rooms');

const MEMBERS = 60;

models('walk, copy and chain find every key, and nothing where nothing is', () => {
  const keys = stateKeys(MEMBERS);
  const nowhere = { type: 'm.room.member', stateKey: '@nobody:example.org' };
  for (const model of [new WalkBack(keys), new FullCopy(keys), new DeltaChain(keys)]) {
    for (const key of keys) assert.is(model.get(key), `$of ${key.stateKey}`);
    assert.is(model.get(nowhere), undefined);
  }
});

models('a delta chain answers alike before and after its full copies', () => {
  const keys = stateKeys(MEMBERS);
  const chain = new DeltaChain(keys);
  const changed = keys.slice(-7);
  for (let i = 0; i < 2.5 * CHAIN_LENGTH_MAX; i++) {
    const key = changed[i % changed.length];
    if (key !== undefined) chain.put(key);
    if (i < changed.length) continue;
    for (const each of keys) {
      const isChanged = changed.includes(each);
      assert.is(chain.get(each), `$of ${each.stateKey}${isChanged ? '2' : ''}`);
    }
  }
});

models('a full copy leaves the state before it alone', () => {
  const keys = stateKeys(MEMBERS);
  const copy = new FullCopy(keys);
  const [key] = keys;
  assert.ok(key !== undefined);
  const after = copy.put(key);
  assert.is(after.size, copy.state.size);
  assert.is(copy.get(key), `$of ${key.stateKey}`);
});

rooms('a state room has all its members, keeps every version, and counts what it stores', async () => {
  const room = await StateRoom.build(MEMBERS, storeOpener('memory'));
  assert.is(room.root.count, room.keys.length);
  assert.is(room.states.joined(room.root), MEMBERS);
  const before = room.stored;
  const roots = await room.update(25);
  assert.is(roots.length, 25);
  assert.is(new Set(roots.map(({ hash }) => Buffer.from(hash).toString('hex'))).size, 25);
  assert.is(room.stored.records - before.records, 25);
  assert.ok(room.stored.bytes > before.bytes);
  const [first] = roots;
  assert.ok(first !== undefined);
  const { tree, reads } = room.cold();
  assert.is([...tree.scan({ ...first })].length, room.keys.length);
  assert.ok(reads() > 0);
  await room.close();
});

for (const version of ['10', '11', '12']) {
  rooms(`an engine room of version ${version} takes messages, members and merges`, async () => {
    const room = await EngineRoom.build(MEMBERS, version, 'memory');
    const { nodeRecords } = room.engine.store.counters();
    for (let i = 0; i < 5; i++) await room.receive(room.next(room.message()));
    assert.is(room.engine.store.counters().nodeRecords, nodeRecords);
    for (let i = 0; i < 5; i++) await room.receive(room.next(room.profile()));
    assert.ok(room.engine.store.counters().nodeRecords > nodeRecords);
    const state = room.engine.currentState(room.roomId);
    assert.is(state.joined, MEMBERS);
    await room.close();
  });
}

rooms('an event that is not accepted stops the benchmark', async () => {
  const room = await EngineRoom.build(2, '12', 'memory');
  const built = room.next({
    type: 'm.room.topic',
    sender: room.user(1),
    stateKey: '',
    content: { topic: 'Mine' },
  });
  try {
    await room.receive(built);
    assert.unreachable('it was taken for accepted');
  } catch (error) {
    assert.match(String(error), /is accepted, not/);
  }
  await room.close();
});

models.run();
rooms.run();
