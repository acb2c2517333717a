// Events taken on trust: the id as given, symbolic perhaps, and no hash or signature looked at.
//
// For stories of state resolution and for events written by hand. Only what the rules read must be there and
// have the right type; references may be ids or pairs of id and hashes, whatever the version.

import { type EventId, type RoomId, roomIdOfCreate, type UserId } from '../../event/ids.js';
import { isArray, isObject, type JsonObject, JsonNumber, type JsonValue, own } from '../../event/json.js';
import type { Pdu } from '../../event/pdu.js';
import type { RoomVersionRules } from '../../event/rules.js';
import { EventsInvalidError } from './errors.js';

/**
 * The event that the JSON describes.
 * @param place which event it is, for messages: its place in the input
 * @throws READER_EVENTS_INVALID
 */
export function looseEvent(json: JsonObject, rules: RoomVersionRules, place: string): Pdu {
  const eventId = text(json, 'event_id', place) as EventId;
  const name = `${place} (${eventId})`;
  const type = text(json, 'type', name);
  const impliesRoom = rules.roomIdIsCreateHash && type === 'm.room.create';
  const stateKey = own(json, 'state_key');
  const content = own(json, 'content');
  if (stateKey !== undefined && typeof stateKey !== 'string') throw fault(name, 'its state_key is no string');
  if (!isObject(content)) throw fault(name, 'its content is missing or no object');
  return {
    rules,
    eventId,
    roomId: impliesRoom ? roomIdOfCreate(eventId) : (text(json, 'room_id', name) as RoomId),
    type,
    stateKey,
    sender: text(json, 'sender', name) as UserId,
    content,
    prevEvents: references(json, 'prev_events', name),
    authEvents: references(json, 'auth_events', name),
    depth:
      rules.stateResolution === 'v1'
        ? integer(json, 'depth', name)
        : (optionalInteger(json, 'depth', name) ?? 0),
    originServerTs: integer(json, 'origin_server_ts', name),
    redacts: undefined,
    json: impliesRoom ? withoutRoomId(json) : json,
  };
}

/** Hand-written create events of version 12 often name the room that they must not name. */
function withoutRoomId(json: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(json).filter(([key]) => key !== 'room_id'));
}

function references(json: JsonObject, field: string, name: string): EventId[] {
  const value = own(json, field);
  if (value === undefined) return [];
  if (!isArray(value)) throw fault(name, `its ${field} is no array`);
  const ids = value.map((entry) => {
    const id: JsonValue | undefined = isArray(entry) ? entry[0] : entry;
    if (typeof id !== 'string') throw fault(name, `its ${field} holds what is no event id`);
    return id as EventId;
  });
  return [...new Set(ids)];
}

function text(json: JsonObject, field: string, name: string): string {
  const value = own(json, field);
  if (typeof value !== 'string' || value === '') throw fault(name, `its ${field} is missing or no string`);
  return value;
}

function integer(json: JsonObject, field: string, name: string): number {
  const value = optionalInteger(json, field, name);
  if (value === undefined) throw fault(name, `its ${field} is missing`);
  return value;
}

function optionalInteger(json: JsonObject, field: string, name: string): number | undefined {
  const value = own(json, field);
  if (value === undefined) return undefined;
  const number = value instanceof JsonNumber ? value.value : value;
  if (typeof number !== 'number' || !Number.isFinite(number)) throw fault(name, `its ${field} is no number`);
  return Math.trunc(number);
}

function fault(name: string, why: string): Error {
  return new EventsInvalidError(`${name}: ${why}`, { place: name });
}
