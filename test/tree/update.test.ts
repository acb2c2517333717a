// The one promise that all others rest on: a root depends on the set of entries alone. Every sequence of
// batches must end at the root that a build of the final set has, and read back as a Map does.
//
// Model: a Map from key to (tag, value). Strategy: positions over small alphabets and with long shared
// beginnings, so that nodes split, merge, collapse, skip nibbles, and hold equal positions. Invariants after
// each batch: same root as a build; same entries in order; same answers to point queries; counts add up.

import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { toHex } from '../../src/lib/bytes.js';
import { compareEntries } from '../../src/tree/position.js';
import { EMPTY_ROOT } from '../../src/tree/tree.js';
import type { Change, NewEntry, RootRef } from '../../src/tree/types.js';
import {
  Forest,
  MemoryRecords,
  chosenPosition,
  draw,
  hex,
  keyOf,
  members,
  put,
  remove,
  valueOf,
} from './support/forest.js';

const test = suite('tree/update');

interface Step {
  readonly text: string;
  readonly tag: number;
  /** Undefined removes. */
  readonly value: Uint8Array | undefined;
}

const nibble = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('0', '1', 'f') },
  { weight: 1, arbitrary: fc.constantFrom(...'0123456789abcdef') },
);
const prefix = fc.oneof(
  fc.constant(''),
  fc.constantFrom('0000', '0001', '8', 'ffffffff', '0123456789abcdef0123456789abcde', '0'.repeat(31)),
);
const text = fc
  .tuple(prefix, fc.array(nibble, { maxLength: 3 }), fc.constantFrom('', ':a', ':b', ':c', ':dd'))
  .map(([head, nibbles, tail]) => head + nibbles.join('') + tail);
const value = fc.oneof(
  { weight: 12, arbitrary: fc.nat({ max: 3 }).map((n) => valueOf(`${n}`)) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }) },
);
const step: fc.Arbitrary<Step> = fc.record({
  text,
  tag: fc.nat({ max: 2 }),
  value: fc.oneof({ weight: 3, arbitrary: value }, { weight: 1, arbitrary: fc.constant(undefined) }),
});
const batches = fc.array(fc.array(step, { maxLength: 60 }), { minLength: 1, maxLength: 8 });

function changeOf({ text: name, tag, value: bytes }: Step): Change {
  return { key: keyOf(name, chosenPosition), tag, value: bytes };
}

function entriesOf(model: ReadonlyMap<string, Step>): NewEntry[] {
  const entries: NewEntry[] = [];
  for (const { text: name, tag, value: bytes } of model.values()) {
    if (bytes !== undefined) entries.push({ key: keyOf(name, chosenPosition), tag, value: bytes });
  }
  return entries;
}

function checkAgainst(model: ReadonlyMap<string, Step>, forest: Forest, root: RootRef): void {
  const built = new Forest(undefined, undefined, chosenPosition).build(entriesOf(model));
  assert.is(hex(root), hex(built), 'the root of a build of the same set');
  assert.is(root.count, model.size);
  assert.is(root.joined, [...model.values()].filter((each) => each.tag === 1).length);
  const entries = forest.entries(root);
  assert.is(entries.length, model.size);
  for (let i = 1; i < entries.length; i++) {
    const [a, b] = [entries[i - 1], entries[i]];
    assert.ok(a !== undefined && b !== undefined && compareEntries(a, b) < 0, 'entries are in tree order');
  }
  for (const [name, expected] of model) {
    const found = forest.tree.get(root, keyOf(name, chosenPosition));
    assert.is(found?.tag, expected.tag);
    assert.is(found && toHex(found.value), expected.value && toHex(expected.value));
  }
}

