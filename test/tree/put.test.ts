// One put goes a short way (put.ts) that must not be told from the long one (update.ts, maker.ts): the same
// nodes at the same places with the same bytes, the same records, the same root.
//
// Model: the long way, over a store and a cache of its own. Strategy: positions over small alphabets, so that
// nodes fill up, split, skip nibbles and share positions; values of other lengths; puts that change nothing;
// cold and warm caches; histories long enough that nodes become deltas and whole again.

import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { toHex } from '../../src/lib/bytes.js';
import { NodeCache } from '../../src/tree/cache.js';
import { makeDraft } from '../../src/tree/draft.js';
import { NodeLoader } from '../../src/tree/loader.js';
import { NodeMaker } from '../../src/tree/maker.js';
import { putOne } from '../../src/tree/put.js';
import { EMPTY_ROOT } from '../../src/tree/tree.js';
import type { Change, RootRef } from '../../src/tree/types.js';
import { planUpdate, sortEdits } from '../../src/tree/update.js';
import {
  Forest,
  MemoryRecords,
  chosenPosition,
  hashedPosition,
  keyOf,
  members,
  put,
  remove,
  valueOf,
} from './support/forest.js';

const test = suite('tree/put');

/** Changes made the long way, each a version. */
class LongWay {
  readonly records = new MemoryRecords();
  #loader: NodeLoader;

  constructor(readonly positionOf = hashedPosition) {
    this.#loader = new NodeLoader(this.records, new NodeCache(), positionOf);
  }

  forget(): void {
    this.#loader = new NodeLoader(this.records, new NodeCache(), this.positionOf);
  }

  update(root: RootRef, changes: readonly Change[]): RootRef {
    const plan = planUpdate(this.#loader, this.#loader.resolve(root), 0, sortEdits(changes));
    return this.records.commit(makeDraft(this.#loader, plan, this.records.allocate));
  }
}

function plain({ hash, count, joined, record, index }: RootRef): RootRef {
  return { hash, count, joined, record, index };
}

function same(short: Forest, shortRoot: RootRef, long: LongWay, longRoot: RootRef): void {
  assert.equal(plain(shortRoot), plain(longRoot));
  assert.is(short.records.records.size, long.records.records.size);
  const last = Math.max(0, ...long.records.records.keys());
  for (const record of [last - 1, last]) {
    const bytes = short.records.records.get(record);
    const expected = long.records.records.get(record);
    assert.is(bytes && toHex(bytes), expected && toHex(expected));
  }
}

const digits = fc.constantFrom(...'0123456789abcdef');
const text = fc
  .tuple(
    fc.constantFrom('', '', '', '0000', '8', '0'.repeat(31)),
    fc.array(digits, { minLength: 1, maxLength: 2 }),
    fc.constantFrom('', '', ':a', ':bb'),
  )
  .map(([head, nibbles, tail]) => head + nibbles.join('') + tail);
const value = fc.oneof(
  { weight: 20, arbitrary: fc.nat({ max: 3 }).map((n) => valueOf(`${n}`)) },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 30, maxLength: 34 }) },
);
const step = fc.record({
  text,
  tag: fc.nat({ max: 2 }),
  value: fc.option(value, { freq: 8, nil: undefined }),
});

test('one change at a time makes the nodes, records and root that planning makes', () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 40 }),
      fc.array(step, { maxLength: 120 }),
      fc.nat(),
      (first, steps, cold) => {
        const short = new Forest(undefined, undefined, chosenPosition);
        let forest = short;
        const long = new LongWay(chosenPosition);
        const changeOf = (each: (typeof steps)[number]): Change => {
          return { key: keyOf(each.text, chosenPosition), tag: each.tag, value: each.value };
        };
        let a = forest.update(EMPTY_ROOT, first.map(changeOf));
        let b = long.update(EMPTY_ROOT, first.map(changeOf));
        steps.forEach((each, i) => {
          if ((i + cold) % 50 === 0) {
            forest = new Forest(short.records, undefined, chosenPosition);
            a = plain(a);
            long.forget();
            b = plain(b);
          }
          a = forest.update(a, [changeOf(each)]);
          b = long.update(b, [changeOf(each)]);
          same(short, a, long, b);
        });
      },
    ),
    { numRuns: 100 },
  );
});

test('a long history over 2,000 entries is the same both ways', () => {
  const short = new Forest();
  const long = new LongWay();
  let a = short.update(EMPTY_ROOT, members(2_000));
  let b = long.update(EMPTY_ROOT, members(2_000));
  for (let i = 0; i < 1_500; i++) {
    const name = (n: number): string => `m.room.member\0@user${n}:server${n % 97}.example.org`;
    const at = (i * 7919) % 2_000;
    const change =
      i % 7 === 3 ? remove(name(at)) : put(name(i % 3 === 0 ? 2_000 + i : at), `again ${i}`, i % 4);
    a = short.update(a, [change]);
    b = long.update(b, [change]);
    same(short, a, long, b);
  }
});

test('the short way is taken for overwrites and inserts, and not where the shape may change', () => {
  const forest = new Forest(undefined, undefined, chosenPosition);
  const sixteen = [...'0123456789abcdef'].map((digit) => put(digit, digit, 1, chosenPosition));
  const root = forest.build([...sixteen, put('80', 'x', 1, chosenPosition)]);
  const loader = new NodeLoader(forest.records, new NodeCache(), chosenPosition);
  const isShort = (change: Change, from: RootRef = root): boolean => {
    const maker = new NodeMaker(chosenPosition, forest.records.allocate);
    const [edit] = sortEdits([change]);
    const made = edit && putOne(loader, maker, loader.resolve(from), edit);
    assert.is(maker.nodes.length > 0, made !== undefined && made !== loader.resolve(from));
    return made !== undefined;
  };
  assert.ok(isShort(put('3', 'another', 2, chosenPosition)));
  assert.ok(isShort(put('3', '3', 1, chosenPosition)), 'nothing changes');
  assert.ok(isShort(put('30', 'new', 1, chosenPosition)));
  assert.not.ok(isShort(remove('3', chosenPosition)));
  assert.not.ok(
    isShort({ ...put('3', '', 1, chosenPosition), value: Uint8Array.of(1) }),
    'another kind of leaf',
  );
  assert.not.ok(isShort(put('3', 'first', 1, chosenPosition), EMPTY_ROOT));
  assert.not.ok(isShort(put('30', 'splits', 1, chosenPosition), forest.build(sixteen)));
});

test.run();
