// The three orders of state resolution are orders: total, antisymmetric, transitive, by code point.

import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId } from '../../../src/event/ids.js';
import { Heap } from '../../../src/room/resolution/heap.js';
import { compareMainlineRanks } from '../../../src/room/resolution/mainline-order.js';
import { comparePowerRanks } from '../../../src/room/resolution/power-order.js';
import { compareDepthRanks } from '../../../src/room/resolution/v1.js';
import { compareKeys, keyOf } from '../../../src/room/resolution/keys.js';

const test = suite('orders of state resolution');

const eventId = fc.string({ maxLength: 3, unit: 'binary' }).map((text) => `$${text}` as EventId);
const originServerTs = fc.integer({ min: 0, max: 3 });
const level = fc.oneof(
  fc.integer({ min: -1, max: 3 }),
  fc.constantFrom<number | bigint>(Infinity, Number.NaN, 2n ** 70n, -(2n ** 70n)),
);
const powerRank = fc.record({ senderLevel: level, originServerTs, eventId });
const position = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.constant(Infinity));
const mainlineRank = fc.record({ position, originServerTs, eventId });
const depthRank = fc.record({
  depth: fc.integer({ min: 0, max: 3 }),
  sha1: fc.stringMatching(/^[0-9a-f]{2}$/),
});

function isOrder<Rank>(ranks: fc.Arbitrary<Rank>, compare: (a: Rank, b: Rank) => number): void {
  fc.assert(
    fc.property(ranks, ranks, ranks, (a, b, c) => {
      assert.is(Math.sign(compare(a, b)) + Math.sign(compare(b, a)), 0);
      assert.is(compare(a, a), 0);
      if (compare(a, b) <= 0 && compare(b, c) <= 0) assert.ok(compare(a, c) <= 0);
    }),
    { numRuns: 2_000 },
  );
}

test('the power order is antisymmetric and transitive', () => isOrder(powerRank, comparePowerRanks));
test('the mainline order is antisymmetric and transitive', () => isOrder(mainlineRank, compareMainlineRanks));
test('the depth order of version 1 is antisymmetric and transitive', () =>
  isOrder(depthRank, compareDepthRanks));

test('two different events are never equal in the power order or the mainline order', () => {
  fc.assert(
    fc.property(powerRank, powerRank, mainlineRank, mainlineRank, (a, b, c, d) => {
      if (a.eventId !== b.eventId) assert.is.not(comparePowerRanks(a, b), 0);
      if (c.eventId !== d.eventId) assert.is.not(compareMainlineRanks(c, d), 0);
    }),
  );
});

test('ids are compared by code point: not by locale, not by UTF-16 unit', () => {
  const ids = ['$b', '$B', '$a', '$_', '$-', '$\u{1f600}', '$\uff5e'].map((id) => id as EventId);
  const ranks = ids.map((id) => ({ senderLevel: 0, position: 0, originServerTs: 0, eventId: id }));
  const expected = ['$-', '$B', '$_', '$a', '$b', '$\uff5e', '$\u{1f600}'];
  assert.equal(
    ranks.toSorted(comparePowerRanks).map((rank) => rank.eventId),
    expected,
  );
  assert.equal(
    ranks.toSorted(compareMainlineRanks).map((rank) => rank.eventId),
    expected,
  );
});

test('more power, then the earlier timestamp, goes first', () => {
  const rank = (senderLevel: number | bigint, ts: number) => ({
    senderLevel,
    originServerTs: ts,
    eventId: '$a' as EventId,
  });
  assert.ok(comparePowerRanks(rank(Infinity, 9), rank(100, 1)) < 0);
  assert.ok(comparePowerRanks(rank(100, 9), rank(50, 1)) < 0);
  assert.ok(comparePowerRanks(rank(0, 1), rank(-5, 1)) < 0);
  assert.ok(comparePowerRanks(rank(50, 1), rank(50, 2)) < 0);
});

test('no place on the mainline goes before its oldest event, and that before its newest', () => {
  const rank = (at: number) => ({ position: at, originServerTs: 0, eventId: '$a' as EventId });
  assert.ok(compareMainlineRanks(rank(Infinity), rank(7)) < 0);
  assert.ok(compareMainlineRanks(rank(7), rank(0)) < 0);
});

test('less depth stands first in version 1, and at equal depth the greater hash', () => {
  assert.ok(compareDepthRanks({ depth: 1, sha1: '00' }, { depth: 2, sha1: 'ff' }) < 0);
  assert.ok(compareDepthRanks({ depth: 1, sha1: 'ff' }, { depth: 1, sha1: '00' }) < 0);
});

test('a heap gives back what was put in, smallest first', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 50 })), (numbers) => {
      const heap = new Heap<number>((a, b) => a - b);
      for (const number of numbers) heap.push(number);
      const out: number[] = [];
      for (let next = heap.pop(); next !== undefined; next = heap.pop()) out.push(next);
      assert.equal(
        out,
        numbers.toSorted((a, b) => a - b),
      );
    }),
  );
});

test('different pairs of type and state key have different keys, whatever they hold', () => {
  const text = fc.string({ maxLength: 4, unit: fc.constantFrom('1', ':', '\0', 'a', '"') });
  const pair = fc.record({ type: text, stateKey: text });
  fc.assert(
    fc.property(pair, pair, (a, b) => {
      assert.is(keyOf(a.type, a.stateKey) === keyOf(b.type, b.stateKey), compareKeys(a, b) === 0);
    }),
    { numRuns: 2_000 },
  );
});

test.run();
