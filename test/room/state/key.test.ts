// Keys and values of a state's tree that come from elsewhere: what passes for one is one, and is read without fault.

import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOM_VERSIONS } from '../../../src/event/rules.js';
import { toHex, utf8 } from '../../../src/lib/bytes.js';
import { isTreeKey, positionOf, readKey, treeKeyOf } from '../../../src/room/state/key.js';
import { idOfValue, isIdValue, valueOfId } from '../../../src/room/state/value.js';

const test = suite('room/state keys');

const words = fc.string({ unit: 'binary', maxLength: 20 });

test('the key of any type and state key is one, and is read back', () => {
  fc.assert(
    fc.property(fc.oneof(words, fc.constant('m.room.member')), words, (type, stateKey) => {
      const { bytes } = treeKeyOf(type, stateKey);
      assert.ok(isTreeKey(bytes));
      assert.equal(readKey(bytes), { type, stateKey });
    }),
  );
});

test('bytes that pass for a key are the key of what they say, and have a place', () => {
  const wild = fc.oneof(
    fc.uint8Array({ maxLength: 30 }),
    fc
      .tuple(fc.constantFrom(0, 1), fc.uint8Array({ maxLength: 30 }))
      .map(([kind, rest]) => Uint8Array.of(kind, ...rest)),
    fc.tuple(fc.nat({ max: 20 }), words).map(([length, text]) => Uint8Array.of(0, length, ...utf8(text))),
  );
  fc.assert(
    fc.property(wild, (bytes) => {
      if (!isTreeKey(bytes)) return;
      const { type, stateKey } = readKey(bytes);
      assert.is(toHex(treeKeyOf(type, stateKey).bytes), toHex(bytes));
      assert.is(positionOf(bytes).length, 16);
    }),
    { numRuns: 500 },
  );
});

test('bytes of neither kind, cut off, not UTF-8, or of a member in the wrong form are no key', () => {
  const member = utf8('m.room.member');
  const cases = [
    [],
    [2, 1, 97],
    [0],
    [0, 5, 97],
    [0, 0x80],
    [0, 0x81, 0x00, 97],
    [1, 0xff],
    [0, 1, 0xff],
    [0, 1, 97, 0xc3],
    [0, member.length, ...member, 64],
  ];
  for (const bytes of cases) assert.not.ok(isTreeKey(Uint8Array.from(bytes)), bytes.join(' '));
});

for (const rules of ROOM_VERSIONS) {
  test(`version ${rules.version}: bytes that pass for an id are read without fault`, () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), (value) => {
        if (isIdValue(value, rules)) assert.type(idOfValue(value, rules), 'string');
      }),
    );
    assert.ok(isIdValue(valueOfId(idOfValue(new Uint8Array(32).fill(65), rules), rules), rules));
    assert.not.ok(isIdValue(Uint8Array.of(0xff), rules));
  });
}

test.run();
