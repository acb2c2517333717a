// The members of a room that bear on what is allowed there though they are not in it: who is banned, who was put
// out, who is invited.
//
// The tree tells bans and invites. That somebody was put out, or an invite or a ban taken back, is a leave like
// any other in the tree; only its sender says. So the leaves of a room are read once, up to a bound, and from then
// on only those that change: what is known of one state is carried to the next by what differs.

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EventId, RoomId } from '../../event/ids.js';
import { isObject, own, parseJson } from '../../event/json.js';
import { ClockCache } from '../../lib/clock-cache.js';
import { Turns } from '../../lib/turns.js';
import type { StateView } from '../../reader/state-view.js';
import { MEMBER_TYPE } from '../../room/state/key.js';
import type { Membership } from '../../room/state/value.js';
import type { Store } from '../../store/store.js';

/** Members that are kept, over all rooms. */
const MEMBERS_KEPT = 200_000;
/** Work of one turn of the event loop, where an entry of the tree is 1. */
const WORK_IN_TURN = 500;
/** What the reading of an event is, in entries of the tree. */
const WORK_OF_EVENT = 10;

/** By user. */
type Members = Map<string, EventId>;

/** Of one state, the membership events of each kind; undefined where there are more than were asked for. */
export interface NotedMembers {
  readonly banned: readonly EventId[] | undefined;
  readonly invited: readonly EventId[] | undefined;
  /** Leaves that another sent; undefined, too, where the room has more leaves than are read. */
  readonly putOut: readonly EventId[] | undefined;
}

/** Those of one state of a room, which can be moved to another state of it. */
class Noted {
  readonly #store: Store;
  readonly #leavesMax: number;
  readonly #banned: Members = new Map();
  readonly #invited: Members = new Map();
  /** Undefined where the room had too many leaves when it was gone through. */
  #putOut: Members | undefined = new Map();
  #leaves = 0;
  #work = 0;
  #view: StateView | undefined;

  constructor(store: Store, leavesMax: number) {
    this.#store = store;
    this.#leavesMax = leavesMax;
  }

  /** For the cache's bound. */
  get size(): number {
    return 1 + this.#banned.size + this.#invited.size + (this.#putOut?.size ?? 0);
  }

  /** Did a move that was cut short make it useless? */
  get isBroken(): boolean {
    return this.#view === undefined;
  }

  /** As it is now. */
  upTo(max: number): NotedMembers {
    return {
      banned: atMost(this.#banned, max),
      invited: atMost(this.#invited, max),
      putOut: atMost(this.#putOut, max),
    };
  }

  async moveTo(view: StateView): Promise<void> {
    const before = this.#view;
    // When it ends in between, what is held is that of no state.
    this.#view = undefined;
    if (before === undefined) await this.#gather(view);
    else await this.#follow(before, view);
    this.#view = view;
  }

  async #gather(view: StateView): Promise<void> {
    for (const { userId, membership, eventId } of view.members()) {
      if (membership === 'leave' && ++this.#leaves > this.#leavesMax) this.#putOut = undefined;
      this.#note(userId, membership, eventId);
      if (this.#isTurnOver()) await nextTurn();
    }
  }

  async #follow(before: StateView, view: StateView): Promise<void> {
    for (const { type, stateKey, after } of before.diff(view)) {
      if (type !== MEMBER_TYPE) continue;
      for (const members of [this.#banned, this.#invited, this.#putOut]) members?.delete(stateKey);
      const membership = after === undefined ? undefined : view.membership(stateKey);
      if (after !== undefined && membership !== undefined) this.#note(stateKey, membership, after);
      if (this.#isTurnOver()) await nextTurn();
    }
  }

  #note(userId: string, membership: Membership, eventId: EventId): void {
    if (membership === 'ban') this.#banned.set(userId, eventId);
    else if (membership === 'invite') this.#invited.set(userId, eventId);
    else if (membership === 'leave' && this.#putOut !== undefined) {
      this.#work += WORK_OF_EVENT;
      const sender = senderOf(this.#store, eventId);
      if (sender !== undefined && sender !== userId) this.#putOut.set(userId, eventId);
    }
  }

  #isTurnOver(): boolean {
    this.#work++;
    if (this.#work < WORK_IN_TURN) return false;
    this.#work = 0;
    return true;
  }
}

function atMost(members: Members | undefined, max: number): readonly EventId[] | undefined {
  return members === undefined || members.size > max ? undefined : [...members.values()];
}

/** Only the sender is wanted, of events that may never be looked at again: they are read past all caches. */
function senderOf(store: Store, eventId: EventId): string | undefined {
  const seq = store.seqOf(eventId);
  const row = seq === undefined ? undefined : store.event(seq);
  const json = row === undefined ? undefined : parseJson(row.bytes);
  const sender = isObject(json) ? own(json, 'sender') : undefined;
  return typeof sender === 'string' ? sender : undefined;
}

/** Of all rooms that were asked about lately. */
export class NotedMembersOfRooms {
  readonly #store: Store;
  readonly #leavesMax: number;
  readonly #rooms = new ClockCache<RoomId, Noted>(MEMBERS_KEPT);
  /** One state of a room at a time: they share what is kept. */
  readonly #turns = new Turns<RoomId>();

  /** @param leavesMax a room with more leaves is not asked who was put out */
  constructor(store: Store, leavesMax = 10_000) {
    this.#store = store;
    this.#leavesMax = leavesMax;
  }

  /**
   * Those of a state, at most so many of each kind. O(members) and a read for each leave at first, then
   * O(k log n) for k differences from the state that was last asked for.
   */
  of(view: StateView, max: number): Promise<NotedMembers> {
    return this.#turns.in(view.roomId, async () => {
      const kept = this.#rooms.get(view.roomId);
      const noted = kept === undefined || kept.isBroken ? new Noted(this.#store, this.#leavesMax) : kept;
      await noted.moveTo(view);
      this.#rooms.set(view.roomId, noted, noted.size);
      return noted.upTo(max);
    });
  }
}
