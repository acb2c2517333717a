// Drafts before they are stored, and the cache that holds them: bounded, and never wrong for being small.

import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { StateroomError } from '../../src/lib/errors.js';
import { EMPTY_ROOT } from '../../src/tree/tree.js';
import type { RootRef } from '../../src/tree/types.js';
import { Forest, MemoryRecords, hex, keyOf, members, put, remove } from './support/forest.js';

const test = suite('tree/draft');

test('a draft is readable at once, by its root and by a copy of it, and others build on it', () => {
  const forest = new Forest();
  const { tree, records } = forest;
  const first = tree.build(members(400), records.allocate);
  const second = tree.update(first.root, [put('a', '1')], records.allocate);
  const third = tree.update({ ...second.root }, [put('b', '2'), remove('a')], records.allocate);
  assert.is(records.records.size, 0);
  assert.ok(tree.has(second.root, keyOf('a')));
  assert.ok(tree.has({ ...third.root }, keyOf('b')));
  assert.not.ok(tree.has(third.root, keyOf('a')));
  assert.is(tree.stats.pinnedNodes, first.nodeCount + second.nodeCount + third.nodeCount);
  for (const draft of [first, second, third]) records.commit(draft);
  assert.is(tree.stats.pinnedNodes, 0);
  const cold = new Forest(records);
  assert.is(cold.entries({ ...third.root }).length, 401);
});

test('drafts stay whole in a cache that has room for nothing', () => {
  const forest = new Forest(new MemoryRecords(), 0);
  const draft = forest.tree.build(members(1_000), forest.records.allocate);
  assert.is([...forest.tree.scan(draft.root)].length, 1_000);
  forest.records.commit(draft);
  assert.ok(forest.tree.stats.nodes <= 1);
  assert.is([...forest.tree.scan(draft.root)].length, 1_000);
});

test('a discarded draft is gone, and what it was built on is not', () => {
  const forest = new Forest();
  const root = forest.build(members(400));
  const draft = forest.tree.update(root, [put('x', 'y')], forest.records.allocate);
  const copy = { ...draft.root };
  draft.discard();
  assert.is(forest.tree.stats.pinnedNodes, 0);
  for (const gone of [draft.root, copy]) {
    assert.throws(
      () => forest.tree.get(gone, keyOf('x')),
      (error: unknown) => error instanceof StateroomError && error.code === 'TREE_NODE_MISSING',
    );
  }
  assert.is(forest.entries(root).length, 400);
  assert.throws(() => draft.committed(), /ends once/);
});

test('going through all entries leaves nothing behind in the cache', () => {
  const forest = new Forest(new MemoryRecords(), 200_000);
  const root = forest.build(members(2_000));
  const held = forest.tree.stats.nodes;
  for (let round = 0; round < 3; round++) {
    for (const entry of forest.tree.scan(root)) assert.ok(entry.key.length > 0);
  }
  assert.ok(forest.tree.stats.nodes >= held);
});

test('entries that were read weigh more, and the cache makes room for them', () => {
  const forest = new Forest(new MemoryRecords(), 200_000);
  const root = forest.build(members(2_000));
  const keys = [...forest.tree.scan(root)].map(({ key, position }) => ({ bytes: key, position }));
  const nodes = (): number => forest.tree.stats.nodes;
  const held = nodes();
  // Twice: what was looked at is weighed when the hand comes by.
  for (let round = 0; round < 2; round++) {
    for (const { bytes, position } of keys) assert.ok(forest.tree.get(root, { bytes, position })?.key.length);
  }
  assert.ok(nodes() < held / 2, `${nodes()} nodes with their entries where there were ${held} without`);
  assert.ok(forest.tree.stats.bytes <= 200_000);
});

test('a tiny cache answers as a large one does, and stays within its bound', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat({ max: 400 }), fc.boolean()), { maxLength: 60 }), (steps) => {
      const small = new Forest(new MemoryRecords(), 6_000);
      const large = new Forest();
      let a: RootRef = small.build(members(300));
      let b: RootRef = large.build(members(300));
      for (const [i, isPut] of steps) {
        const name = `m.room.member\0@user${i}:server${i % 97}.example.org`;
        const change = isPut ? put(name, 'again') : remove(name);
        a = small.update(a, [change]);
        b = large.update(b, [change]);
        assert.is(hex(a), hex(b));
        assert.is(small.tree.has({ ...a }, keyOf(name)), isPut);
        assert.ok(small.tree.stats.bytes <= 6_000 || small.tree.stats.nodes === 1);
      }
      assert.is(small.entries(a).length, large.entries(b).length);
    }),
    { numRuns: 40 },
  );
});

test('a node loaded for one version is not read again for another', () => {
  const forest = new Forest();
  const old = forest.build(members(2_000));
  const recent = forest.update(old, [put('m.room.member\0@user1:server1.example.org', 'again')]);
  const cold = new Forest(forest.records);
  assert.is(cold.entries({ ...old }).length, 2_000);
  const before = cold.tree.stats.misses;
  const readBefore = cold.tree.stats.recordReads;
  assert.is(cold.entries({ ...recent }).length, 2_000);
  assert.ok(cold.tree.stats.misses - before <= 5);
  assert.ok(cold.tree.stats.recordReads - readBefore <= 5);
});

test('counters tell hits from misses', () => {
  const forest = new Forest();
  const root = forest.build(members(1_000));
  const cold = new Forest(forest.records);
  const opened = cold.tree.open({ ...root });
  const { key } = put('m.room.member\0@user1:server1.example.org', '');
  cold.tree.get(opened, key);
  const first = cold.tree.stats;
  assert.is(first.hits, 0);
  assert.is(first.misses, first.visits);
  cold.tree.get(opened, key);
  assert.is(cold.tree.stats.hits, first.visits);
  assert.is(cold.tree.stats.misses, first.misses);
});

test('record numbers that do not grow are refused', () => {
  const forest = new Forest();
  assert.throws(() => forest.tree.build(members(10), () => 0), /begin at 1/);
  assert.throws(() => forest.tree.build(members(10_000), () => 5), /only grow/);
  assert.is(forest.tree.update(EMPTY_ROOT, [], () => 0).root, EMPTY_ROOT);
});

test('a node that two versions know under two shells is loaded once', () => {
  const forest = new Forest();
  const old = forest.build(members(2_000));
  const changed = 'm.room.member\0@user1:server1.example.org';
  const recent = forest.update(old, [put(changed, 'again')]);
  const cold = new Forest(forest.records);
  const [a, b] = [cold.tree.open({ ...old }), cold.tree.open({ ...recent })];
  // Both roots are read before any child is, so each makes shells of its own.
  cold.tree.prove(a, keyOf('x'));
  const { key } = put(changed, '');
  cold.tree.get(b, key);
  const all = members(2_000).filter((entry) => entry.key.position[0] !== key.position[0]);
  for (const entry of all) cold.tree.get(a, entry.key);
  forest.records.records.clear();
  cold.tree.forgetRecords();
  for (const entry of all) assert.ok(cold.tree.has(b, entry.key));
});

test('what puts replace leaves the cache before the tree that they work on', () => {
  const forest = new Forest(new MemoryRecords(), 3_000_000);
  let root = forest.build(members(2_000));
  for (let i = 0; i < 3_000; i++) {
    const at = (i * 7919) % 2_000;
    root = forest.update(root, [put(`m.room.member\0@user${at}:server${at % 97}.example.org`, `again ${i}`)]);
  }
  assert.ok(forest.tree.stats.evictions > 1_000);
  assert.is(forest.tree.stats.misses, 0);
});

test.run();