test('any sequence of batches ends at the root of a build of the final set', () => {
  fc.assert(
    fc.property(batches, fc.boolean(), (sequence, isCold) => {
      const records = new MemoryRecords();
      let forest = new Forest(records, undefined, chosenPosition);
      const model = new Map<string, Step>();
      let root = EMPTY_ROOT;
      for (const batch of sequence) {
        if (isCold) {
          forest = new Forest(records, undefined, chosenPosition);
          root = {
            hash: root.hash,
            record: root.record,
            index: root.index,
            count: root.count,
            joined: root.joined,
          };
        }
        root = forest.update(root, batch.map(changeOf));
        for (const each of batch) {
          if (each.value === undefined) model.delete(each.text);
          else model.set(each.text, each);
        }
        checkAgainst(model, forest, root);
      }
    }),
    { numRuns: 150 },
  );
});

for (const size of [10, 100, 1_000, 10_000]) {
  test(`${size} entries put in random batches and half removed again equal a build`, () => {
    const [seed] = fc.sample(fc.integer(), { numRuns: 1, seed: size });
    const random = randomOf(seed ?? 0);
    const all = members(size);
    const forest = new Forest();
    let root = EMPTY_ROOT;
    const shuffled = all.map((entry) => ({ entry, at: random() })).sort((a, b) => a.at - b.at);
    for (let from = 0; from < size; ) {
      const to = from + 1 + Math.floor(random() * Math.max(3, size / 20));
      root = forest.update(
        root,
        shuffled.slice(from, to).map(({ entry }) => entry),
      );
      from = to;
    }
    assert.is(hex(root), hex(new Forest().build(all)));
    const kept = shuffled.slice(0, size >> 1).map(({ entry }) => entry);
    const gone = shuffled.slice(size >> 1).map(({ entry }) => ({ key: entry.key, tag: 0, value: undefined }));
    for (let from = 0; from < gone.length; from += 37)
      root = forest.update(root, gone.slice(from, from + 37));
    assert.is(hex(root), hex(new Forest().build(kept)));
    root = forest.update(
      root,
      kept.map(({ key }) => ({ key, tag: 0, value: undefined })),
    );
    assert.is(root, EMPTY_ROOT);
  });
}

