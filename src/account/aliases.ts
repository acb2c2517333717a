// Room aliases of this server.
//
//   !aliases    stateroom.alias / alias           { room_id, creator }
//               stateroom.room_aliases / room id  { aliases }
//
// The second is the first the other way round; both are written together.
// Source: client-server API, "Room Aliases".

import type { InternalRecord } from '../core/internal.js';
import type { RoomId, UserId } from '../event/ids.js';
import { isArray, type JsonObject, own } from '../event/json.js';
import { AliasTakenError } from './errors.js';
import { ALIASES_ROOM, type AccountParts, textOf } from './parts.js';

const ALIAS = 'stateroom.alias';
const ROOM_ALIASES = 'stateroom.room_aliases';

export interface Alias {
  readonly alias: string;
  readonly roomId: RoomId;
  /** Who made it, and may take it away. */
  readonly creator: UserId;
}

export class Aliases {
  readonly #parts: AccountParts;

  constructor(parts: AccountParts) {
    this.#parts = parts;
  }

  get(alias: string): Alias | undefined {
    const content = this.#parts.engine.internal.get(ALIASES_ROOM, ALIAS, alias);
    if (content === undefined) return undefined;
    return {
      alias,
      roomId: (textOf(content, 'room_id') ?? '') as RoomId,
      creator: (textOf(content, 'creator') ?? '') as UserId,
    };
  }

  /** A room's aliases on this server, oldest first. */
  ofRoom(roomId: RoomId): string[] {
    const aliases = own(this.#parts.engine.internal.get(ALIASES_ROOM, ROOM_ALIASES, roomId) ?? {}, 'aliases');
    return isArray(aliases) ? aliases.filter((alias) => typeof alias === 'string') : [];
  }

  /** Names a room. @throws ACCOUNT_ALIAS_TAKEN, also when it names this very room */
  async add(alias: string, roomId: RoomId, creator: UserId): Promise<void> {
    if (this.get(alias) !== undefined) throw new AliasTakenError(`${alias} is taken`, { alias });
    await this.#parts.engine.internal.write([
      aliasRecord(alias, { room_id: roomId, creator }),
      roomRecord(roomId, [...this.ofRoom(roomId), alias]),
    ]);
  }

  /** Takes an alias away. @returns whether it was there */
  async remove(alias: string): Promise<boolean> {
    const found = this.get(alias);
    if (found === undefined) return false;
    const left = this.ofRoom(found.roomId).filter((other) => other !== alias);
    await this.#parts.engine.internal.write([aliasRecord(alias, undefined), roomRecord(found.roomId, left)]);
    return true;
  }
}

function aliasRecord(alias: string, content: JsonObject | undefined): InternalRecord {
  return { roomId: ALIASES_ROOM, type: ALIAS, stateKey: alias, content };
}

function roomRecord(roomId: RoomId, aliases: readonly string[]): InternalRecord {
  const content = aliases.length === 0 ? undefined : { aliases };
  return { roomId: ALIASES_ROOM, type: ROOM_ALIASES, stateKey: roomId, content };
}
