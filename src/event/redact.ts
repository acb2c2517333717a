// The redaction algorithm: what is left of an event that was redacted, hashed or signed.
//
// Source: rooms/v1 to rooms/v12, "Redactions". Where the text leaves room, Synapse's reading is taken,
// because ids hang on it: from version 11 a `third_party_invite` that is an object leaves an object behind,
// with or without `signed`.

import { isObject, own, type JsonObject, type JsonValue } from './json.js';
import type { RedactionRules, RoomVersionRules } from './rules.js';

const KEPT = [
  'event_id',
  'type',
  'room_id',
  'sender',
  'state_key',
  'content',
  'hashes',
  'signatures',
  'depth',
  'prev_events',
  'auth_events',
  'origin_server_ts',
];
const keptNow: ReadonlySet<string> = new Set(KEPT);
const keptOld: ReadonlySet<string> = new Set([...KEPT, 'origin', 'membership', 'prev_state']);

const NOTHING: JsonObject = {};

/** Top-level keys that survive redaction. */
export function keptKeys(rules: RedactionRules): ReadonlySet<string> {
  return rules.keepsOldTopLevelKeys ? keptOld : keptNow;
}

/** The event with everything removed that redaction removes. The event itself is not changed. */
export function redact(json: JsonObject, rules: Pick<RoomVersionRules, 'redaction'>): JsonObject {
  const kept = keptKeys(rules.redaction);
  const redacted: Record<string, JsonValue> = {};
  for (const key of Object.keys(json)) {
    if (kept.has(key)) redacted[key] = json[key] as JsonValue;
  }
  redacted['content'] = redactedContent(json, rules.redaction);
  return redacted;
}

/** The event's content with everything removed that redaction removes. */
export function redactedContent(json: JsonObject, rules: RedactionRules): JsonObject {
  const type = own(json, 'type');
  const content = own(json, 'content');
  if (typeof type !== 'string' || !isObject(content)) return NOTHING;
  if (type === 'm.room.create' && rules.keepsAllOfCreate) return content;
  const keys = keptContent(type, rules);
  if (keys === undefined) return NOTHING;
  const redacted: Record<string, JsonValue> = {};
  for (const key of keys) {
    const value = own(content, key);
    if (value !== undefined) redacted[key] = value;
  }
  if (type === 'm.room.member' && rules.keepsThirdPartySigned) {
    const invite = own(content, 'third_party_invite');
    if (isObject(invite)) {
      const signed = own(invite, 'signed');
      redacted['third_party_invite'] = signed === undefined ? NOTHING : { signed };
    }
  }
  return redacted;
}

const LEVELS = [
  'ban',
  'events',
  'events_default',
  'kick',
  'redact',
  'state_default',
  'users',
  'users_default',
];
const LEVELS_AND_INVITE = [...LEVELS, 'invite'];

function keptContent(type: string, rules: RedactionRules): readonly string[] | undefined {
  switch (type) {
    case 'm.room.member':
      return rules.keepsAuthorisingUser ? ['membership', 'join_authorised_via_users_server'] : ['membership'];
    case 'm.room.create':
      return ['creator'];
    case 'm.room.join_rules':
      return rules.keepsAllow ? ['join_rule', 'allow'] : ['join_rule'];
    case 'm.room.power_levels':
      return rules.keepsInviteLevel ? LEVELS_AND_INVITE : LEVELS;
    case 'm.room.history_visibility':
      return ['history_visibility'];
    case 'm.room.aliases':
      return rules.keepsAliases ? ['aliases'] : undefined;
    case 'm.room.redaction':
      return rules.keepsContentRedacts ? ['redacts'] : undefined;
    default:
      return undefined;
  }
}
