// What differs among many trees: all are walked at once, and the walk goes down only where they are not all
// alike. So a subtree that most of sixty versions share is looked at once, not sixty times.
//
//   60 roots ── child 0: all alike, ends here
//            ├─ child 1: 57 alike, 3 others ── go down with 4 groups, not with 60 nodes
//            └─ ...
//
// At every step the trees are in groups that hold the same there. What a group holds is a list of parts: one
// node, as a rule; several, where trees are split unlike; entries, where one tree has so few that it is a leaf
// beside an inner node of others.

import { equalBytes } from '../lib/bytes.js';
import type { NodeLoader } from './loader.js';
import { Inner, type Leaf, LeafEntry, Node, sameContent } from './node.js';
import { compareEntries, NIBBLES, nibbleAt, sharedNibbles } from './position.js';
import { scanEntries } from './scan.js';
import type { Variance } from './types.js';

type Variances = Generator<Variance, void, undefined>;

/** A node with all that is in it, or one entry. */
type Part = Node | LeafEntry;

/** Trees that hold the same in a range. Those of the first group are all that no other names. */
interface Group {
  /** What they hold, in tree order. */
  readonly parts: readonly Part[];
  readonly trees: number[];
}

/** A part and the nibbles [low, end) that it stands for. */
interface Ranged {
  readonly part: Part;
  readonly low: number;
  readonly end: number;
}

/** Every key on which not all trees agree, in tree order. */
export function diffManyNodes(loader: NodeLoader, roots: readonly Node[]): Variances {
  const [first, ...rest] = roots;
  const grouping = new Grouping(first === undefined ? [] : [first]);
  rest.forEach((root, i) => grouping.add([root], [i + 1]));
  return diffGroups(loader, grouping.groups, 0);
}

/** Puts trees with equal parts together. */
class Grouping {
  readonly groups: Group[];
  #byKey: Map<number, Group[]> | undefined;

  constructor(first: readonly Part[]) {
    this.groups = [{ parts: first, trees: [] }];
  }

  add(parts: readonly Part[], trees: readonly number[]): void {
    const known = this.#find(parts);
    if (known === this.groups[0]) return;
    if (known !== undefined) {
      for (const tree of trees) known.trees.push(tree);
      return;
    }
    const group = { parts, trees: [...trees] };
    this.groups.push(group);
    if (this.#byKey !== undefined) this.#index(this.#byKey, group);
  }

  /** Few groups are tried one after another, many are looked up. */
  #find(parts: readonly Part[]): Group | undefined {
    const { groups } = this;
    if (groups.length > GROUPS_TRIED_MAX && this.#byKey === undefined) {
      this.#byKey = new Map();
      for (const group of groups) this.#index(this.#byKey, group);
    }
    const tried = this.#byKey === undefined ? groups : this.#byKey.get(keyOfParts(parts));
    return tried?.find((group) => areSame(group.parts, parts));
  }

  #index(byKey: Map<number, Group[]>, group: Group): void {
    const key = keyOfParts(group.parts);
    const listed = byKey.get(key);
    if (listed === undefined) byKey.set(key, [group]);
    else listed.push(group);
  }
}

const GROUPS_TRIED_MAX = 8;

/** A number that is the same for equal parts. */
function keyOfParts(parts: readonly Part[]): number {
  let key = parts.length;
  for (const part of parts) {
    const bytes = part instanceof Node ? part.hash : part.value;
    const end = bytes.length;
    for (let at = Math.max(0, end - 4); at < end; at++) key = Math.imul(key, 257) + (bytes[at] as number);
  }
  return key;
}

function areSame(a: readonly Part[], b: readonly Part[]): boolean {
  return a.length === b.length && a.every((part, i) => isSame(part, b[i] as Part));
}

function isSame(a: Part, b: Part): boolean {
  if (a === b) return true;
  if (a instanceof Node) return b instanceof Node && equalBytes(a.hash, b.hash);
  return b instanceof LeafEntry && equalBytes(a.key, b.key) && sameContent(a, b);
}

