// State events by the thousand: what a listing of a large room's state costs is what it costs to write it down.
//
// Of each event what a client reads of it is kept, as long as there is room: several times less than the parsed
// event, and with no reads at all for an event that was listed lately. Redacted events are not kept so: who
// redacted them is asked each time.

import { setImmediate } from 'node:timers/promises';
import type { Engine } from '../engine/engine.js';
import { redactionsOf } from '../engine/redactions.js';
import type { EventId, RoomId } from '../event/ids.js';
import type { JsonObject } from '../event/json.js';
import type { Pdu } from '../event/pdu.js';
import { ClockCache } from '../lib/clock-cache.js';
import type { StateView } from '../reader/state-view.js';
import { bareClientEvent, isMembershipOf, type Serving, toClientEvents } from './client-event.js';
import { isOfErased } from './erasure.js';
import type { Homeserver } from './homeserver.js';

/** A state event, with as much of it as a listing looks at. */
export interface ListedEvent {
  readonly seq: number;
  readonly pdu: Pick<
    Pdu,
    'type' | 'stateKey' | 'sender' | 'content' | 'eventId' | 'originServerTs' | 'roomId'
  >;
  /** As clients read it, without `room_id`. All answers share it: who changes anything but its age, copies it. */
  readonly json: JsonObject;
  /** In `json`. The age is brought up to date where it lies, by whoever lists the event last. */
  readonly unsigned: { age: number };
  /** What it takes in memory, about. */
  readonly bytes: number;
}

/** What is kept may take in memory, about. */
const KEPT_BYTES_MAX = 48 * 1024 * 1024;
/** What an event takes without its content, about, and how much more an object takes than its text. */
const EVENT_BYTES = 600;
const CONTENT_FACTOR = 2;
/** Events read from the store in one go, between which others have their turn. */
const READ_AT_ONCE = 250;

/** What an event takes in the list of a state. */
const PLACE_BYTES = 8;
/** Smaller states are not kept whole. */
const FEW_ENTRIES = 1_000;

/** A whole state, in order. Its events are kept with it, and by themselves no more. */
interface ListedState {
  readonly view: StateView;
  readonly events: readonly ListedEvent[];
}

/** What is kept of an engine's rooms: events by their ids and states by their rooms', within one bound. */
type Kept = ClockCache<EventId | RoomId, ListedEvent | ListedState>;

const byEngine = new WeakMap<Engine, Kept>();

/** The events of these ids, in their order, those left out that are not known. */
export async function listedEvents(engine: Engine, ids: Iterable<EventId>): Promise<ListedEvent[]> {
  const kept = keptOf(engine);
  const listed: ListedEvent[] = [];
  let read = 0;
  for (const id of ids) {
    const event = kept.get(id);
    if (event !== undefined && 'json' in event) {
      listed.push(event);
      continue;
    }
    const made = readEvent(engine, kept, id);
    if (made !== undefined) listed.push(made);
    if (++read % READ_AT_ONCE === 0) await setImmediate();
  }
  return listed;
}

/** Events in the order in which they came. */
export function inOrder(events: ListedEvent[]): ListedEvent[] {
  return events.sort((a, b) => a.seq - b.seq);
}

/** A whole state in the order in which its events came. O(differences) where the room was listed lately. */
export async function listedState(engine: Engine, view: StateView): Promise<readonly ListedEvent[]> {
  const kept = keptOf(engine);
  const found = kept.get(view.roomId);
  const known = found !== undefined && 'view' in found ? found : undefined;
  const events =
    known === undefined
      ? inOrder(await listedEvents(engine, idsOf(view)))
      : await changed(engine, known.events, known.view, view);
  if (events !== known?.events && events.length >= FEW_ENTRIES) keepState(kept, { view, events });
  return events;
}

function keepState(kept: Kept, state: ListedState): void {
  const { view, events } = state;
  const bytes = events.reduce((sum, event) => sum + event.bytes + PLACE_BYTES, 0);
  // One that is too large would be refused: then its events are better kept, as many as there is room for.
  if (bytes > KEPT_BYTES_MAX) return;
  for (const { pdu } of events) kept.delete(pdu.eventId);
  kept.set(view.roomId, state, bytes);
}

