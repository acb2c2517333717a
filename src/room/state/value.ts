// The state tree's values and tags: an event id as bytes, a membership as one byte.
//
// From room version 3 an id is a hash: its 32 raw bytes. Before, the id's own UTF-8. An id that ought to be
// a hash and is not (events taken on trust, with symbolic ids) is its UTF-8 and zero bytes, never 32 long.

import { isUtf8 } from 'node:buffer';
import type { EventId } from '../../event/ids.js';
import type { Pdu } from '../../event/pdu.js';
import { own } from '../../event/json.js';
import type { RoomVersionRules } from '../../event/rules.js';
import { fromBase64, fromBase64Url, toBase64, toBase64Url } from '../../lib/base64.js';
import { fromUtf8, utf8 } from '../../lib/bytes.js';
import { MEMBER_TYPE } from './key.js';

const HASH_BYTES = 32;
/** `$` and 43 characters of base64. */
const HASHED_ID_LENGTH = 44;

/** Bytes of an event id in a room of this version. */
export function valueOfId(id: EventId, rules: RoomVersionRules): Uint8Array {
  if (rules.eventIdFormat === 'field') return utf8(id);
  if (id.length === HASHED_ID_LENGTH) {
    const decode = rules.eventIdFormat === 'base64' ? fromBase64 : fromBase64Url;
    const hash = decode(id.slice(1));
    if (hash?.length === HASH_BYTES && idOfValue(hash, rules) === id) return hash;
  }
  const name = utf8(id);
  const zeros = name.length + 1 === HASH_BYTES ? 2 : 1;
  const value = new Uint8Array(name.length + zeros);
  value.set(name);
  return value;
}

/** The event id of a value in a room of this version. */
export function idOfValue(value: Uint8Array, rules: RoomVersionRules): EventId {
  if (rules.eventIdFormat === 'field') return fromUtf8(value) as EventId;
  if (value.length === HASH_BYTES) {
    return `$${rules.eventIdFormat === 'base64' ? toBase64(value) : toBase64Url(value)}` as EventId;
  }
  let end = value.length;
  while (end > 0 && value[end - 1] === 0) end--;
  return fromUtf8(value.subarray(0, end)) as EventId;
}

/** May these bytes, which came from elsewhere, be read as an event id? */
export function isIdValue(value: Uint8Array, rules: RoomVersionRules): boolean {
  return (rules.eventIdFormat !== 'field' && value.length === HASH_BYTES) || isUtf8(value);
}

/** Memberships by tag: a tree entry of a member says its membership without the event. */
export const MEMBERSHIPS = ['none', 'join', 'invite', 'leave', 'ban', 'knock'] as const;
export type Membership = (typeof MEMBERSHIPS)[number];

/** The tag of a state event's entry. */
export function tagOf(event: Pick<Pdu, 'type' | 'content'>): number {
  if (event.type !== MEMBER_TYPE) return 0;
  const membership = own(event.content, 'membership');
  const tag = MEMBERSHIPS.findIndex((known) => known === membership);
  return tag === -1 ? 0 : tag;
}

/** The membership that a tag stands for. */
export function membershipOfTag(tag: number): Membership {
  return MEMBERSHIPS[tag] ?? 'none';
}
