// A room's states: typed maps `(type, state_key) → event id` by root, over the tree of bytes.
//
// Reading takes no lock and no version: a root is a snapshot. Updating makes new nodes, which are handed to
// the drafts' keeper; the core's writer stores them with the event, a what-if throws them away.

import type { EventId } from '../../event/ids.js';
import { isRemoval } from '../../event/internal.js';
import type { Pdu } from '../../event/pdu.js';
import type { RoomVersionRules } from '../../event/rules.js';
import { compareCodePoints, toHex } from '../../lib/bytes.js';
import { ClockCache } from '../../lib/clock-cache.js';
import type { Draft } from '../../tree/draft.js';
import { EMPTY_ROOT, type StateTree } from '../../tree/tree.js';
import type { Change, RootRef, TreeEntry, TreeKey } from '../../tree/types.js';
import type { StateChange, States, StateVariance } from '../resolution/contract.js';
import { MEMBER_TYPE, prefixOfType, readKey, treeKeyOf } from './key.js';
import { idOfValue, type Membership, membershipOfTag, tagOf, valueOfId } from './value.js';

/** One state entry. */
export interface StateEntry {
  readonly type: string;
  readonly stateKey: string;
  readonly eventId: EventId;
}

/** One member's entry: membership comes from the tree, the event is not read. */
export interface MemberEntry {
  readonly userId: string;
  readonly membership: Membership;
  readonly eventId: EventId;
}

/** What one state has of a member, and another. */
export interface MemberChange {
  readonly userId: string;
  readonly before: Omit<MemberEntry, 'userId'> | undefined;
  readonly after: Omit<MemberEntry, 'userId'> | undefined;
}

/** Where the new nodes of an update go. */
export interface NodeSink {
  /** The next record number; see the tree's `AllocateRecord`. */
  readonly allocate: () => number;
  /** Takes the new nodes: to store them with the commit, or to drop them. */
  readonly keep: (draft: Draft) => void;
}

/** A key put (an event) or taken out (undefined). */
export interface StateUpdate {
  readonly type: string;
  readonly stateKey: string;
  readonly event: StateEvent | undefined;
}

/** What a state's entry is made from. */
export type StateEvent = Pick<Pdu, 'type' | 'content' | 'eventId'>;

/** Keys that `updateInSlices` takes at a time: a few milliseconds. */
const SLICE_KEYS = 1_000;

/** Tree keys are two hashes to make; those of recent lookups are kept. Entries of each kind, about 650 bytes each. */
const MEMBERS_CACHED_MAX = 16_384;
const OTHERS_CACHED_MAX = 4_096;

/** Tree keys by name. Those looked up most have a name already: members, and types that stand alone. */
class KeyCache {
  readonly #members = new ClockCache<string, TreeKey>(MEMBERS_CACHED_MAX);
  readonly #lone = new ClockCache<string, TreeKey>(OTHERS_CACHED_MAX);
  readonly #others = new ClockCache<string, TreeKey>(OTHERS_CACHED_MAX);

