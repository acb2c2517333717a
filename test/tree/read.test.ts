// Point queries, scans, ranges and counts against a plain sorted list of the same entries.

import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { fromUtf8 } from '../../src/lib/bytes.js';
import { compareEntries } from '../../src/tree/position.js';
import { EMPTY_ROOT } from '../../src/tree/tree.js';
import type { NewEntry, PositionPrefix, TreeEntry } from '../../src/tree/types.js';
import { Forest, chosenPosition, keyOf, members, put } from './support/forest.js';

const test = suite('tree/read');

const texts = fc.uniqueArray(
  fc
    .tuple(
      fc.constantFrom('', '', 'abcdef01', 'abcdef0123456789', 'abcdef01234567890'),
      fc.string({ unit: fc.constantFrom('0', '1', '8', 'f'), maxLength: 4 }),
      fc.constantFrom('', ':x', ':y'),
    )
    .map((parts) => parts.join('')),
  { maxLength: 150 },
);
const prefixes = fc
  .tuple(fc.constantFrom('', 'abcdef0', 'abcdef01234567', '8', 'f1'), fc.nat({ max: 128 }))
  .map(([text, bits]): PositionPrefix => ({ bytes: keyOf(text, chosenPosition).position, bits }));

function hasPrefix(position: Uint8Array, { bytes, bits }: PositionPrefix): boolean {
  for (let bit = 0; bit < bits; bit++) {
    const mask = 0x80 >> (bit & 7);
    if (((position[bit >> 3] as number) & mask) !== ((bytes[bit >> 3] as number) & mask)) return false;
  }
  return true;
}

function sorted(names: readonly string[]): TreeEntry[] {
  return names
    .map((name, i) => put(name, name, i % 3, chosenPosition))
    .map(({ key, tag, value }) => ({ key: key.bytes, position: key.position, tag, value }))
    .sort(compareEntries);
}

const names = (entries: Iterable<TreeEntry>): string[] => Array.from(entries, (entry) => fromUtf8(entry.key));

function planted(all: readonly string[]): { forest: Forest; root: ReturnType<Forest['build']> } {
  const forest = new Forest(undefined, undefined, chosenPosition);
  const entries: NewEntry[] = all.map((name, i) => put(name, name, i % 3, chosenPosition));
  return { forest, root: forest.build(entries) };
}

test('a scan gives all entries in tree order, and with a prefix those that have it', () => {
  fc.assert(
    fc.property(texts, prefixes, (all, prefix) => {
      const { forest, root } = planted(all);
      const expected = sorted(all);
      assert.equal(names(forest.tree.scan(root)), names(expected));
      const within = expected.filter((entry) => hasPrefix(entry.position, prefix));
      assert.equal(names(forest.tree.scan(root, { prefix })), names(within));
      assert.is(forest.tree.count(root, prefix), within.length);
      assert.is(forest.tree.joined(root, prefix), within.filter((entry) => entry.tag === 1).length);
      assert.is(forest.tree.count(root), all.length);
    }),
    { numRuns: 300 },
  );
});

test('a scan goes on after any key, there or not', () => {
  fc.assert(
    fc.property(texts, fc.oneof(texts.map((some) => some[0] ?? '8:q')), prefixes, (all, name, prefix) => {
      const { forest, root } = planted(all);
      const after = keyOf(name, chosenPosition);
      const place = { key: after.bytes, position: after.position, tag: 0, value: after.bytes };
      const rest = sorted(all).filter((entry) => compareEntries(entry, place) > 0);
      assert.equal(names(forest.tree.scan(root, { after })), names(rest));
      const within = rest.filter((entry) => hasPrefix(entry.position, prefix));
      assert.equal(names(forest.tree.scan(root, { after, prefix })), names(within));
    }),
    { numRuns: 200 },
  );
});

test('a scan in pages of any size gives each entry once', () => {
  const forest = new Forest();
  const root = forest.build(members(700));
  const whole = names(forest.tree.scan(root));
  for (const size of [1, 7, 100]) {
    const paged: string[] = [];
    for (let last: TreeEntry | undefined; ; ) {
      const after = last && { position: last.position, bytes: last.key };
      const before = paged.length;
      for (const entry of forest.tree.scan(root, { after })) {
        paged.push(fromUtf8(entry.key));
        last = entry;
        if (paged.length - before === size) break;
      }
      if (paged.length === before) break;
    }
    assert.equal(paged, whole);
  }
});

test('a point query finds every key and no other', () => {
  const forest = new Forest();
  const all = members(3_000);
  const root = forest.build(all);
  for (const { key, value } of all) assert.equal(forest.tree.get(root, key)?.value, value);
  for (let i = 3_000; i < 4_000; i++)
    assert.not.ok(forest.tree.has(root, keyOf(`m.room.member\0@user${i}:x`)));
  assert.is(forest.tree.get(EMPTY_ROOT, keyOf('x')), undefined);
});

test('keys that differ in one byte anywhere, or begin each other, are told apart', () => {
  const base = 'k'.repeat(40);
  const all = [base, base.slice(0, 20), base.slice(0, 39), ''];
  for (let i = 0; i < 40; i++) all.push(`${base.slice(0, i)}x${base.slice(i + 1)}`);
  const forest = new Forest(undefined, undefined, () => new Uint8Array(16));
  const zero = (name: string): NewEntry => put(name, name, 1, () => new Uint8Array(16));
  const root = forest.build(all.map(zero));
  for (const name of all) {
    assert.equal(forest.tree.get(root, zero(name).key)?.value, zero(name).value);
  }
  assert.not.ok(forest.tree.has(root, zero(base.slice(0, 38)).key));
});

test('keys of up to 4,096 bytes and values of any length to 4,096 come back', () => {
  const forest = new Forest();
  const entries = Array.from({ length: 40 }, (_, i): NewEntry => {
    const entry = put(`${'long'.repeat(i * 25)}${i}`, 'value', 255);
    return { ...entry, value: new Uint8Array(i * 105).fill(i) };
  });
  const root = forest.build(entries);
  const cold = new Forest(forest.records);
  for (const { key, value } of entries) {
    const found = cold.tree.get(root, key);
    assert.equal(found?.value, value);
    assert.is(found?.tag, 255);
  }
  assert.throws(() => forest.build([put('x'.repeat(4_097), 'too long')]), /at most 4,096 bytes/);
});

test('a count of a prefix reads one path, no further than the prefix goes', () => {
  const forest = new Forest();
  const root = forest.build(members(10_000));
  const before = forest.tree.stats.visits;
  const half = forest.tree.count(root, { bytes: Uint8Array.of(0x80), bits: 1 });
  assert.ok(half > 4_000 && half < 6_000);
  assert.is(forest.tree.stats.visits - before, 1);
  assert.ok(forest.tree.count(root, { bytes: Uint8Array.of(0x80, 0), bits: 10 }) > 0);
  assert.is(forest.tree.stats.visits - before, 1 + 3);
});

test.run();
