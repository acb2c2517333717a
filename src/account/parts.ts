// What every part of the accounts is given, and where its records lie.
//
// Everything is a room: records are state events of internal rooms, found by one point query. Reading shows
// what is written already, before it is on disk, so that reading and writing in one turn is atomic.

import type { InternalRecord } from '../core/internal.js';
import type { Engine } from '../engine/engine.js';
import type { RoomId, ServerName, UserId } from '../event/ids.js';
import { internalRoomId } from '../event/internal.js';
import { JsonNumber, type JsonObject, own } from '../event/json.js';

export interface AccountParts {
  readonly engine: Engine;
  readonly serverName: ServerName;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Random bytes that nobody can guess. */
  readonly randomBytes: (length: number) => Uint8Array;
}

/** Records that go when a device goes. */
export type DeviceRemoval = (userId: UserId, deviceId: string) => readonly InternalRecord[];

export const USERS_ROOM = internalRoomId('users');
export const TOKENS_ROOM = internalRoomId('tokens');
export const ALIASES_ROOM = internalRoomId('aliases');
export const DIRECTORY_ROOM = internalRoomId('directory');

/** The internal room of a user of this server. */
export function userRoom(userId: UserId): RoomId {
  return internalRoomId('user', userId);
}

const SEPARATOR = '\0';

/** One key of several. Only the last may hold the character NUL. */
export function joinKey(...parts: readonly string[]): string {
  return parts.join(SEPARATOR);
}

/** The parts of a key of two. */
export function splitKey(key: string): readonly [first: string, rest: string] {
  const at = key.indexOf(SEPARATOR);
  return at === -1 ? [key, ''] : [key.slice(0, at), key.slice(at + 1)];
}

/** A key's own value where it is a string. */
export function textOf(content: JsonObject, key: string): string | undefined {
  const value = own(content, key);
  return typeof value === 'string' ? value : undefined;
}

/** A key's own value where it is a number. */
export function numberOf(content: JsonObject, key: string): number | undefined {
  const value = own(content, key);
  if (value instanceof JsonNumber) return value.value;
  return typeof value === 'number' ? value : undefined;
}

/** Is a key's own value `true`? */
export function isTrue(content: JsonObject, key: string): boolean {
  return own(content, key) === true;
}
