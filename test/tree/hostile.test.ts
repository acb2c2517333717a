// Keys ground by an attacker to lie close together. Grinding n bits takes 2^n tries a key, so 18 to 20 bits
// is what 10,000 keys can afford; the tree must make of it no more than a slightly longer path.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { NewEntry } from '../../src/tree/types.js';
import { blake3 } from '../../src/lib/blake3.js';
import { utf8 } from '../../src/lib/bytes.js';
import { Forest, members, valueOf } from './support/forest.js';

const test = suite('tree/hostile');

/** As if ground: the first `bits` bits are those of a victim, the rest is a hash. */
function groundPosition(bits: number): (key: Uint8Array) => Uint8Array {
  const victim = blake3(utf8('victim'));
  return (key) => {
    const position = blake3(key).slice(0, 16);
    if (key[0] !== 0x21) return position;
    const whole = bits >> 3;
    position.set(victim.subarray(0, whole));
    const free = 0xff >> (bits & 7);
    position[whole] = ((victim[whole] as number) & ~free) | ((position[whole] as number) & free);
    return position;
  };
}

for (const bits of [18, 20, 64]) {
  test(`10,000 keys that share ${bits} bits write no more per put than a few nodes, and are read in a few`, () => {
    const positionOf = groundPosition(bits);
    const forest = new Forest(undefined, undefined, positionOf);
    const entry = (text: string, value: string): NewEntry => ({
      key: { bytes: utf8(text), position: positionOf(utf8(text)) },
      tag: 1,
      value: valueOf(value),
    });
    const honest = members(5_000).map(({ key, tag, value }) => ({
      key: { bytes: key.bytes, position: positionOf(key.bytes) },
      tag,
      value,
    }));
    const attackers = Array.from({ length: 10_000 }, (_, i) => entry(`!${i}`, `${i}`));
    let root = forest.build([...honest, ...attackers]);
    for (let i = 0; i < 300; i++) {
      const before = forest.records.bytesWritten;
      root = forest.update(root, [entry(`!${(i * 37) % 10_100}`, `again ${i}`)]);
      const written = forest.records.bytesWritten - before;
      assert.ok(written <= 4_500, `${written} bytes`);
    }
    const cold = new Forest(forest.records, undefined, positionOf);
    assert.ok(cold.tree.has({ ...root }, entry('!37', '').key));
    assert.ok(cold.tree.stats.visits <= 9, `${cold.tree.stats.visits} nodes`);
  });
}

test('keys of 255 bytes make longer leaves and nothing worse', () => {
  const forest = new Forest();
  const long = (i: number): NewEntry => {
    const bytes = utf8(`m.room.member\0@${`${i}`.padStart(240, 'x')}`);
    return { key: { bytes, position: blake3(bytes).subarray(0, 16) }, tag: 1, value: valueOf(`${i}`) };
  };
  let root = forest.build(Array.from({ length: 3_000 }, (_, i) => long(i)));
  for (let i = 0; i < 100; i++) {
    const before = forest.records.bytesWritten;
    root = forest.update(root, [{ ...long(i), value: valueOf('again') }]);
    assert.ok(forest.records.bytesWritten - before <= 8_000);
  }
});

test.run();
