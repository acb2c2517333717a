// Walks back through a room's graph, bounded in every way: events looked at, events found.
//
// Source: server-server API, "Backfilling and retrieving missing events".

import type { EventId, RoomId } from '../../../event/ids.js';
import type { Reader } from '../../../reader/reader.js';
import type { KnownEvent } from '../../../room/graph/known-events.js';

/** Events that are looked at for each that is wanted. */
const LOOKED_AT_PER_EVENT = 20;

export interface MissingWalk {
  readonly roomId: RoomId;
  /** Walked back from; not among those found. */
  readonly latest: readonly EventId[];
  /** Not gone beyond, and not among those found. */
  readonly earliest: ReadonlySet<EventId>;
  readonly minDepth: number;
  readonly limit: number;
}

/** Breadth first: what lies between some events and others, the nearest first. */
export function missingBefore(reader: Reader, walk: MissingWalk): KnownEvent[] {
  const { roomId, latest, earliest, minDepth, limit } = walk;
  const seen = new Set<EventId>([...latest, ...earliest]);
  const found: KnownEvent[] = [];
  let front = placedEvents(
    reader,
    roomId,
    latest.filter((id) => !earliest.has(id)),
  );
  while (front.length > 0 && found.length < limit) {
    const next: KnownEvent[] = [];
    for (const { pdu } of front) {
      for (const id of pdu.prevEvents) {
        if (seen.has(id) || seen.size > limit * LOOKED_AT_PER_EVENT + latest.length + earliest.size) continue;
        seen.add(id);
        const event = placedEvent(reader, roomId, id);
        if (event === undefined || event.pdu.depth < minDepth) continue;
        next.push(event);
      }
    }
    found.push(...next.slice(0, limit - found.length));
    front = next;
  }
  return found;
}

/** What led up to these events, they among it: the greatest depth first, and the newest here among equals. */
export function eventsUpTo(
  reader: Reader,
  roomId: RoomId,
  from: readonly EventId[],
  limit: number,
): KnownEvent[] {
  const seen = new Set<EventId>(from);
  const front = placedEvents(reader, roomId, from).sort(byAge);
  const found: KnownEvent[] = [];
  while (found.length < limit) {
    const event = front.pop();
    if (event === undefined) break;
    found.push(event);
    for (const id of event.pdu.prevEvents) {
      if (seen.has(id)) continue;
      seen.add(id);
      const prev = placedEvent(reader, roomId, id);
      if (prev !== undefined) insertByAge(front, prev);
    }
  }
  return found;
}

/** Events of the room that have a place in its graph; each once. */
export function placedEvents(reader: Reader, roomId: RoomId, ids: readonly EventId[]): KnownEvent[] {
  return [...new Set(ids)].flatMap((id) => placedEvent(reader, roomId, id) ?? []);
}

function placedEvent(reader: Reader, roomId: RoomId, id: EventId): KnownEvent | undefined {
  const event = reader.events.get(id);
  return event?.pdu.roomId === roomId && event.roots !== undefined ? event : undefined;
}

/** Oldest first: by depth, then by when it came here. */
export function byAge(a: KnownEvent, b: KnownEvent): number {
  return a.pdu.depth - b.pdu.depth || a.seq - b.seq;
}

function insertByAge(sorted: KnownEvent[], event: KnownEvent): void {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const other = sorted[middle];
    if (other !== undefined && byAge(other, event) < 0) low = middle + 1;
    else high = middle;
  }
  sorted.splice(low, 0, event);
}
