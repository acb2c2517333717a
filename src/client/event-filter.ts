// Filters on events as clients write them: which events of a room an answer holds.
//
// A filter is read once into sets and patterns; a match then costs a few lookups. Wildcards are matched piece
// by piece, left to right: a regular expression made of a client's text could take for ever.
//
// Source: client-server API, "Filtering"; definitions/event_filter.yaml, room_event_filter.yaml.

import { isArray, isObject, type JsonObject, type JsonValue, own, parseJson } from '../event/json.js';
import { utf8 } from '../lib/bytes.js';
import { badJson, invalidParam } from './errors.js';

/** What a filter asks of an event. */
export interface Filterable {
  readonly type: string;
  readonly sender: string;
  readonly content: JsonObject;
}

const LIST_MAX = 500;
const FILTER_BYTES_MAX = 65_536;

/** An `EventFilter` or `RoomEventFilter`. */
export class EventFilter {
  /** Events at most, as the client asked; undefined when it did not. */
  readonly limit: number | undefined;
  readonly lazyLoadMembers: boolean;
  readonly includeRedundantMembers: boolean;
  readonly #types: readonly Pattern[] | undefined;
  readonly #notTypes: readonly Pattern[];
  readonly #senders: ReadonlySet<string> | undefined;
  readonly #notSenders: ReadonlySet<string>;
  readonly #rooms: ReadonlySet<string> | undefined;
  readonly #notRooms: ReadonlySet<string>;
  readonly #containsUrl: boolean | undefined;

  /** @throws MatrixError 400 for a filter of the wrong shape */
  constructor(json: JsonObject = {}) {
    const limit = own(json, 'limit');
    if (limit !== undefined && (typeof limit !== 'number' || !Number.isSafeInteger(limit) || limit < 0)) {
      throw badJson('The limit of a filter is an integer greater than 0.');
    }
    this.limit = limit;
    this.lazyLoadMembers = flag(json, 'lazy_load_members') ?? false;
    this.includeRedundantMembers = flag(json, 'include_redundant_members') ?? false;
    this.#types = strings(json, 'types')?.map(patternOf);
    this.#notTypes = strings(json, 'not_types')?.map(patternOf) ?? [];
    this.#senders = setOf(strings(json, 'senders'));
    this.#notSenders = new Set(strings(json, 'not_senders'));
    this.#rooms = setOf(strings(json, 'rooms'));
    this.#notRooms = new Set(strings(json, 'not_rooms'));
    this.#containsUrl = flag(json, 'contains_url');
  }

  /** Does the filter let any event through, of any room? */
  get isOpen(): boolean {
    return (
      this.#types === undefined &&
      this.#notTypes.length === 0 &&
      this.#senders === undefined &&
      this.#notSenders.size === 0 &&
      this.#rooms === undefined &&
      this.#notRooms.size === 0 &&
      this.#containsUrl === undefined
    );
  }

  /** Does it let events of this room through? */
  allowsRoom(roomId: string): boolean {
    return this.#rooms?.has(roomId) !== false && !this.#notRooms.has(roomId);
  }

  /** Does it let events of this type through? */
  allowsType(type: string): boolean {
    if (this.#notTypes.some((pattern) => matchesPattern(pattern, type))) return false;
    return this.#types === undefined || this.#types.some((pattern) => matchesPattern(pattern, type));
  }

  /** Does it let events of this sender through? */
  allowsSender(sender: string): boolean {
    return this.#senders?.has(sender) !== false && !this.#notSenders.has(sender);
  }

  /** Does it let the event through? Its room is `allowsRoom`'s question. */
  allows(event: Filterable): boolean {
    if (!this.allowsType(event.type) || !this.allowsSender(event.sender)) return false;
    if (this.#containsUrl === undefined) return true;
    return (typeof own(event.content, 'url') === 'string') === this.#containsUrl;
  }
}

/** The filter of a query parameter, JSON text. @throws MatrixError 400 */
export function filterOfQuery(text: string | undefined): EventFilter {
  if (text === undefined || text === '') return new EventFilter();
  if (text.length > FILTER_BYTES_MAX) throw invalidParam('The filter is too long.');
  let json: JsonValue;
  try {
    json = parseJson(utf8(text));
  } catch {
    throw badJson('The filter is no JSON.');
  }
  if (!isObject(json)) throw badJson('The filter is no JSON object.');
  return new EventFilter(json);
}

/** What lies between the stars of a pattern, in order; a single piece has no star beside it. */
type Pattern = readonly string[];

const patternOf = (text: string): Pattern => text.split('*');

/** Does the text match, where each gap between pieces stands for any characters, or none? */
function matchesPattern(pattern: Pattern, text: string): boolean {
  const first = pattern[0] ?? '';
  const last = pattern.at(-1) ?? '';
  if (pattern.length === 1) return text === first;
  const end = text.length - last.length;
  if (end < first.length || !text.startsWith(first) || !text.endsWith(last)) return false;
  let at = first.length;
  for (const piece of pattern.slice(1, -1)) {
    const found = text.indexOf(piece, at);
    if (found === -1 || found + piece.length > end) return false;
    at = found + piece.length;
  }
  return true;
}

function flag(json: JsonObject, key: string): boolean | undefined {
  const value = own(json, key);
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'boolean') throw badJson(`${key} of a filter is true or false.`);
  return value;
}

function strings(json: JsonObject, key: string): readonly string[] | undefined {
  const value = own(json, key);
  if (value === undefined || value === null) return undefined;
  const isList =
    isArray(value) && value.length <= LIST_MAX && value.every((entry) => typeof entry === 'string');
  if (!isList) throw badJson(`${key} of a filter is a list of strings.`);
  return value;
}

function setOf(list: readonly string[] | undefined): ReadonlySet<string> | undefined {
  return list === undefined ? undefined : new Set(list);
}
