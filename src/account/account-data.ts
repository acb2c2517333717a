// Account data: what clients keep for their user, global or for one room; tags and ignored users are some of it.
//
//   !user/ID    stateroom.account_data / type              the content
//               stateroom.room_account_data / room, type   the content
//
// What changed between two points is a difference of two roots of the user's room; `accountDataOf` reads its keys.
// Source: client-server API, "Client Config", "Room Tagging", "Ignoring Users".

import type { InternalRecord } from '../core/internal.js';
import type { RoomId, UserId } from '../event/ids.js';
import { isObject, type JsonObject, own } from '../event/json.js';
import { type AccountParts, joinKey, splitKey, userRoom } from './parts.js';

const GLOBAL = 'stateroom.account_data';
const OF_ROOM = 'stateroom.room_account_data';
const TAG = 'm.tag';
const IGNORED_USERS = 'm.ignored_user_list';

/** Which piece of account data a record of a user's room is. */
export interface AccountDataKey {
  /** Undefined for global account data. */
  readonly roomId: RoomId | undefined;
  readonly type: string;
}

/** Which piece of account data a state key of a user's room is, or undefined when it is something else. */
export function accountDataOf(recordType: string, stateKey: string): AccountDataKey | undefined {
  if (recordType === GLOBAL) return { roomId: undefined, type: stateKey };
  if (recordType !== OF_ROOM) return undefined;
  const [roomId, type] = splitKey(stateKey);
  return { roomId: roomId as RoomId, type };
}

export interface AccountDataEvent extends AccountDataKey {
  readonly content: JsonObject;
}

export class AccountData {
  readonly #parts: AccountParts;

  constructor(parts: AccountParts) {
    this.#parts = parts;
  }

  /** The content of one type: of a room, or (undefined) global. */
  get(userId: UserId, roomId: RoomId | undefined, type: string): JsonObject | undefined {
    const { internal } = this.#parts.engine;
    return roomId === undefined
      ? internal.get(userRoom(userId), GLOBAL, type)
      : internal.get(userRoom(userId), OF_ROOM, joinKey(roomId, type));
  }

  /** All global account data; push rules are kept elsewhere. */
  *global(userId: UserId): Generator<AccountDataEvent> {
    for (const { stateKey, content } of this.#parts.engine.internal.entries(userRoom(userId), GLOBAL)) {
      yield { roomId: undefined, type: stateKey, content };
    }
  }

  /** The account data of all rooms. */
  *ofRooms(userId: UserId): Generator<AccountDataEvent & { readonly roomId: RoomId }> {
    for (const { stateKey, content } of this.#parts.engine.internal.entries(userRoom(userId), OF_ROOM)) {
      const [roomId, type] = splitKey(stateKey);
      yield { roomId: roomId as RoomId, type, content };
    }
  }

  async set(userId: UserId, roomId: RoomId | undefined, type: string, content: JsonObject): Promise<void> {
    await this.#parts.engine.internal.write([this.record(userId, roomId, type, content)]);
  }

  /** The record of a piece of account data; undefined takes it away. */
  record(
    userId: UserId,
    roomId: RoomId | undefined,
    type: string,
    content: JsonObject | undefined,
  ): InternalRecord {
    return roomId === undefined
      ? { roomId: userRoom(userId), type: GLOBAL, stateKey: type, content }
      : { roomId: userRoom(userId), type: OF_ROOM, stateKey: joinKey(roomId, type), content };
  }

  /** A room's tags by name. */
  tags(userId: UserId, roomId: RoomId): JsonObject {
    const tags = own(this.get(userId, roomId, TAG) ?? {}, 'tags');
    return isObject(tags) ? tags : {};
  }

  /** Puts a tag on a room, or takes it off. */
  async setTag(userId: UserId, roomId: RoomId, tag: string, content: JsonObject | undefined): Promise<void> {
    const others = Object.entries(this.tags(userId, roomId)).filter(([name]) => name !== tag);
    const entries = content === undefined ? others : [...others, [tag, content] as const];
    await this.set(userId, roomId, TAG, { tags: Object.fromEntries(entries) });
  }

  /** Users whose events and invitations the user does not want to see. */
  ignoredUsers(userId: UserId): ReadonlySet<string> {
    const ignored = own(this.get(userId, undefined, IGNORED_USERS) ?? {}, 'ignored_users');
    return new Set(isObject(ignored) ? Object.keys(ignored) : []);
  }

  /** Takes all account data away. */
  removalRecords(userId: UserId): readonly InternalRecord[] {
    return [...this.global(userId), ...this.ofRooms(userId)].map(({ roomId, type }) =>
      this.record(userId, roomId, type, undefined),
    );
  }
}
