// Rooms that users have to do with while this server is in none of them: invitations from elsewhere, knocks at
// doors elsewhere, and both withdrawn. Nothing is known of such a room but one member event and what came with it.
//
//   !user/ID    stateroom.outside / room id    { membership, room_version, event, state, server }
//
// `event` and `state` are kept as the JSON texts that came: they may hold numbers that records cannot. What is
// here goes before what an old state of the room says, and goes away when this server joins.

import type { InternalRecord } from '../core/internal.js';
import { canonicalJson } from '../event/canonical.js';
import type { RoomId, ServerName, UserId } from '../event/ids.js';
import { isArray, isObject, type JsonObject, parseJson } from '../event/json.js';
import type { Pdu } from '../event/pdu.js';
import { parsePdu } from '../event/parse.js';
import { rulesOf } from '../event/rules.js';
import { utf8 } from '../lib/bytes.js';
import { StoreCorruptError } from '../store/errors.js';
import { type AccountParts, textOf, userRoom } from './parts.js';
import type { Users } from './users.js';

/** The record's type: a change of it concerns the user's next sync. */
export const OUTSIDE = 'stateroom.outside';

/** A user's place in a room that this server is not in. */
export interface OutsideMembership {
  readonly membership: 'invite' | 'knock' | 'leave';
  /** The member event, signed. */
  readonly event: Pdu;
  /** The stripped state that came with it. */
  readonly state: readonly JsonObject[];
  /** Who told of it, or was asked: the first to ask about the room. */
  readonly server: ServerName;
}

export class OutsideRooms {
  readonly #parts: AccountParts;
  readonly #usersByRoom = new Map<RoomId, Set<UserId>>();

  private constructor(parts: AccountParts) {
    this.#parts = parts;
  }

  /** O(users) node reads, and what they have outside. */
  static open(parts: AccountParts, users: Users): OutsideRooms {
    const outside = new OutsideRooms(parts);
    for (const { userId } of users.list()) {
      for (const [roomId] of outside.ofUser(userId)) outside.#note(roomId, userId);
    }
    return outside;
  }

  get(userId: UserId, roomId: string): OutsideMembership | undefined {
    const content = this.#parts.engine.internal.get(userRoom(userId), OUTSIDE, roomId);
    return content === undefined ? undefined : outsideOf(content);
  }

  *ofUser(userId: UserId): Generator<readonly [roomId: RoomId, place: OutsideMembership]> {
    for (const { stateKey, content } of this.#parts.engine.internal.entries(userRoom(userId), OUTSIDE)) {
      yield [stateKey as RoomId, outsideOf(content)];
    }
  }

  /** Rooms that anybody has such a place in. */
  rooms(): RoomId[] {
    return [...this.#usersByRoom.keys()];
  }

  /** The users of this server who have such a place in a room. */
  usersOf(roomId: RoomId): ReadonlySet<UserId> {
    return this.#usersByRoom.get(roomId) ?? new Set();
  }

  async set(userId: UserId, place: OutsideMembership): Promise<void> {
    const { event, membership, state, server } = place;
    this.#note(event.roomId, userId);
    const content = {
      membership,
      room_version: event.rules.version,
      event: canonicalJson(event.json, event.rules),
      state: JSON.stringify(state),
      server,
    };
    await this.#parts.engine.internal.write([record(userId, event.roomId, content)]);
  }

  /** Forgets one user's place. */
  async remove(userId: UserId, roomId: RoomId): Promise<void> {
    if (this.get(userId, roomId) === undefined) return;
    this.#usersByRoom.get(roomId)?.delete(userId);
    await this.#parts.engine.internal.write([record(userId, roomId, undefined)]);
  }

  /** This server is in the room now: what its state says of these users of its is what holds. */
  async entered(roomId: RoomId, users: readonly UserId[] = [...this.usersOf(roomId)]): Promise<void> {
    const noted = this.#usersByRoom.get(roomId);
    for (const userId of users) noted?.delete(userId);
    if (noted?.size === 0) this.#usersByRoom.delete(roomId);
    const there = users.filter((userId) => this.get(userId, roomId) !== undefined);
    if (there.length === 0) return;
    await this.#parts.engine.internal.write(there.map((userId) => record(userId, roomId, undefined)));
  }

  #note(roomId: RoomId, userId: UserId): void {
    const users = this.#usersByRoom.get(roomId);
    if (users === undefined) this.#usersByRoom.set(roomId, new Set([userId]));
    else users.add(userId);
  }
}

/** What a record says. @throws STORE_CORRUPT */
export function outsideOf(content: JsonObject): OutsideMembership {
  const [membership, version, text, state] = ['membership', 'room_version', 'event', 'state'].map((name) =>
    textOf(content, name),
  );
  const rules = rulesOf(version ?? '');
  const json = parseJson(utf8(text ?? 'null'));
  const stripped = parseJson(utf8(state ?? '[]'));
  const isKind = membership === 'invite' || membership === 'knock' || membership === 'leave';
  if (!isKind || rules === undefined || !isObject(json) || !isArray(stripped)) {
    throw new StoreCorruptError('a record of an invitation cannot be read; run `stateroom fsck`', {
      what: OUTSIDE,
    });
  }
  return {
    membership,
    event: parsePdu(json, rules),
    state: stripped.filter(isObject),
    server: (textOf(content, 'server') ?? '') as ServerName,
  };
}

function record(userId: UserId, roomId: RoomId, content: JsonObject | undefined): InternalRecord {
  return { roomId: userRoom(userId), type: OUTSIDE, stateKey: roomId, content };
}