/** @param known how many nibbles everything in the groups is known to share */
function* diffGroups(loader: NodeLoader, groups: readonly Group[], known: number): Variances {
  if (groups.length <= 1) return;
  const inners = innersOf(loader, groups);
  if (inners.length <= 1) {
    yield* mergeGroups(loader, groups);
    return;
  }
  const depth = depthOf(loader, groups, inners, known);
  if (areSplitAlike(groups, inners, depth)) yield* diffChildren(loader, groups, inners, depth);
  else yield* diffRanges(loader, groups, depth);
}

/** The inner nodes among the parts, in their order. */
function innersOf(loader: NodeLoader, groups: readonly Group[]): Inner[] {
  const inners: Inner[] = [];
  for (const { parts } of groups) {
    for (const part of parts) {
      const content = part instanceof Node ? loader.content(part) : undefined;
      if (content instanceof Inner) inners.push(content);
    }
  }
  return inners;
}

/** The first nibble at which a node is split, or at which two parts differ. */
function depthOf(
  loader: NodeLoader,
  groups: readonly Group[],
  inners: readonly Inner[],
  known: number,
): number {
  let depth = NIBBLES;
  for (const inner of inners) depth = Math.min(depth, inner.depth);
  if (depth <= known) return depth;
  let first: Uint8Array | undefined;
  for (const { parts } of groups) {
    for (const part of parts) {
      for (const position of samplesOf(loader, part)) {
        first ??= position;
        depth = Math.min(depth, sharedNibbles(first, position));
      }
    }
  }
  return depth;
}

/** Positions that share with each other no more than all in the part do, as far as the part is not split. */
function samplesOf(loader: NodeLoader, part: Part): Uint8Array[] {
  if (part instanceof LeafEntry) return [part.position];
  const content = loader.content(part);
  if (!content.isLeaf) return [loader.sample(part)];
  return content.count === 0 ? [] : [content.entry(0).position, content.entry(content.count - 1).position];
}

/** Is each group one inner node, and all of them divided the same way at this depth? */
function areSplitAlike(groups: readonly Group[], inners: readonly Inner[], depth: number): boolean {
  const split = inners[0]?.split;
  if (split === undefined || split.depth !== depth || inners.length !== groups.length) return false;
  return (
    groups.every(({ parts }) => parts.length === 1) && inners.every((inner) => inner.split.equals(split))
  );
}

/** Child beside child. */
function* diffChildren(
  loader: NodeLoader,
  groups: readonly Group[],
  inners: readonly Inner[],
  depth: number,
): Variances {
  const [first] = inners;
  if (first === undefined) return;
  for (const [at, child] of first.children.entries()) {
    let grouping: Grouping | undefined;
    for (let i = 1; i < inners.length; i++) {
      const other = (inners[i] as Inner).children[at] as Node;
      if (isSame(child, other)) continue;
      grouping ??= new Grouping([child]);
      grouping.add([other], (groups[i] as Group).trees);
    }
    if (grouping === undefined) continue;
    const isOneNibble = ((first.ranges[at] as number) & 7) === 0;
    yield* diffGroups(loader, grouping.groups, isOneNibble ? depth + 1 : depth);
  }
}

/** Range by range, where groups are divided in different ways: a range of one holds whole ranges of others. */
function* diffRanges(loader: NodeLoader, groups: readonly Group[], depth: number): Variances {
  const ranged = groups.map(({ parts }) => parts.flatMap((part) => rangesOf(loader, part, depth)));
  /** Bit n: some range goes on from nibble n - 1 to nibble n. */
  let inside = 0;
  for (const { low, end } of ranged.flat()) for (let at = low + 1; at < end; at++) inside |= 1 << at;
  for (let low = 0, end = 0; low < 16; low = end) {
    for (end = low + 1; (inside & (1 << end)) !== 0; end++);
    const [first = [], ...rest] = ranged.map((ranges) =>
      ranges.filter((range) => range.low >= low && range.low < end).map(({ part }) => part),
    );
    const grouping = new Grouping(first);
    rest.forEach((parts, i) => grouping.add(parts, (groups[i + 1] as Group).trees));
    yield* diffGroups(loader, grouping.groups, end - low === 1 ? depth + 1 : depth);
  }
}