/** A small generator of random numbers in [0, 1) with a seed (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function chosen(texts: readonly string[]): NewEntry[] {
  return texts.map((name) => put(name, name, 1, chosenPosition));
}

function drawn(forest: Forest, root: RootRef): string {
  return draw(forest.records, root);
}

test('seventeen entries split into halves, and sixteen of them merge again', () => {
  const forest = new Forest(undefined, undefined, chosenPosition);
  const texts = [...'0123456789abcdef'].map((digit) => digit);
  const sixteen = forest.build(chosen(texts));
  assert.is(drawn(forest, sixteen), 'leaf 16');
  const seventeen = forest.update(sixteen, [put('80', 'one more', 1, chosenPosition)]);
  // prettier-ignore
  assert.is(drawn(forest, seventeen), ['inner at 0, 17', '  0-7: leaf 8', '  8-15: leaf 9'].join('\n'));
  assert.is(hex(forest.update(seventeen, [remove('80', chosenPosition)])), hex(sixteen));
});

test('an entry beside a long shared beginning puts an inner node above it, and its removal takes that away', () => {
  const forest = new Forest(undefined, undefined, chosenPosition);
  const deep = forest.build(
    chosen([...'0123456789abcdef'].flatMap((digit) => [`aaaaaa${digit}0`, `aaaaaa${digit}1`])),
  );
  assert.is(drawn(forest, deep).split('\n')[0], 'inner at 6, 32');
  const beside = forest.update(deep, [put('aab', 'beside', 1, chosenPosition)]);
  // prettier-ignore
  assert.is(
    drawn(forest, beside),
    ['inner at 2, 33', '  10: inner at 6, 32', '    0-7: leaf 16', '    8-15: leaf 16', '  11: leaf 1'].join(
      '\n',
    ),
  );
  assert.is(hex(forest.update(beside, [remove('aab', chosenPosition)])), hex(deep));
});

test('entries whose positions are all equal stay in one leaf, however many', () => {
  const forest = new Forest(undefined, undefined, chosenPosition);
  const texts = Array.from({ length: 300 }, (_, i) => `77:${i}`);
  const root = forest.build(chosen(texts));
  assert.is(drawn(forest, root), 'leaf 300');
  const wider = forest.update(root, [put('78', 'elsewhere', 1, chosenPosition)]);
  assert.is(drawn(forest, wider), 'inner at 1, 301\n  7: leaf 300\n  8-15: leaf 1');
  const cold = new Forest(forest.records, undefined, chosenPosition);
  for (const name of texts) assert.ok(cold.tree.has(wider, keyOf(name, chosenPosition)));
  assert.not.ok(cold.tree.has(wider, keyOf('77:no', chosenPosition)));
});

test('changes that change nothing give the same root and no node', () => {
  const forest = new Forest();
  const root = forest.build(members(500));
  const draft = forest.tree.update(
    root,
    [...members(500).slice(0, 50), remove('not there'), remove('nor this')],
    forest.records.allocate,
  );
  assert.is(draft.root, root);
  assert.is(draft.nodeCount, 0);
  assert.equal(draft.seal(), []);
});

test('of several changes to one key the last counts', () => {
  const forest = new Forest();
  const root = forest.update(EMPTY_ROOT, [
    put('k', 'first'),
    remove('k'),
    put('k', 'last', 3),
    put('gone', 'x'),
    remove('gone'),
  ]);
  assert.is(hex(root), hex(new Forest().build([put('k', 'last', 3)])));
});

test('only nodes on the path of a change are new', () => {
  const forest = new Forest();
  const root = forest.build(members(10_000));
  const draft = forest.tree.update(
    root,
    [put('m.room.member\0@user5:server5.example.org', 'again')],
    forest.records.allocate,
  );
  assert.ok(draft.nodeCount <= 5, `${draft.nodeCount} nodes`);
});

test('a whole state put on a near version shares its nodes and has the root of a build', () => {
  const forest = new Forest();
  const base = forest.build(members(2_000));
  const wanted = [...members(2_010).slice(10), put('m.room.name\0', 'a name', 0)];
  const draft = forest.tree.buildOn(base, wanted, forest.records.allocate);
  assert.is(hex(draft.root), hex(new Forest().build(wanted)));
  assert.ok(draft.nodeCount < 80, `${draft.nodeCount} nodes`);
  assert.is(forest.tree.buildOn(base, members(2_000), forest.records.allocate).nodeCount, 0);
  assert.is(forest.tree.buildOn(base, [], forest.records.allocate).root, EMPTY_ROOT);
});

test('puts that leave a long shared beginning at several nibbles at once find their places', () => {
  const forest = new Forest(undefined, undefined, chosenPosition);
  const deep = chosen([...'0123456789abcdef'].flatMap((digit) => [`aaaaaa${digit}0`, `aaaaaa${digit}1`]));
  const beside = chosen(['1', 'a1', 'aa1', 'aaaa1', 'aaaaa1', 'aaaaaf', 'aaab', 'af', 'f']);
  const root = forest.update(forest.build(deep), beside);
  assert.is(hex(root), hex(new Forest(undefined, undefined, chosenPosition).build([...deep, ...beside])));
  assert.is(
    drawn(forest, root),
    [
      'inner at 0, 41',
      '  0-7: leaf 1',
      '  10: inner at 1, 39',
      '    0-7: leaf 1',
      '    10: inner at 2, 37',
      '      0-7: leaf 1',
      '      10: inner at 3, 36',
      '        10: inner at 4, 35',
      '          0-7: leaf 1',
      '          10: inner at 5, 34',
      '            0-7: leaf 1',
      '            10: inner at 6, 32',
      '              0-7: leaf 16',
      '              8-15: leaf 16',
      '            12-15: leaf 1',
      '        11: leaf 1',
      '    12-15: leaf 1',
      '  12-15: leaf 1',
    ].join('\n'),
  );
});

test.run();
