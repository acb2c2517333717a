// What is stored: deltas that unfold to exactly what was hashed, records with holes, and damage that is
// always found and named.

import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { toHex, utf8 } from '../../src/lib/bytes.js';
import { StateroomError } from '../../src/lib/errors.js';
import { encodeRecord, headerOf, readRecordTable, rewriteRecord } from '../../src/tree/record.js';
import { nodesOf, readStoredNode, storedBaseOf } from '../../src/tree/stored.js';
import { EMPTY_ROOT, StateTree } from '../../src/tree/tree.js';
import { NodeCache } from '../../src/tree/cache.js';
import type { NodeLocation, RootRef } from '../../src/tree/types.js';
import { Forest, type MemoryRecords, hashedPosition, hex, members, put, remove } from './support/forest.js';

const test = suite('tree/record');

const memberOf = (i: number): string => `m.room.member\0@user${i}:server${i % 97}.example.org`;

/** A forest with a history: a build, then versions of one change each. */
function history(size: number, versions: number): { records: MemoryRecords; roots: RootRef[] } {
  const forest = new Forest();
  const roots = [forest.build(members(size))];
  for (let i = 0; i < versions; i++) {
    const last = roots[roots.length - 1] ?? EMPTY_ROOT;
    const change =
      i % 5 === 3
        ? remove(memberOf((i * 31) % size))
        : i % 5 === 4
          ? put(memberOf(size + i), `new ${i}`)
          : put(memberOf((i * 17) % size), `again ${i}`, i % 3);
    roots.push(forest.update(last, [change]));
  }
  return { records: forest.records, roots: roots.map((root) => ({ ...root })) };
}

test('every version of a long history reads back cold, node by node, with the hashes it was given', () => {
  const { records, roots } = history(600, 400);
  let deltas = 0;
  let nodes = 0;
  for (const record of records.records.keys()) {
    for (const node of nodesOf(records, record)) {
      nodes++;
      if (node.base !== undefined) deltas++;
      for (const child of node.children) {
        const stored = readStoredNode(records, child);
        assert.is(toHex(stored.hash), toHex(child.hash));
        assert.is(stored.count, child.count);
        assert.is(stored.joined, child.joined);
      }
    }
  }
  assert.ok(deltas > nodes / 3, `${deltas} of ${nodes} nodes are deltas`);
  for (const root of roots.filter((_, i) => i % 40 === 0)) {
    const cold = new Forest(records);
    const entries = cold
      .entries(root)
      .map(({ key, position, tag, value }) => ({ key: { bytes: key, position }, tag, value }));
    assert.is(entries.length, root.count);
    assert.is(hex(new Forest().build(entries)), hex(root));
  }
});

test('a delta leans on a whole version, never on a delta', () => {
  const { records } = history(300, 200);
  for (const record of records.records.keys()) {
    for (const { base } of nodesOf(records, record)) {
      if (base === undefined) continue;
      const bytes = records.records.get(base.record);
      assert.ok(bytes !== undefined);
      assert.is(storedBaseOf(base.record, bytes, base.index), undefined);
    }
  }
});

test('a bulk build is cut into records of at most 200 nodes, children in the same record or before', () => {
  const { records } = history(10_000, 0);
  assert.ok(records.records.size > 3);
  for (const record of records.records.keys()) {
    const nodes = [...nodesOf(records, record)];
    assert.ok(nodes.length <= 200);
    for (const { index, children } of nodes) {
      for (const child of children)
        assert.ok(child.record < record || (child.record === record && child.index < index));
    }
  }
});

test('an update at 30,000 members writes at most 750 bytes on the average', () => {
  const forest = new Forest();
  let root = forest.build(members(30_000));
  const before = forest.records.bytesWritten;
  for (let i = 0; i < 2_000; i++)
    root = forest.update(root, [put(memberOf((i * 7919) % 30_000), `again ${i}`, i % 3)]);
  const each = (forest.records.bytesWritten - before) / 2_000;
  assert.ok(each <= 750, `${each} bytes`);
  for (let i = 0; i < 300; i++) {
    const cold = new Forest(forest.records);
    forest.records.reads = 0;
    cold.tree.get({ ...root }, put(memberOf((i * 7919) % 30_000), '').key);
    assert.ok(forest.records.reads <= 9, `${forest.records.reads} records`);
    assert.ok(cold.tree.stats.visits <= 5, `${cold.tree.stats.visits} nodes`);
    assert.is(cold.tree.stats.recordReads, forest.records.reads);
  }
});

test('the header of a record is given back', () => {
  const forest = new Forest();
  const header = utf8('room 7');
  forest.records.commit(forest.tree.build(members(300), forest.records.allocate), header);
  for (const bytes of forest.records.records.values()) assert.equal(headerOf(bytes), header);
  assert.equal(headerOf(encodeRecord([])), new Uint8Array(0));
});

