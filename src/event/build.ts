// From a template to a signed event, of any room version.
//
// Source: rooms/v1 to rooms/v12, "Event format"; server-server API, "Adding hashes and signatures to outgoing
// events". What is built passes the same checks as what is received.

import { toBase64 } from '../lib/base64.js';
import { EventBadEventIdError, EventBadRoomIdError } from './errors.js';
import type { EventId, RoomId, ServerName, UserId } from './ids.js';
import type { JsonObject, JsonValue } from './json.js';
import { parsePdu } from './parse.js';
import type { Pdu } from './pdu.js';
import type { RoomVersionRules } from './rules.js';
import { beginSigning, signedEvent, type SigningKey } from './signing.js';

/** What an event says before it is hashed and signed. */
export interface EventTemplate {
  readonly type: string;
  readonly sender: UserId;
  /** Present, perhaps empty, for a state event. */
  readonly stateKey?: string;
  readonly content: JsonObject;
  /** Left out for the create event where the room id is its hash. */
  readonly roomId?: RoomId;
  /** Where event ids are a field (room versions 1, 2). */
  readonly eventId?: EventId;
  readonly prevEvents: readonly EventId[];
  readonly authEvents: readonly EventId[];
  readonly depth: number;
  /** Milliseconds since 1970. */
  readonly originServerTs: number;
  /** The event that a redaction names; put where the room version keeps it. */
  readonly redacts?: EventId;
  readonly unsigned?: JsonObject;
}

/** Who signs, and what else an event of room versions 1 and 2 says. */
export interface BuildOptions {
  readonly rules: RoomVersionRules;
  readonly server: ServerName;
  readonly key: SigningKey;
  /** Reference hashes of the events named, where references are hashed; an unknown one is left empty. */
  readonly referenceHash?: (id: EventId) => Uint8Array | undefined;
}

/**
 * The signed event. Its JSON, to be sent as it is, is `pdu.json`.
 *
 * @throws EVENT_BAD_EVENT_ID, EVENT_BAD_ROOM_ID when the template lacks what its version needs or has what it
 *   must not have; whatever `parsePdu` throws
 */
export function buildEvent(template: EventTemplate, options: BuildOptions): Pdu {
  const { rules, server, key } = options;
  const signed = signedEvent(unsignedEvent(template, options), rules, server, key);
  return parsePdu(signed.parts.json, rules, { signed });
}

/** An event whose signature is being made; see `EventBeingSigned`. */
export interface BuiltEvent {
  readonly pdu: Pdu;
  /** Canonical JSON. */
  readonly bytes: Uint8Array;
  readonly signed: Promise<void>;
}

/** The event, which is signed beside what the caller goes on to do. @throws as `buildEvent` */
export function buildSigningEvent(
  template: Omit<EventTemplate, 'unsigned'>,
  options: BuildOptions,
): BuiltEvent {
  const { rules, server, key } = options;
  const signing = beginSigning(unsignedEvent(template, options), rules, server, key);
  const { bytes, signed } = signing;
  // The caller may never come to wait for it.
  signed.catch(() => undefined);
  return { pdu: parsePdu(signing.parts.json, rules, { signed: signing }), bytes, signed };
}

/** The event's JSON before hashes and signatures, as `make_join` gives it out. @throws as `buildEvent` */
export function unsignedEvent(
  template: EventTemplate,
  options: Pick<BuildOptions, 'rules' | 'referenceHash'>,
): JsonObject {
  const { rules } = options;
  const referenceOf = (id: EventId): JsonValue => {
    if (!rules.referencesAreHashed) return id;
    const hash = options.referenceHash?.(id);
    return [id, hash === undefined ? {} : { sha256: toBase64(hash) }];
  };
  const redactsContent = rules.redactsIsInContent && template.redacts !== undefined;
  return {
    ...eventIdOfTemplate(template, rules),
    ...roomIdOfTemplate(template, rules),
    type: template.type,
    sender: template.sender,
    ...(template.stateKey === undefined ? {} : { state_key: template.stateKey }),
    content: redactsContent ? { ...template.content, redacts: template.redacts } : template.content,
    ...(template.redacts === undefined || redactsContent ? {} : { redacts: template.redacts }),
    prev_events: template.prevEvents.map(referenceOf),
    auth_events: template.authEvents.map(referenceOf),
    depth: template.depth,
    origin_server_ts: template.originServerTs,
    ...(template.unsigned === undefined ? {} : { unsigned: template.unsigned }),
  };
}

function eventIdOfTemplate(template: EventTemplate, rules: RoomVersionRules): JsonObject {
  if ((rules.eventIdFormat === 'field') !== (template.eventId !== undefined)) {
    throw new EventBadEventIdError(
      rules.eventIdFormat === 'field'
        ? 'an event of this room version needs an event_id'
        : 'an event of this room version has its hash for an id and takes no event_id',
      { version: rules.version },
    );
  }
  return template.eventId === undefined ? {} : { event_id: template.eventId };
}

function roomIdOfTemplate(template: EventTemplate, rules: RoomVersionRules): JsonObject {
  const isImplied = rules.roomIdIsCreateHash && template.type === 'm.room.create';
  if (isImplied === (template.roomId !== undefined)) {
    throw new EventBadRoomIdError(
      isImplied ? 'the create event of this room version takes no room_id' : 'the event needs a room_id',
      { version: rules.version },
    );
  }
  return template.roomId === undefined ? {} : { room_id: template.roomId };
}
