// State resolution as the specification tells it, over plain maps and whole auth chains: slow, and plainly
// right. It is what the fast resolver is measured against, and shares nothing with it but the authorisation
// rules.
//
// Source: rooms/v1, rooms/v2, rooms/v12, "State resolution". In four places it follows Synapse, because rooms
// must agree: a state event is part of its own auth chain; the create event is a power event; the walk from a
// power event stays within the full conflicted set; rejected events take no key.

import { createHash } from 'node:crypto';
import type { EventId } from '../../src/event/ids.js';
import type { Pdu } from '../../src/event/pdu.js';
import type { RoomVersionRules } from '../../src/event/rules.js';
import { authorise } from '../../src/room/auth/authorise.js';
import { compareLevels } from '../../src/room/auth/levels.js';
import { powerLevelsOf } from '../../src/room/auth/power-levels.js';
import { authEventKeys } from '../../src/room/auth/selection.js';

/** A whole state: JSON of [type, state key] to event id. */
export type PlainState = ReadonlyMap<string, EventId>;

/** The room's events. */
export interface PlainRoom {
  readonly rules: RoomVersionRules;
  readonly events: ReadonlyMap<EventId, Pdu>;
  readonly rejected: ReadonlySet<EventId>;
}

/** The resolution of the states. */
export function referenceResolve(room: PlainRoom, states: readonly PlainState[]): PlainState {
  return room.rules.stateResolution === 'v1' ? resolveV1(room, states) : resolveV2(room, states);
}

/** An event's auth chain with the event itself. */
function chainWithSelf(room: PlainRoom, id: EventId): Set<EventId> {
  const chain = new Set<EventId>();
  const waiting = [id];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const event = room.events.get(next);
    if (event === undefined || chain.has(next)) continue;
    chain.add(next);
    waiting.push(...citedBy(event));
  }
  return chain;
}

/** The auth difference of the states, by its definition. */
export function referenceAuthDifference(room: PlainRoom, states: readonly PlainState[]): Set<EventId> {
  const chains = states.map((state) => {
    const chain = new Set<EventId>();
    for (const id of state.values()) for (const below of chainWithSelf(room, id)) chain.add(below);
    return chain;
  });
  const union = new Set(chains.flatMap((chain) => [...chain]));
  return new Set([...union].filter((id) => !chains.every((chain) => chain.has(id))));
}

/** The conflicted state subgraph: what lies below one conflicted event and above another. */
export function referenceSubgraph(room: PlainRoom, conflicted: Iterable<EventId>): Set<EventId> {
  const ends = new Set(conflicted);
  const subgraph = new Set(ends);
  for (const top of ends) {
    for (const between of chainWithSelf(room, top)) {
      const below = chainWithSelf(room, between);
      if ([...ends].some((bottom) => below.has(bottom))) subgraph.add(between);
    }
  }
  return subgraph;
}

function citedBy(event: Pdu): EventId[] {
  const implied = event.rules.authorisation.createIsImplied && event.type !== 'm.room.create';
  return implied ? [...event.authEvents, `$${event.roomId.slice(1)}` as EventId] : [...event.authEvents];
}

function keyOf(event: Pdu): string {
  return JSON.stringify([event.type, event.stateKey]);
}

const POWER_LEVELS = JSON.stringify(['m.room.power_levels', '']);
const CREATE = JSON.stringify(['m.room.create', '']);
const JOIN_RULES = JSON.stringify(['m.room.join_rules', '']);

// Version 2 and 2.1

