// From bytes to an event of known form: which room, which version, and all that needs no other event.
//
// The version of a room is what its create event says. Until that is known, whoever hands in an event may say
// it (an import that has seen the create event further down the file, a join's answer).

import type { EventId, RoomId } from '../event/ids.js';
import { isObject, type JsonObject, own, parseJson } from '../event/json.js';
import { MAX_RECEIVED_BYTES } from '../event/receive.js';
import { type RoomVersionRules, rulesOf } from '../event/rules.js';
import { VERDICT_CODES } from './outcome.js';
import { type Refusal, refusalOf } from './refusal.js';

/** An event handed to the core. */
export interface Incoming {
  /** The PDU in federation format. */
  readonly bytes: Uint8Array;
  /** Who gave it to us: a server name, or a word for a file. */
  readonly from: string;
  /** The room's version, where no create event is known yet. */
  readonly roomVersion?: string;
  /** Store it without a place in the graph. */
  readonly asOutlier?: boolean;
  /** The state before it, by ids of known events, where its history is missing. */
  readonly givenState?: readonly EventId[] | undefined;
  /** It belongs to history that is fetched later. */
  readonly backfilled?: boolean;
  /** With a given state: it replaces all forward extremities. */
  readonly rewrites?: boolean;
  /** The given state is known to be incomplete. */
  readonly isPartial?: boolean;
}

/** What can be said before an event is hashed: its JSON, its room's rules. */
export interface Addressed {
  readonly json: JsonObject;
  readonly rules: RoomVersionRules;
  /** As the event says; undefined for a create event whose room id is its hash. */
  readonly roomId: RoomId | undefined;
}

/** Looks up the version of a known room. */
export type RulesOfRoom = (roomId: RoomId) => RoomVersionRules | undefined;

/** Reads an event as far as its room and version. */
export function address(incoming: Incoming, rulesOfRoom: RulesOfRoom): Addressed | Refusal {
  const read = readEvent(incoming.bytes);
  return 'code' in read ? read : addressJson(read.json, incoming, rulesOfRoom);
}

/** The JSON object that an event's bytes are. @param parsed where they were written from it */
export function readEvent(bytes: Uint8Array, parsed?: JsonObject): { readonly json: JsonObject } | Refusal {
  if (bytes.length > MAX_RECEIVED_BYTES) {
    const reason = `the event's JSON is larger than ${MAX_RECEIVED_BYTES} bytes`;
    return { code: 'EVENT_TOO_LARGE', reason, eventId: undefined, roomId: undefined };
  }
  try {
    const json = parsed ?? parseJson(bytes);
    if (isObject(json)) return { json };
  } catch (error) {
    return refusalOf(error, undefined);
  }
  return {
    code: 'EVENT_NOT_OBJECT',
    reason: 'an event is a JSON object',
    eventId: undefined,
    roomId: undefined,
  };
}

function addressJson(json: JsonObject, incoming: Incoming, rulesOfRoom: RulesOfRoom): Addressed | Refusal {
  const field = own(json, 'room_id');
  const roomId = typeof field === 'string' ? (field as RoomId) : undefined;
  const version = own(json, 'type') === 'm.room.create' ? createdVersion(json) : undefined;
  const known = roomId === undefined ? undefined : rulesOfRoom(roomId);
  const said = version ?? incoming.roomVersion;
  const rules = known ?? (said === undefined ? undefined : rulesOf(said));
  if (rules?.isInternal === false) return { json, rules, roomId };
  const code = said === undefined ? 'ROOM_UNKNOWN' : 'ROOM_VERSION_UNKNOWN';
  const reason =
    said === undefined
      ? VERDICT_CODES[code]
      : `${VERDICT_CODES[code]} (${JSON.stringify(said.slice(0, 40))})`;
  return { code, reason, eventId: undefined, roomId };
}

/** The version in a create event's content; none there means 1 (client-server API, `m.room.create`). */
function createdVersion(json: JsonObject): string {
  const content = own(json, 'content');
  const version = isObject(content) ? own(content, 'room_version') : undefined;
  if (version === undefined) return '1';
  return typeof version === 'string' ? version : JSON.stringify(version);
}
