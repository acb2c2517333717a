// The servers that are said to be in a room whose state is not all known: the list that came with its join.
//
// Nobody can check it before the state is whole. Until then it is better to send too much, and to hear too much,
// than to leave somebody out: so whoever stands in it counts as in the room, also when its members were seen to go.
//
// Source: MSC3706 (`servers_in_room`), MSC3902.

import type { PartialState } from '../core/partial-states.js';
import type { Engine } from '../engine/engine.js';
import type { RoomId, ServerName } from '../event/ids.js';

/** Whoever makes a list must not choose how many others we talk to. The largest rooms have some thousands. */
const SERVERS_MAX = 20_000;

export const NOBODY: ReadonlySet<ServerName> = new Set();

/** The servers of a list that count. */
export function listedServers({ servers }: Pick<PartialState, 'servers'>): ReadonlySet<ServerName> {
  return new Set(servers.slice(0, SERVERS_MAX));
}

export class SaidServers {
  readonly #engine: Engine;
  /** By the list that they were made from. */
  readonly #sets = new WeakMap<readonly ServerName[], ReadonlySet<ServerName>>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /**
   * Nobody where all is known. O(1), but for the first time after a join.
   * @returns undefined where it is not all known and nobody will find out: the room was left
   */
  of(roomId: RoomId): ReadonlySet<ServerName> | undefined {
    if (this.#engine.store.room(roomId)?.isPartial !== true) return NOBODY;
    const join = this.#engine.partial.joinOf(roomId);
    if (join !== undefined && join.completed === undefined) return this.#setOf(join);
    for (const state of this.#engine.partial.incomplete()) if (state.roomId === roomId) return NOBODY;
    return undefined;
  }

  #setOf(join: PartialState): ReadonlySet<ServerName> {
    const existing = this.#sets.get(join.servers);
    if (existing !== undefined) return existing;
    const listed = listedServers(join);
    this.#sets.set(join.servers, listed);
    return listed;
  }
}