function resolveV2(room: PlainRoom, states: readonly PlainState[]): PlainState {
  const unconflicted = new Map<string, EventId>();
  const conflicted = new Set<EventId>();
  for (const key of new Set(states.flatMap((state) => [...state.keys()]))) {
    const values = new Set(states.map((state) => state.get(key)));
    const [first] = values;
    if (values.size === 1 && first !== undefined) unconflicted.set(key, first);
    else for (const value of values) if (value !== undefined) conflicted.add(value);
  }
  if (conflicted.size === 0) return unconflicted;

  const isV21 = room.rules.stateResolution === 'v2.1';
  const full = new Set([...conflicted, ...referenceAuthDifference(room, states)]);
  if (isV21) for (const id of referenceSubgraph(room, conflicted)) full.add(id);

  const power = sortPower(room, full);
  const afterPower = checkIteratively(room, power, isV21 ? new Map<string, EventId>() : unconflicted);
  const rest = [...full].filter((id) => !power.includes(id));
  const ordered = sortMainline(room, rest, afterPower.get(POWER_LEVELS));
  const resolved = checkIteratively(room, ordered, afterPower);
  for (const [key, id] of unconflicted) resolved.set(key, id);
  return resolved;
}

function eventOf(room: PlainRoom, id: EventId): Pdu {
  const event = room.events.get(id);
  if (event === undefined) throw new Error(`no such event: ${id}`);
  return event;
}

function isPowerEvent(event: Pdu): boolean {
  const key = keyOf(event);
  if (key === POWER_LEVELS || key === JOIN_RULES || key === CREATE) return true;
  const { membership } = event.content;
  const removes = membership === 'leave' || membership === 'ban';
  return event.type === 'm.room.member' && removes && event.sender !== event.stateKey;
}

function sortPower(room: PlainRoom, full: ReadonlySet<EventId>): EventId[] {
  const graph = new Map<EventId, EventId[]>();
  const waiting = [...full].filter((id) => isPowerEvent(eventOf(room, id)));
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    const cited = citedBy(eventOf(room, id)).filter((auth) => full.has(auth));
    if (!graph.has(id)) waiting.push(...cited);
    graph.set(id, cited);
  }
  const levels = new Map([...graph.keys()].map((id) => [id, senderLevel(room, eventOf(room, id))] as const));
  const sorted: EventId[] = [];
  while (sorted.length < graph.size) {
    const candidates = [...graph]
      .filter(([id, cited]) => !sorted.includes(id) && cited.every((auth) => sorted.includes(auth)))
      .map(([id]) => eventOf(room, id));
    candidates.sort((x, y) => {
      const byLevel = compareLevels(levels.get(y.eventId) ?? 0, levels.get(x.eventId) ?? 0);
      return byLevel || x.originServerTs - y.originServerTs || compareIds(x.eventId, y.eventId);
    });
    const [smallest] = candidates;
    if (smallest === undefined) throw new Error('the auth events form a circle');
    sorted.push(smallest.eventId);
  }
  return sorted;
}

function senderLevel(room: PlainRoom, event: Pdu): number | bigint {
  const cited = citedBy(event).map((id) => room.events.get(id));
  const create = cited.find((auth) => auth !== undefined && keyOf(auth) === CREATE);
  const powerLevels = cited.find((auth) => auth !== undefined && keyOf(auth) === POWER_LEVELS);
  return powerLevelsOf(create, powerLevels).user(event.sender);
}

