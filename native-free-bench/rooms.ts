// Rooms that are state and nothing else: members and what a room has beside them, in a tree in a store.
//
// Keys are as in the field (user ids of few large and many small servers); values are 32 bytes that look like
// event ids. No event is behind them, because nothing that is measured here reads one.

import { createHash } from 'node:crypto';
import { rulesOf } from '../src/event/rules.js';
import { assert } from '../src/lib/errors.js';
import { positionOf, treeKeyOf } from '../src/room/state/key.js';
import { RoomStates } from '../src/room/state/room-states.js';
import { nodesKey } from '../src/store/keys.js';
import { recordHeader } from '../src/store/node-records.js';
import type { Store } from '../src/store/store.js';
import { NodeCache } from '../src/tree/cache.js';
import type { Draft, SealedRecord } from '../src/tree/draft.js';
import { EMPTY_ROOT, StateTree } from '../src/tree/tree.js';
import type { Change, NewEntry, RecordSource, RootRef } from '../src/tree/types.js';
import { Cast } from '../tools/generate/cast.js';
import { Random } from '../tools/generate/random.js';

/** A type with few entries in a room of any size: what a type scan costs that does not read the members. */
export const SMALL_TYPE = 'm.space.child';
const SMALL_TYPE_ENTRIES = 20;

const SINGLETONS = [
  'm.room.create',
  'm.room.power_levels',
  'm.room.join_rules',
  'm.room.history_visibility',
  'm.room.guest_access',
  'm.room.name',
  'm.room.topic',
  'm.room.avatar',
  'm.room.canonical_alias',
];

/** All of it fits: what is not in memory is measured apart, with no cache at all. */
const CACHE_BYTES = 512 * 1024 * 1024;
const BATCH_RECORDS = 200;
const JOINED = 1;

/** One entry's name. */
export interface Key {
  readonly type: string;
  readonly stateKey: string;
}

/** A store, and how to get rid of it. */
export type OpenStore = () => Promise<{ readonly store: Store; readonly close: () => Promise<void> }>;

/** User ids as they are in the field. */
export function userIds(members: number): string[] {
  const cast = new Cast('benchmark', members, Math.max(1, Math.ceil(members / 15)));
  return [cast.creator.userId, ...Array.from({ length: members - 1 }, () => cast.newcomer().userId)];
}

/** Every key of a room's state: the members last. */
export function stateKeys(members: number): Key[] {
  const children = Array.from({ length: SMALL_TYPE_ENTRIES }, (_, i) => ({
    type: SMALL_TYPE,
    stateKey: `!room${i}:example.org`,
  }));
  const joined = userIds(members).map((stateKey) => ({ type: 'm.room.member', stateKey }));
  return [...SINGLETONS.map((type) => ({ type, stateKey: '' })), ...children, ...joined];
}

/** 32 bytes that look like an event id's hash. */
function fakeValue(number: number): Uint8Array {
  return createHash('sha256').update(String(number)).digest();
}

/** The room's first state as entries for the tree. */
export function entriesOf(keys: readonly Key[]): NewEntry[] {
  return keys.map(({ type, stateKey }, i) => ({
    key: treeKeyOf(type, stateKey),
    tag: type === 'm.room.member' ? JOINED : 0,
    value: fakeValue(i),
  }));
}

export class StateRoom {
  readonly members: number;
  readonly keys: readonly Key[];
  readonly tree: StateTree;
  readonly states: RoomStates;
  /** The newest state that is stored. */
  root: RootRef = EMPTY_ROOT;
  /** What was stored so far. */
  stored = { records: 0, bytes: 0 };
  readonly #store: Store;
  readonly #close: () => Promise<void>;
  readonly #random: Random;
  #record = 0;
  #value: number;

  private constructor(members: number, store: Store, close: () => Promise<void>) {
    const rules = rulesOf('12');
    assert(rules !== undefined, 'there is a room version 12');
    this.members = members;
    this.keys = stateKeys(members);
    this.tree = new StateTree(store, new NodeCache(CACHE_BYTES), positionOf);
    this.states = new RoomStates(this.tree, rules, {
      allocate: this.allocate,
      keep: () => assert(false, 'states are read here, trees are written'),
    });
    this.#store = store;
    this.#close = close;
    this.#random = new Random('benchmark', `members of ${members}`);
    this.#value = this.keys.length;
  }

  /** A room whose state was built in one go, as one that was joined. */
  static async build(members: number, open: OpenStore): Promise<StateRoom> {
    const { store, close } = await open();
    const room = new StateRoom(members, store, close);
    const draft = room.tree.build(entriesOf(room.keys), room.allocate);
    await room.#write(draft.seal(recordHeader(1)));
    draft.committed();
    room.root = draft.root;
    return room;
  }

  /** The next record's number. */
  readonly allocate = (): number => ++this.#record;

  /** A change that puts a new event at a member drawn at random. */
  memberChange(): Change {
    return this.changeOf(this.randomMember());
  }

  /** A change that puts a new event at a key. */
  changeOf({ type, stateKey }: Key): Change {
    return { key: treeKeyOf(type, stateKey), tag: JOINED, value: fakeValue(this.#value++) };
  }

  randomMember(): Key {
    const key = this.keys[this.keys.length - 1 - this.#random.below(this.members)];
    assert(key !== undefined, 'a room has members');
    return key;
  }

  /** Updates random members one event after another, each a version of its own, and stores all versions. */
  async update(events: number): Promise<RootRef[]> {
    const roots: RootRef[] = [];
    let drafts: Draft[] = [];
    let records: SealedRecord[] = [];
    const flush = async (): Promise<void> => {
      await this.#write(records);
      for (const draft of drafts) draft.committed();
      drafts = [];
      records = [];
    };
    for (let i = 0; i < events; i++) {
      const draft = this.tree.update(this.root, [this.memberChange()], this.allocate);
      this.root = draft.root;
      roots.push(draft.root);
      drafts.push(draft);
      records.push(...draft.seal(recordHeader(1)));
      if (records.length >= BATCH_RECORDS) await flush();
    }
    await flush();
    return roots;
  }

  /** The tree with nothing in memory, over a source that counts its reads. */
  cold(): { readonly tree: StateTree; readonly reads: () => number } {
    let reads = 0;
    const source: RecordSource = {
      readRecord: (record) => {
        reads++;
        return this.#store.readRecord(record);
      },
    };
    return { tree: new StateTree(source, new NodeCache(CACHE_BYTES), positionOf), reads: () => reads };
  }

  /** One record of the store, for what a single read costs. */
  readRecord(record: number): Uint8Array | undefined {
    return this.#store.readRecord(record);
  }

  close(): Promise<void> {
    return this.#close();
  }

  async #write(nodes: readonly SealedRecord[]): Promise<void> {
    for (let at = 0; at < nodes.length; at += BATCH_RECORDS) {
      const operations = nodes.slice(at, at + BATCH_RECORDS).map(({ record, bytes }) => ({
        type: 'put' as const,
        key: nodesKey(record),
        value: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
      }));
      await this.#store.database.batch(operations);
    }
    this.stored = {
      records: this.stored.records + nodes.length,
      bytes: nodes.reduce((sum, { bytes }) => sum + bytes.length, this.stored.bytes),
    };
  }
}
