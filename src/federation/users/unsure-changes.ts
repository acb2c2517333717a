// Changes of keys that were told of users who may share a room with somebody here, which is not known while the
// state of a room is not all known: noted, until it is.
//
//   !remote_users    stateroom.unsure_change / user id        {}
//                    stateroom.unsure_change / server name    {}    of too many of its users
//
// What changed is not kept: whoever turns out to share a room is asked about anew. A server may make up as many
// users as it likes; beyond some of them only it is noted, and then all of its users count.
//
// Source: MSC3902, "Device management".

import type { InternalRecord } from '../../core/internal.js';
import type { Engine } from '../../engine/engine.js';
import { serverOf, type ServerName, type UserId } from '../../event/ids.js';
import type { RemoteUsersOptions } from './options.js';
import { REMOTE_USERS_ROOM } from './remote-devices.js';

const UNSURE = 'stateroom.unsure_change';

export class UnsureChanges {
  readonly #options: Pick<RemoteUsersOptions, 'unsureMax' | 'unsureOfServerMax'>;
  readonly #users = new Map<ServerName, Set<UserId>>();
  readonly #servers = new Set<ServerName>();
  #count = 0;

  /** Those that were noted before. */
  constructor(engine: Engine, options: Pick<RemoteUsersOptions, 'unsureMax' | 'unsureOfServerMax'>) {
    this.#options = options;
    if (engine.store.room(REMOTE_USERS_ROOM) === undefined) return;
    for (const { stateKey } of engine.currentState(REMOTE_USERS_ROOM).entries(UNSURE)) {
      if (stateKey.startsWith('@')) this.#addUser(stateKey as UserId);
      else this.#servers.add(stateKey as ServerName);
    }
  }

  has(userId: UserId): boolean {
    return this.#users.get(serverOf(userId))?.has(userId) ?? false;
  }

  users(): UserId[] {
    return [...this.#users.values()].flatMap((users) => [...users]);
  }

  /** Those of whose users too many were noted. */
  servers(): ServerName[] {
    return [...this.#servers];
  }

  /** Notes a user: to be written. None where they are noted already. */
  records(userId: UserId): InternalRecord[] {
    const server = serverOf(userId);
    const { unsureMax, unsureOfServerMax } = this.#options;
    const users = this.#users.get(server);
    if (users?.has(userId) === true || this.#servers.has(server)) return [];
    if (this.#count < unsureMax && (users?.size ?? 0) < unsureOfServerMax) {
      this.#addUser(userId);
      return [record(userId, true)];
    }
    this.#servers.add(server);
    return [record(server, true)];
  }

  /** It is known: the note is taken away, which is to be written. */
  removalRecord(name: UserId | ServerName): InternalRecord {
    if (!this.#servers.delete(name as ServerName)) {
      const server = serverOf(name as UserId);
      const users = this.#users.get(server);
      if (users?.delete(name as UserId) === true) this.#count--;
      if (users?.size === 0) this.#users.delete(server);
    }
    return record(name, false);
  }

  #addUser(userId: UserId): void {
    const server = serverOf(userId);
    const users = this.#users.get(server) ?? new Set<UserId>();
    this.#users.set(server, users.add(userId));
    this.#count++;
  }
}

function record(name: UserId | ServerName, isNoted: boolean): InternalRecord {
  return { roomId: REMOTE_USERS_ROOM, type: UNSURE, stateKey: name, content: isNoted ? {} : undefined };
}
