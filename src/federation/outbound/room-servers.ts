// Which servers have joined members in which room: an index in memory, made from the rooms' current states at
// start and kept up with what is committed. Members are counted by their tags: no event is read.
//
// A room that changed is compared with what it was by its root, so an event costs what it changed, whatever the
// size of the room. The servers of any other state of a room are found the same way, from the state that the
// index shows.

import type { Engine } from '../../engine/engine.js';
import { changedRooms, Follower } from '../../engine/follower.js';
import { type RoomId, serverOf, type ServerName, type UserId } from '../../event/ids.js';
import { INTERNAL_VERSION } from '../../event/rules.js';
import type { StateView } from '../../reader/state-view.js';
import { MEMBER_TYPE } from '../../room/state/key.js';
import type { RootRef } from '../../tree/types.js';

/** Told in the order of commits, once the index shows it. */
export interface RoomServersListener {
  /** The first member of a server joined. */
  readonly entered?: (roomId: RoomId, server: ServerName) => void;
  /** The last member of a server is gone. */
  readonly left?: (roomId: RoomId, server: ServerName) => void;
  /** A user of another server is joined no more. */
  readonly memberLeft?: (roomId: RoomId, userId: UserId) => void;
}

interface Entry {
  /** The state that the counts are of. */
  root: RootRef;
  /** Joined members of each server; none is 0. */
  readonly counts: Map<ServerName, number>;
}

export interface RoomServersParts {
  readonly engine: Engine;
  readonly serverName: ServerName;
}

const NO_ROOMS: ReadonlySet<RoomId> = new Set();

export class RoomServers {
  readonly #engine: Engine;
  readonly #serverName: ServerName;
  readonly #rooms = new Map<RoomId, Entry>();
  readonly #byServer = new Map<ServerName, Set<RoomId>>();
  readonly #listeners = new Set<RoomServersListener>();
  #follower: Follower | undefined;

  private constructor({ engine, serverName }: RoomServersParts) {
    this.#engine = engine;
    this.#serverName = serverName;
  }

  /** The index of an engine's rooms as they are. O(joined members) and no event read. */
  static async open(parts: RoomServersParts): Promise<RoomServers> {
    const index = new RoomServers(parts);
    const { reader, watermark } = parts.engine;
    for await (const room of reader.rooms()) {
      if (room.version !== INTERNAL_VERSION) index.#update(room.roomId);
    }
    index.#follower = new Follower(parts.engine, watermark, (group) => {
      for (const roomId of changedRooms(group)) index.#update(roomId);
    });
    return index;
  }

  /** Ends the following of what is committed. */
  async close(): Promise<void> {
    await this.#follower?.close();
  }

  /** Calls the listener back; returns how to stop that. */
  subscribe(listener: RoomServersListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves when all that is committed now is in the index. */
  async caughtUp(): Promise<void> {
    await this.#follower?.reached();
  }

  /** Other servers that are in the room. */
  serversOf(roomId: RoomId): ServerName[] {
    const servers = this.#rooms.get(roomId)?.counts.keys() ?? [];
    return [...servers].filter((server) => server !== this.#serverName);
  }

  /** Is the server in the room? */
  isIn(server: ServerName, roomId: RoomId): boolean {
    return this.#rooms.get(roomId)?.counts.has(server) ?? false;
  }

  /** Rooms that a server is in, as far as is known here. */
  roomsOf(server: ServerName): ReadonlySet<RoomId> {
    return this.#byServer.get(server) ?? NO_ROOMS;
  }

  /** Rooms where the user is joined, and somebody of this server too. A point read for each of their server's. */
  *sharedRooms(userId: UserId): Generator<RoomId> {
    for (const roomId of this.roomsOf(serverOf(userId))) {
      if (!this.isIn(this.#serverName, roomId)) continue;
      if (this.#engine.currentState(roomId).membership(userId) === 'join') yield roomId;
    }
  }

  /** Is the user joined to a room that somebody of this server is joined to? */
  sharesRoom(userId: UserId): boolean {
    for (const _ of this.sharedRooms(userId)) return true;
    return false;
  }

  /** Other servers with joined members in a state of a room. Costs what it differs from the state shown. */
  serversAt(view: StateView): ReadonlySet<ServerName> {
    const entry = this.#rooms.get(view.roomId);
    const shown = view.at(entry?.root ?? view.rootRef);
    const counts = entry === undefined ? countsOf(view) : new Map(entry.counts);
    if (entry !== undefined) for (const change of movedBetween(shown, view)) count(counts, change);
    const servers = new Set<ServerName>();
    for (const [server, joined] of counts) if (joined > 0 && server !== this.#serverName) servers.add(server);
    return servers;
  }

  #update(roomId: RoomId): void {
    if (this.#engine.store.room(roomId) === undefined) return;
    const now = this.#engine.currentState(roomId);
    const entry = this.#rooms.get(roomId);
    if (entry === undefined) {
      const counts = countsOf(now);
      this.#rooms.set(roomId, { root: now.rootRef, counts });
      for (const server of counts.keys()) this.#enter(roomId, server);
      return;
    }
    const before = now.at(entry.root);
    entry.root = now.rootRef;
    const gone: UserId[] = [];
    for (const change of movedBetween(before, now)) {
      const server = serverOf(change.userId);
      const joined = count(entry.counts, change);
      if (change.by === -1 && server !== this.#serverName) gone.push(change.userId);
      if (joined === 1 && change.by === 1) this.#enter(roomId, server);
      if (joined > 0) continue;
      entry.counts.delete(server);
      this.#leave(roomId, server);
    }
    for (const userId of gone) for (const { memberLeft } of this.#listeners) memberLeft?.(roomId, userId);
  }

  #enter(roomId: RoomId, server: ServerName): void {
    const rooms = this.#byServer.get(server) ?? new Set<RoomId>();
    this.#byServer.set(server, rooms.add(roomId));
    for (const { entered } of this.#listeners) entered?.(roomId, server);
  }

  #leave(roomId: RoomId, server: ServerName): void {
    const rooms = this.#byServer.get(server);
    rooms?.delete(roomId);
    if (rooms?.size === 0) this.#byServer.delete(server);
    for (const { left } of this.#listeners) left?.(roomId, server);
  }
}

interface Move {
  readonly userId: UserId;
  readonly by: 1 | -1;
}

/** Who is joined in the one state and not in the other. */
function* movedBetween(before: StateView, after: StateView): Generator<Move> {
  for (const { type, stateKey } of before.diff(after)) {
    if (type !== MEMBER_TYPE || !stateKey.includes(':')) continue;
    const wasJoined = before.membership(stateKey) === 'join';
    const isJoined = after.membership(stateKey) === 'join';
    if (wasJoined !== isJoined) yield { userId: stateKey as UserId, by: isJoined ? 1 : -1 };
  }
}

/** @returns how many of the server are joined with it */
function count(counts: Map<ServerName, number>, { userId, by }: Move): number {
  const server = serverOf(userId);
  const joined = (counts.get(server) ?? 0) + by;
  counts.set(server, joined);
  return joined;
}

function countsOf(view: StateView): Map<ServerName, number> {
  const counts = new Map<ServerName, number>();
  for (const { userId } of view.members({ membership: 'join' })) {
    if (userId.includes(':')) count(counts, { userId: userId as UserId, by: 1 });
  }
  return counts;
}