test('a rewritten record keeps its survivors at their index, and its header', () => {
  const body = (text: string): Uint8Array => utf8(text);
  const bytes = encodeRecord([body('a'), body('bb'), undefined, body('dddd')], utf8('head'));
  const kept = rewriteRecord(bytes, (index) => index === 1);
  assert.ok(kept !== undefined);
  const { header, starts } = readRecordTable(kept);
  assert.equal(header, utf8('head'));
  assert.is(starts.length, 3);
  assert.is(toHex(kept.subarray(starts[1], starts[2])), toHex(body('bb')));
  assert.is(
    rewriteRecord(bytes, () => false),
    undefined,
  );
  assert.equal(
    rewriteRecord(bytes, () => true),
    bytes,
  );
});

test('marking from one root and dropping the rest leaves that version whole', () => {
  const { records, roots } = history(500, 120);
  const root = roots[100] ?? EMPTY_ROOT;
  const reached = new Set<string>();
  const queue: NodeLocation[] = [root];
  for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
    if (reached.has(`${at.record}/${at.index}`)) continue;
    reached.add(`${at.record}/${at.index}`);
    const node = readStoredNode(records, at);
    queue.push(...node.children);
    if (node.base !== undefined) queue.push(node.base);
  }
  for (const [record, bytes] of records.records) {
    const kept = rewriteRecord(bytes, (index) => reached.has(`${record}/${index}`));
    if (kept === undefined) records.records.delete(record);
    else records.records.set(record, kept);
  }
  assert.is(new Forest(records).entries(root).length, root.count);
  const other = roots[40] ?? EMPTY_ROOT;
  assert.throws(
    () => new Forest(records).entries(other),
    (error: unknown) => error instanceof StateroomError && error.code === 'TREE_NODE_MISSING',
  );
});

test('a missing record and a missing node are named', () => {
  const { records, roots } = history(300, 0);
  const root = roots[0] ?? EMPTY_ROOT;
  const cold = new StateTree({ readRecord: () => undefined }, new NodeCache(), hashedPosition);
  const isMissing = (error: unknown): boolean =>
    error instanceof StateroomError &&
    error.code === 'TREE_NODE_MISSING' &&
    error.fields['record'] === root.record;
  assert.throws(() => [...cold.scan(root)], isMissing);
  assert.throws(() => readStoredNode(records, { record: root.record, index: 199 }), isMissing);
});

test('a root with other counts than its tree is refused', () => {
  const { records, roots } = history(300, 0);
  const root = roots[0] ?? EMPTY_ROOT;
  for (const wrong of [
    { ...root, count: 299 },
    { ...root, joined: 1 },
  ]) {
    assert.throws(
      () => new Forest(records).tree.get(wrong, put(memberOf(1), '').key),
      (error: unknown) => error instanceof StateroomError && error.code === 'TREE_NODE_CORRUPT',
    );
  }
});

test('a flipped byte anywhere is found, with a typed error, or lies in what was not read', () => {
  const { records, roots } = history(120, 30);
  const root = roots[30] ?? EMPTY_ROOT;
  const intact = new Forest(records)
    .entries(root)
    .map(({ key, value, tag }) => `${toHex(key)} ${tag} ${toHex(value)}`);
  const numbers = [...records.records.keys()];
  fc.assert(
    fc.property(
      fc.nat(),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      fc.nat({ max: 40 }),
      (which, at, flip, cut) => {
        const number = numbers[which % numbers.length] ?? 1;
        const bytes = records.records.get(number);
        assert.ok(bytes !== undefined);
        const damaged = Uint8Array.from(bytes.subarray(0, cut > 35 ? bytes.length - cut : bytes.length));
        damaged[at % damaged.length] = (damaged[at % damaged.length] as number) ^ flip;
        const source = {
          readRecord: (record: number) => (record === number ? damaged : records.records.get(record)),
        };
        const cold = new StateTree(source, new NodeCache(), hashedPosition);
        try {
          const read = [...cold.scan(root)].map(
            ({ key, value, tag }) => `${toHex(key)} ${tag} ${toHex(value)}`,
          );
          assert.equal(read, intact);
        } catch (error) {
          assert.instance(error, StateroomError);
          assert.match((error as StateroomError).code, /^TREE_NODE_(CORRUPT|MISSING)$/);
        }
        try {
          for (const node of nodesOf(source, number)) assert.ok(node.hash.length === 32);
        } catch (error) {
          assert.instance(error, StateroomError);
        }
      },
    ),
    { numRuns: 400 },
  );
});

test('random bytes as a record give a typed error', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.constantFrom(1, 2, 3, 0x11, 0x12, 0x13),
      (noise, kind) => {
        const record = encodeRecord([Uint8Array.of(kind, ...noise)]);
        for (const bytes of [noise, record]) {
          try {
            for (const node of nodesOf({ readRecord: () => bytes }, 5)) assert.ok(node.count >= 0);
          } catch (error) {
            assert.instance(error, StateroomError);
          }
        }
      },
    ),
    { numRuns: 500 },
  );
});

test('a child that comes back to what it was is referred to where this version put it', () => {
  const forest = new Forest();
  const first = forest.build(members(2_000));
  const changed = forest.update(first, [put(memberOf(5), 'other')]);
  const back = forest.update(changed, [put(memberOf(5), 'event 5')]);
  assert.is(hex(back), hex(first));
  const stored = readStoredNode(forest.records, back);
  assert.ok(stored.base !== undefined, 'the root is a delta');
  assert.is(stored.children.filter((child) => child.record === back.record).length, 1);
});

test.run();
