// Differences among many trees against those of every pair, over sets that share much, little or nothing.

import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { fromUtf8, toHex } from '../../src/lib/bytes.js';
import { EMPTY_ROOT } from '../../src/tree/tree.js';
import type { NewEntry, RootRef, TreeEntry, Variance } from '../../src/tree/types.js';
import { Forest, MemoryRecords, chosenPosition, members, put, remove } from './support/forest.js';

const test = suite('tree/diff-many');

const names = fc
  .tuple(
    fc.constantFrom('', '', 'abcd', 'abcdef0123', 'ffff'),
    fc.string({ unit: fc.constantFrom('0', '1', '7', '8'), maxLength: 3 }),
    fc.constantFrom('', ':x', ':y'),
  )
  .map((parts) => parts.join(''));
const sets = fc.uniqueArray(fc.tuple(names, fc.constantFrom('a', 'b', 'c')), {
  selector: ([name]) => name,
  maxLength: 120,
});
const changes = fc.uniqueArray(fc.tuple(names, fc.constantFrom('a', 'd', 'e', undefined)), {
  selector: ([name]) => name,
  maxLength: 6,
});

const entriesOf = (set: ReadonlyArray<readonly [string, string]>): NewEntry[] =>
  set.map(([name, value]) => put(name, value, 1, chosenPosition));

const shown = (entry: TreeEntry | undefined): string =>
  entry === undefined ? '-' : `${entry.tag} ${toHex(entry.value).slice(0, 8)}`;

/** Each key with what each tree holds there, and a check that nothing is said twice. */
function told(variances: Iterable<Variance>, count: number): string[] {
  return Array.from(variances, ({ key, rest, others }) => {
    const held = new Array<string>(count).fill(shown(rest));
    const named = others.flatMap(({ trees }) => trees);
    assert.is(new Set(named).size, named.length, 'a tree is named once');
    assert.not(named.includes(0), 'the first tree is never named');
    assert.is(new Set([rest, ...others.map(({ entry }) => entry)].map(shown)).size, others.length + 1);
    for (const { entry, trees } of others) for (const tree of trees) held[tree] = shown(entry);
    return `${fromUtf8(key)}: ${held.join(', ')}`;
  });
}

/** The same by differences of the first tree and each other, sorted into tree order by those of one scan. */
function byPairs(forest: Forest, roots: readonly RootRef[]): string[] {
  const [first, ...rest] = roots;
  if (first === undefined) return [];
  const held = new Map<string, string[]>();
  rest.forEach((root, i) => {
    for (const { key, before, after } of forest.tree.diff(first, root)) {
      const name = fromUtf8(key);
      const values = held.get(name) ?? new Array<string>(roots.length).fill(shown(before));
      values[i + 1] = shown(after);
      held.set(name, values);
    }
  });
  const all = new Map(
    roots.flatMap((root) => forest.entries(root)).map((entry) => [fromUtf8(entry.key), entry]),
  );
  const ordered = forest.entries(
    forest.build(
      [...all.values()].map(({ key, position, tag, value }) => ({
        key: { bytes: key, position },
        tag,
        value,
      })),
    ),
  );
  return ordered.flatMap(({ key }) => {
    const values = held.get(fromUtf8(key));
    return values === undefined ? [] : [`${fromUtf8(key)}: ${values.join(', ')}`];
  });
}

test('trees built apart differ as every pair of them does, in tree order', () => {
  fc.assert(
    fc.property(fc.array(sets, { maxLength: 6 }), (many) => {
      const forest = new Forest(undefined, undefined, chosenPosition);
      const roots = many.map((set) => forest.build(entriesOf(set)));
      assert.equal(told(forest.tree.diffMany(roots), roots.length), byPairs(forest, roots));
      const withEmpty = [...roots, EMPTY_ROOT, ...roots.slice(0, 1)];
      assert.equal(told(forest.tree.diffMany(withEmpty), withEmpty.length), byPairs(forest, withEmpty));
    }),
    { numRuns: 200 },
  );
});

test('versions of one tree differ as every pair of them does, read from disk, in any order', () => {
  fc.assert(
    fc.property(sets, fc.array(changes, { minLength: 1, maxLength: 24 }), (set, branches) => {
      const records = new MemoryRecords();
      const forest = new Forest(records, undefined, chosenPosition);
      const base = forest.build(entriesOf(set));
      const roots = branches.map((branch) =>
        forest.update(
          base,
          branch.map(([name, value]) =>
            value === undefined ? remove(name, chosenPosition) : put(name, value, 1, chosenPosition),
          ),
        ),
      );
      const cold = new Forest(records, undefined, chosenPosition);
      const given = roots.map((root) => ({ ...root }));
      assert.equal(told(cold.tree.diffMany(given), given.length), byPairs(forest, roots));
      const turned = given.toReversed();
      assert.equal(told(cold.tree.diffMany(turned), turned.length), byPairs(forest, roots.toReversed()));
    }),
    { numRuns: 200 },
  );
});

test('a change of tag alone is a difference', () => {
  const forest = new Forest();
  const roots = [1, 2, 1].map((tag) => forest.build([put('k', 'v', tag)]));
  const [variance] = [...forest.tree.diffMany(roots)];
  assert.is(variance?.rest?.tag, 1);
  assert.equal(
    variance?.others.map(({ entry, trees }) => [entry?.tag, trees]),
    [[2, [1]]],
  );
});

test('one tree and trees all alike differ in nothing, and no node is looked at', () => {
  const forest = new Forest();
  const root = forest.build(members(1_000));
  const before = forest.tree.stats.visits;
  assert.equal([...forest.tree.diffMany([])], []);
  assert.equal([...forest.tree.diffMany([root])], []);
  assert.equal([...forest.tree.diffMany([root, { ...root }, root])], []);
  assert.is(forest.tree.stats.visits, before);
});

test('sixty versions of 10,000 entries with one change each are told apart in sixty paths', () => {
  const forest = new Forest();
  const all = members(10_000);
  const base = forest.build(all);
  const roots = Array.from({ length: 60 }, (_, i) =>
    forest.update(base, [put(`m.room.member\0@user${i}:server${i % 97}.example.org`, 'other')]),
  );
  const before = forest.tree.stats.visits;
  const variances = [...forest.tree.diffMany(roots)];
  assert.is(variances.length, 60);
  const visits = forest.tree.stats.visits - before;
  assert.ok(visits <= 60 * 10, `${visits} nodes`);
});

test('many versions of one entry are told apart', () => {
  const forest = new Forest();
  const base = forest.build(members(100));
  const roots = Array.from({ length: 300 }, (_, i) => forest.update(base, [put('topic', `${i % 100}`)]));
  const [variance, ...more] = [...forest.tree.diffMany(roots)];
  assert.equal(more, []);
  assert.is(variance?.others.length, 99);
  assert.ok(variance?.others.every(({ trees }) => trees.length === 3));
});

test.run();
