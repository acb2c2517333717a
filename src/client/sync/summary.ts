// The summary of a room: who to name it after, and how many are in it.
//
// Heroes are the first five other members, joined or invited, in the order in which their membership events came;
// where there is none, those who left or were banned. They are left out only where the room has both a name and
// an alias. To find them in a room of thousands the beginning of its timeline is looked at first, where they
// usually are; all members are read only when they are not.
//
// The tree knows how many are joined, not how many are invited: that is counted once for each room, and from then
// on carried from root to root by what differs. While the state of a room is known in part there are no counts, rather
// than wrong ones: clients go by the members that they know of then, and keep what they were told last.
//
// Source: client-server API, GET /sync, `RoomSummary`.

import type { Engine } from '../../engine/engine.js';
import type { EventId, RoomId } from '../../event/ids.js';
import { type JsonObject, own } from '../../event/json.js';
import { ClockCache } from '../../lib/clock-cache.js';
import type { StateView } from '../../reader/state-view.js';
import type { KnownEvent } from '../../room/graph/known-events.js';
import { MEMBER_TYPE } from '../../room/state/key.js';
import type { RoomMoments } from './room-moments.js';

export interface Summary {
  /** Undefined where the room needs none. */
  readonly heroes: readonly string[] | undefined;
  /** Undefined where not all members are known. */
  readonly joined: number | undefined;
  readonly invited: number | undefined;
}

const HEROES = 5;
/** Up to so many members are read each time. */
const FEW_MEMBERS = 100;
/** Events at the beginning of a room that are looked at for heroes. */
const BEGINNING_MAX = 300;
const ROOMS_KEPT_MAX = 10_000;
/** First members that are kept of a large room, so that some may leave; and of all rooms together. */
const CANDIDATES_KEPT = 50;
const CANDIDATES_MAX = 50_000;

interface Member {
  readonly userId: string;
  readonly eventId: EventId;
  readonly seq: number;
}

