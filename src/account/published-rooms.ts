// The list of rooms that this server publishes, a page at a time, for its own users and for other servers.
//
// Source: client-server API, "Published room directory"; server-server API, "Published Room Directory".

import type { Engine } from '../engine/engine.js';
import type { RoomId } from '../event/ids.js';
import { type JsonObject, type JsonValue, own } from '../event/json.js';
import { compareCodePoints } from '../lib/bytes.js';
import { publishedSummary } from '../reader/room-summary.js';
import type { Directory } from './directory.js';

/** Rooms of a page at most. */
export const PAGE_MAX = 500;

/** Which page of the list, of which rooms. */
export interface RoomSearch {
  readonly limit: number;
  /** Rooms before the page: see `startOfPage`. */
  readonly start: number;
  /** Empty matches all. */
  readonly term: string;
  /** Types wanted, `null` for rooms without one; undefined for all. */
  readonly types: readonly JsonValue[] | undefined;
}

/** The largest rooms first. A token says how many rooms come before its page. */
export function publishedRooms(
  parts: { readonly engine: Engine; readonly directory: Directory },
  { limit, start, term, types }: RoomSearch,
): JsonObject {
  const wanted = term.toLowerCase();
  const rooms = parts.directory
    .list()
    .filter((roomId) => parts.engine.store.room(roomId) !== undefined)
    .map((roomId) => listed(parts.engine, roomId))
    .filter(({ shown }) => matches(shown, wanted, types))
    .sort((a, b) => b.joined - a.joined || compareCodePoints(a.roomId, b.roomId));
  const end = start + limit;
  return {
    chunk: rooms.slice(start, end).map(({ shown }) => shown),
    total_room_count_estimate: rooms.length,
    ...(end < rooms.length && limit > 0 ? { next_batch: `p${end}` } : {}),
    ...(start > 0 ? { prev_batch: `p${Math.max(0, start - limit)}` } : {}),
  };
}

/** Where a token's page starts; undefined for what is no token. */
export function startOfPage(token: string): number | undefined {
  const digits = /^p([0-9]{1,9})$/.exec(token)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

function listed(engine: Engine, roomId: RoomId) {
  const view = engine.currentState(roomId);
  return { roomId, joined: view.joined, shown: publishedSummary(engine.reader, view) };
}

function matches(room: JsonObject, term: string, types: readonly JsonValue[] | undefined): boolean {
  if (types !== undefined && !types.includes(own(room, 'room_type') ?? null)) return false;
  const texts = ['name', 'topic', 'canonical_alias'].map((key) => own(room, key));
  const isFound = (text: JsonValue | undefined) =>
    typeof text === 'string' && text.toLowerCase().includes(term);
  return term === '' || texts.some(isFound);
}
