// Profiles of this server's users, a record a field.
//
//   !user/ID    stateroom.profile / field    { value }
//
// Source: client-server API, "Profiles".

import type { InternalRecord } from '../core/internal.js';
import type { UserId } from '../event/ids.js';
import { type JsonObject, type JsonValue, own } from '../event/json.js';
import { ProfileTooLargeError } from './errors.js';
import { type AccountParts, userRoom } from './parts.js';

const PROFILE = 'stateroom.profile';
const PROFILE_BYTES_MAX = 65_536;

/** What an `m.room.member` event says of its user beside the membership. */
export interface MemberFields {
  readonly displayname?: string;
  readonly avatar_url?: string;
}

export class Profiles {
  readonly #parts: AccountParts;

  constructor(parts: AccountParts) {
    this.#parts = parts;
  }

  /** One field's value. */
  get(userId: UserId, field: string): JsonValue | undefined {
    const content = this.#parts.engine.internal.get(userRoom(userId), PROFILE, field);
    return content === undefined ? undefined : own(content, 'value');
  }

  /** All fields. */
  all(userId: UserId): JsonObject {
    const fields: [string, JsonValue][] = [];
    for (const { stateKey, content } of this.#parts.engine.internal.entries(userRoom(userId), PROFILE)) {
      const value = own(content, 'value');
      if (value !== undefined) fields.push([stateKey, value]);
    }
    return Object.fromEntries(fields);
  }

  /** What this server's member events say of the user. */
  memberFields(userId: UserId): MemberFields {
    const displayname = this.get(userId, 'displayname');
    const avatar = this.get(userId, 'avatar_url');
    return {
      ...(typeof displayname === 'string' && displayname !== '' ? { displayname } : {}),
      ...(typeof avatar === 'string' && avatar !== '' ? { avatar_url: avatar } : {}),
    };
  }

  /** Sets a field, or takes it away. @throws ACCOUNT_PROFILE_TOO_LARGE */
  async set(userId: UserId, field: string, value: JsonValue | undefined): Promise<void> {
    if (value !== undefined) {
      const profile = JSON.stringify({ ...this.all(userId), [field]: value });
      if (Buffer.byteLength(profile) >= PROFILE_BYTES_MAX) {
        throw new ProfileTooLargeError('a profile takes less than 64 KiB', { user_id: userId, field });
      }
    } else if (this.get(userId, field) === undefined) return;
    await this.#parts.engine.internal.write([record(userId, field, value)]);
  }

  /** Takes every field away. */
  removalRecords(userId: UserId): readonly InternalRecord[] {
    return Object.keys(this.all(userId)).map((field) => record(userId, field, undefined));
  }
}

function record(userId: UserId, field: string, value: JsonValue | undefined): InternalRecord {
  const content = value === undefined ? undefined : { value };
  return { roomId: userRoom(userId), type: PROFILE, stateKey: field, content };
}
