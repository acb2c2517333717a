// Events of internal rooms: this server's own records (accounts, tokens, receipts), kept in the same store and
// tree as everybody's events, and in no other way alike: not signed, not authorised, never sent to anyone.
//
// An internal room's id is `!` and a name without a colon, which no room version gives to a room: so nothing
// from outside can speak of one. State may be taken away, which Matrix's state cannot: by an event that says so.

import { blake3 } from '../lib/blake3.js';
import { toBase64Url } from '../lib/base64.js';
import { utf8 } from '../lib/bytes.js';
import type { EventId, RoomId, UserId } from './ids.js';
import { isObject, type JsonObject, own, parseJson } from './json.js';
import type { Pdu } from './pdu.js';
import { INTERNAL_RULES } from './rules.js';

/** Who sends internal events. */
const SENDER = '@stateroom:localhost' as UserId;

/** What an internal event says. */
export interface InternalTemplate {
  readonly roomId: RoomId;
  readonly type: string;
  /** Present for a record that is looked up by its key; absent for one that is only listed, in order. */
  readonly stateKey: string | undefined;
  /** Undefined takes the record away. */
  readonly content: JsonObject | undefined;
  readonly prevEvents: readonly EventId[];
  readonly depth: number;
  /** Milliseconds since 1970. */
  readonly originServerTs: number;
}

/** The internal room of this name: letters, digits and whatever else holds no colon. */
export function internalRoomId(...names: readonly string[]): RoomId {
  return `!${names.join('/').replaceAll(':', '/')}` as RoomId;
}

/** The event and its bytes. */
export function buildInternalEvent(template: InternalTemplate): {
  readonly pdu: Pdu;
  readonly bytes: Uint8Array;
} {
  const { roomId, type, stateKey, content, prevEvents, depth, originServerTs } = template;
  const bytes = utf8(
    JSON.stringify({
      room_id: roomId,
      type,
      ...(stateKey === undefined ? {} : { state_key: stateKey }),
      content: content ?? {},
      ...(content === undefined ? { removes: true } : {}),
      prev_events: prevEvents,
      depth,
      origin_server_ts: originServerTs,
    }),
  );
  return { pdu: parseInternalEvent(bytes), bytes };
}

/** The event that the bytes hold. @throws EVENT_BAD_JSON; TypeError when they are no internal event's */
export function parseInternalEvent(bytes: Uint8Array): Pdu {
  const json = parseJson(bytes);
  const content = isObject(json) ? own(json, 'content') : undefined;
  if (!isObject(json) || !isObject(content)) throw new TypeError('not an internal event');
  const text = (name: string): string | undefined => {
    const value = own(json, name);
    return typeof value === 'string' ? value : undefined;
  };
  const prevEvents = own(json, 'prev_events');
  return {
    rules: INTERNAL_RULES,
    eventId: `$${toBase64Url(blake3(bytes))}` as EventId,
    roomId: (text('room_id') ?? '') as RoomId,
    type: text('type') ?? '',
    stateKey: text('state_key'),
    sender: SENDER,
    content,
    prevEvents: Array.isArray(prevEvents) ? (prevEvents as EventId[]) : [],
    authEvents: [],
    depth: Number(own(json, 'depth')),
    originServerTs: Number(own(json, 'origin_server_ts')),
    redacts: undefined,
    json,
  };
}

/** Does the event take its record away? */
export function isRemoval({ rules, json }: Pdu): boolean {
  return rules.isInternal && own(json, 'removes') === true;
}
