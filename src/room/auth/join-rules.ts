// The reader of `m.room.join_rules`, and the check that a sender is joined: shared by the membership rules.

import { own, type JsonValue } from '../../event/json.js';
import { shown, type AuthCase } from './case.js';
import type { AuthVerdict } from './verdict.js';

/**
 * The join rule in force: `invite` when the room has none, or the event says none. Any value, as the event
 * has it.
 */
export function joinRuleOf(hearing: AuthCase): JsonValue {
  const event = hearing.stateEvent('m.room.join_rules', '');
  const rule = event === undefined ? undefined : own(event.content, 'join_rule');
  return rule === undefined ? 'invite' : rule;
}

/** "If the sender's current membership state is not join, reject." */
export function rejectUnlessJoined(hearing: AuthCase, rule: string): AuthVerdict | undefined {
  const { sender } = hearing.event;
  const membership = hearing.membershipOf(sender);
  if (membership === 'join') return undefined;
  return hearing.reject(
    rule,
    `${sender} is not joined (membership ${shown(membership)})`,
    `${sender} joins the room first`,
  );
}
