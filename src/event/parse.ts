// From JSON to a Pdu: the format checks that an event must pass on receipt.
//
// Source: server-server API, "Checks performed on receipt of a PDU", 1; rooms/v1 to rooms/v12, "Event
// format"; client-server API, "Size limits". Decisions where these leave room:
// - The size counts all but `unsigned`, which any server on the way may change: whether an event is valid
//   must not depend on who passed it on.
// - `redacts` that names no event id is read as none, not refused: Synapse lets such events in.
// - The 255 bytes are bytes of UTF-8 in every version.

import {
  EventBadAuthEventsError,
  EventBadContentError,
  EventBadDepthError,
  EventBadEventIdError,
  EventBadHashesError,
  EventBadPrevEventsError,
  EventBadRoomIdError,
  EventBadSenderError,
  EventBadSignaturesError,
  EventBadStateKeyError,
  EventBadTimestampError,
  EventBadTypeError,
  EventFieldTooLongError,
  EventTooLargeError,
  EventTooManyAuthEventsError,
  EventTooManyPrevEventsError,
} from './errors.js';
import type { ErrorClass } from '../lib/errors.js';
import {
  claimedContentHash,
  essentialText,
  eventIdField,
  eventIdOfReference,
  fitsCanonically,
  sha256,
  takeApart,
  type EventParts,
} from './hash.js';
import {
  MAX_ID_BYTES,
  fitsBytes,
  parseEventId,
  parseHashRoomId,
  parseRoomId,
  parseUserId,
  roomIdOfCreate,
  type EventId,
  type RoomId,
  type UserId,
} from './ids.js';
import { JsonNumber, isArray, isObject, own, type JsonObject, type JsonValue } from './json.js';
import type { Pdu } from './pdu.js';
import { redact } from './redact.js';
import type { RoomVersionRules } from './rules.js';

/** Largest event, in bytes of canonical JSON. */
export const MAX_EVENT_BYTES = 65_536;
/** Most events in `prev_events`. */
const MAX_PREV_EVENTS = 20;
/** Most events in `auth_events`. */
const MAX_AUTH_EVENTS = 10;

/** Greatest depth where integers are not bound to 2^53 - 1: that of a signed 64-bit integer. */
const MAX_LOOSE_INTEGER = 2n ** 63n - 1n;

/** How to parse an event of which something is known already. */
export interface ParseOptions {
  /** Its id, from a source that we trust (our store): nothing is hashed or measured. */
  readonly trustedId?: EventId;
  /** It was built and signed just now, and is written canonically already. */
  readonly signed?: CanonicalEvent;
  /** Its content hash did not match: what comes out is the redacted event. */
  readonly redacted?: boolean;
}

/** What an event's id and size are taken from. */
export interface CanonicalEvent {
  readonly parts: EventParts;
  /** What the reference hash and the signatures cover. */
  readonly essential: string;
}

/**
 * The event that the JSON holds, all its fields checked.
 *
 * The content hash is not compared and signatures are not verified: see `receivePdu` and `verify.ts`.
 *
 * @throws EVENT_BAD_..., EVENT_TOO_..., EVENT_FIELD_TOO_LONG, EVENT_NOT_CANONICAL: one code per cause
 */
export function parsePdu(json: JsonObject, rules: RoomVersionRules, options: ParseOptions = {}): Pdu {
  const fields = readFields(json, rules);
  let { trustedId } = options;
  if (trustedId === undefined) {
    const parts = conform(json, rules, options.signed?.parts);
    trustedId = idOfParts(parts, options.signed?.essential ?? essentialText(parts, rules), rules);
  }
  return assemble(options.redacted === true ? redact(json, rules) : json, fields, trustedId, rules);
}

/** An event that has been checked, with what its hashes and signatures cover. */
export interface CheckedEvent extends CanonicalEvent {
  /** The Pdu, of the redacted event when `redacted`. */
  toPdu(redacted: boolean): Pdu;
}

