// The filter of a sync: one `EventFilter` for each part of the answer, read once from inline JSON or a stored one.
//
// Source: client-server API, "Filtering"; definitions/sync_filter.yaml.

import { isArray, isObject, type JsonObject, type JsonValue, own, parseJson } from '../../event/json.js';
import type { UserId } from '../../event/ids.js';
import { utf8 } from '../../lib/bytes.js';
import { badJson, invalidParam, MatrixError } from '../errors.js';
import { EventFilter } from '../event-filter.js';
import type { Homeserver } from '../homeserver.js';

const FILTER_BYTES_MAX = 65_536;
const FIELDS_MAX = 1_000;

/** Events of a timeline when the client says nothing, and whatever it says. */
const TIMELINE_LIMIT_DEFAULT = 10;
const TIMELINE_LIMIT_MAX = 1_000;

export class SyncFilter {
  readonly presence: EventFilter;
  readonly accountData: EventFilter;
  readonly state: EventFilter;
  readonly timeline: EventFilter;
  readonly ephemeral: EventFilter;
  readonly roomAccountData: EventFilter;
  readonly includeLeave: boolean;
  readonly threadNotifications: boolean;
  readonly format: 'client' | 'federation';
  /** Paths of the fields to keep of an event, or undefined to keep all. */
  readonly eventFields: ReadonlyArray<readonly string[]> | undefined;
  readonly #rooms: EventFilter;

  /** @throws MatrixError 400 for a filter of the wrong shape */
  constructor(json: JsonObject = {}) {
    const room = part(json, 'room');
    this.presence = new EventFilter(part(json, 'presence'));
    this.accountData = new EventFilter(part(json, 'account_data'));
    this.state = new EventFilter(part(room, 'state'));
    this.timeline = new EventFilter(part(room, 'timeline'));
    this.ephemeral = new EventFilter(part(room, 'ephemeral'));
    this.roomAccountData = new EventFilter(part(room, 'account_data'));
    this.#rooms = new EventFilter(keep(room, ['rooms', 'not_rooms']));
    this.includeLeave = flag(room, 'include_leave') ?? false;
    this.threadNotifications = flag(part(room, 'timeline'), 'unread_thread_notifications') ?? false;
    this.format = formatOf(json);
    this.eventFields = fieldsOf(json);
  }

  /** Does the answer hold anything of this room? */
  allowsRoom(roomId: string): boolean {
    return this.#rooms.allowsRoom(roomId);
  }

  /** Events of a room's timeline at most. */
  get timelineLimit(): number {
    return Math.min(this.timeline.limit ?? TIMELINE_LIMIT_DEFAULT, TIMELINE_LIMIT_MAX);
  }

  /** Are only those members wanted that the answer speaks of? */
  get isLazy(): boolean {
    return this.state.lazyLoadMembers;
  }
}

/** Of every poll that names none: thousands of them wait at once. */
const EVERYTHING = new SyncFilter();

/** The filter that a sync names: JSON, or the id of a stored one. @throws MatrixError 400 */
export function filterOf(home: Homeserver, userId: UserId, text: string | undefined): SyncFilter {
  if (text === undefined || text === '') return EVERYTHING;
  if (!text.startsWith('{')) {
    const stored = home.accounts.filters.get(userId, text);
    if (stored === undefined) throw new MatrixError(400, 'M_UNKNOWN', 'There is no filter with this id.');
    return new SyncFilter(stored);
  }
  if (Buffer.byteLength(text) > FILTER_BYTES_MAX) throw invalidParam('The filter is too long.');
  let json: JsonValue;
  try {
    json = parseJson(utf8(text));
  } catch {
    throw badJson('The filter is no JSON.');
  }
  if (!isObject(json)) throw badJson('The filter is no JSON object.');
  return new SyncFilter(json);
}

/** The event with only those fields that a filter keeps. */
export function keepFields(event: JsonObject, fields: ReadonlyArray<readonly string[]>): JsonObject {
  const kept: Record<string, JsonValue> = {};
  for (const path of fields) copyPath(event, kept, path);
  return kept;
}

/** Objects on the way are made anew, so that the event is not changed. */
function copyPath(from: JsonObject, to: Record<string, JsonValue>, [key, ...rest]: readonly string[]): void {
  const value = key === undefined ? undefined : own(from, key);
  if (key === undefined || value === undefined) return;
  if (rest.length === 0) {
    put(to, key, value);
    return;
  }
  if (!isObject(value)) return;
  const before = own(to, key);
  const inner: Record<string, JsonValue> = isObject(before) ? { ...before } : {};
  copyPath(value, inner, rest);
  if (Object.keys(inner).length > 0) put(to, key, inner);
}

/** A key may be `__proto__`. */
function put(object: Record<string, JsonValue>, key: string, value: JsonValue): void {
  Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
}

function part(json: JsonObject, key: string): JsonObject {
  const value = own(json, key);
  if (value === undefined || value === null) return {};
  if (!isObject(value)) throw badJson(`${key} of a filter is an object.`);
  return value;
}

function keep(json: JsonObject, keys: readonly string[]): JsonObject {
  return Object.fromEntries(
    keys.flatMap((key) => {
      const value = own(json, key);
      return value === undefined ? [] : [[key, value]];
    }),
  );
}

function flag(json: JsonObject, key: string): boolean | undefined {
  const value = own(json, key);
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'boolean') throw badJson(`${key} of a filter is true or false.`);
  return value;
}

function formatOf(json: JsonObject): 'client' | 'federation' {
  const format = own(json, 'event_format') ?? 'client';
  if (format !== 'client' && format !== 'federation') {
    throw badJson('event_format of a filter is `client` or `federation`.');
  }
  return format;
}

function fieldsOf(json: JsonObject): ReadonlyArray<readonly string[]> | undefined {
  const fields = own(json, 'event_fields');
  if (fields === undefined || fields === null) return undefined;
  if (!isArray(fields) || fields.length > FIELDS_MAX)
    throw badJson('event_fields of a filter is a list of paths.');
  return fields.map((field) => {
    if (typeof field !== 'string') throw badJson('event_fields of a filter is a list of paths.');
    return pathOf(field);
  });
}

/** Dot-separated; a backslash before a dot or a backslash makes it part of the name (appendices). */
function pathOf(field: string): readonly string[] {
  return field
    .split(/((?:[^.\\]|\\[^])+|\.)/)
    .filter((piece) => piece !== '' && piece !== '.')
    .map((piece) => piece.replace(/\\([.\\])/g, '$1'));
}
