// Which events were redacted, and by whom.
//
// The store knows who claims to redact an event; whether that counts is decided here. Nearly no event is claimed,
// and that none is costs a lookup in memory or a point read; only for those that are the claims are gone through.
//
// Source: rooms/v3, "Handling redactions"; rooms/v1 (there the authorisation rules have decided).

import { serverOf, type EventId, type RoomId } from '../event/ids.js';
import { powerLevelsAt } from '../reader/room-facts.js';
import type { KnownEvent } from '../room/graph/known-events.js';
import type { Engine } from './engine.js';

/** Claims to redact one event that are looked at. */
const CLAIMS_MAX = 1_000;

const byEngine = new WeakMap<Engine, Redactions>();

/** The redactions of an engine's events. */
export function redactionsOf(engine: Engine): Redactions {
  const existing = byEngine.get(engine);
  if (existing !== undefined) return existing;
  const redactions = new Redactions(engine);
  byEngine.set(engine, redactions);
  return redactions;
}

export class Redactions {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Those of a room's events that may be redacted: nearly none. No other is. Costs no range. */
  claimed(roomId: RoomId, eventIds: readonly EventId[]): EventId[] {
    const { store } = this.#engine;
    const room = store.room(roomId);
    return room === undefined ? [] : eventIds.filter((id) => store.redacted.isClaimed(room.number, id));
  }

  /** For each of the events that was redacted: by which event. Those that were not are left out. */
  async of(events: readonly KnownEvent[]): Promise<ReadonlyMap<EventId, KnownEvent>> {
    const byRoom = new Map<RoomId, EventId[]>();
    for (const { pdu } of events) {
      const ids = byRoom.get(pdu.roomId);
      if (ids === undefined) byRoom.set(pdu.roomId, [pdu.eventId]);
      else ids.push(pdu.eventId);
    }
    const found = new Map<EventId, KnownEvent>();
    for (const [roomId, ids] of byRoom) await this.#add(found, this.claimed(roomId, ids));
    return found;
  }

  /** The same for events of one room by their ids: those that nobody claims to redact are not even read. */
  async ofIds(roomId: RoomId, eventIds: readonly EventId[]): Promise<ReadonlyMap<EventId, KnownEvent>> {
    const found = new Map<EventId, KnownEvent>();
    await this.#add(found, this.claimed(roomId, eventIds));
    return found;
  }

  async #add(found: Map<EventId, KnownEvent>, claimed: readonly EventId[]): Promise<void> {
    const searches = claimed.map(async (id) => {
      const redaction = await this.#search(id);
      if (redaction !== undefined) found.set(id, redaction);
    });
    await Promise.all(searches);
  }

  async #search(id: EventId): Promise<KnownEvent | undefined> {
    const { store, reader } = this.#engine;
    const event = reader.events.get(id);
    if (event === undefined) return undefined;
    let claims = 0;
    for await (const seq of store.edges(id, 'redaction')) {
      const claim = reader.events.at(seq);
      if (claim !== undefined && redacts(this.#engine, claim, event)) return claim;
      if (++claims >= CLAIMS_MAX) break;
    }
    return undefined;
  }
}

/** Does the one event redact the other? */
export function redacts(engine: Engine, claim: KnownEvent, target: KnownEvent): boolean {
  const { pdu } = claim;
  if (pdu.type !== 'm.room.redaction' || pdu.redacts !== target.pdu.eventId) return false;
  if (claim.verdict !== 'accepted' || claim.roots === undefined) return false;
  if (pdu.roomId !== target.pdu.roomId) return false;
  if (pdu.rules.authorisation.hasRedactionRule) return true;
  if (serverOf(pdu.sender) === serverOf(target.pdu.sender)) return true;
  const levels = powerLevelsAt(engine.reader, engine.reader.stateAt(pdu.eventId, 'before'));
  return levels.user(pdu.sender) >= levels.named('redact');
}
