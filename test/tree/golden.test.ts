// Roots that never change. If one of these fails, the logical bytes or the shape changed, and every stored
// root, proof and comparison between servers with them: mend the code, not the hash.

import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { toHex } from '../../src/lib/bytes.js';
import { blake3 } from '../../src/lib/blake3.js';
import { EMPTY_ROOT } from '../../src/tree/tree.js';
import type { NewEntry } from '../../src/tree/types.js';
import { Forest, chosenPosition, draw, hex, members, put } from './support/forest.js';

const test = suite('tree/golden');

test('the empty tree is BLAKE3 of 01 00', () => {
  assert.is(hex(EMPTY_ROOT), toHex(blake3(Uint8Array.of(1, 0))));
  assert.is(hex(EMPTY_ROOT), '687376c930d7020a32f04c396fc2e5eab49cd09a738fa03d573033416a6a47ce');
});

test('one entry', () => {
  assert.is(
    hex(new Forest().build([put('m.room.create\0', 'create', 0)])),
    '45ffeb850a8a21ef61a87e405f24a42c97a6d80726bcd77aa4b51a48055e14b4',
  );
});

test('one entry whose value is not 32 bytes long', () => {
  const entry = { ...put('m.room.create\0', 'create', 0), value: Uint8Array.of(1, 2, 3) };
  assert.is(
    hex(new Forest().build([entry])),
    '2e25028cb4c4b0859e1460816ebd57cd733dcae8e1f53b174989a9341841c281',
  );
});

test('17 entries', () => {
  const forest = new Forest();
  const root = forest.build(members(17));
  assert.is(draw(forest.records, root).split('\n')[0], 'inner at 0, 17');
  assert.is(hex(root), 'ff92bb733bd96307d8a47fab560308c38a2413dda3349815724869259a37d55a');
});

test('1,000 entries', () => {
  assert.is(
    hex(new Forest().build(members(1_000))),
    '65b851d0a87d5fb0159470f909fe16e8108bdd761eebe679768300ea062b922f',
  );
});

test('10,000 entries', () => {
  assert.is(
    hex(new Forest().build(members(10_000))),
    'd42cc1fa3ef47c1cbf39cc55dcf6675aeebf08b8601bb61d14570940051895a1',
  );
});

// The shape and the bytes once more, written straight from their description and sharing nothing with the
// implementation but the hash: slow, and short enough to be read at once.

interface Plain {
  readonly key: Uint8Array;
  readonly nibbles: readonly number[];
  readonly tag: number;
  readonly value: Uint8Array;
}

interface Summary {
  readonly hash: Uint8Array;
  readonly count: number;
  readonly joined: number;
}

function leb(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...leb(Math.floor(value / 128))];
}

function plainRoot(set: readonly Plain[]): Summary {
  const joined = set.filter(({ tag }) => tag === 1).length;
  let depth = 0;
  while (depth < 32 && set.every(({ nibbles }) => nibbles[depth] === set[0]?.nibbles[depth])) depth++;
  const bytes: number[] = [];
  if (set.length <= 16 || depth === 32) {
    const isFixed = set.every(({ value }) => value.length === 32);
    bytes.push(isFixed ? 1 : 3, ...leb(set.length));
    for (const { key, tag, value } of set) {
      bytes.push(...leb(key.length), ...key, tag, ...(isFixed ? [] : leb(value.length)), ...value);
    }
  } else {
    const parts: Array<{ low: number; log: number; child: Summary }> = [];
    const halve = (low: number, log: number): void => {
      const part = set.filter(
        ({ nibbles }) => (nibbles[depth] ?? 0) >= low && (nibbles[depth] ?? 0) < low + 2 ** log,
      );
      if (part.length === 0) return;
      if (part.length <= 16 || log === 0) {
        parts.push({ low, log, child: plainRoot(part) });
        return;
      }
      halve(low, log - 1);
      halve(low + 2 ** (log - 1), log - 1);
    };
    halve(0, 4);
    bytes.push(2, depth, parts.length);
    for (const { low, log, child } of parts)
      bytes.push(low * 8 + log, ...leb(child.count), ...leb(child.joined), ...child.hash);
  }
  return { hash: blake3(Uint8Array.from(bytes)), count: set.length, joined };
}

test('any set has the root that the plain description gives it', () => {
  const texts = fc.string({ unit: fc.constantFrom('0', '1', '9', 'f'), maxLength: 5 });
  const names = fc.tuple(fc.constantFrom('', '00000000', 'abcdef'), texts, fc.constantFrom('', ':a', ':b'));
  const entries = fc.uniqueArray(fc.tuple(names, fc.nat({ max: 3 }), fc.boolean()), {
    selector: ([parts]) => parts.join(''),
    maxLength: 200,
  });
  fc.assert(
    fc.property(entries, (drawn) => {
      const set = drawn.map(([parts, tag, isShort]): NewEntry => {
        const entry = put(parts.join(''), parts.join(''), tag, chosenPosition);
        return isShort && parts[2] === ':a' ? { ...entry, value: Uint8Array.of(tag) } : entry;
      });
      const plain = set
        .map(
          ({ key, tag, value }): Plain => ({
            key: key.bytes,
            nibbles: [...toHex(key.position)].map((digit) => Number.parseInt(digit, 16)),
            tag,
            value,
          }),
        )
        .sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
      const root = new Forest(undefined, undefined, chosenPosition).build(set);
      const expected = plainRoot(plain);
      assert.is(hex(root), hex(expected));
      assert.is(root.count, expected.count);
      assert.is(root.joined, expected.joined);
    }),
    { numRuns: 200 },
  );
});

/** Hex sorts as its bytes do. */
function sortKey({ nibbles, key }: Plain): string {
  return `${nibbles.map((nibble) => nibble.toString(16)).join('')} ${toHex(key)}`;
}

test.run();