export class Summaries {
  readonly #engine: Engine;
  readonly #moments: RoomMoments;
  readonly #invited = new ClockCache<RoomId, { readonly view: StateView; readonly count: number }>(
    ROOMS_KEPT_MAX,
  );
  readonly #candidates = new ClockCache<RoomId, readonly Member[]>(CANDIDATES_MAX);

  constructor(engine: Engine, moments: RoomMoments) {
    this.#engine = engine;
    this.#moments = moments;
  }

  /**
   * The summary of a state, for one of the room's users.
   * @param isPartial the state is known in part
   */
  async of(view: StateView, userId: string, isPartial: boolean): Promise<Summary> {
    const hasName =
      this.#text(view, 'm.room.name', 'name') && this.#text(view, 'm.room.canonical_alias', 'alias');
    const heroes = hasName ? undefined : await this.#heroes(view, userId);
    if (!isPartial) return { heroes, joined: view.joined, invited: this.#countInvited(view) };
    // That nobody else is known does not mean that nobody is there.
    return { heroes: heroes?.length === 0 ? undefined : heroes, joined: undefined, invited: undefined };
  }

  /** Does what differs between two states bear on the summary? */
  isTouched(before: StateView, after: StateView): boolean {
    for (const { type, stateKey } of before.diff(after)) {
      if (type === MEMBER_TYPE) return true;
      if (stateKey === '' && (type === 'm.room.name' || type === 'm.room.canonical_alias')) return true;
    }
    return false;
  }

  #text(view: StateView, type: string, key: string): boolean {
    const id = view.get(type);
    const content: JsonObject = (id && this.#engine.reader.events.pdu(id)?.content) || {};
    const value = own(content, key);
    return typeof value === 'string' && value !== '';
  }

  #countInvited(view: StateView): number {
    const known = this.#invited.get(view.roomId);
    let count = 0;
    if (known === undefined) for (const _ of view.members({ membership: 'invite' })) count++;
    else {
      count = known.count;
      for (const { type, stateKey } of known.view.diff(view)) {
        if (type !== MEMBER_TYPE) continue;
        if (known.view.membership(stateKey) === 'invite') count--;
        if (view.membership(stateKey) === 'invite') count++;
      }
    }
    this.#invited.set(view.roomId, { view, count }, 1);
    return count;
  }

  async #heroes(view: StateView, userId: string): Promise<string[]> {
    if (view.count(MEMBER_TYPE) <= FEW_MEMBERS) {
      const { present, gone } = this.#allMembers(view);
      const heroes = heroesAmong(present, userId);
      return heroes.length > 0 ? heroes : heroesAmong(gone, userId);
    }
    const isPresent = ({ userId: member, eventId }: Member): boolean =>
      view.get(MEMBER_TYPE, member) === eventId && isHere(view.membership(member));
    const kept = (this.#candidates.get(view.roomId) ?? []).filter(isPresent);
    const heroes = heroesAmong(kept, userId);
    if (heroes.length === HEROES) return heroes;
    return heroesAmong(await this.#firstMembers(view, isPresent), userId);
  }

  async #firstMembers(view: StateView, isPresent: (member: Member) => boolean): Promise<readonly Member[]> {
    const early = (await this.#beginning(view.roomId)).filter(isPresent);
    // One of them may be the asker.
    const first = early.length > HEROES ? early : this.#allMembers(view).present;
    const kept = first.slice(0, CANDIDATES_KEPT);
    this.#candidates.set(view.roomId, kept, 1 + kept.length);
    return kept;
  }

  /** Members whose events are at the room's beginning. Only where nothing of the room came in without a place. */
  async #beginning(roomId: RoomId): Promise<Member[]> {
    const { store } = this.#engine;
    const room = store.room(roomId);
    const found: Member[] = [];
    if (room === undefined) return found;
    let lookedAt = 0;
    for await (const [, seq] of store.timeline(room.number)) {
      const event = this.#moments.at(seq);
      if (lookedAt++ === 0 && event?.pdu.type !== 'm.room.create') return [];
      if (lookedAt > BEGINNING_MAX) break;
      if (event?.pdu.type === MEMBER_TYPE) found.push(memberOf(event));
    }
    return found;
  }

  #allMembers(view: StateView): { readonly present: readonly Member[]; readonly gone: readonly Member[] } {
    const present: Member[] = [];
    const gone: Member[] = [];
    for (const { userId, membership, eventId } of view.members()) {
      const member = { userId, eventId, seq: this.#engine.store.seqOf(eventId) ?? 0 };
      if (isHere(membership)) present.push(member);
      else if (membership === 'leave' || membership === 'ban') gone.push(member);
    }
    const bySeq = (a: Member, b: Member): number => a.seq - b.seq;
    return { present: present.sort(bySeq), gone: gone.sort(bySeq) };
  }
}

/** The summary as it is sent; undefined when it says what the one before said, or nothing. */
export function summaryJson(now: Summary, before: Summary | undefined): JsonObject | undefined {
  const isSame =
    before !== undefined &&
    before.joined === now.joined &&
    before.invited === now.invited &&
    JSON.stringify(before.heroes) === JSON.stringify(now.heroes);
  if (isSame) return undefined;
  const isUnknown = now.heroes === undefined && now.joined === undefined && now.invited === undefined;
  if (isUnknown) return undefined;
  return {
    ...(now.heroes === undefined ? {} : { 'm.heroes': now.heroes }),
    ...(now.joined === undefined ? {} : { 'm.joined_member_count': now.joined }),
    ...(now.invited === undefined ? {} : { 'm.invited_member_count': now.invited }),
  };
}

function isHere(membership: string | undefined): boolean {
  return membership === 'join' || membership === 'invite';
}

function memberOf({ pdu, seq }: KnownEvent): Member {
  return { userId: pdu.stateKey ?? '', eventId: pdu.eventId, seq };
}

function heroesAmong(members: readonly Member[], self: string): string[] {
  return members
    .filter(({ userId }) => userId !== self)
    .slice(0, HEROES)
    .map(({ userId }) => userId);
}
