// A walk over a tree that lies elsewhere finds just what differs, asks for few nodes to do so, and believes
// nothing that cannot be true.

import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { blake3 } from '../../src/lib/blake3.js';
import { fromUtf8, toHex } from '../../src/lib/bytes.js';
import { StateroomError } from '../../src/lib/errors.js';
import { encodeInner, encodeLeaf, parseInner, parseLeaf } from '../../src/tree/codec.js';
import type { RemoteWalk, RemoteWalkOptions } from '../../src/tree/remote-walk.js';
import { EMPTY_ROOT } from '../../src/tree/tree.js';
import type { Change, Difference, NewEntry, RootRef, TreeEntry } from '../../src/tree/types.js';
import { chosenPosition, Forest, hex, members, put, remove } from './support/forest.js';

const test = suite('tree/remote-walk');

const FREE: RemoteWalkOptions = { isKey: () => true, entriesMax: 1e6, nodesMax: 1e6, bytesMax: 1e9 };

const names = fc
  .tuple(
    fc.constantFrom('', '', 'abcd', 'abcdef0123', 'ffff'),
    fc.string({ unit: fc.constantFrom('0', '1', '7', '8'), maxLength: 3 }),
    fc.constantFrom('', ':x', ':y'),
  )
  .map((parts) => parts.join(''));
const sets = fc.uniqueArray(fc.tuple(names, fc.constantFrom('a', 'b')), {
  selector: ([name]) => name,
  maxLength: 120,
});

const entriesOf = (set: ReadonlyArray<readonly [string, string]>): NewEntry[] =>
  set.map(([name, value]) => put(name, value, 1, chosenPosition));

/** Asks the giver for what is wanted until nothing is. */
function walk(
  asker: Forest,
  local: RootRef,
  giver: Forest,
  remote: RootRef,
  options: Partial<RemoteWalkOptions> = {},
): RemoteWalk {
  const walking = asker.tree.walkRemote(local, remote.hash, { ...FREE, ...options });
  while (!walking.isDone) {
    for (const { path, hash } of walking.next(7)) {
      const bytes = giver.tree.nodeAt(remote, path);
      assert.ok(bytes, `a node at ${path}`);
      assert.is(toHex(blake3(bytes)), toHex(hash));
      walking.take(path, bytes);
    }
  }
  return walking;
}

function told(differences: Iterable<Difference>): string[] {
  const side = (entry: TreeEntry | undefined): string =>
    entry === undefined ? '-' : `${entry.tag} ${toHex(entry.value).slice(0, 8)}`;
  return Array.from(
    differences,
    ({ key, before, after }) => `${fromUtf8(key)} ${side(before)} ${side(after)}`,
  );
}

function changesOf(differences: Iterable<Difference>): Change[] {
  return Array.from(differences, ({ key, position, after }) => ({
    key: { bytes: key, position },
    tag: after?.tag ?? 0,
    value: after?.value,
  }));
}

test('what a walk finds is what differs, and the tree here changed by it has the root there', () => {
  fc.assert(
    fc.property(sets, sets, (left, right) => {
      const asker = new Forest(undefined, undefined, chosenPosition);
      const giver = new Forest(undefined, undefined, chosenPosition);
      const local = asker.build(entriesOf(left));
      const remote = giver.build(entriesOf(right));
      const walking = walk(asker, local, giver, remote);
      const both = asker.build(entriesOf(right));
      assert.equal(told(walking.differences()), told(asker.tree.diff(local, both)));
      assert.is(toHex(asker.tree.hashAfter(local, changesOf(walking.differences()))), hex(remote));
      assert.is(asker.tree.stats.pinnedNodes, 0);
    }),
    { numRuns: 300 },
  );
});

