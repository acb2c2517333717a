// Which servers a room lets take part: the `m.room.server_acl` of its current state.
//
// Patterns are matched letter by letter, not by regular expressions: whoever writes them must not choose how
// long we compute. Lists are read from the event once and kept by its id.
//
// Source: client-server API, "Server Access Control Lists (ACLs) for rooms"; server-server API, "Server ACLs".

import { isIP } from 'node:net';
import type { Engine } from '../../engine/engine.js';
import type { EventId, RoomId, ServerName } from '../../event/ids.js';
import { isArray, type JsonObject, own } from '../../event/json.js';
import { ClockCache } from '../../lib/clock-cache.js';

const SERVER_ACL_TYPE = 'm.room.server_acl';

/** What parsed lists may take in memory, about; what a list takes without its patterns, and a pattern. */
const LISTS_BYTES_MAX = 8 * 1024 * 1024;
const LIST_BYTES = 300;
const PATTERN_BYTES = 40;
/** The same of answers, over all lists. */
const ANSWERS_BYTES_MAX = 4 * 1024 * 1024;
const ANSWER_BYTES = 250;

/** What one `m.room.server_acl` says. */
export class ServerAcl {
  readonly #allowsIpLiterals: boolean;
  readonly #allow: readonly string[];
  readonly #deny: readonly string[];

  /** @param content of the event; what has the wrong type counts as not there */
  constructor(content: JsonObject) {
    this.#allowsIpLiterals = own(content, 'allow_ip_literals') !== false;
    this.#allow = patternsOf(content, 'allow');
    this.#deny = patternsOf(content, 'deny');
  }

  /** What it takes in memory, about. */
  get bytes(): number {
    const patterns = [...this.#allow, ...this.#deny];
    return patterns.reduce((sum, pattern) => sum + PATTERN_BYTES + pattern.length, LIST_BYTES);
  }

  allows(server: ServerName): boolean {
    return this.allowsHost(hostOf(server));
  }

  /** @param host a server's name without its port, in lower case */
  allowsHost(host: string): boolean {
    if (!this.#allowsIpLiterals && isIpLiteral(host)) return false;
    if (this.#deny.some((pattern) => matchesGlob(pattern, host))) return false;
    return this.#allow.some((pattern) => matchesGlob(pattern, host));
  }
}

/** The lists of all rooms, as of their current states. */
export class ServerAcls {
  readonly #engine: Engine;
  readonly #lists = new ClockCache<EventId, ServerAcl>(LISTS_BYTES_MAX);
  /** By list and host. */
  readonly #answers = new ClockCache<string, boolean>(ANSWERS_BYTES_MAX);

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** May the server take part in the room? Yes for a room without a list, or one that is not known. */
  allows(server: ServerName, roomId: RoomId): boolean {
    const room = this.#engine.store.room(roomId);
    if (room === undefined) return true;
    const eventId = this.#engine.reader.view(roomId, room.root).get(SERVER_ACL_TYPE);
    if (eventId === undefined) return true;
    const host = hostOf(server);
    const name = `${eventId} ${host}`;
    const kept = this.#answers.get(name);
    if (kept !== undefined) return kept;
    const list = this.#list(eventId);
    if (list === undefined) return true;
    const answer = list.allowsHost(host);
    this.#answers.set(name, answer, ANSWER_BYTES + host.length);
    return answer;
  }

  #list(eventId: EventId): ServerAcl | undefined {
    const kept = this.#lists.get(eventId);
    if (kept !== undefined) return kept;
    const event = this.#engine.reader.events.get(eventId);
    if (event === undefined) return undefined;
    const list = new ServerAcl(event.pdu.content);
    this.#lists.set(eventId, list, list.bytes);
    return list;
  }
}

/** `*` stands for any characters, `?` for one; upper and lower case are the same to the caller. O(n * m). */
export function matchesGlob(pattern: string, text: string): boolean {
  let at = 0;
  let inPattern = 0;
  /** Where the last `*` stands, and how far it reaches so far. */
  let star = -1;
  let starEnd = 0;
  while (at < text.length) {
    const sign = pattern[inPattern];
    if (sign === '*') {
      star = inPattern++;
      starEnd = at;
    } else if (sign === '?' || sign === text[at]) {
      inPattern++;
      at++;
    } else if (star >= 0) {
      inPattern = star + 1;
      at = ++starEnd;
    } else return false;
  }
  while (pattern[inPattern] === '*') inPattern++;
  return inPattern === pattern.length;
}

function patternsOf(content: JsonObject, key: string): readonly string[] {
  const list = own(content, key);
  if (!isArray(list)) return [];
  return list.flatMap((pattern) => (typeof pattern === 'string' ? [pattern.toLowerCase()] : []));
}

/** The server's name without its port, in lower case. */
function hostOf(server: ServerName): string {
  return server.replace(/:[0-9]{1,5}$/, '').toLowerCase();
}

function isIpLiteral(host: string): boolean {
  return host.startsWith('[') || isIP(host) === 4;
}
