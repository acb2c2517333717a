// Which servers have joined members in which room: an index in memory, made from the rooms' current states at
// start and kept up with what is committed. Members are counted by their tags: no event is read.
//
// A room that changed is compared with what it was by its root, so an event costs what it changed, whatever the
// size of the room. The servers of any other state of a room are found the same way, from the state that the
// index shows.
//
// While the state of a room is not all known, those count too that are said to be in it.

import type { Engine } from '../../engine/engine.js';
import { changedRooms, Follower } from '../../engine/follower.js';
import { type RoomId, serverOf, type ServerName, type UserId } from '../../event/ids.js';
import { INTERNAL_VERSION } from '../../event/rules.js';
import type { StateView } from '../../reader/state-view.js';
import type { RootRef } from '../../tree/types.js';
import { NOBODY, SaidServers } from '../said-servers.js';

/** Told in the order of commits, once the index shows it. */
export interface RoomServersListener {
  /** The first member of a server joined. */
  readonly entered?: (roomId: RoomId, server: ServerName) => void;
  /** The last member of a server is gone. */
  readonly left?: (roomId: RoomId, server: ServerName) => void;
  /** A user of another server is joined no more. */
  readonly memberLeft?: (roomId: RoomId, userId: UserId) => void;
  /** Who is in the room was not all known, and is now; or nobody of this server is in it any more. */
  readonly membersKnown?: (roomId: RoomId) => void;
}

interface Entry {
  /** The state that the counts are of. */
  root: RootRef;
  /** Joined members of each server; none is 0. */
  readonly counts: Map<ServerName, number>;
  /** Servers that are said to be in it, while its state is not all known. */
  said: ReadonlySet<ServerName>;
  /** The servers but for this one: the same set for as long as they are the same. */
  others: ReadonlySet<ServerName> | undefined;
}

export interface RoomServersParts {
  readonly engine: Engine;
  readonly serverName: ServerName;
}

const NO_ROOMS: ReadonlySet<RoomId> = new Set();

export class RoomServers {
  readonly #engine: Engine;
  readonly #serverName: ServerName;
  readonly #said: SaidServers;
  readonly #rooms = new Map<RoomId, Entry>();
  /** Rooms with servers that are only said to be in them. */
  readonly #unsure = new Set<RoomId>();
  readonly #byServer = new Map<ServerName, Set<RoomId>>();
  readonly #listeners = new Set<RoomServersListener>();
  #follower: Follower | undefined;

