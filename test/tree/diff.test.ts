// Differences of two trees against those of two Maps, over sets that share much, little or nothing.

import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { fromUtf8, toHex } from '../../src/lib/bytes.js';
import { EMPTY_ROOT } from '../../src/tree/tree.js';
import { compareEntries } from '../../src/tree/position.js';
import type { Difference, NewEntry, TreeEntry } from '../../src/tree/types.js';
import { Forest, MemoryRecords, chosenPosition, members, put } from './support/forest.js';

const test = suite('tree/diff');

const names = fc
  .tuple(
    fc.constantFrom('', '', 'abcd', 'abcdef0123', 'ffff'),
    fc.string({ unit: fc.constantFrom('0', '1', '7', '8'), maxLength: 3 }),
    fc.constantFrom('', ':x', ':y'),
  )
  .map((parts) => parts.join(''));
const sets = fc.uniqueArray(fc.tuple(names, fc.constantFrom('a', 'b')), {
  selector: ([name]) => name,
  maxLength: 120,
});

function told(differences: Iterable<Difference>): string[] {
  const side = (entry: TreeEntry | undefined): string =>
    entry === undefined ? '-' : toHex(entry.value).slice(0, 8);
  return Array.from(
    differences,
    ({ key, before, after }) => `${fromUtf8(key)} ${side(before)} ${side(after)}`,
  );
}

function expected(a: readonly NewEntry[], b: readonly NewEntry[]): string[] {
  const byKey = new Map<string, { before?: TreeEntry; after?: TreeEntry }>();
  const flat = ({ key, tag, value }: NewEntry): TreeEntry => ({
    key: key.bytes,
    position: key.position,
    tag,
    value,
  });
  for (const entry of a) byKey.set(fromUtf8(entry.key.bytes), { before: flat(entry) });
  for (const entry of b) {
    const name = fromUtf8(entry.key.bytes);
    byKey.set(name, { ...byKey.get(name), after: flat(entry) });
  }
  const differences: Difference[] = [];
  for (const { before, after } of byKey.values()) {
    const entry = before ?? after;
    if (entry === undefined) continue;
    if (before !== undefined && after !== undefined && toHex(before.value) === toHex(after.value)) continue;
    differences.push({ key: entry.key, position: entry.position, before, after });
  }
  differences.sort((x, y) => compareEntries({ ...x, tag: 0, value: x.key }, { ...y, tag: 0, value: y.key }));
  return told(differences);
}

const entriesOf = (set: ReadonlyArray<readonly [string, string]>): NewEntry[] =>
  set.map(([name, value]) => put(name, value, 1, chosenPosition));

test('two trees built apart differ just as their sets do, in tree order', () => {
  fc.assert(
    fc.property(sets, sets, (left, right) => {
      const forest = new Forest(undefined, undefined, chosenPosition);
      const a = entriesOf(left);
      const b = entriesOf(right);
      const rootA = forest.build(a);
      const rootB = forest.build(b);
      assert.equal(told(forest.tree.diff(rootA, rootB)), expected(a, b));
      assert.equal(told(forest.tree.diff(rootA, rootA)), []);
      assert.equal(told(forest.tree.diff(rootA, EMPTY_ROOT)), expected(a, []));
    }),
    { numRuns: 300 },
  );
});

test('a version and the one it came from differ by the changes, read from disk', () => {
  fc.assert(
    fc.property(sets, sets, (left, right) => {
      const records = new MemoryRecords();
      const forest = new Forest(records, undefined, chosenPosition);
      const a = entriesOf(left);
      const root = forest.build(a);
      const next = forest.update(root, entriesOf(right.slice(0, 10)));
      const merged = new Map([...left, ...right.slice(0, 10)]);
      const cold = new Forest(records, undefined, chosenPosition);
      assert.equal(told(cold.tree.diff({ ...root }, { ...next })), expected(a, entriesOf([...merged])));
    }),
    { numRuns: 100 },
  );
});

test('a change of tag alone is a difference', () => {
  const forest = new Forest();
  const a = forest.build([put('k', 'v', 1)]);
  const b = forest.build([put('k', 'v', 2)]);
  const [difference] = [...forest.tree.diff(a, b)];
  assert.is(difference?.before?.tag, 1);
  assert.is(difference?.after?.tag, 2);
});

test('one change among 10,000 entries is found in two paths, even between trees built apart', () => {
  const forest = new Forest();
  const all = members(10_000);
  const a = forest.build(all);
  const b = forest.build([...all.slice(1), put('m.room.member\0@user0:server0.example.org', 'other')]);
  const before = forest.tree.stats.visits;
  assert.is([...forest.tree.diff(a, b)].length, 1);
  assert.ok(forest.tree.stats.visits - before <= 20, `${forest.tree.stats.visits - before} nodes`);
});

test('trees that lie apart under long shared beginnings are told in tree order', () => {
  const under = (head: string): NewEntry[] =>
    Array.from({ length: 40 }, (_, i) => {
      const name = `${head}${i.toString(16).padStart(2, '0')}`;
      return put(name, name, 1, chosenPosition);
    });
  const forest = new Forest(undefined, undefined, chosenPosition);
  const heads = ['aaaa', 'abaa', 'ab', 'aaaabbbb'];
  for (const left of heads) {
    for (const right of heads) {
      const [a, b] = [under(left), under(right)];
      assert.equal(
        told(forest.tree.diff(forest.build(a), forest.build(b))),
        expected(a, b),
        `${left} ${right}`,
      );
    }
  }
});

test.run();
