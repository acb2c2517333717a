// Key backups: the keys of encrypted sessions, kept for the user's other devices, encrypted themselves.
//
//   !user/ID              stateroom.key_backup / version    { algorithm, auth_data }, or { deleted }
//   !backup/VERSION/ID    ROOM / session                    the key
//
// Each backup is a room of its own, and in it each Matrix room a type: all keys, a room's keys, one key and
// their number are one range, one range, one lookup and one read. The etag of a backup is its root: the same
// keys, the same etag. Versions count up, and one that is deleted is remembered, so that none is given out
// twice.
//
// Source: client-server API, "Server-side key backups".

import type { InternalRecord } from '../core/internal.js';
import type { RoomId, UserId } from '../event/ids.js';
import { internalRoomId } from '../event/internal.js';
import { isObject, type JsonObject, own } from '../event/json.js';
import { BackupNotCurrentError, BackupUnknownError } from './errors.js';
import { type AccountParts, isTrue, numberOf, textOf, userRoom } from './parts.js';

const KEY_BACKUP = 'stateroom.key_backup';
/** Keys that are written or taken away in one commit group. */
const KEYS_IN_GROUP = 500;
const VERSION = /^[1-9][0-9]{0,14}$/;

export interface Backup {
  readonly version: string;
  readonly algorithm: string;
  readonly authData: JsonObject;
}

/** What a backup holds now. */
export interface BackupState {
  readonly count: number;
  readonly etag: string;
}

/** The key of one session. */
export interface BackedUpKey {
  readonly roomId: string;
  readonly sessionId: string;
  readonly key: JsonObject;
}

/** Which keys are meant: all, those of a room, or the one of a session. */
export interface KeyRange {
  readonly roomId?: string;
  readonly sessionId?: string;
}

export class KeyBackup {
  readonly #parts: AccountParts;

  constructor(parts: AccountParts) {
    this.#parts = parts;
  }

  /** The newest backup that is not deleted. */
  current(userId: UserId): Backup | undefined {
    const versions = this.#versions(userId).filter(({ isDeleted }) => !isDeleted);
    const newest = Math.max(0, ...versions.map(({ number }) => number));
    return newest === 0 ? undefined : this.get(userId, String(newest));
  }

  /** @throws ACCOUNT_BACKUP_UNKNOWN */
  get(userId: UserId, version: string): Backup {
    const content = this.#content(userId, version);
    if (content === undefined || isTrue(content, 'deleted')) throw unknown(userId, version);
    const authData = own(content, 'auth_data');
    return {
      version,
      algorithm: textOf(content, 'algorithm') ?? '',
      authData: isObject(authData) ? authData : {},
    };
  }

