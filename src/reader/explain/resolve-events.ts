// State resolution of events that are not in a store: given as JSON, resolved in memory, thrown away.

import type { EventId } from '../../event/ids.js';
import { isObject, type JsonObject, type JsonValue, own } from '../../event/json.js';
import type { Pdu } from '../../event/pdu.js';
import { receiveJson } from '../../event/receive.js';
import type { RoomVersionRules } from '../../event/rules.js';
import { StateroomError } from '../../lib/errors.js';
import { EventSet } from '../../room/graph/event-set.js';
import { type Refused, replayEvents } from '../../room/graph/replay.js';
import type { ResolutionTrace } from '../../room/resolution/contract.js';
import { resolve } from '../../room/resolution/resolve.js';
import { type RoomStates, sortedEntries, type StateEntry } from '../../room/state/room-states.js';
import { scratchStates } from '../../room/state/scratch.js';
import type { RootRef } from '../../tree/types.js';
import { EventsInvalidError, StateSetInvalidError } from './errors.js';
import { looseEvent } from './loose-event.js';

/** What is to be resolved. */
export interface ResolveRequest {
  /** Those of the room's version; with another `stateResolution` to try that. */
  readonly rules: RoomVersionRules;
  /** Events in federation format, in any order. */
  readonly events: readonly JsonValue[];
  /** States as lists of event ids; without any, the state at all forward extremities of the events. */
  readonly stateSets: readonly JsonValue[];
  /**
   * Take `event_id` as given and check no hash; events that the rules refuse count all the same. Otherwise ids
   * are computed, an event whose content hash is wrong counts as redacted, and refused events are rejected.
   */
  readonly trustIds: boolean;
}

/** A resolution of events given. */
export interface ResolvedEvents {
  /** Sorted by type, then state key. */
  readonly state: readonly StateEntry[];
  /** 64 hex digits; the same that a server of ours with this state has. */
  readonly root: string;
  readonly trace: ResolutionTrace;
  /** Events that the authorisation rules refuse where they stand. Looked for only where no states were given. */
  readonly refused: readonly Refused[];
  /** Events whose content hash is wrong. */
  readonly redacted: readonly EventId[];
}

/**
 * Resolves.
 * @throws READER_EVENTS_INVALID, READER_STATE_SET_INVALID, ROOM_GRAPH_REFERENCE_UNKNOWN, ROOM_GRAPH_CYCLE,
 *   ROOM_GRAPH_MIXED_ROOMS, ROOM_RESOLUTION_TOO_LARGE
 */
export function resolveEvents({ rules, events, stateSets, trustIds }: ResolveRequest): ResolvedEvents {
  const { pdus, redacted } = readEvents(events, rules, trustIds);
  const set = new EventSet(pdus);
  set.requireAuthEvents();
  const states = scratchStates(rules);
  const { roots, refused } =
    stateSets.length > 0
      ? { roots: stateSets.map((ids, i) => stateOf(ids, i + 1, set, states)), refused: [] }
      : statesAtExtremities(set, states, rules, trustIds);
  const { root, trace } = resolve(rules, roots, states, set);
  return { state: sortedEntries(states.entries(root)), root: states.hash(root), trace, refused, redacted };
}

function statesAtExtremities(
  set: EventSet,
  states: RoomStates,
  rules: RoomVersionRules,
  trustIds: boolean,
): { readonly roots: readonly RootRef[]; readonly refused: readonly Refused[] } {
  set.requirePrevEvents();
  const { after, refused } = replayEvents(set, states, rules, trustIds ? 'take' : 'reject');
  return { roots: set.extremities().flatMap(({ eventId }) => after.get(eventId) ?? []), refused };
}

function stateOf(ids: JsonValue, number: number, set: EventSet, states: RoomStates): RootRef {
  const fault = (why: string): Error =>
    new StateSetInvalidError(`state ${number}: ${why}`, { state: number });
  if (!Array.isArray(ids)) throw fault('it is no JSON array of event ids');
  const taken = new Map<string, string>();
  const updates = ids.map((id: JsonValue) => {
    if (typeof id !== 'string') throw fault('it holds what is no event id');
    const event = set.event(id as EventId);
    if (event === undefined) throw fault(`${id} is not among the events`);
    const { type, stateKey } = event;
    if (stateKey === undefined) throw fault(`${id} is no state event`);
    const key = JSON.stringify([type, stateKey]);
    const other = taken.get(key);
    if (other !== undefined && other !== id) throw fault(`${other} and ${id} are both for ${key}`);
    taken.set(key, id);
    return { type, stateKey, event };
  });
  return states.update(states.empty, updates);
}

function readEvents(
  events: readonly JsonValue[],
  rules: RoomVersionRules,
  trustIds: boolean,
): { readonly pdus: Iterable<Pdu>; readonly redacted: readonly EventId[] } {
  const pdus = new Map<EventId, Pdu>();
  const redacted: EventId[] = [];
  events.forEach((json, i) => {
    const place = `event ${i + 1}`;
    if (!isObject(json)) throw new EventsInvalidError(`${place}: it is no JSON object`, { place });
    const { pdu, wasRedacted } = trustIds
      ? { pdu: looseEvent(json, rules, place), wasRedacted: false }
      : hashedEvent(json, rules, place);
    const twin = pdus.get(pdu.eventId);
    if (twin !== undefined && trustIds && JSON.stringify(twin.json) !== JSON.stringify(pdu.json)) {
      throw new EventsInvalidError(`${place}: another event has its id ${pdu.eventId}`, { place });
    }
    if (twin !== undefined) return;
    pdus.set(pdu.eventId, pdu);
    if (wasRedacted) redacted.push(pdu.eventId);
  });
  return { pdus: pdus.values(), redacted };
}

/** An event whose id and content hash are computed. An `event_id` beside it, where ids are hashes, must be right. */
function hashedEvent(
  json: JsonObject,
  rules: RoomVersionRules,
  place: string,
): { readonly pdu: Pdu; readonly wasRedacted: boolean } {
  const claimed = rules.eventIdFormat === 'field' ? undefined : own(json, 'event_id');
  const bare = claimed === undefined ? json : withoutEventId(json);
  const received = receivedOf(bare, rules, place);
  const { eventId } = received.pdu;
  if (claimed === undefined || claimed === eventId) return received;
  throw new EventsInvalidError(`${place}: it claims the id ${JSON.stringify(claimed)} and has ${eventId}`, {
    place,
  });
}

function receivedOf(
  json: JsonObject,
  rules: RoomVersionRules,
  place: string,
): { readonly pdu: Pdu; readonly wasRedacted: boolean } {
  try {
    return receiveJson(json, rules);
  } catch (cause) {
    if (!(cause instanceof StateroomError)) throw cause;
    throw new EventsInvalidError(
      `${place}: ${cause.message} (${cause.code})`,
      { place, cause: cause.code },
      cause,
    );
  }
}

function withoutEventId(json: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(json).filter(([key]) => key !== 'event_id'));
}
