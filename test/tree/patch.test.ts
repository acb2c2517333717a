// A patch makes one tree of another, and what is none is refused.

import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { concatBytes, toHex } from '../../src/lib/bytes.js';
import { StateroomError } from '../../src/lib/errors.js';
import { encodePatchEntry, readPatch } from '../../src/tree/patch.js';
import { EMPTY_ROOT } from '../../src/tree/tree.js';
import type { Change } from '../../src/tree/types.js';
import { Forest, hashedPosition, hex, put, remove } from './support/forest.js';

const test = suite('tree/patch');

const READING = { positionOf: hashedPosition, isKey: (key: Uint8Array) => key.length > 0 };

const changes = fc.array(
  fc
    .tuple(fc.nat({ max: 60 }), fc.constantFrom('a', 'b', undefined), fc.nat({ max: 5 }))
    .map(([i, value, tag]): Change => (value === undefined ? remove(`k${i}`) : put(`k${i}`, value, tag))),
  { maxLength: 80 },
);

test('a tree changed by the patch to another has its root, with a store of its own', () => {
  fc.assert(
    fc.property(changes, changes, changes, (both, ours, theirs) => {
      const [here, there] = [new Forest(), new Forest()];
      const local = here.update(here.update(EMPTY_ROOT, both), ours);
      const [copy, remote] = [local, there.update(there.update(EMPTY_ROOT, both), theirs)];
      const known = there.update(there.update(EMPTY_ROOT, both), ours);
      assert.is(hex(known), hex(copy));
      const patch = concatBytes(...Array.from(there.tree.diff(known, remote), encodePatchEntry));
      const read = readPatch(patch, READING);
      assert.is(toHex(here.tree.hashAfter(local, read)), hex(remote));
      for (const { key, before, after } of here.tree.differencesOf(local, read)) {
        assert.is(before === undefined && after === undefined, false, `${toHex(key)} is a difference`);
      }
    }),
    { numRuns: 100 },
  );
});

test('nothing is the patch to an equal tree', () => {
  assert.equal(readPatch(new Uint8Array(), READING), []);
});

function refusal(patch: Uint8Array): string {
  try {
    readPatch(patch, READING);
  } catch (error) {
    assert.instance(error, StateroomError);
    return (error as StateroomError).code;
  }
  return 'none';
}

test('what is cut off, out of order, twice there, too long or no key is refused', () => {
  const forest = new Forest();
  const root = forest.build(['a', 'b', 'c'].map((name) => put(name, name)));
  const entries = Array.from(forest.tree.diff(EMPTY_ROOT, root), encodePatchEntry);
  const [first, second] = entries as [Uint8Array, Uint8Array, Uint8Array];
  const whole = concatBytes(...entries);
  assert.is(refusal(whole), 'none');
  for (let end = 1; end < whole.length; end++) {
    const isWhole = end % first.length === 0;
    assert.is(refusal(whole.subarray(0, end)), isWhole ? 'none' : 'TREE_MALFORMED', `${end}`);
  }
  const cases = [
    concatBytes(second, first),
    concatBytes(first, first),
    Uint8Array.of(0, 1, 1, 1),
    Uint8Array.of(0xff, 0xff, 0xff, 0x7f),
    Uint8Array.of(1, 97, 0, 0x80, 0x80, 0x01),
  ];
  for (const bytes of cases) assert.is(refusal(bytes), 'TREE_MALFORMED', toHex(bytes));
});

test.run();
