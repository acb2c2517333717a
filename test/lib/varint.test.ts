import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { VARINT_BYTES_MAX, readVarint, varintLength, writeVarint } from '../../src/lib/varint.js';

const test = suite('lib/varint');

const numbers = fc.oneof(
  fc.maxSafeNat(),
  fc.nat({ max: 300 }),
  fc
    .integer({ min: 0, max: 53 })
    .chain((bit) => fc.constantFrom(2 ** bit - 1, Math.min(2 ** bit, 2 ** 53 - 1))),
);

test('reads back every number that was written, and says its length', () => {
  fc.assert(
    fc.property(numbers, fc.nat({ max: 5 }), (value, at) => {
      const bytes = new Uint8Array(at + VARINT_BYTES_MAX);
      const end = writeVarint(bytes, at, value);
      assert.is(end - at, varintLength(value));
      assert.is(readVarint(bytes, at), value);
      assert.is(readVarint(bytes, at, end), value);
      assert.is(readVarint(bytes, at, end - 1), -1);
    }),
  );
});

test('writes the bytes of unsigned LEB128', () => {
  const written = (value: number): number[] => {
    const bytes = new Uint8Array(VARINT_BYTES_MAX);
    return [...bytes.subarray(0, writeVarint(bytes, 0, value))];
  };
  assert.equal(written(0), [0]);
  assert.equal(written(127), [0x7f]);
  assert.equal(written(128), [0x80, 0x01]);
  assert.equal(written(300), [0xac, 0x02]);
  assert.equal(written(624485), [0xe5, 0x8e, 0x26]);
  assert.equal(written(Number.MAX_SAFE_INTEGER), [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]);
});

test('refuses what is cut off, longer than needed, or beyond 53 bits', () => {
  assert.is(readVarint(Uint8Array.of(), 0), -1);
  assert.is(readVarint(Uint8Array.of(0x80), 0), -1);
  assert.is(readVarint(Uint8Array.of(0x80, 0x00), 0), -1, 'a zero in two bytes');
  assert.is(readVarint(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x10), 0), -1, '2^53');
  assert.is(readVarint(Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01), 0), -1, '2^56');
});

test('accepts exactly one form of each number', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 9 }), (bytes) => {
      const value = readVarint(bytes, 0);
      if (value === -1) return;
      const again = new Uint8Array(VARINT_BYTES_MAX);
      const end = writeVarint(again, 0, value);
      assert.equal([...again.subarray(0, end)], [...bytes.subarray(0, end)]);
    }),
  );
});

test.run();
