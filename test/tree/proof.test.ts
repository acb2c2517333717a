// A proof convinces someone who has the root's hash and nothing else; no altered proof convinces anyone of
// anything but the truth.

import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { blake3 } from '../../src/lib/blake3.js';
import { StateroomError } from '../../src/lib/errors.js';
import { encodeInner } from '../../src/tree/codec.js';
import { verifyProof } from '../../src/tree/proof.js';
import { EMPTY_ROOT } from '../../src/tree/tree.js';
import { Forest, keyOf, members, put } from './support/forest.js';

const test = suite('tree/proof');

const forest = new Forest();
const all = members(2_000);
const root = forest.build(all);

test('proves that a key is there, with its tag and value', () => {
  for (const { key, tag, value } of all.slice(0, 200)) {
    const proven = verifyProof(root.hash, key, forest.tree.prove(root, key));
    assert.is(proven.present, true);
    assert.equal(proven.entry?.value, value);
    assert.is(proven.entry?.tag, tag);
  }
});

test('proves that a key is not there', () => {
  for (let i = 0; i < 200; i++) {
    const key = keyOf(`nobody ${i}`);
    assert.equal(verifyProof(root.hash, key, forest.tree.prove(root, key)), {
      present: false,
      entry: undefined,
    });
  }
  const nothing = verifyProof(EMPTY_ROOT.hash, keyOf('x'), forest.tree.prove(EMPTY_ROOT, keyOf('x')));
  assert.is(nothing.present, false);
});

test('an absence may end at an inner node where nothing is', () => {
  const small = new Forest(undefined, undefined, (key) => new Uint8Array(16).fill(key[0] as number));
  const at = (text: string): ReturnType<typeof put> =>
    put(text, text, 1, (key) => new Uint8Array(16).fill(key[0] as number));
  const sparse = small.build(
    ['\x00', '\x50'].flatMap((head) => Array.from({ length: 17 }, (_, i) => at(`${head}${i}`))),
  );
  const { key } = at('\x70');
  const proof = small.tree.prove(sparse, key);
  assert.is(proof.nodes.length, 1);
  assert.is(verifyProof(sparse.hash, key, proof).present, false);
});

function isRefused(run: () => unknown): boolean {
  try {
    run();
    return false;
  } catch (error) {
    assert.instance(error, StateroomError);
    assert.is((error as StateroomError).code, 'TREE_PROOF_INVALID');
    return true;
  }
}

test('refuses a proof for another root, cut short, extended or put in another order', () => {
  const { key } = all[7] ?? put('', '');
  const { nodes } = forest.tree.prove(root, key);
  assert.ok(nodes.length >= 3);
  assert.ok(isRefused(() => verifyProof(EMPTY_ROOT.hash, key, { nodes })));
  assert.ok(isRefused(() => verifyProof(root.hash, key, { nodes: [] })));
  assert.ok(isRefused(() => verifyProof(root.hash, key, { nodes: nodes.slice(0, -1) })));
  assert.ok(isRefused(() => verifyProof(root.hash, key, { nodes: nodes.slice(1) })));
  assert.ok(isRefused(() => verifyProof(root.hash, key, { nodes: [...nodes].reverse() })));
  assert.ok(isRefused(() => verifyProof(root.hash, key, { nodes: [...nodes, ...nodes.slice(-1)] })));
  assert.ok(
    isRefused(() =>
      verifyProof(root.hash, key, { nodes: Array.from({ length: 1_000 }, () => nodes[0] as Uint8Array) }),
    ),
  );
});

test('refuses a proof with any byte altered, and one for a key elsewhere', () => {
  fc.assert(
    fc.property(
      fc.nat({ max: 1_999 }),
      fc.nat(),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (which, node, at, flip) => {
        const { key } = all[which] ?? put('', '');
        const nodes = forest.tree.prove(root, key).nodes.map((bytes) => Uint8Array.from(bytes));
        const altered = nodes[node % nodes.length] as Uint8Array;
        altered[at % altered.length] = (altered[at % altered.length] as number) ^ flip;
        return isRefused(() => verifyProof(root.hash, key, { nodes }));
      },
    ),
  );
  const wrong = forest.tree.prove(root, keyOf('elsewhere'));
  const { key } = all[0] ?? put('', '');
  assert.ok(isRefused(() => verifyProof(root.hash, key, wrong)));
});

test('bytes of strangers give a typed refusal, whatever root they claim', () => {
  const kinds = fc.constantFrom(1, 2, 3, 0, 255);
  fc.assert(
    fc.property(kinds, fc.uint8Array({ maxLength: 200 }), (kind, rest) => {
      const bytes = Uint8Array.of(kind, ...rest);
      const verify = (): unknown => verifyProof(blake3(bytes), keyOf('any'), { nodes: [bytes] });
      if (!isRefused(verify)) assert.is((verify() as { present: boolean }).present, false);
    }),
    { numRuns: 500 },
  );
});

test('refuses a path that does not go down, even when its hashes fit', () => {
  const leaf = { hash: blake3(Uint8Array.of(1, 0)), count: 17, joined: 0 };
  const lower = encodeInner(3, [0x00, 0x08], [leaf, leaf]);
  const summary = { hash: blake3(lower), count: 34, joined: 0 };
  const key = { bytes: Uint8Array.of(1), position: new Uint8Array(16) };
  for (const [depth, isValid] of [
    [2, true],
    [3, false],
    [4, false],
  ] as const) {
    const upper = encodeInner(depth, [0x00, 0x08], [summary, summary]);
    const nodes = [upper, lower, Uint8Array.of(1, 0)];
    assert.is(
      isRefused(() => verifyProof(blake3(upper), key, { nodes })),
      !isValid,
    );
  }
});

test.run();
