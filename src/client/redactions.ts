// Which events were redacted, and by whom.
//
// The store knows who claims to redact an event; whether that counts is decided here. Looking costs a range
// read per event, so what was found is kept, and made good by looking through what was committed since:
// no listener, and never older than the watermark.
//
// Source: rooms/v3, "Handling redactions"; rooms/v1 (there the authorisation rules have decided).

import type { Engine } from '../engine/engine.js';
import { serverOf, type EventId } from '../event/ids.js';
import type { JsonValue } from '../event/json.js';
import { ClockCache } from '../lib/clock-cache.js';
import type { KnownEvent } from '../room/graph/known-events.js';
import { forbidden, invalidParam, notFound } from './errors.js';
import type { Homeserver } from './homeserver.js';
import { powerLevelsAt, type RoomAccess, visibleEvent } from './visibility.js';

/** Answers kept, in events. */
const KEPT_MAX = 100_000;
/** Commits that are looked through; after more than that all answers are forgotten instead. */
const CATCH_UP_MAX = 2_000;
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
  /** The seq of the redaction, or 0 where there is none. */
  readonly #kept = new ClockCache<EventId, number>(KEPT_MAX);
  #position: number;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#position = engine.core.release.watermark;
  }

  /** For each of the events that was redacted: by which event. Those that were not are left out. */
  async of(events: readonly KnownEvent[]): Promise<ReadonlyMap<EventId, KnownEvent>> {
    this.#catchUp();
    const found = new Map<EventId, KnownEvent>();
    const note = (event: KnownEvent, seq: number): void => {
      const redaction = seq === 0 ? undefined : this.#engine.reader.events.at(seq);
      if (redaction !== undefined) found.set(event.pdu.eventId, redaction);
    };
    const unsure: KnownEvent[] = [];
    for (const event of events) {
      const kept = this.#kept.get(event.pdu.eventId);
      if (kept === undefined) unsure.push(event);
      else note(event, kept);
    }
    await Promise.all(unsure.map(async (event) => note(event, await this.#lookUp(event))));
    return found;
  }

  async #lookUp(event: KnownEvent): Promise<number> {
    const position = this.#position;
    const seq = await this.#search(event);
    // What was committed meanwhile may have redacted it, and was looked through already.
    if (position === this.#position) this.#kept.set(event.pdu.eventId, seq, 1);
    return seq;
  }

  async #search(event: KnownEvent): Promise<number> {
    const { store, reader } = this.#engine;
    let claims = 0;
    for await (const seq of store.edges(event.pdu.eventId, 'redaction')) {
      const claim = reader.events.at(seq);
      if (claim !== undefined && redacts(this.#engine, claim, event)) return seq;
      if (++claims >= CLAIMS_MAX) break;
    }
    return 0;
  }

  #catchUp(): void {
    const { core, store, reader } = this.#engine;
    const { watermark } = core.release;
    if (watermark - this.#position > CATCH_UP_MAX) this.#kept.clear();
    else {
      for (let seq = this.#position + 1; seq <= watermark; seq++) {
        const bytes = store.event(seq)?.bytes;
        if (bytes === undefined || !mayBeRedaction(bytes)) continue;
        const target = reader.events.at(seq)?.pdu.redacts;
        if (target !== undefined) this.#kept.delete(target);
      }
    }
    this.#position = watermark;
  }
}

/** False only for what is none: an escape may hide the type's name. */
function mayBeRedaction(bytes: Uint8Array): boolean {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return text.includes('m.room.redaction') || text.includes('\\u');
}

/** Does the one event redact the other? */
export function redacts(engine: Engine, claim: KnownEvent, target: KnownEvent): boolean {
  const { pdu } = claim;
  if (pdu.type !== 'm.room.redaction' || pdu.redacts !== target.pdu.eventId) return false;
  if (claim.verdict !== 'accepted' || claim.roots === undefined) return false;
  if (pdu.roomId !== target.pdu.roomId) return false;
  if (pdu.rules.authorisation.hasRedactionRule) return true;
  if (serverOf(pdu.sender) === serverOf(target.pdu.sender)) return true;
  const levels = powerLevelsAt(engine, engine.reader.stateAt(pdu.eventId, 'before'));
  return levels.user(pdu.sender) >= levels.named('redact');
}

const EVENT_ID_LENGTH_MAX = 255;

/** An event id that a client names. @throws MatrixError 400 */
export function redactedId(value: JsonValue | undefined): EventId {
  if (typeof value !== 'string' || !value.startsWith('$') || value.length > EVENT_ID_LENGTH_MAX) {
    throw invalidParam('redacts is no event id.');
  }
  return value as EventId;
}

/**
 * Checks that the user may redact an event: their own, or any with the room's `redact` level.
 * @throws MatrixError 404 for an event that they cannot see, 403
 */
export function mayRedact(home: Homeserver, access: RoomAccess, eventId: EventId): void {
  const { viewer, view } = access;
  const event = visibleEvent(home, access, eventId);
  if (event === undefined) throw notFound('The event to redact was not found in this room.');
  if (event.pdu.sender === viewer.userId) return;
  const levels = powerLevelsAt(home.engine, view);
  if (!(levels.user(viewer.userId) >= levels.named('redact'))) {
    throw forbidden('You may redact your own events only.');
  }
}