  /** Begins a backup, which is the current one then. @returns its version */
  async create(userId: UserId, algorithm: string, authData: JsonObject): Promise<string> {
    const version = String(1 + Math.max(0, ...this.#versions(userId).map(({ number }) => number)));
    await this.#write(userId, version, { algorithm, auth_data: authData });
    return version;
  }

  /** @throws ACCOUNT_BACKUP_UNKNOWN */
  async update(userId: UserId, version: string, authData: JsonObject): Promise<void> {
    const { algorithm } = this.get(userId, version);
    await this.#write(userId, version, { algorithm, auth_data: authData });
  }

  /**
   * Deletes a backup with all its keys; one that is deleted stays so.
   * @throws ACCOUNT_BACKUP_UNKNOWN when there never was one
   */
  async delete(userId: UserId, version: string): Promise<void> {
    if (this.#content(userId, version) === undefined) throw unknown(userId, version);
    // From here on nobody finds it, however long its keys take to go.
    await this.#write(userId, version, { deleted: true });
    await this.#remove(userId, version, {});
  }

  /** @throws ACCOUNT_BACKUP_UNKNOWN */
  state(userId: UserId, version: string): BackupState {
    this.get(userId, version);
    const view = this.#view(userId, version);
    return { count: view?.count() ?? 0, etag: view?.root.slice(0, 32) ?? '0' };
  }

  /** @throws ACCOUNT_BACKUP_UNKNOWN */
  *keys(userId: UserId, version: string, { roomId, sessionId }: KeyRange): Generator<BackedUpKey> {
    this.get(userId, version);
    const view = this.#view(userId, version);
    if (view === undefined) return;
    if (roomId !== undefined && sessionId !== undefined) {
      const key = this.#key(userId, version, roomId, sessionId);
      if (key !== undefined) yield { roomId, sessionId, key };
      return;
    }
    for (const { type, stateKey, eventId } of view.entries(roomId)) {
      const key = this.#parts.engine.reader.events.get(eventId)?.pdu.content;
      if (key !== undefined) yield { roomId: type, sessionId: stateKey, key };
    }
  }

  /**
   * Puts keys into the current backup. Of two keys of a session the better one stays.
   * @throws ACCOUNT_BACKUP_UNKNOWN, ACCOUNT_BACKUP_NOT_CURRENT
   */
  async put(userId: UserId, version: string, keys: readonly BackedUpKey[]): Promise<void> {
    this.#assertCurrent(userId, version);
    for (let at = 0; at < keys.length; at += KEYS_IN_GROUP) {
      // Each group is compared with what is there in the turn that writes it: of racing uploads the better
      // keys stay.
      if (at > 0) this.#assertCurrent(userId, version);
      const better = this.#better(userId, version, keys.slice(at, at + KEYS_IN_GROUP));
      if (better.length > 0) await this.#parts.engine.internal.write(better);
    }
  }

  /** @throws ACCOUNT_BACKUP_UNKNOWN */
  async remove(userId: UserId, version: string, range: KeyRange): Promise<void> {
    this.get(userId, version);
    await this.#remove(userId, version, range);
  }

  /** Deletes all backups of a user. */
  async removeAll(userId: UserId): Promise<void> {
    for (const { number, isDeleted } of this.#versions(userId)) {
      if (!isDeleted) await this.delete(userId, String(number));
    }
  }

  /** The records of the keys that are better than what is there; of several of a session, the best. */
  #better(userId: UserId, version: string, keys: readonly BackedUpKey[]): InternalRecord[] {
    const best = new Map<string, BackedUpKey>();
    for (const one of keys) {
      const name = JSON.stringify([one.roomId, one.sessionId]);
      const before = best.get(name)?.key ?? this.#key(userId, version, one.roomId, one.sessionId);
      if (before === undefined || isBetter(one.key, before)) best.set(name, one);
    }
    const roomId = backupRoom(userId, version);
    return [...best.values()].map((one) => ({
      roomId,
      type: one.roomId,
      stateKey: one.sessionId,
      content: one.key,
    }));
  }

  async #remove(userId: UserId, version: string, range: KeyRange): Promise<void> {
    const roomId = backupRoom(userId, version);
    const records = [...this.#stored(userId, version, range)].map(
      ([type, stateKey]): InternalRecord => ({ roomId, type, stateKey, content: undefined }),
    );
    for (let at = 0; at < records.length; at += KEYS_IN_GROUP) {
      await this.#parts.engine.internal.write(records.slice(at, at + KEYS_IN_GROUP));
    }
  }

  /** Rooms and sessions of the keys that are there. */
  *#stored(userId: UserId, version: string, { roomId, sessionId }: KeyRange) {
    if (roomId !== undefined && sessionId !== undefined) {
      if (this.#key(userId, version, roomId, sessionId) !== undefined) yield [roomId, sessionId] as const;
      return;
    }
    for (const entry of this.#view(userId, version)?.entries(roomId) ?? [])
      yield [entry.type, entry.stateKey] as const;
  }

  #assertCurrent(userId: UserId, version: string): void {
    this.get(userId, version);
    const current = this.current(userId)?.version;
    if (current === version) return;
    throw new BackupNotCurrentError(`keys go into the backup ${current}`, { current_version: current });
  }

  #versions(userId: UserId): { readonly number: number; readonly isDeleted: boolean }[] {
    const entries = this.#parts.engine.internal.entries(userRoom(userId), KEY_BACKUP);
    return [...entries].map(({ stateKey, content }) => ({
      number: Number(stateKey),
      isDeleted: isTrue(content, 'deleted'),
    }));
  }

  #content(userId: UserId, version: string): JsonObject | undefined {
    if (!VERSION.test(version)) return undefined;
    return this.#parts.engine.internal.get(userRoom(userId), KEY_BACKUP, version);
  }

  async #write(userId: UserId, version: string, content: JsonObject): Promise<void> {
    await this.#parts.engine.internal.write([
      { roomId: userRoom(userId), type: KEY_BACKUP, stateKey: version, content },
    ]);
  }

  #key(userId: UserId, version: string, roomId: string, sessionId: string): JsonObject | undefined {
    return this.#parts.engine.internal.get(backupRoom(userId, version), roomId, sessionId);
  }

  #view(userId: UserId, version: string) {
    const room = this.#parts.engine.store.room(backupRoom(userId, version));
    return room === undefined ? undefined : this.#parts.engine.reader.view(room.roomId, room.root);
  }
}

/** Is a key to take the place of another of its session? */
function isBetter(key: JsonObject, before: JsonObject): boolean {
  if (isTrue(key, 'is_verified') !== isTrue(before, 'is_verified')) return isTrue(key, 'is_verified');
  const difference =
    (numberOf(key, 'first_message_index') ?? 0) - (numberOf(before, 'first_message_index') ?? 0) ||
    (numberOf(key, 'forwarded_count') ?? 0) - (numberOf(before, 'forwarded_count') ?? 0);
  return difference < 0;
}

function backupRoom(userId: UserId, version: string): RoomId {
  return internalRoomId('backup', version, userId);
}

function unknown(userId: UserId, version: string) {
  return new BackupUnknownError(`${userId} has no backup ${version}`, { user_id: userId, version });
}