  private constructor({ engine, serverName }: RoomServersParts) {
    this.#engine = engine;
    this.#serverName = serverName;
    this.#said = new SaidServers(engine);
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

  /** Other servers that are in the room, or are said to be. */
  serversOf(roomId: RoomId): ServerName[] {
    return [...this.othersIn(roomId)];
  }

  /** The same, as a set that stays the very same for as long as they do. */
  othersIn(roomId: RoomId): ReadonlySet<ServerName> {
    const entry = this.#rooms.get(roomId);
    return entry === undefined ? NOBODY : this.#others(entry);
  }

  /** Is the server in the room, or said to be? */
  isIn(server: ServerName, roomId: RoomId): boolean {
    const entry = this.#rooms.get(roomId);
    return entry !== undefined && this.#isIn(server, entry);
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

  /** Is the user joined to a room that somebody of this server is joined to? False also while that is not known. */
  sharesRoom(userId: UserId): boolean {
    for (const _ of this.sharedRooms(userId)) return true;
    return false;
  }

  /**
   * Rooms where the user may be joined for all that is known, and somebody of this server is: nothing is known of the
   * user's membership, and their server is said to be there. A point read for each room that is not all known.
   */
  *maybeSharedRooms(userId: UserId): Generator<RoomId> {
    for (const roomId of this.#unsure) if (this.isMaybeIn(userId, roomId)) yield roomId;
  }

  /** May the user share a room with this server that is not known to be shared? */
  mayShareRoom(userId: UserId): boolean {
    for (const _ of this.maybeSharedRooms(userId)) return true;
    return false;
  }

  /** Is there a room of ours of which it is not all known who of the server is in it? */
  isUnsure(server: ServerName): boolean {
    for (const roomId of this.#unsure) if (this.#rooms.get(roomId)?.said.has(server) === true) return true;
    return false;
  }

  /** May the user be joined to this room of ours, though it is not known? */
  isMaybeIn(userId: UserId, roomId: RoomId): boolean {
    if (!this.#unsure.has(roomId) || !this.isIn(this.#serverName, roomId)) return false;
    if (this.#rooms.get(roomId)?.said.has(serverOf(userId)) !== true) return false;
    return this.#engine.currentState(roomId).membership(userId) === undefined;
  }

  /**
   * Other servers that are in a state of a room, or are said to be: the very set of `othersIn` where they are those.
   * Costs what the state differs from the one shown.
   */
  serversAt(view: StateView): ReadonlySet<ServerName> {
    const entry = this.#rooms.get(view.roomId);
    const moved = entry === undefined ? [] : this.#movedAt(view, entry);
    if (entry !== undefined && moved.length === 0) return this.#others(entry);
    return this.#without([...this.memberServersAt(view), ...(entry?.said ?? NOBODY)]);
  }

  /** Other servers with joined members in a state of a room. Costs what it differs from the state shown. */
  memberServersAt(view: StateView): ReadonlySet<ServerName> {
    const entry = this.#rooms.get(view.roomId);
    if (entry === undefined) return this.#without([...joinedIn(view)].map(({ userId }) => serverOf(userId)));
    const servers = new Set(entry.counts.keys());
    for (const [server, joined] of this.#movedAt(view, entry)) {
      if (joined > 0) servers.add(server);
      else servers.delete(server);
    }
    return this.#without(servers);
  }

  /** Servers that are in the one state and not in the other, and how many of them are joined in this one. */
  #movedAt(view: StateView, { counts, root }: Entry): (readonly [ServerName, joined: number])[] {
    const changed = new Map<ServerName, number>();
    for (const { userId, by } of movedBetween(view.at(root), view)) {
      const server = serverOf(userId);
      changed.set(server, (changed.get(server) ?? counts.get(server) ?? 0) + by);
    }
    return [...changed].filter(([server, joined]) => joined > 0 !== counts.has(server));
  }

  #others(entry: Entry): ReadonlySet<ServerName> {
    return (entry.others ??= this.#without([...entry.counts.keys(), ...entry.said]));
  }

  #without(servers: Iterable<ServerName>): ReadonlySet<ServerName> {
    const others = new Set(servers);
    others.delete(this.#serverName);
    return others;
  }

  #isIn(server: ServerName, { counts, said }: Entry): boolean {
    return counts.has(server) || (server !== this.#serverName && said.has(server));
  }

  #update(roomId: RoomId): void {
    if (this.#engine.store.room(roomId) === undefined) return;
    const now = this.#engine.currentState(roomId);
    const shown = this.#rooms.get(roomId);
    const fresh = { root: now.rootRef, counts: new Map(), said: NOBODY, others: undefined };
    const entry: Entry = shown ?? fresh;
    // Of a room that was left nothing more is said, but who was said to be in it is to hear of that.
    const said = this.#said.of(roomId) ?? entry.said;
    /** Those that may have come or gone. */
    const wasIn = new Map<ServerName, boolean>();
    const touch = (server: ServerName): void => {
      if (!wasIn.has(server)) wasIn.set(server, this.#isIn(server, entry));
    };
    if (said !== entry.said) for (const server of [...entry.said, ...said]) touch(server);
    const gone: UserId[] = [];
    for (const move of shown === undefined ? joinedIn(now) : movedBetween(now.at(entry.root), now)) {
      const server = serverOf(move.userId);
      touch(server);
      if (count(entry.counts, move) === 0) entry.counts.delete(server);
      if (move.by === -1 && server !== this.#serverName) gone.push(move.userId);
    }
    entry.root = now.rootRef;
    entry.said = said;
    this.#rooms.set(roomId, entry);
    this.#moved(roomId, entry, wasIn);
    for (const userId of gone) for (const { memberLeft } of this.#listeners) memberLeft?.(roomId, userId);
    this.#checkUnsure(roomId, entry);
  }

  #moved(roomId: RoomId, entry: Entry, wasIn: ReadonlyMap<ServerName, boolean>): void {
    for (const [server, was] of wasIn) {
      const is = this.#isIn(server, entry);
      if (is !== was) entry.others = undefined;
      if (is && !was) this.#enter(roomId, server);
      if (was && !is) this.#leave(roomId, server);
    }
  }

  #checkUnsure(roomId: RoomId, { said, counts }: Entry): void {
    if (said.size > 0 && counts.has(this.#serverName)) {
      this.#unsure.add(roomId);
    } else if (this.#unsure.delete(roomId)) {
      for (const { membersKnown } of this.#listeners) membersKnown?.(roomId);
    }
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
  for (const { userId, before: was, after: is } of before.memberChanges(after)) {
    if (!userId.includes(':')) continue;
    const [wasJoined, isJoined] = [was?.membership === 'join', is?.membership === 'join'];
    if (wasJoined !== isJoined) yield { userId: userId as UserId, by: isJoined ? 1 : -1 };
  }
}

/** @returns how many of the server are joined with it */
function count(counts: Map<ServerName, number>, { userId, by }: Move): number {
  const server = serverOf(userId);
  const joined = (counts.get(server) ?? 0) + by;
  counts.set(server, joined);
  return joined;
}

/** Everybody who is joined. */
function* joinedIn(view: StateView): Generator<Move> {
  for (const { userId } of view.members({ membership: 'join' })) {
    if (userId.includes(':')) yield { userId: userId as UserId, by: 1 };
  }
}