test('trees that parted long ago are compared alike, whatever happened to them since', () => {
  const histories = fc.array(fc.tuple(names, fc.constantFrom('a', 'b', undefined)), { maxLength: 60 });
  const changeOf = ([name, value]: readonly [string, string | undefined]): Change =>
    value === undefined ? remove(name, chosenPosition) : put(name, value, 1, chosenPosition);
  fc.assert(
    fc.property(sets, histories, histories, (start, ours, theirs) => {
      const asker = new Forest(undefined, undefined, chosenPosition);
      const giver = new Forest(undefined, undefined, chosenPosition);
      const local = asker.update(asker.build(entriesOf(start)), ours.map(changeOf));
      const remote = giver.update(giver.build(entriesOf(start)), theirs.map(changeOf));
      const walking = walk(asker, local, giver, remote);
      assert.is(toHex(asker.tree.hashAfter(local, changesOf(walking.differences()))), hex(remote));
    }),
    { numRuns: 200 },
  );
});

test('from nothing all entries come, and to nothing all go', () => {
  const [asker, giver] = [new Forest(), new Forest()];
  const all = members(500);
  const remote = giver.build(all);
  const here = walk(asker, EMPTY_ROOT, giver, remote);
  assert.is([...here.differences()].length, 500);
  assert.is(here.count, 500);
  const local = asker.build(all);
  const gone = walk(asker, local, giver, EMPTY_ROOT);
  assert.is([...gone.differences()].filter(({ after }) => after === undefined).length, 500);
});

test('of an equal tree nothing is asked for', () => {
  const forest = new Forest();
  const root = forest.build(members(500));
  const walking = forest.tree.walkRemote(root, root.hash, FREE);
  assert.ok(walking.isDone);
  assert.equal([...walking.differences()], []);
});

test('one change among 10,000 costs a path, and 100 cost little more than their paths', () => {
  const all = members(10_000);
  const [asker, giver] = [new Forest(), new Forest()];
  const local = asker.build(all);
  const start = giver.build(all);
  for (const [changes, nodesMax] of [
    [1, 5],
    [100, 300],
  ] as const) {
    const changed = all.slice(0, changes).map(({ key }) => ({ key, tag: 3, value: blake3(key.bytes) }));
    const walking = walk(asker, local, giver, giver.update(start, changed));
    assert.is([...walking.differences()].length, changes);
    assert.ok(walking.stats.nodes <= nodesMax, `${walking.stats.nodes} nodes`);
  }
});

test('no more than so many nodes are wanted at once, the upper ones first', () => {
  const giver = new Forest();
  const remote = giver.build(members(2_000));
  const walking = new Forest().tree.walkRemote(EMPTY_ROOT, remote.hash, FREE);
  let depth = 0;
  while (!walking.isDone) {
    const next = walking.next(10);
    assert.ok(next.length > 0 && next.length <= 10);
    for (const { path } of next) {
      assert.ok(path.length >= depth);
      depth = path.length;
      walking.take(path, giver.tree.nodeAt(remote, path) ?? new Uint8Array());
    }
  }
});

test('a path that leads nowhere names no node', () => {
  const forest = new Forest();
  const root = forest.build(members(40));
  for (const path of ['0'.repeat(33), 'x', '0x', 'zz', '0000000']) {
    assert.is(forest.tree.nodeAt(root, path), undefined, path);
  }
  assert.is(forest.tree.nodeAt(EMPTY_ROOT, '0'), undefined);
});

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    assert.instance(error, StateroomError);
    return (error as StateroomError).code;
  }
  return 'none';
}

/** Walks with a giver who answers with other bytes wherever `lie` has some. */
function lied(
  lie: (path: string, bytes: Uint8Array) => Uint8Array,
  options: Partial<RemoteWalkOptions> = {},
): string {
  const [asker, giver] = [new Forest(), new Forest()];
  const local = asker.build(members(300));
  const remote = giver.build(members(400));
  return refusal(() => {
    const root = lie('', giver.tree.nodeAt(remote, '') ?? new Uint8Array());
    const walking = asker.tree.walkRemote(local, blake3(root), { ...FREE, ...options });
    walking.take('', root);
    while (!walking.isDone) {
      for (const { path } of walking.next(10)) {
        walking.take(path, lie(path, giver.tree.nodeAt(remote, path) ?? new Uint8Array()));
      }
    }
  });
}

const INVALID = 'TREE_REMOTE_INVALID';