/** The checks of `parsePdu`, giving out the canonical JSON made on the way. @throws as `parsePdu` */
export function checkEvent(json: JsonObject, rules: RoomVersionRules): CheckedEvent {
  const fields = readFields(json, rules);
  const parts = conform(json, rules);
  const essential = essentialText(parts, rules);
  return {
    parts,
    essential,
    toPdu: (redacted) =>
      assemble(redacted ? redact(json, rules) : json, fields, idOfParts(parts, essential, rules), rules),
  };
}

/** What is asked only of events that strangers send: hashes, signatures, canonical form and size. */
function conform(json: JsonObject, rules: RoomVersionRules, known?: EventParts): EventParts {
  if (claimedContentHash(json) === undefined) {
    throw new EventBadHashesError('hashes.sha256 is missing or no base64 of 32 bytes', { field: 'hashes' });
  }
  checkSignatures(own(json, 'signatures'));
  const parts = known ?? takeApart(json, rules);
  if (!fitsCanonically(parts, MAX_EVENT_BYTES)) {
    throw new EventTooLargeError(`the event is larger than ${MAX_EVENT_BYTES} bytes`);
  }
  return parts;
}

function idOfParts(parts: EventParts, essential: string, rules: RoomVersionRules): EventId {
  if (rules.eventIdFormat === 'field') {
    shortString(parts.json, 'event_id', EventBadEventIdError);
    return eventIdField(parts.json);
  }
  return eventIdOfReference(sha256(essential), rules);
}

/** All of a Pdu but what depends on its id. */
type Fields = Omit<Pdu, 'rules' | 'eventId' | 'roomId' | 'redacts' | 'json'> & {
  readonly roomId: RoomId | undefined;
};

function readFields(json: JsonObject, rules: RoomVersionRules): Fields {
  const type = shortString(json, 'type', EventBadTypeError);
  const content = own(json, 'content');
  if (!isObject(content))
    throw new EventBadContentError('content is missing or no object', { field: 'content' });
  return {
    type,
    stateKey:
      own(json, 'state_key') === undefined
        ? undefined
        : shortString(json, 'state_key', EventBadStateKeyError),
    sender: readSender(json),
    roomId: readRoomId(json, type, rules),
    content,
    prevEvents: readReferences(json, 'prev_events', rules),
    authEvents: readReferences(json, 'auth_events', rules),
    depth: readDepth(json, rules),
    originServerTs: readTimestamp(json, rules),
  };
}

function assemble(json: JsonObject, fields: Fields, eventId: EventId, rules: RoomVersionRules): Pdu {
  const content = own(json, 'content');
  return {
    rules,
    eventId,
    roomId: fields.roomId ?? roomIdOfCreate(eventId),
    type: fields.type,
    stateKey: fields.stateKey,
    sender: fields.sender,
    content: isObject(content) ? content : fields.content,
    prevEvents: fields.prevEvents,
    authEvents: fields.authEvents,
    depth: fields.depth,
    originServerTs: fields.originServerTs,
    redacts: readRedacts(json, fields.type, rules),
    json,
  };
}

function shortString(json: JsonObject, field: string, Fault: ErrorClass): string {
  const value = own(json, field);
  if (typeof value !== 'string') throw new Fault(`${field} is missing or no string`, { field });
  if (!fitsBytes(value, MAX_ID_BYTES)) {
    throw new EventFieldTooLongError(`${field} is longer than ${MAX_ID_BYTES} bytes`, { field });
  }
  return value;
}

function readSender(json: JsonObject): UserId {
  const sender = parseUserId(shortString(json, 'sender', EventBadSenderError));
  if (sender === undefined)
    throw new EventBadSenderError('sender is no @localpart:server', { field: 'sender' });
  return sender;
}

