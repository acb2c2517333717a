// A room as lists of rooms show it: what its state says of it, in a handful of point queries.
//
// Source: client-server API, definitions `PublishedRoomsChunk`, `RoomSummary`.

import type { JsonObject } from '../event/json.js';
import type { Reader } from './reader.js';
import { historyVisibilityAt, stateTextAt } from './room-facts.js';
import type { StateView } from './state-view.js';

/** What a list of published rooms says of a room. */
export function publishedSummary(reader: Reader, view: StateView): JsonObject {
  const text = (type: string, key: string): string | undefined => stateTextAt(reader, view, type, key);
  return {
    room_id: view.roomId,
    num_joined_members: view.joined,
    world_readable: historyVisibilityAt(reader, view) === 'world_readable',
    guest_can_join: text('m.room.guest_access', 'guest_access') === 'can_join',
    join_rule: text('m.room.join_rules', 'join_rule') ?? 'invite',
    ...optional('name', text('m.room.name', 'name')),
    ...optional('topic', text('m.room.topic', 'topic')),
    ...optional('canonical_alias', text('m.room.canonical_alias', 'alias')),
    ...optional('avatar_url', text('m.room.avatar', 'url')),
    ...optional('room_type', text('m.room.create', 'type')),
  };
}

/** The same, with what one needs to know before joining. */
export function roomSummary(reader: Reader, view: StateView): JsonObject {
  return {
    ...publishedSummary(reader, view),
    room_version: view.rules.version,
    ...optional('encryption', stateTextAt(reader, view, 'm.room.encryption', 'algorithm')),
  };
}

function optional(key: string, value: string | undefined): JsonObject {
  return value === undefined ? {} : { [key]: value };
}
