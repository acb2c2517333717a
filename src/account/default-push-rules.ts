// The push rules that every user has from the start, most important first.
//
// Source: client-server API, "Predefined Rules". Where it stands in a rule, the user's id is filled in.

import type { UserId } from '../event/ids.js';
import type { JsonObject, JsonValue } from '../event/json.js';

/** The kinds of rules, in the order in which they are tried. */
export const PUSH_RULE_KINDS = ['override', 'content', 'room', 'sender', 'underride'] as const;
export type PushRuleKind = (typeof PUSH_RULE_KINDS)[number];

/** A rule as clients read it: `rule_id`, `default`, `enabled`, `actions`, and `conditions` or a `pattern`. */
export interface PushRule extends JsonObject {
  readonly rule_id: string;
  readonly default: boolean;
  readonly enabled: boolean;
  readonly actions: readonly JsonValue[];
}

/** The rule that turns everything off: more important than the user's own. */
export const MASTER_RULE = '.m.rule.master';

const match = (key: string, pattern: string): JsonObject => ({ kind: 'event_match', key, pattern });
const is = (key: string, value: JsonValue): JsonObject => ({ kind: 'event_property_is', key, value });
const members = (count: string): JsonObject => ({ kind: 'room_member_count', is: count });
const sound = (value: string): JsonObject => ({ set_tweak: 'sound', value });
const HIGHLIGHT: JsonObject = { set_tweak: 'highlight' };

function rule(id: string, conditions: readonly JsonValue[], actions: readonly JsonValue[]): PushRule {
  return { rule_id: id, default: true, enabled: id !== MASTER_RULE, conditions, actions };
}

const SUPPRESSED = [
  rule(MASTER_RULE, [], []),
  rule('.m.rule.suppress_notices', [match('content.msgtype', 'm.notice')], []),
] as const;

const inviteOf = (userId: UserId): PushRule =>
  rule(
    '.m.rule.invite_for_me',
    [match('type', 'm.room.member'), match('content.membership', 'invite'), match('state_key', userId)],
    ['notify', sound('default')],
  );

const MEMBER_EVENT = rule('.m.rule.member_event', [match('type', 'm.room.member')], []);

const mentionOf = (userId: UserId): PushRule =>
  rule(
    '.m.rule.is_user_mention',
    [{ kind: 'event_property_contains', key: 'content.m\\.mentions.user_ids', value: userId }],
    ['notify', sound('default'), HIGHLIGHT],
  );

const OTHER_OVERRIDES = [
  rule(
    '.m.rule.is_room_mention',
    [is('content.m\\.mentions.room', true), { kind: 'sender_notification_permission', key: 'room' }],
    ['notify', HIGHLIGHT],
  ),
  rule(
    '.m.rule.tombstone',
    [match('type', 'm.room.tombstone'), match('state_key', '')],
    ['notify', HIGHLIGHT],
  ),
  rule('.m.rule.reaction', [match('type', 'm.reaction')], []),
  rule('.m.rule.room.server_acl', [match('type', 'm.room.server_acl'), match('state_key', '')], []),
  rule('.m.rule.suppress_edits', [is('content.m\\.relates_to.rel_type', 'm.replace')], []),
] as const;

const UNDERRIDES = [
  rule('.m.rule.call', [match('type', 'm.call.invite')], ['notify', sound('ring')]),
  rule(
    '.m.rule.encrypted_room_one_to_one',
    [members('2'), match('type', 'm.room.encrypted')],
    ['notify', sound('default')],
  ),
  rule(
    '.m.rule.room_one_to_one',
    [members('2'), match('type', 'm.room.message')],
    ['notify', sound('default')],
  ),
  rule('.m.rule.message', [match('type', 'm.room.message')], ['notify']),
  rule('.m.rule.encrypted', [match('type', 'm.room.encrypted')], ['notify']),
] as const;

/** The predefined rules of a user, by kind. All users share those that do not name one. */
export function defaultPushRules(userId: UserId): Readonly<Record<PushRuleKind, readonly PushRule[]>> {
  return {
    override: [...SUPPRESSED, inviteOf(userId), MEMBER_EVENT, mentionOf(userId), ...OTHER_OVERRIDES],
    content: [],
    room: [],
    sender: [],
    underride: UNDERRIDES,
  };
}
