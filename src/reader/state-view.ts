// One state of one room, to be asked: by key, by type, members, counts, differences, proofs.
//
// A view is a root and the room's version; it stays true for ever, whatever is committed meanwhile.

import type { EventId, RoomId } from '../event/ids.js';
import type { RoomVersionRules } from '../event/rules.js';
import type { StateChange } from '../room/resolution/contract.js';
import {
  type MemberChange,
  type MemberEntry,
  type RoomStates,
  type StateEntry,
  sortedEntries,
} from '../room/state/room-states.js';
import type { Membership } from '../room/state/value.js';
import type { RootRef } from '../tree/types.js';

export class StateView {
  readonly roomId: RoomId;
  readonly rules: RoomVersionRules;
  readonly rootRef: RootRef;
  readonly #states: RoomStates;

  constructor(roomId: RoomId, rules: RoomVersionRules, states: RoomStates, root: RootRef) {
    this.roomId = roomId;
    this.rules = rules;
    this.rootRef = root;
    this.#states = states;
  }

  /** The root's hash, 64 hex digits: equal roots, equal states, here and on every other server. */
  get root(): string {
    return this.#states.hash(this.rootRef);
  }

  /** Another state of the same room; costs nothing. */
  at(root: RootRef): StateView {
    return new StateView(this.roomId, this.rules, this.#states, root);
  }

  /** The event at a key, or undefined. O(log n) node reads. */
  get(type: string, stateKey = ''): EventId | undefined {
    return this.#states.get(this.rootRef, type, stateKey);
  }

  /** Entries of one type or all, as the tree holds them: no order that means anything. */
  entries(type?: string): Iterable<StateEntry> {
    return this.#states.entries(this.rootRef, type);
  }

  /** Entries of one type or all, sorted by type, then state key, by code point. */
  sorted(type?: string): StateEntry[] {
    return sortedEntries(this.entries(type));
  }

  /** Members, all or of one membership, without reading an event. */
  members(options: { readonly membership?: Membership } = {}): Iterable<MemberEntry> {
    return this.#states.members(this.rootRef, options.membership);
  }

  /** The membership of a user, or undefined. O(log n) node reads. */
  membership(userId: string): Membership | undefined {
    return this.#states.membership(this.rootRef, userId);
  }

  /** Number of entries, of all or of one type. O(log n) node reads. */
  count(type?: string): number {
    return this.#states.count(this.rootRef, type);
  }

  /** Number of joined members. No read at all. */
  get joined(): number {
    return this.#states.joined(this.rootRef);
  }

  /** What differs in another state of the room; `before` is this one. O(k log n) node reads. */
  diff(other: StateView): Iterable<StateChange> {
    return this.#states.diff(this.rootRef, other.rootRef);
  }

  /** The members that differ in another state of the room, as cheap as `diff`. */
  memberChanges(other: StateView): Iterable<MemberChange> {
    return this.#states.memberChanges(this.rootRef, other.rootRef);
  }
}
