// Content hash, reference hash and event id, from one canonicalisation.
//
// The three texts that are hashed or signed, and the size, are made of the same top-level members with
// different ones left out: content hash without `unsigned`, `signatures`, `hashes`; reference hash and
// signatures over the redacted event without `unsigned`, `signatures`. So the members are written once
// (`takeApart`) and joined as needed; only redacted content is written anew, and that is short.
//
// Source: server-server API, "Calculating the content hash" and "Calculating the reference hash".

import { hash } from 'node:crypto';
import { fromBase64, toBase64, toBase64Url } from '../lib/base64.js';
import { compareCodePoints, equalBytes } from '../lib/bytes.js';
import { canonicalJson, canonicalKeys, canonicalString } from './canonical.js';
import { EventBadEventIdError } from './errors.js';
import { parseEventId, type EventId } from './ids.js';
import { isObject, own, type JsonObject, type JsonValue } from './json.js';
import { keptKeys, redactedContent } from './redact.js';
import type { RoomVersionRules } from './rules.js';

/** What hashing asks of a room version. */
export type HashRules = Pick<RoomVersionRules, 'strictCanonicalJson' | 'redaction' | 'eventIdFormat'>;

/** An event's canonical JSON by top-level member, in canonical order. */
export interface EventParts {
  readonly json: JsonObject;
  readonly keys: readonly string[];
  /** `"key":value` for each key. */
  readonly members: readonly string[];
}

/**
 * Writes each top-level member's canonical JSON once. `unsigned` is left out: no hash, signature or limit
 * covers it, so nothing in it can make the event refused.
 *
 * @throws EVENT_NOT_CANONICAL
 */
export function takeApart(json: JsonObject, rules: HashRules): EventParts {
  const keys: string[] = [];
  const members: string[] = [];
  for (const key of canonicalKeys(json)) {
    if (key === 'unsigned') continue;
    keys.push(key);
    members.push(`${canonicalString(key)}:${canonicalJson(json[key] as JsonValue, rules)}`);
  }
  return { json, keys, members };
}

/** The same event with one member more, or another in its place. @throws EVENT_NOT_CANONICAL */
export function withMember(parts: EventParts, key: string, value: JsonValue, rules: HashRules): EventParts {
  const keys = [...parts.keys];
  const members = [...parts.members];
  const found = keys.findIndex((known) => compareCodePoints(known, key) >= 0);
  const at = found === -1 ? keys.length : found;
  const replaced = keys[at] === key ? 1 : 0;
  keys.splice(at, replaced, key);
  members.splice(at, replaced, `${canonicalString(key)}:${canonicalJson(value, rules)}`);
  return { json: { ...parts.json, [key]: value }, keys, members };
}

/** Does the event with its signatures take at most `limit` bytes of canonical JSON? */
export function fitsCanonically(parts: EventParts, limit: number): boolean {
  // A brace or comma for each member and one more brace; a UTF-16 unit takes at most three bytes.
  let units = 0;
  for (const member of parts.members) units += member.length;
  const punctuation = parts.members.length + 1;
  if (units * 3 + punctuation <= limit) return true;
  let bytes = punctuation;
  for (const member of parts.members) bytes += Buffer.byteLength(member);
  return bytes <= limit;
}

/** The canonical JSON that the content hash covers. */
export function contentText(parts: EventParts): string {
  const members: string[] = [];
  for (let i = 0; i < parts.keys.length; i++) {
    const key = parts.keys[i];
    if (key !== 'signatures' && key !== 'hashes') members.push(parts.members[i] as string);
  }
  return `{${members.join(',')}}`;
}

/** The canonical JSON that the reference hash and every signature cover. */
export function essentialText(parts: EventParts, rules: HashRules): string {
  const kept = keptKeys(rules.redaction);
  const members: string[] = [];
  for (let i = 0; i < parts.keys.length; i++) {
    const key = parts.keys[i] as string;
    if (key === 'signatures' || !kept.has(key)) continue;
    if (key === 'content') members.push(`"content":${essentialContent(parts.json, rules)}`);
    else members.push(parts.members[i] as string);
  }
  return `{${members.join(',')}}`;
}

function essentialContent(json: JsonObject, rules: HashRules): string {
  return canonicalJson(redactedContent(json, rules.redaction), rules);
}

/** SHA-256 of the event without `unsigned`, `signatures` and `hashes`. @throws EVENT_NOT_CANONICAL */
export function contentHash(json: JsonObject, rules: HashRules): Uint8Array {
  return sha256(contentText(takeApart(json, rules)));
}

/** SHA-256 of the redacted event without `unsigned` and `signatures`. @throws EVENT_NOT_CANONICAL */
export function referenceHash(json: JsonObject, rules: HashRules): Uint8Array {
  return sha256(essentialText(takeApart(json, rules), rules));
}

/** Does `hashes.sha256` say what the content hash is? @throws EVENT_NOT_CANONICAL */
export function contentHashMatches(json: JsonObject, rules: HashRules): boolean {
  const claimed = claimedContentHash(json);
  return claimed !== undefined && equalBytes(claimed, contentHash(json, rules));
}

/** The bytes of `hashes.sha256`, or undefined where that is no base64 of 32 bytes. */
export function claimedContentHash(json: JsonObject): Uint8Array | undefined {
  const hashes = own(json, 'hashes');
  const claimed = isObject(hashes) ? own(hashes, 'sha256') : undefined;
  const bytes = typeof claimed === 'string' ? fromBase64(claimed) : undefined;
  return bytes?.length === 32 ? bytes : undefined;
}

/**
 * The event's id: its field `event_id` (room versions 1, 2), or its reference hash.
 *
 * @throws EVENT_BAD_EVENT_ID when the field is missing or malformed; EVENT_NOT_CANONICAL
 */
export function eventIdOf(json: JsonObject, rules: HashRules): EventId {
  if (rules.eventIdFormat === 'field') return eventIdField(json);
  return eventIdOfReference(referenceHash(json, rules), rules);
}

/** The id that `event_id` claims (room versions 1, 2). @throws EVENT_BAD_EVENT_ID */
export function eventIdField(json: JsonObject): EventId {
  const field = own(json, 'event_id');
  const id = typeof field === 'string' ? parseEventId(field, 'field') : undefined;
  if (id === undefined) throw new EventBadEventIdError('event_id is missing or no $localpart:server');
  return id;
}

/** The id that a reference hash makes (room version 3 and later). */
export function eventIdOfReference(reference: Uint8Array, rules: Pick<HashRules, 'eventIdFormat'>): EventId {
  return `$${rules.eventIdFormat === 'base64' ? toBase64(reference) : toBase64Url(reference)}` as EventId;
}

/** SHA-256 of a text's UTF-8. */
export function sha256(text: string): Uint8Array {
  return hash('sha256', text, 'buffer');
}