/** The events of one state made into those of another. */
async function changed(
  engine: Engine,
  events: readonly ListedEvent[],
  from: StateView,
  to: StateView,
): Promise<readonly ListedEvent[]> {
  const gone = new Set<EventId>();
  const come: EventId[] = [];
  for (const { before, after } of from.diff(to)) {
    if (before !== undefined) gone.add(before);
    if (after !== undefined) come.push(after);
  }
  if (gone.size === 0 && come.length === 0) return events;
  const stayed = events.filter(({ pdu }) => !gone.has(pdu.eventId));
  return inOrder([...stayed, ...(await listedEvents(engine, come))]);
}

function* idsOf(view: StateView): Generator<EventId> {
  for (const { eventId } of view.entries()) yield eventId;
}

/** Events of one room's state as they are served. */
export async function serveListed(
  home: Homeserver,
  roomId: RoomId,
  events: readonly ListedEvent[],
  serving: Omit<Serving, 'detail'>,
): Promise<JsonObject[]> {
  const isPlain = serving.format !== 'federation';
  const { isEmpty: nobodyIsErased } = home.accounts.erased;
  const special = new Set<EventId>();
  const ids = events.map(({ pdu }) => {
    const isApart =
      !isPlain || isMembershipOf(serving.viewer, pdu) || (!nobodyIsErased && isOfErased(home, pdu));
    if (isApart) special.add(pdu.eventId);
    return pdu.eventId;
  });
  for (const id of isPlain ? redactionsOf(home.engine).claimed(roomId, ids) : []) special.add(id);
  const servedApart = await serveApart(home, special, serving);
  const now = home.now();
  const isBare = serving.withoutRoomId === true;
  const served: JsonObject[] = [];
  for (const { pdu, json, unsigned } of events) {
    const apart = special.size > 0 && special.has(pdu.eventId);
    const age = now - pdu.originServerTs;
    if (apart) {
      const event = servedApart.get(pdu.eventId);
      if (event !== undefined) served.push(event);
    } else if (isBare) {
      unsigned.age = age;
      served.push(json);
    } else served.push({ ...json, room_id: roomId, unsigned: { age } });
  }
  return served;
}

/** State events of a room by their ids, as a listing of its state shows them. */
export async function toClientState(
  home: Homeserver,
  roomId: RoomId,
  ids: Iterable<EventId>,
  serving: Omit<Serving, 'detail'>,
  wants: (event: ListedEvent) => boolean = () => true,
): Promise<JsonObject[]> {
  const events = await listedEvents(home.engine, ids);
  return serveListed(home, roomId, events.filter(wants), serving);
}

/** Those that the whole event is needed for. */
async function serveApart(
  home: Homeserver,
  ids: ReadonlySet<EventId>,
  serving: Omit<Serving, 'detail'>,
): Promise<ReadonlyMap<EventId, JsonObject>> {
  const served = new Map<EventId, JsonObject>();
  const waiting = [...ids];
  while (waiting.length > 0) {
    const events = waiting.splice(-READ_AT_ONCE).flatMap((id) => home.engine.reader.events.get(id) ?? []);
    const json = await toClientEvents(home, events, { ...serving, detail: 'state' });
    for (const [i, { pdu }] of events.entries()) {
      const event = json[i];
      if (event !== undefined) served.set(pdu.eventId, event);
    }
    await setImmediate();
  }
  return served;
}

function keptOf(engine: Engine): Kept {
  const existing = byEngine.get(engine);
  if (existing !== undefined) return existing;
  const made: Kept = new ClockCache(KEPT_BYTES_MAX);
  byEngine.set(engine, made);
  return made;
}

function readEvent(engine: Engine, kept: Kept, id: EventId): ListedEvent | undefined {
  const event = engine.reader.events.get(id);
  if (event === undefined) return undefined;
  const { type, stateKey, sender, content, eventId, originServerTs, roomId } = event.pdu;
  const pdu = { type, stateKey, sender, content, eventId, originServerTs, roomId };
  const bytes = EVENT_BYTES + CONTENT_FACTOR * JSON.stringify(content).length;
  const unsigned = { age: 0 };
  const listed = { seq: event.seq, pdu, json: bareClientEvent(event.pdu, unsigned), unsigned, bytes };
  kept.set(id, listed, bytes);
  return listed;
}
