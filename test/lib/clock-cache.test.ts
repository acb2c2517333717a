import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import fc from 'fast-check';
import { ClockCache } from '../../src/lib/clock-cache.js';

const test = suite('ClockCache');

test('the sizes held never exceed the bound, and a hit gives what was set last', () => {
  const operation = fc.tuple(
    fc.constantFrom('set', 'get', 'delete'),
    fc.nat(20),
    fc.integer({ min: 1, max: 30 }),
  );
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
      const cache = new ClockCache<number, number>(100);
      const model = new Map<number, number>();
      operations.forEach(([what, key, size], i) => {
        if (what === 'set') {
          cache.set(key, i, size);
          model.set(key, i);
        } else if (what === 'delete') {
          cache.delete(key);
          model.delete(key);
        }
        const found = cache.get(key);
        assert.ok(found === undefined || found === model.get(key));
        assert.ok(cache.size <= 100 && cache.size >= 0);
      });
    }),
  );
});

test('a value that is used outlives one that is not', () => {
  const cache = new ClockCache<string, number>(3);
  for (const key of ['a', 'b', 'c']) cache.set(key, 1, 1);
  for (let i = 0; i < 50; i++) {
    cache.get('b');
    cache.set(`new ${i}`, i, 1);
  }
  assert.is(cache.get('b'), 1);
  assert.is(cache.get('a'), undefined);
});

test('what came last is what goes last', () => {
  const cache = new ClockCache<number, number>(100);
  for (let i = 0; i < 1_000; i++) {
    cache.set(i, i, 1);
    for (let age = 0; age < Math.min(i, 99); age++) assert.ok(cache.has(i - age), `set ${age} before`);
  }
});

test('one value larger than the bound is not kept', () => {
  const cache = new ClockCache<string, number>(3);
  cache.set('large', 1, 4);
  assert.is(cache.get('large'), undefined);
  assert.is(cache.size, 0);
});

test('a value that is set again pushes out no other, and counts with its new size', () => {
  const cache = new ClockCache<string, number>(6);
  for (const key of ['a', 'b', 'c']) cache.set(key, 1, 2);
  cache.set('b', 2, 1);
  assert.is(cache.size, 5);
  assert.equal(
    ['a', 'b', 'c'].map((key) => cache.get(key)),
    [1, 2, 1],
  );
  cache.set('b', 3, 5);
  assert.is(cache.get('b'), 3);
  assert.ok(cache.size <= 6);
  cache.set('b', 4, 7);
  assert.is(cache.get('b'), undefined);
});

test.run();
