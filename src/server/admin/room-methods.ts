// What `stateroom admin rooms` asks: the rooms of a running server, as its users know them.

import type { Homeserver } from '../../client/homeserver.js';
import type { RoomId } from '../../event/ids.js';
import { INTERNAL_VERSION } from '../../event/rules.js';
import { stateTextAt } from '../../reader/room-facts.js';

/** One room, as `admin rooms` shows it. */
export interface AdminRoom {
  readonly room_id: RoomId;
  readonly room_version: string;
  readonly name: string | null;
  readonly canonical_alias: string | null;
  readonly joined: number;
  /** Of them, users of this server. */
  readonly joined_here: number;
  /** Other servers in it. */
  readonly servers: number;
  readonly events: number;
  /** Is it in the directory of this server? */
  readonly published: boolean;
}

/** All rooms but the server's own records, sorted by id. */
export async function listRooms({ engine, accounts, federation }: Homeserver): Promise<AdminRoom[]> {
  const rooms: AdminRoom[] = [];
  await accounts.memberships.caughtUp();
  for await (const row of engine.reader.rooms()) {
    if (row.version === INTERNAL_VERSION) continue;
    const { roomId } = row;
    const view = engine.reader.viewOf(row, row.root);
    const here = [...accounts.memberships.ofRoom(roomId).values()];
    rooms.push({
      room_id: roomId,
      room_version: row.version,
      name: stateTextAt(engine.reader, view, 'm.room.name', 'name') ?? null,
      canonical_alias: stateTextAt(engine.reader, view, 'm.room.canonical_alias', 'alias') ?? null,
      joined: view.joined,
      joined_here: here.filter(({ membership }) => membership === 'join').length,
      servers: federation?.roomServers.serversOf(roomId).length ?? 0,
      events: row.events,
      published: accounts.directory.isPublished(roomId),
    });
  }
  return rooms;
}