  get(type: string, stateKey: string): TreeKey {
    if (type === MEMBER_TYPE) return keyIn(this.#members, stateKey, type, stateKey);
    if (stateKey === '') return keyIn(this.#lone, type, type, stateKey);
    return keyIn(this.#others, `${type.length}:${type}${stateKey}`, type, stateKey);
  }
}

/** A key is the same in every room, and the rooms are many whose keys are the same few: each user's own records. */
const KEYS = new KeyCache();

function keyIn(cache: ClockCache<string, TreeKey>, name: string, type: string, stateKey: string): TreeKey {
  const cached = cache.get(name);
  if (cached !== undefined) return cached;
  const key = treeKeyOf(type, stateKey);
  cache.set(name, key, 1);
  return key;
}

export class RoomStates implements States<RootRef> {
  readonly empty = EMPTY_ROOT;
  readonly #tree: StateTree;
  readonly #rules: RoomVersionRules;
  readonly #sink: NodeSink;

  constructor(tree: StateTree, rules: RoomVersionRules, sink: NodeSink) {
    this.#tree = tree;
    this.#rules = rules;
    this.#sink = sink;
  }

  hash(root: RootRef): string {
    return toHex(root.hash);
  }

  /** The event at a key, or undefined. O(log n) node reads. */
  get(root: RootRef, type: string, stateKey: string): EventId | undefined {
    const entry = this.#tree.get(root, KEYS.get(type, stateKey));
    return entry === undefined ? undefined : idOfValue(entry.value, this.#rules);
  }

  /** The membership of a user, without reading its event; undefined when there is none. O(log n) node reads. */
  membership(root: RootRef, userId: string): Membership | undefined {
    const entry = this.#tree.get(root, KEYS.get(MEMBER_TYPE, userId));
    return entry === undefined ? undefined : membershipOfTag(entry.tag);
  }

  /** All entries in the tree's order, or those of one type. */
  *entries(root: RootRef, type?: string): Generator<StateEntry> {
    for (const entry of this.#scan(root, type)) {
      const key = readKey(entry.key);
      if (type !== undefined && key.type !== type) continue;
      yield { ...key, eventId: idOfValue(entry.value, this.#rules) };
    }
  }

  /** All members in the tree's order, or those of one membership. */
  *members(root: RootRef, membership?: Membership): Generator<MemberEntry> {
    for (const entry of this.#scan(root, MEMBER_TYPE)) {
      const found = membershipOfTag(entry.tag);
      if (membership !== undefined && found !== membership) continue;
      yield {
        userId: readKey(entry.key).stateKey,
        membership: found,
        eventId: idOfValue(entry.value, this.#rules),
      };
    }
  }

  /** Number of entries, of all or of one type. O(log n) node reads. */
  count(root: RootRef, type?: string): number {
    return type === undefined ? root.count : this.#tree.count(root, prefixOfType(type));
  }

  /** Number of joined members. Costs nothing: the root knows. */
  joined(root: RootRef): number {
    return root.joined;
  }

  /** Keys that differ; subtrees that are equal are not read. O(k log n) node reads for k differences. */
  *diff(before: RootRef, after: RootRef): Generator<StateChange> {
    for (const difference of this.#tree.diff(before, after)) {
      yield {
        ...readKey(difference.key),
        before: this.#idOf(difference.before),
        after: this.#idOf(difference.after),
      };
    }
  }

  /** The members that differ between two states. No more reads than `diff`. */
  *memberChanges(before: RootRef, after: RootRef): Generator<MemberChange> {
    for (const difference of this.#tree.diff(before, after)) {
      const { type, stateKey } = readKey(difference.key);
      if (type !== MEMBER_TYPE) continue;
      const { before: was, after: is } = difference;
      yield { userId: stateKey, before: this.#memberOf(was), after: this.#memberOf(is) };
    }
  }

  /** Keys on which not all of the states agree; what states share is read once. */
  *diffMany(roots: readonly RootRef[]): Generator<StateVariance> {
    for (const { key, rest, others } of this.#tree.diffMany(roots)) {
      yield {
        ...readKey(key),
        rest: this.#idOf(rest),
        others: others.map(({ entry, trees }) => ({ eventId: this.#idOf(entry), states: trees })),
      };
    }
  }

  /** A new state with keys set or taken out; the same root when nothing changes. */
  update(root: RootRef, updates: Iterable<StateUpdate>): RootRef {
    const changes: Change[] = [];
    for (const { type, stateKey, event } of updates) changes.push(this.#change(type, stateKey, event));
    const draft = this.#tree.update(root, changes, this.#sink.allocate);
    this.#sink.keep(draft);
    return draft.root;
  }

  /**
   * What `update` gives, some keys at a time: others may have their turn at each `yield`. Keys are taken in the order
   * of the tree, so that a slice rewrites next to nothing of what those before it made.
   */
  *updateInSlices(root: RootRef, updates: Iterable<StateUpdate>): Generator<void, RootRef> {
    const changes: Change[] = [];
    for (const { type, stateKey, event } of updates) {
      changes.push(this.#change(type, stateKey, event));
      if (changes.length % SLICE_KEYS === 0) yield;
    }
    changes.sort((a, b) => Buffer.compare(a.key.position, b.key.position));
    let made = root;
    for (let at = 0; at < changes.length; at += SLICE_KEYS) {
      yield;
      const draft = this.#tree.update(made, changes.slice(at, at + SLICE_KEYS), this.#sink.allocate);
      this.#sink.keep(draft);
      made = draft.root;
    }
    return made;
  }

  /** The state with one state event put in; an internal one may take its key out. */
  put(root: RootRef, event: Pdu): RootRef {
    if (event.stateKey === undefined) return root;
    const { type, stateKey } = event;
    return this.update(root, [{ type, stateKey, event: isRemoval(event) ? undefined : event }]);
  }

  #change(type: string, stateKey: string, event: StateEvent | undefined): Change {
    const key = KEYS.get(type, stateKey);
    if (event === undefined) return { key, tag: 0, value: undefined };
    return { key, tag: tagOf(event), value: valueOfId(event.eventId, this.#rules) };
  }

  #memberOf(entry: TreeEntry | undefined): MemberChange['after'] {
    if (entry === undefined) return undefined;
    return { membership: membershipOfTag(entry.tag), eventId: idOfValue(entry.value, this.#rules) };
  }

  #idOf(entry: TreeEntry | undefined): EventId | undefined {
    return entry === undefined ? undefined : idOfValue(entry.value, this.#rules);
  }

  #scan(root: RootRef, type: string | undefined): Iterable<TreeEntry> {
    return this.#tree.scan(root, type === undefined ? {} : { prefix: prefixOfType(type) });
  }
}

/** Entries sorted by type, then state key, by code point: the order of every listing. */
export function sortedEntries(entries: Iterable<StateEntry>): StateEntry[] {
  return [...entries].sort(
    (a, b) => compareCodePoints(a.type, b.type) || compareCodePoints(a.stateKey, b.stateKey),
  );
}
