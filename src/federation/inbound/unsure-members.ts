// Users who may speak of a room as members though it is not known that they are: those of servers that are said to be
// in it, while its state is not all known.
//
// What they say is kept, and a server may make up as many users as it likes: so only some of each are listened to.
//
// Source: MSC3902.

import type { Engine } from '../../engine/engine.js';
import { type RoomId, serverOf, type ServerName, type UserId } from '../../event/ids.js';
import { SaidServers } from '../said-servers.js';

export interface UnsureMembersLimits {
  /** Users of one server in one room. */
  readonly ofServerMax: number;
  /** Users in all rooms. */
  readonly usersMax: number;
}

const LIMITS: UnsureMembersLimits = { ofServerMax: 500, usersMax: 20_000 };

export class UnsureMembers {
  readonly #engine: Engine;
  readonly #limits: UnsureMembersLimits;
  readonly #said: SaidServers;
  readonly #rooms = new Map<RoomId, Map<ServerName, Set<UserId>>>();
  #count = 0;

  constructor(engine: Engine, limits: UnsureMembersLimits = LIMITS) {
    this.#engine = engine;
    this.#limits = limits;
    this.#said = new SaidServers(engine);
  }

  /** May somebody who is not known to be in the room speak of it? The first of each server may. */
  admits(roomId: RoomId, userId: UserId): boolean {
    const server = serverOf(userId);
    if (this.#said.of(roomId)?.has(server) !== true) return false;
    const servers = this.#rooms.get(roomId) ?? new Map<ServerName, Set<UserId>>();
    const users = servers.get(server) ?? new Set<UserId>();
    if (users.has(userId)) return true;
    if (this.#count >= this.#limits.usersMax) this.#forgetKnown();
    if (users.size >= this.#limits.ofServerMax || this.#count >= this.#limits.usersMax) return false;
    this.#rooms.set(roomId, servers.set(server, users.add(userId)));
    this.#count++;
    return true;
  }

  /** Rooms of which all is known by now. */
  #forgetKnown(): void {
    for (const [roomId, servers] of this.#rooms) {
      if (this.#engine.store.room(roomId)?.isPartial === true) continue;
      this.#rooms.delete(roomId);
      for (const { size } of servers.values()) this.#count -= size;
    }
  }
}