function readRoomId(json: JsonObject, type: string, rules: RoomVersionRules): RoomId | undefined {
  if (rules.roomIdIsCreateHash && type === 'm.room.create') {
    if (own(json, 'room_id') === undefined) return undefined;
    throw new EventBadRoomIdError('a create event has no room_id in this room version', { field: 'room_id' });
  }
  const text = shortString(json, 'room_id', EventBadRoomIdError);
  const roomId = rules.roomIdIsCreateHash ? parseHashRoomId(text) : parseRoomId(text);
  if (roomId !== undefined) return roomId;
  const form = rules.roomIdIsCreateHash ? '! and 43 characters of URL-safe base64' : '!localpart:server';
  throw new EventBadRoomIdError(`room_id is no ${form}`, { field: 'room_id' });
}

const REFERENCES = {
  prev_events: { max: MAX_PREV_EVENTS, Bad: EventBadPrevEventsError, TooMany: EventTooManyPrevEventsError },
  auth_events: { max: MAX_AUTH_EVENTS, Bad: EventBadAuthEventsError, TooMany: EventTooManyAuthEventsError },
};

function readReferences(
  json: JsonObject,
  field: keyof typeof REFERENCES,
  rules: RoomVersionRules,
): readonly EventId[] {
  const { max, Bad, TooMany } = REFERENCES[field];
  const references = own(json, field);
  if (!isArray(references)) throw new Bad(`${field} is missing or no array`, { field });
  if (references.length > max) {
    throw new TooMany(`${field} names ${references.length} events, at most ${max} are allowed`, { field });
  }
  return references.map((reference, index) => {
    const id = referencedId(reference, rules);
    if (id === undefined) throw new Bad(`${field}[${index}] is no reference to an event`, { field, index });
    return id;
  });
}

function referencedId(reference: JsonValue, rules: RoomVersionRules): EventId | undefined {
  let id = reference;
  if (rules.referencesAreHashed) {
    if (!isArray(reference) || reference.length !== 2 || !isObject(reference[1])) return undefined;
    id = reference[0] ?? null;
  }
  return typeof id === 'string' ? parseEventId(id, rules.eventIdFormat) : undefined;
}

function readDepth(json: JsonObject, rules: RoomVersionRules): number {
  const depth = readInteger(own(json, 'depth'), rules);
  if (depth === undefined || depth < 0) {
    throw new EventBadDepthError('depth is missing, negative, or no integer in range', { field: 'depth' });
  }
  return depth;
}

function readTimestamp(json: JsonObject, rules: RoomVersionRules): number {
  const field = 'origin_server_ts';
  const timestamp = readInteger(own(json, field), rules);
  if (timestamp === undefined)
    throw new EventBadTimestampError(`${field} is missing or no integer in range`, { field });
  return timestamp;
}

function readInteger(value: JsonValue | undefined, rules: RoomVersionRules): number | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : undefined;
  if (rules.strictCanonicalJson || !(value instanceof JsonNumber)) return undefined;
  if (!/^-?[0-9]{1,19}$/.test(value.source)) return undefined;
  const exact = BigInt(value.source);
  return exact <= MAX_LOOSE_INTEGER && exact >= -MAX_LOOSE_INTEGER ? value.value : undefined;
}

function readRedacts(json: JsonObject, type: string, rules: RoomVersionRules): EventId | undefined {
  if (type !== 'm.room.redaction') return undefined;
  const holder = rules.redactsIsInContent ? own(json, 'content') : json;
  const redacts = isObject(holder) ? own(holder, 'redacts') : undefined;
  return typeof redacts === 'string' ? parseEventId(redacts, rules.eventIdFormat) : undefined;
}

function checkSignatures(signatures: JsonValue | undefined): void {
  const field = 'signatures';
  if (!isObject(signatures))
    throw new EventBadSignaturesError('signatures is missing or no object', { field });
  for (const server of Object.keys(signatures)) {
    const keys = signatures[server];
    if (!isObject(keys) || !Object.values(keys).every((signature) => typeof signature === 'string')) {
      throw new EventBadSignaturesError('signatures holds a server whose value is no object of strings', {
        field,
        server,
      });
    }
  }
}