test('a node with another hash than its parent says is refused', () => {
  const flip = (bytes: Uint8Array): Uint8Array =>
    bytes.map((byte, i) => (i === bytes.length - 1 ? byte ^ 1 : byte));
  assert.is(
    lied((path, bytes) => (path === '' ? bytes : flip(bytes))),
    INVALID,
  );
  assert.is(
    lied((path, bytes) => (path === '' ? bytes : new Uint8Array(bytes.length))),
    INVALID,
  );
  assert.is(
    lied((path, bytes) => (path.length < 2 ? bytes : new Uint8Array())),
    INVALID,
  );
});

/** A root made by hand over children made by hand. */
function rooted(
  children: readonly {
    readonly range: number;
    readonly bytes: Uint8Array;
    readonly count?: number;
    readonly joined?: number;
  }[],
  depth = 0,
): (path: string) => Uint8Array {
  const summaries = children.map(({ bytes, count, joined }) => {
    const inLeaf = bytes[0] === 2 ? 17 : parseLeaf(bytes).count;
    return { hash: blake3(bytes), count: count ?? inLeaf, joined: joined ?? count ?? inLeaf };
  });
  const root = encodeInner(
    depth,
    children.map(({ range }) => range),
    summaries,
  );
  return (path) => {
    if (path === '') return root;
    const low = Number.parseInt(path[0] ?? '', 16);
    return children.find(({ range }) => range >> 3 === low)?.bytes ?? new Uint8Array();
  };
}

/** A walk over a tree made by hand, from nothing. */
function judged(giver: (path: string) => Uint8Array, options: Partial<RemoteWalkOptions> = {}): string {
  const asker = new Forest(undefined, undefined, chosenPosition);
  const walking = asker.tree.walkRemote(EMPTY_ROOT, blake3(giver('')), { ...FREE, ...options });
  return refusal(() => {
    while (!walking.isDone) for (const { path } of walking.next(16)) walking.take(path, giver(path));
  });
}

const leafOf = (texts: readonly string[]): Uint8Array =>
  encodeLeaf(
    texts.map((text) => {
      const { key, tag, value } = put(text, text, 1, chosenPosition);
      return { key: key.bytes, tag, value };
    }),
  );
const under = (head: string, count = 9): string[] =>
  Array.from({ length: count }, (_, i) => `${head}${i.toString(16)}`);

test('a tree made by hand that is as it should be is taken', () => {
  assert.is(
    judged(
      rooted([
        { range: 0x03, bytes: leafOf(under('1')) },
        { range: 0x43, bytes: leafOf(under('9')) },
      ]),
    ),
    'none',
  );
});

test('nodes of the right hash and the wrong form, count, order or place are refused', () => {
  const good = { range: 0x43, bytes: leafOf(under('9')) };
  const wide = 0x03;
  const cases: Record<string, readonly Parameters<typeof rooted>[0][number][]> = {
    'entries of another range': [{ range: wide, bytes: leafOf(under('a')) }, good],
    'no order': [{ range: wide, bytes: leafOf(under('1').reverse()) }, good],
    'one key twice': [{ range: wide, bytes: leafOf(['11', '11', ...under('2', 8)]) }, good],
    'another count': [{ range: wide, bytes: leafOf(under('1')), count: 12, joined: 9 }, good],
    'another count of joined': [{ range: wide, bytes: leafOf(under('1')), joined: 3 }, good],
    'more joined than there are': [{ range: wide, bytes: leafOf(under('1')), joined: 30 }, good],
    'an empty child': [
      { range: wide, bytes: leafOf([]) },
      { ...good, bytes: leafOf(under('9', 16)) },
    ],
    'a leaf of too many': [
      { range: 1 << 3, bytes: leafOf(under('1', 16).concat(under('1f', 9)).sort()) },
      good,
    ],
    'a wide child of too many': [{ range: wide, bytes: leafOf(under('1')), count: 40 }, good],
    'fewer than an inner node has': [
      { range: wide, bytes: leafOf(['1']) },
      { ...good, bytes: leafOf(['9']) },
    ],
    'no node': [{ range: wide, bytes: leafOf(under('1')).fill(9, 0, 1), count: 9 }, good],
  };
  for (const [name, children] of Object.entries(cases)) {
    if (name === 'no node') continue;
    assert.is(judged(rooted(children)), INVALID, name);
  }
  assert.is(
    judged(() => Uint8Array.of(9)),
    INVALID,
    'no node',
  );
  assert.is(
    judged(() => new Uint8Array()),
    INVALID,
    'nothing',
  );
});

