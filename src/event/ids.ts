// Identifiers as branded strings: parsed once at the edge, trusted inside (spec appendices, "Identifiers").
//
// As strict as the specification, with what it must tolerate: user ids of any localpart that older
// servers gave out ("Historical User IDs"), room and event ids with any localpart.
// Parsers return undefined for what does not belong; who calls them knows what to say about it.

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** `$opaque:domain` (room versions 1, 2), `$` and 43 characters of base64 (3) or URL-safe base64 (4 and later). */
export type EventId = Branded<'EventId'>;
/** `!opaque:domain`, or from version 12 `!` and the create event's reference hash. */
export type RoomId = Branded<'RoomId'>;
/** `@localpart:domain`. */
export type UserId = Branded<'UserId'>;
/** Host name or IP literal, with an optional port. */
export type ServerName = Branded<'ServerName'>;

/** Longest identifier, event type and state key, in bytes of UTF-8. */
export const MAX_ID_BYTES = 255;

const SERVER_NAME = /^(?:[0-9A-Za-z.-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?$/;
const HASH_BASE64 = /^[A-Za-z0-9+/]{43}$/;
const HASH_BASE64URL = /^[A-Za-z0-9_-]{43}$/;

/** Does the string take at most `limit` bytes of UTF-8? Counts only where the length leaves a doubt. */
export function fitsBytes(text: string, limit: number): boolean {
  if (text.length > limit) return false;
  return text.length * 3 <= limit || Buffer.byteLength(text) <= limit;
}

/** The text as a server name, or undefined. */
export function parseServerName(text: string): ServerName | undefined {
  return SERVER_NAME.test(text) ? (text as ServerName) : undefined;
}

/** The text as a user id, historical ones among them, or undefined. */
export function parseUserId(text: string): UserId | undefined {
  return isSigilLocalpartDomain(text, '@') ? (text as UserId) : undefined;
}

/** The text as a room id with a domain (room versions 1 to 11), or undefined. */
export function parseRoomId(text: string): RoomId | undefined {
  return isSigilLocalpartDomain(text, '!') ? (text as RoomId) : undefined;
}

/** The text as a room id that is a create event's hash (room version 12), or undefined. */
export function parseHashRoomId(text: string): RoomId | undefined {
  return isSigilHash(text, '!', HASH_BASE64URL) ? (text as RoomId) : undefined;
}

/** Is the text a room alias, `#localpart:server`? */
export function isRoomAlias(text: string): boolean {
  return text.indexOf(':') > 1 && isSigilLocalpartDomain(text, '#');
}

/** How a room version writes event ids. */
export type EventIdFormat = 'field' | 'base64' | 'base64url';

/** The text as an event id of that format, or undefined. */
export function parseEventId(text: string, format: EventIdFormat): EventId | undefined {
  const fits =
    format === 'field'
      ? isSigilLocalpartDomain(text, '$')
      : isSigilHash(text, '$', format === 'base64' ? HASH_BASE64 : HASH_BASE64URL);
  return fits ? (text as EventId) : undefined;
}

/** The server part of an id that has one: all behind the first colon. Undefined for ids that are hashes. */
export function serverOf(id: UserId): ServerName;
export function serverOf(id: RoomId | EventId): ServerName | undefined;
export function serverOf(id: string): ServerName | undefined {
  const colon = id.indexOf(':');
  return colon === -1 ? undefined : (id.slice(colon + 1) as ServerName);
}

/** What stands between a user id's `@` and its server. */
export function localpartOf(id: UserId): string {
  return id.slice(1, id.indexOf(':'));
}

/** The room id that a create event's id implies (room version 12). */
export function roomIdOfCreate(createId: EventId): RoomId {
  return `!${createId.slice(1)}` as RoomId;
}

/** The create event's id that a room id implies (room version 12). */
export function createIdOfRoom(roomId: RoomId): EventId {
  return `$${roomId.slice(1)}` as EventId;
}

function isSigilLocalpartDomain(text: string, sigil: string): boolean {
  if (text[0] !== sigil || !fitsBytes(text, MAX_ID_BYTES)) return false;
  const colon = text.indexOf(':');
  if (colon === -1) return false;
  const nul = text.indexOf('\0');
  return nul === -1 && SERVER_NAME.test(text.slice(colon + 1));
}

function isSigilHash(text: string, sigil: string, alphabet: RegExp): boolean {
  return text.length === 44 && text[0] === sigil && alphabet.test(text.slice(1));
}
