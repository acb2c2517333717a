// Events that were asked for, as they came: read, named by their hashes, held against what was asked.
//
// An answer is a stranger's: what was not asked for, is of another room, or comes twice is left out before
// anything is spent on it. The order in which they can be taken is that of what they cite.

import { canonicalJson } from '../../event/canonical.js';
import type { EventId, RoomId } from '../../event/ids.js';
import { type JsonObject, own } from '../../event/json.js';
import { parsePdu } from '../../event/parse.js';
import type { Pdu } from '../../event/pdu.js';
import type { RoomVersionRules } from '../../event/rules.js';
import { StateroomError } from '../../lib/errors.js';
import { utf8 } from '../../lib/bytes.js';

/** So many are parsed before others get a turn. */
const TURN = 100;

/** The events of a room among those that came, each once, by id. Never throws for what they hold. */
export async function readEvents(
  jsons: readonly JsonObject[],
  roomId: RoomId,
  rules: RoomVersionRules,
  isWanted: (eventId: EventId) => boolean = () => true,
): Promise<Map<EventId, Pdu>> {
  const events = new Map<EventId, Pdu>();
  for (const [i, json] of jsons.entries()) {
    if (i % TURN === TURN - 1) await new Promise((resolve) => setImmediate(resolve));
    const event = readEvent(json, rules);
    if (event !== undefined && event.roomId === roomId && isWanted(event.eventId)) {
      events.set(event.eventId, event);
    }
  }
  return events;
}

/** The event, or undefined for what is none. */
export function readEvent(json: JsonObject, rules: RoomVersionRules): Pdu | undefined {
  try {
    return parsePdu(json, rules);
  } catch (error) {
    if (error instanceof StateroomError) return undefined;
    throw error;
  }
}

/** Those that lead back from what is wanted; the rest was not asked for. */
export function connected(
  events: ReadonlyMap<EventId, Pdu>,
  wanted: ReadonlySet<EventId>,
): Map<EventId, Pdu> {
  const found = new Map<EventId, Pdu>();
  const reached = new Set(wanted);
  for (const id of reached) {
    const event = events.get(id);
    if (event === undefined) continue;
    found.set(id, event);
    for (const prev of event.prevEvents) reached.add(prev);
  }
  return found;
}

/** The bytes to hand to the engine. */
export function bytesOf({ json }: Pdu): Uint8Array {
  return utf8(canonicalJson(signedPart(json), { strictCanonicalJson: false }));
}

/** An event without `unsigned`, which no signature covers. */
export function signedPart(json: JsonObject): JsonObject {
  if (own(json, 'unsigned') === undefined) return json;
  return Object.fromEntries(Object.entries(json).filter(([name]) => name !== 'unsigned'));
}

/**
 * Events in ranks: each refers only to those of ranks before it, and to such as `isKnown`. What refers to others,
 * or to itself in a circle, is in none.
 */
export function ranks(
  events: ReadonlyMap<EventId, Pdu>,
  refersTo: (event: Pdu) => readonly EventId[],
  isKnown: (eventId: EventId) => boolean,
): Pdu[][] {
  const waitsFor = new Map<EventId, number>();
  const frees = new Map<EventId, Pdu[]>();
  const ranked: Pdu[][] = [];
  let rank: Pdu[] = [];
  for (const event of events.values()) {
    const unknown = new Set(refersTo(event).filter((id) => !isKnown(id)));
    for (const id of unknown) {
      const freed = frees.get(id);
      if (freed === undefined) frees.set(id, [event]);
      else freed.push(event);
    }
    waitsFor.set(event.eventId, unknown.size);
    if (unknown.size === 0) rank.push(event);
  }
  while (rank.length > 0) {
    ranked.push(rank);
    const next: Pdu[] = [];
    for (const { eventId } of rank) {
      for (const event of frees.get(eventId) ?? []) {
        const left = (waitsFor.get(event.eventId) ?? 0) - 1;
        waitsFor.set(event.eventId, left);
        if (left === 0) next.push(event);
      }
    }
    rank = next;
  }
  return ranked;
}
