// Which rooms the users of this server are in: an index in memory, made from the rooms' current states at start
// and kept up with what is committed. A room that changed is compared with what it was by its root, so that a
// membership which only a resolution changed is seen as well.
//
//   !user/ID    stateroom.forgotten / room id    { event_id }
//
// A room is forgotten together with the membership that was current then: another one brings it back.

import type { Engine } from '../engine/engine.js';
import { changedRooms, Follower } from '../engine/follower.js';
import type { EventId, RoomId, UserId } from '../event/ids.js';
import { INTERNAL_VERSION } from '../event/rules.js';
import { MEMBER_TYPE } from '../room/state/key.js';
import type { Membership } from '../room/state/value.js';
import type { RootRef } from '../tree/types.js';
import type { OutsideRooms } from './outside.js';
import { type AccountParts, textOf, userRoom } from './parts.js';

const FORGOTTEN = 'stateroom.forgotten';

/** A user's place in a room. */
export interface UserMembership {
  readonly membership: Membership;
  /** The member event that says so. */
  readonly eventId: EventId;
}

export class Memberships {
  readonly #parts: AccountParts;
  readonly #engine: Engine;
  readonly #outside: OutsideRooms;
  /** The current state of each room that the index shows. */
  readonly #roots = new Map<RoomId, RootRef>();
  readonly #byUser = new Map<UserId, Map<RoomId, UserMembership>>();
  readonly #byRoom = new Map<RoomId, Map<UserId, UserMembership>>();
  #follower: Follower | undefined;

  private constructor(parts: AccountParts, outside: OutsideRooms) {
    this.#parts = parts;
    this.#engine = parts.engine;
    this.#outside = outside;
  }

  /** The index of an engine's rooms as they are. O(local members) and O(members) node reads. */
  static async open(parts: AccountParts, outside: OutsideRooms): Promise<Memberships> {
    const memberships = new Memberships(parts, outside);
    const { reader, watermark } = parts.engine;
    for await (const room of reader.rooms()) {
      if (room.version !== INTERNAL_VERSION) memberships.#update(room.roomId);
    }
    memberships.#follower = new Follower(parts.engine, watermark, (group) => {
      for (const roomId of changedRooms(group)) memberships.#update(roomId);
    });
    return memberships;
  }

  /** Ends the following of what is committed. */
  async close(): Promise<void> {
    await this.#follower?.close();
  }

  /** Resolves when all that is committed now is in the index. */
  async caughtUp(): Promise<void> {
    await this.#follower?.reached();
  }

  /**
   * The rooms a user has to do with, as of all that is committed: joined, invited, knocked at, left, banned; those
   * that this server is not in too.
   */
  async ofUser(userId: UserId): Promise<ReadonlyMap<RoomId, UserMembership>> {
    await this.caughtUp();
    const inside = this.#byUser.get(userId) ?? new Map<RoomId, UserMembership>();
    const outside = [...this.#outside.ofUser(userId)];
    if (outside.length === 0) return inside;
    const both = new Map(inside);
    for (const [roomId, { membership, event }] of outside) {
      both.set(roomId, { membership, eventId: event.eventId });
    }
    return both;
  }

  /** The rooms where the user has this membership. */
  async rooms(userId: UserId, membership: Membership): Promise<RoomId[]> {
    const rooms = [...(await this.ofUser(userId))];
    return rooms.filter(([, place]) => place.membership === membership).map(([roomId]) => roomId);
  }

  /** Is anybody of this server in the room, as of what was released? */
  isServerIn(roomId: RoomId): boolean {
    for (const { membership } of this.ofRoom(roomId).values()) if (membership === 'join') return true;
    return false;
  }

  /** The users of this server who have to do with a room, as of what was released: for waking those concerned. */
  ofRoom(roomId: RoomId): ReadonlyMap<UserId, UserMembership> {
    return this.#byRoom.get(roomId) ?? new Map();
  }

  /** Did the user forget the room, and nothing happened to their membership since? */
  isForgotten(userId: UserId, roomId: RoomId): boolean {
    const forgotten = this.#engine.internal.get(userRoom(userId), FORGOTTEN, roomId);
    if (forgotten === undefined || !this.#isRoom(roomId)) return false;
    return textOf(forgotten, 'event_id') === this.#engine.currentState(roomId).get(MEMBER_TYPE, userId);
  }

  /** Forgets a room that the user has left: the caller makes sure of that. */
  async forget(userId: UserId, roomId: RoomId): Promise<void> {
    const eventId = this.#engine.currentState(roomId).get(MEMBER_TYPE, userId);
    if (eventId === undefined) return;
    await this.#engine.internal.write([
      { roomId: userRoom(userId), type: FORGOTTEN, stateKey: roomId, content: { event_id: eventId } },
    ]);
  }

  /** Is the room one that users may hear of? Internal rooms are none. */
  #isRoom(roomId: RoomId): boolean {
    const room = this.#engine.store.room(roomId);
    return room !== undefined && room.version !== INTERNAL_VERSION;
  }

  /** Brings a room's members in line with its current state. */
  #update(roomId: RoomId): void {
    if (!this.#isRoom(roomId)) return;
    const now = this.#engine.currentState(roomId);
    const before = this.#roots.get(roomId);
    this.#roots.set(roomId, now.rootRef);
    if (before === undefined) {
      for (const { userId, membership, eventId } of now.members()) {
        if (this.#isLocal(userId)) this.#set(userId, roomId, { membership, eventId });
      }
      return;
    }
    for (const { userId, after } of now.at(before).memberChanges(now)) {
      if (!this.#isLocal(userId)) continue;
      if (after === undefined) this.#remove(userId, roomId);
      else this.#set(userId, roomId, after);
    }
  }

  #isLocal(userId: string): userId is UserId {
    return (
      userId.endsWith(`:${this.#parts.serverName}`) &&
      userId.indexOf(':') === userId.length - this.#parts.serverName.length - 1
    );
  }

  #set(userId: UserId, roomId: RoomId, place: UserMembership): void {
    entryOf(this.#byUser, userId).set(roomId, place);
    entryOf(this.#byRoom, roomId).set(userId, place);
  }

  #remove(userId: UserId, roomId: RoomId): void {
    this.#byUser.get(userId)?.delete(roomId);
    this.#byRoom.get(roomId)?.delete(userId);
  }
}

function entryOf<K, L, V>(map: Map<K, Map<L, V>>, key: K): Map<L, V> {
  const existing = map.get(key);
  if (existing !== undefined) return existing;
  const entry = new Map<L, V>();
  map.set(key, entry);
  return entry;
}
