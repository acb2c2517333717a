// The users of this server: who there is, who administers it, who left it for good.
//
//   !users    stateroom.user / user id    { created, admin, deactivated, erased }
//
// Source: spec appendices, "User Identifiers"; client-server API, "POST /register".

import type { InternalRecord } from '../core/internal.js';
import { fitsBytes, localpartOf, MAX_ID_BYTES, parseUserId, serverOf, type UserId } from '../event/ids.js';
import type { JsonObject } from '../event/json.js';
import { compareCodePoints } from '../lib/bytes.js';
import { InvalidUsernameError, UserInUseError, UserUnknownError } from './errors.js';
import { type AccountParts, isTrue, numberOf, USERS_ROOM } from './parts.js';
import { RecordCache } from './record-cache.js';

const USER = 'stateroom.user';
const LOCALPART = /^[a-z0-9.=\-/+][a-z0-9._=\-/+]*$/;

export interface User {
  readonly userId: UserId;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly isAdmin: boolean;
  readonly isDeactivated: boolean;
  /** The user asked that what they said be forgotten. */
  readonly isErased: boolean;
}

export class Users {
  readonly #parts: AccountParts;
  readonly #known: RecordCache<User>;

  constructor(parts: AccountParts) {
    this.#parts = parts;
    const { internal } = parts.engine;
    this.#known = new RecordCache(internal, USERS_ROOM, (userId) => {
      const content = internal.get(USERS_ROOM, USER, userId);
      return content === undefined ? undefined : userOf(userId, content);
    });
  }

  /** The user, also one who is deactivated. */
  get(userId: string): User | undefined {
    return this.#known.get(userId);
  }

  /** Can the user log in and be spoken to? */
  isActive(userId: string): boolean {
    return this.get(userId)?.isDeactivated === false;
  }

  /** All users, sorted by id. */
  list(): User[] {
    return [...this.#parts.engine.internal.entries(USERS_ROOM, USER)]
      .map(({ stateKey, content }) => userOf(stateKey, content))
      .sort((a, b) => compareCodePoints(a.userId, b.userId));
  }

  /**
   * The id that a user name asks for. Capitals become small letters.
   * @throws ACCOUNT_INVALID_USERNAME
   */
  idOf(username: string): UserId {
    const localpart = username.toLowerCase();
    const userId = `@${localpart}:${this.#parts.serverName}`;
    if (!LOCALPART.test(localpart) || !fitsBytes(userId, MAX_ID_BYTES)) {
      throw new InvalidUsernameError(
        'a user name is made of a-z, 0-9 and . _ = - / +, does not begin with _ and is not too long',
      );
    }
    return userId as UserId;
  }

  /**
   * The user whom a login names: a user id, or the part of it before the server. A name that is nobody's as it
   * is written is looked for in small letters.
   */
  find(name: string): User | undefined {
    const userId = name.startsWith('@') ? name : `@${name}:${this.#parts.serverName}`;
    if (!this.#isLocal(userId)) return undefined;
    const exact = this.get(userId);
    if (exact !== undefined) return exact;
    const localpart = localpartOf(userId as UserId).toLowerCase();
    return this.get(`@${localpart}:${this.#parts.serverName}`);
  }

  /** @throws ACCOUNT_USER_IN_USE when somebody has or had the id */
  assertFree(userId: UserId): void {
    if (this.get(userId) !== undefined) {
      throw new UserInUseError(`${userId} is taken`, { user_id: userId });
    }
  }

  /** The record of a new user. @throws ACCOUNT_USER_IN_USE */
  newRecord(userId: UserId, options: { readonly isAdmin: boolean }): InternalRecord {
    this.assertFree(userId);
    return record({
      userId,
      createdAt: this.#parts.now(),
      isAdmin: options.isAdmin,
      isDeactivated: false,
      isErased: false,
    });
  }

  /** The record of a user who leaves for good. @throws ACCOUNT_USER_UNKNOWN */
  deactivatedRecord(userId: UserId, options: { readonly erase: boolean }): InternalRecord {
    const user = this.#existing(userId);
    return record({ ...user, isDeactivated: true, isErased: user.isErased || options.erase });
  }

  /** @throws ACCOUNT_USER_UNKNOWN */
  async setAdmin(userId: UserId, isAdmin: boolean): Promise<void> {
    await this.#parts.engine.internal.write([record({ ...this.#existing(userId), isAdmin })]);
  }

  #isLocal(userId: string): boolean {
    const parsed = parseUserId(userId);
    return parsed !== undefined && serverOf(parsed) === this.#parts.serverName;
  }

  #existing(userId: UserId): User {
    const user = this.get(userId);
    if (user === undefined) throw new UserUnknownError(`there is no user ${userId}`, { user_id: userId });
    return user;
  }
}

function userOf(userId: string, content: JsonObject): User {
  return {
    userId: userId as UserId,
    createdAt: numberOf(content, 'created') ?? 0,
    isAdmin: isTrue(content, 'admin'),
    isDeactivated: isTrue(content, 'deactivated'),
    isErased: isTrue(content, 'erased'),
  };
}

function record(user: User): InternalRecord {
  const { userId, createdAt, isAdmin, isDeactivated, isErased } = user;
  return {
    roomId: USERS_ROOM,
    type: USER,
    stateKey: userId,
    content: { created: createdAt, admin: isAdmin, deactivated: isDeactivated, erased: isErased },
  };
}