test('an inner node that does not go down, or stands where a leaf must, is refused', () => {
  const inner = rooted([
    { range: 0x03, bytes: leafOf(under('1')) },
    { range: 0x43, bytes: leafOf(under('9')) },
  ])('');
  const beside = { range: 0x08 << 3, bytes: leafOf(under('8')) };
  assert.is(parseInner(inner).depth, 0);
  assert.is(
    judged(rooted([{ range: 1 << 3, bytes: inner, count: 18, joined: 18 }, beside])),
    INVALID,
    'same depth',
  );
  const deeper = rooted(
    [
      { range: 0x03, bytes: leafOf(under('11', 8)) },
      { range: 0x43, bytes: leafOf(under('19', 8)) },
    ],
    1,
  )('');
  assert.is(judged(rooted([{ range: 0x03, bytes: deeper, count: 16, joined: 16 }, beside])), INVALID, 'wide');
});

test('entries below one inner node that do not share what it skips are refused', () => {
  const giver = rooted(
    [
      { range: 0x03, bytes: leafOf(under('aa1')) },
      { range: 0x43, bytes: leafOf(under('ab9')) },
    ],
    2,
  );
  assert.is(judged(giver), INVALID);
});

test('what is no key is refused before anybody asks where it lies', () => {
  assert.is(
    lied((_, bytes) => bytes, { isKey: (key) => key.length < 3 }),
    INVALID,
  );
});

test('a tree of too many nodes, bytes or entries ends the walk', () => {
  const TOO_LARGE = 'TREE_REMOTE_TOO_LARGE';
  const honest = (_: string, bytes: Uint8Array): Uint8Array => bytes;
  assert.is(lied(honest), 'none');
  assert.is(lied(honest, { nodesMax: 3 }), TOO_LARGE);
  assert.is(lied(honest, { bytesMax: 2_000 }), TOO_LARGE);
  assert.is(lied(honest, { entriesMax: 399 }), TOO_LARGE);
});

test('a set in another shape than its own has another root, and so is found out', () => {
  // Narrower ranges than the halves that hold at most a leaf: no set is split so.
  const [left, right] = [under('0', 8), under('7', 9)];
  const giver = rooted([
    { range: 0x00, bytes: leafOf(left) },
    { range: 7 << 3, bytes: leafOf(right) },
  ]);
  const asker = new Forest(undefined, undefined, chosenPosition);
  const walking = asker.tree.walkRemote(EMPTY_ROOT, blake3(giver('')), FREE);
  while (!walking.isDone) for (const { path } of walking.next(16)) walking.take(path, giver(path));
  const hash = asker.tree.hashAfter(EMPTY_ROOT, changesOf(walking.differences()));
  assert.is.not(toHex(hash), toHex(blake3(giver(''))));
});

test('any byte of any node altered is refused, whatever it is', () => {
  const giver = new Forest();
  const remote = giver.build(members(60));
  fc.assert(
    fc.property(fc.nat(), fc.nat(), fc.integer({ min: 1, max: 255 }), (which, where, by) => {
      const asker = new Forest();
      const walking = asker.tree.walkRemote(EMPTY_ROOT, remote.hash, FREE);
      let taken = 0;
      const code = refusal(() => {
        while (!walking.isDone) {
          for (const { path } of walking.next(16)) {
            const bytes = new Uint8Array(giver.tree.nodeAt(remote, path) ?? []);
            if (taken++ === which % 6) bytes[where % bytes.length] = (bytes[where % bytes.length] ?? 0) ^ by;
            walking.take(path, bytes);
          }
        }
      });
      assert.is(code, INVALID);
    }),
    { numRuns: 100 },
  );
});

test.run();
