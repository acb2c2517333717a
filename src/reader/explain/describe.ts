// Events in words: what one says, and who said it when. Content comes from strangers: quoted and bounded.

import type { EventId } from '../../event/ids.js';
import { isObject, type JsonValue, own } from '../../event/json.js';
import type { Pdu } from '../../event/pdu.js';

const SHOWN_CHARS_MAX = 80;

/** What an event says in a few words: a membership, a name, a join rule; undefined where no word of it is short. */
export function saidBy({ type, content }: Pdu): string | undefined {
  const field = SAYING_FIELDS.get(type);
  const value = field === undefined ? undefined : own(content, field);
  if (typeof value === 'string') return shortened(value);
  if (type !== 'm.room.power_levels') return undefined;
  const users = own(content, 'users');
  if (!isObject(users)) return undefined;
  const levels = Object.entries(users).map(([user, level]) => `${user} ${shownLevel(level)}`);
  return shortened(levels.join(', '));
}

const SAYING_FIELDS = new Map([
  ['m.room.member', 'membership'],
  ['m.room.name', 'name'],
  ['m.room.topic', 'topic'],
  ['m.room.join_rules', 'join_rule'],
  ['m.room.history_visibility', 'history_visibility'],
  ['m.room.guest_access', 'guest_access'],
  ['m.room.canonical_alias', 'alias'],
  ['m.room.avatar', 'url'],
]);

/** `$id ("what it says", by @sender at depth 12)`. */
export function told(event: Pdu | undefined, id: EventId): string {
  if (event === undefined) return `${id} (not known here)`;
  const said = saidBy(event);
  const words = said === undefined ? '' : `${JSON.stringify(said)}, `;
  return `${id} (${words}by ${event.sender} at depth ${event.depth})`;
}

/** `m.room.member of @bob:example.org`; the type alone where the state key is empty. */
export function keyName(type: string, stateKey: string): string {
  return stateKey === '' ? type : `${type} of ${stateKey}`;
}

function shownLevel(level: JsonValue): string {
  return typeof level === 'number' || typeof level === 'string' ? String(level) : '?';
}

function shortened(text: string): string {
  return text.length <= SHOWN_CHARS_MAX ? text : `${text.slice(0, SHOWN_CHARS_MAX)}…`;
}