/** What a part holds, by the nibble at this depth: the children of a node split there, the entries of a leaf. */
function rangesOf(loader: NodeLoader, part: Part, depth: number): Ranged[] {
  if (part instanceof LeafEntry) return [underNibble(part, part.position, depth)];
  const content = loader.content(part);
  if (content.isLeaf) {
    return entriesIn(content).map((entry) => underNibble(entry, entry.position, depth));
  }
  if (content.depth > depth) return [underNibble(part, loader.sample(part), depth)];
  return content.children.map((node, i) => {
    const range = content.ranges[i] as number;
    return { part: node, low: range >> 3, end: (range >> 3) + (1 << (range & 7)) };
  });
}

function underNibble(part: Part, position: Uint8Array, depth: number): Ranged {
  const low = nibbleAt(position, depth);
  return { part, low, end: low + 1 };
}

/** A key at which a group does not hold what the first does. */
interface Departure {
  readonly rest: LeafEntry | undefined;
  readonly entry: LeafEntry | undefined;
  /** Whichever is there: for its key. */
  readonly place: LeafEntry;
  readonly group: number;
}

/** Entry by entry, each group beside the first: they are leaves, or at most one of them is more. */
function* mergeGroups(loader: NodeLoader, groups: readonly Group[]): Variances {
  const [first, ...rest] = groups.map(({ parts }) => entriesOf(loader, parts));
  const departures: Departure[] = [];
  rest.forEach((entries, i) => addDepartures(departures, first ?? [], entries, i + 1));
  departures.sort((a, b) => compareEntries(a.place, b.place) || a.group - b.group);
  for (let from = 0, to = 0; from < departures.length; from = to) {
    const { rest, place } = departures[from] as Departure;
    const grouping = new Grouping(listOf(rest));
    for (to = from; to < departures.length; to++) {
      const departure = departures[to] as Departure;
      if (compareEntries(place, departure.place) !== 0) break;
      grouping.add(listOf(departure.entry), (groups[departure.group] as Group).trees);
    }
    const others = grouping.groups.slice(1).map(({ parts: [part], trees }) => ({
      entry: part instanceof LeafEntry ? part : undefined,
      trees,
    }));
    yield { key: place.key, position: place.position, rest, others };
  }
}

function addDepartures(
  departures: Departure[],
  lefts: readonly LeafEntry[],
  rights: readonly LeafEntry[],
  group: number,
): void {
  for (let i = 0, j = 0; i < lefts.length || j < rights.length; ) {
    const left = lefts[i];
    const right = rights[j];
    const order = left === undefined ? 1 : right === undefined ? -1 : orderOf(left, right);
    const rest = order <= 0 ? left : undefined;
    const entry = order >= 0 ? right : undefined;
    const place = rest ?? entry;
    if (rest !== undefined) i++;
    if (entry !== undefined) j++;
    if (place === undefined || (rest !== undefined && entry !== undefined && sameContent(rest, entry)))
      continue;
    departures.push({ rest, entry, place, group });
  }
}

/** As compareEntries; versions of a leaf hold the same keys, and a key says where it lies. */
function orderOf(left: LeafEntry, right: LeafEntry): number {
  return equalBytes(left.key, right.key) ? 0 : compareEntries(left, right);
}

function listOf(entry: LeafEntry | undefined): LeafEntry[] {
  return entry === undefined ? [] : [entry];
}

function entriesOf(loader: NodeLoader, parts: readonly Part[]): LeafEntry[] {
  return parts.flatMap((part) => {
    if (part instanceof LeafEntry) return [part];
    const content = loader.content(part);
    return content.isLeaf ? entriesIn(content) : [...scanEntries(loader, part)];
  });
}

function entriesIn(leaf: Leaf): LeafEntry[] {
  return Array.from({ length: leaf.count }, (_, i) => leaf.passingEntry(i));
}