/** By code point: each string as its list of code points. */
function compareIds(a: string, b: string): number {
  const x = [...a].map((character) => character.codePointAt(0) ?? 0);
  const y = [...b].map((character) => character.codePointAt(0) ?? 0);
  for (let i = 0; i < Math.min(x.length, y.length); i++) {
    const difference = (x[i] ?? 0) - (y[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return x.length - y.length;
}

function citedPowerLevels(room: PlainRoom, event: Pdu): Pdu | undefined {
  return citedBy(event)
    .map((id) => room.events.get(id))
    .find((auth) => auth !== undefined && keyOf(auth) === POWER_LEVELS);
}

function sortMainline(room: PlainRoom, ids: readonly EventId[], newest: EventId | undefined): EventId[] {
  const mainline: EventId[] = [];
  for (
    let at = newest === undefined ? undefined : room.events.get(newest);
    at;
    at = citedPowerLevels(room, at)
  ) {
    mainline.push(at.eventId);
  }
  const positionOf = (event: Pdu): number => {
    for (let at = citedPowerLevels(room, event); at; at = citedPowerLevels(room, at)) {
      const position = mainline.indexOf(at.eventId);
      if (position !== -1) return position;
    }
    return Number.MAX_SAFE_INTEGER;
  };
  const positions = new Map(ids.map((id) => [id, positionOf(eventOf(room, id))] as const));
  return [...ids].sort((x, y) => {
    const byPosition = (positions.get(y) ?? 0) - (positions.get(x) ?? 0);
    const byTime = eventOf(room, x).originServerTs - eventOf(room, y).originServerTs;
    return byPosition || byTime || compareIds(x, y);
  });
}

function checkIteratively(room: PlainRoom, ids: readonly EventId[], base: PlainState): Map<string, EventId> {
  const resolved = new Map(base);
  for (const id of ids) {
    if (room.rejected.has(id)) continue;
    const event = eventOf(room, id);
    const auth = new Map<string, Pdu>();
    for (const cited of citedBy(event)) {
      const authEvent = room.events.get(cited);
      if (authEvent !== undefined && !room.rejected.has(cited)) auth.set(keyOf(authEvent), authEvent);
    }
    for (const key of authEventKeys(event)) {
      const current = resolved.get(JSON.stringify(key));
      if (current !== undefined && !room.rejected.has(current))
        auth.set(JSON.stringify(key), eventOf(room, current));
    }
    const verdict = authorise(event, { get: (type, stateKey) => auth.get(JSON.stringify([type, stateKey])) });
    if (verdict.allowed) resolved.set(keyOf(event), id);
  }
  return resolved;
}

// Version 1

function resolveV1(room: PlainRoom, states: readonly PlainState[]): PlainState {
  const resolved = new Map<string, EventId>();
  const conflicts = new Map<string, Pdu[]>();
  for (const key of new Set(states.flatMap((state) => [...state.keys()]))) {
    const values = new Set<EventId>();
    for (const state of states) {
      const value = state.get(key);
      if (value !== undefined && !room.rejected.has(value)) values.add(value);
    }
    const [first] = values;
    if (values.size === 1 && first !== undefined) resolved.set(key, first);
    if (values.size > 1) conflicts.set(key, sortByDepth([...values].map((id) => eventOf(room, id))));
  }
  const isOfPass = [
    (key: string) => key === POWER_LEVELS,
    (key: string) => key.startsWith('["m.room.join_rules",'),
    (key: string) => key.startsWith('["m.room.member",'),
  ];
  for (const belongs of isOfPass) {
    const before = new Map(resolved);
    for (const [key, list] of conflicts) {
      if (belongs(key)) resolved.set(key, lastInUnbrokenRow(room, key, list, before));
    }
  }
  const before = new Map(resolved);
  for (const [key, list] of conflicts) {
    if (isOfPass.some((belongs) => belongs(key))) continue;
    const passing = list.toReversed().find((event) => isAllowed(room, event, before));
    const winner = passing ?? list[0];
    if (winner !== undefined) resolved.set(key, winner.eventId);
  }
  return resolved;
}

/** Ascending depth, then descending SHA-1 of the id. */
function sortByDepth(events: readonly Pdu[]): Pdu[] {
  const sha1 = (event: Pdu): string => createHash('sha1').update(event.eventId).digest('hex');
  return [...events].sort((x, y) => x.depth - y.depth || (sha1(x) < sha1(y) ? 1 : -1));
}

function lastInUnbrokenRow(room: PlainRoom, key: string, list: readonly Pdu[], state: PlainState): EventId {
  const [first, ...others] = list;
  if (first === undefined) throw new Error(`no conflict at ${key}`);
  let winner = first;
  for (const event of others) {
    if (!isAllowed(room, event, new Map([...state, [key, winner.eventId]]))) break;
    winner = event;
  }
  return winner.eventId;
}

function isAllowed(room: PlainRoom, event: Pdu, state: PlainState): boolean {
  return authorise(event, {
    get: (type, stateKey) => {
      const id = state.get(JSON.stringify([type, stateKey]));
      return id === undefined ? undefined : eventOf(room, id);
    },
  }).allowed;
}
