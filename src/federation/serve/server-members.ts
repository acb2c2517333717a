// The members of a room by server: who may read it, which servers are in it, who of ours could invite.
//
// The tree has no order by server. A room's members are gone through once, and from then on what is known is
// carried from state to state by what differs.

import { setImmediate as nextTurn } from 'node:timers/promises';
import { parseUserId, type RoomId, serverOf, type ServerName, type UserId } from '../../event/ids.js';
import { ClockCache } from '../../lib/clock-cache.js';
import type { StateView } from '../../reader/state-view.js';
import { MEMBER_TYPE } from '../../room/state/key.js';
import type { MemberEntry } from '../../room/state/room-states.js';

/** Member entries that are kept, over all rooms: about 100 bytes each. */
const MEMBERS_KEPT = 500_000;
/** Members that are gone through in one turn of the event loop. */
const MEMBERS_IN_TURN = 500;

/** One server's users in a room: everybody with a member event, in the one set or the other. */
interface Presence {
  readonly joined: Set<UserId>;
  readonly others: Set<UserId>;
}

/** One state's members by server. Good until another state of the room is asked for. */
export class MembersByServer {
  readonly #servers = new Map<ServerName, Presence>();
  #view: StateView;

  private constructor(view: StateView) {
    this.#view = view;
  }

  static of(view: StateView): MembersByServer {
    const members = new MembersByServer(view);
    for (const member of view.members()) members.#addMember(member);
    return members;
  }

  /** The same, some members a turn. */
  static async gather(view: StateView): Promise<MembersByServer> {
    const members = new MembersByServer(view);
    let added = 0;
    for (const member of view.members()) {
      members.#addMember(member);
      if (++added % MEMBERS_IN_TURN === 0) await nextTurn();
    }
    return members;
  }

  /** Is somebody of the server joined? */
  has(server: ServerName): boolean {
    return (this.#servers.get(server)?.joined.size ?? 0) > 0;
  }

  /** Users of the server with any membership, those joined first. */
  users(server: ServerName): readonly UserId[] {
    const presence = this.#servers.get(server);
    return presence === undefined ? [] : [...presence.joined, ...presence.others];
  }

  /** The servers with somebody joined. */
  *joined(): Generator<ServerName> {
    for (const [server, { joined }] of this.#servers) if (joined.size > 0) yield server;
  }

  /** The servers with somebody joined, each with one of these. */
  *joinedUsers(): Generator<readonly [server: ServerName, userId: UserId]> {
    for (const [server, { joined }] of this.#servers) {
      const [first] = joined;
      if (first !== undefined) yield [server, first];
    }
  }

  /** Makes it that of another state. O(k log n) for k differences. */
  moveTo(view: StateView): void {
    for (const { type, stateKey, after } of this.#view.diff(view)) {
      if (type !== MEMBER_TYPE) continue;
      this.#put(stateKey, after !== undefined && view.membership(stateKey) === 'join');
    }
    this.#view = view;
  }

  #addMember({ userId, membership }: MemberEntry): void {
    this.#put(userId, membership === 'join');
  }

  #put(stateKey: string, isJoined: boolean): void {
    const userId = parseUserId(stateKey);
    if (userId === undefined) return;
    const server = serverOf(userId);
    const presence = this.#servers.get(server) ?? { joined: new Set(), others: new Set() };
    this.#servers.set(server, presence);
    const { joined, others } = presence;
    (isJoined ? others : joined).delete(userId);
    (isJoined ? joined : others).add(userId);
  }
}

/** Of all rooms that were asked about lately. */
export class ServerMembers {
  readonly #rooms: ClockCache<RoomId, MembersByServer>;

  /** @param membersMax member entries that are kept, over all rooms */
  constructor(membersMax = MEMBERS_KEPT) {
    this.#rooms = new ClockCache(membersMax);
  }

  /** The members of a state by server; to be used before anything is awaited. */
  of(view: StateView): MembersByServer {
    const kept = this.#rooms.get(view.roomId);
    if (kept !== undefined) {
      kept.moveTo(view);
      return this.#keep(view, kept);
    }
    return this.#keep(view, MembersByServer.of(view));
  }

  /** Goes through a large room's members in turns, so that `of` has only to follow what changed. */
  async prepare(view: StateView): Promise<void> {
    const isAtHand = this.#rooms.get(view.roomId) !== undefined;
    if (isAtHand || view.count(MEMBER_TYPE) <= MEMBERS_IN_TURN) return;
    const members = await MembersByServer.gather(view);
    if (this.#rooms.get(view.roomId) === undefined) this.#keep(view, members);
  }

  #keep(view: StateView, members: MembersByServer): MembersByServer {
    this.#rooms.set(view.roomId, members, 1 + view.count(MEMBER_TYPE));
    return members;
  }
}
