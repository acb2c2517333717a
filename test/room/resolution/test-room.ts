// Rooms for tests of resolution: events by symbolic id, made by hand or read from JSON; no hashes, no
// signatures.

import type { EventId, RoomId, UserId } from '../../../src/event/ids.js';
import { isObject, own, type JsonObject, type JsonValue } from '../../../src/event/json.js';
import type { Pdu } from '../../../src/event/pdu.js';
import { rulesOf, type RoomVersionRules } from '../../../src/event/rules.js';
import type { EventGraph } from '../../../src/room/resolution/contract.js';

/** An event by hand: all else has a default. */
export interface EventDraft {
  readonly id: string;
  readonly type: string;
  readonly sender: string;
  readonly stateKey?: string;
  readonly content?: JsonObject;
  readonly auth?: readonly string[];
  readonly prev?: readonly string[];
  readonly ts?: number;
  readonly depth?: number;
}

/** The events of one room, and the graph that resolution sees. */
export class TestRoom {
  readonly rules: RoomVersionRules;
  readonly events = new Map<EventId, Pdu>();
  readonly rejected = new Set<EventId>();
  readonly #citers = new Map<EventId, EventId[]>();
  readonly #orders = new Map<EventId, number>();
  /** Distinct events that the graph gave out. */
  readonly read = new Set<EventId>();

  constructor(version: string) {
    const rules = rulesOf(version);
    if (rules === undefined) throw new Error(`no such room version: ${version}`);
    this.rules = rules;
  }

  /** Adds an event; what it cites must have been added before. */
  add(draft: EventDraft): Pdu {
    const first = this.events.values().next().value;
    const pdu: Pdu = {
      rules: this.rules,
      eventId: draft.id as EventId,
      roomId: first?.roomId ?? (`!${draft.id.slice(1)}` as RoomId),
      type: draft.type,
      stateKey: draft.stateKey ?? '',
      sender: draft.sender as UserId,
      content: draft.content ?? {},
      prevEvents: (draft.prev ?? []) as EventId[],
      authEvents: (draft.auth ?? []) as EventId[],
      depth: draft.depth ?? this.events.size + 1,
      originServerTs: draft.ts ?? 1_000 * (this.events.size + 1),
      redacts: undefined,
      json: {},
    };
    return this.put(pdu);
  }

  put(pdu: Pdu): Pdu {
    this.events.set(pdu.eventId, pdu);
    this.#orders.set(pdu.eventId, this.#orders.size + 1);
    if (pdu.stateKey === undefined) return pdu;
    for (const id of pdu.authEvents) {
      const citers = this.#citers.get(id);
      if (citers === undefined) this.#citers.set(id, [pdu.eventId]);
      else citers.push(pdu.eventId);
    }
    return pdu;
  }

  event(id: string): Pdu {
    const pdu = this.events.get(id as EventId);
    if (pdu === undefined) throw new Error(`no such event: ${id}`);
    return pdu;
  }

  get graph(): EventGraph {
    return {
      event: (id) => {
        this.read.add(id);
        return this.events.get(id);
      },
      isRejected: (id) => this.rejected.has(id),
      order: (id) => this.#orders.get(id) ?? 0,
      citedBy: (id) => (this.#citers.get(id) ?? []).filter((citer) => !this.rejected.has(citer)),
    };
  }
}

/** An event of a fixture as a Pdu: `event_id` as given, nothing checked but what is read. */
export function pduOfFixture(json: JsonObject, rules: RoomVersionRules): Pdu {
  const eventId = text(json, 'event_id');
  const stateKey = own(json, 'state_key');
  const content = own(json, 'content');
  const depth = own(json, 'depth');
  const ts = own(json, 'origin_server_ts');
  return {
    rules,
    eventId: eventId as EventId,
    roomId: (own(json, 'room_id') === undefined ? `!${eventId.slice(1)}` : text(json, 'room_id')) as RoomId,
    type: text(json, 'type'),
    stateKey: typeof stateKey === 'string' ? stateKey : undefined,
    sender: text(json, 'sender') as UserId,
    content: isObject(content) ? content : {},
    prevEvents: references(own(json, 'prev_events')),
    authEvents: references(own(json, 'auth_events')),
    depth: typeof depth === 'number' ? depth : 0,
    originServerTs: typeof ts === 'number' ? ts : 0,
    redacts: undefined,
    json,
  };
}

/** The room that a list of event JSON makes, in the order of the list. */
export function roomOfFixture(version: string, events: readonly JsonObject[]): TestRoom {
  const room = new TestRoom(version);
  for (const json of events) room.put(pduOfFixture(json, room.rules));
  return room;
}

/** Event ids alone, or pairs of id and hashes (versions 1 and 2). */
function references(value: JsonValue | undefined): EventId[] {
  if (!Array.isArray(value)) return [];
  return value.map((entry: JsonValue) => (Array.isArray(entry) ? entry[0] : entry) as EventId);
}

function text(json: JsonObject, key: string): string {
  const value = own(json, key);
  if (typeof value !== 'string') throw new Error(`fixture without ${key}`);
  return value;
}
