// The rules for all events but members and aliases: the sender is joined, has the level, and owns the key.

import { shown, type AuthCase } from './case.js';
import { rejectUnlessJoined } from './join-rules.js';
import type { AuthVerdict } from './verdict.js';

/** "If the sender's current membership state is not join, reject." */
export function senderJoinedRule(hearing: AuthCase): AuthVerdict | undefined {
  return rejectUnlessJoined(hearing, hearing.numbers.senderJoined);
}

/** "If type is m.room.third_party_invite": whoever may invite may send one; no other level counts. */
export function thirdPartyInviteEventRule(hearing: AuthCase): AuthVerdict | undefined {
  if (hearing.event.type !== 'm.room.third_party_invite') return undefined;
  const rule = `${hearing.numbers.thirdPartyInvite}.1`;
  const required = hearing.levels.named('invite');
  if (hearing.senderLevel >= required) return hearing.allow(rule, `${hearing.event.sender} may invite`);
  return hearing.rejectLevel(rule, 'invite', required);
}

/** "If the event type's required power level is greater than the sender's power level, reject." */
export function levelRule(hearing: AuthCase): AuthVerdict | undefined {
  const { event } = hearing;
  const required = hearing.levels.toSend(event.type, event.stateKey !== undefined);
  if (hearing.senderLevel >= required) return undefined;
  return hearing.rejectLevel(hearing.numbers.level, `send ${shown(event.type)}`, required);
}

/** "If the event has a state_key that starts with an @ and does not match the sender, reject." */
export function stateKeyRule(hearing: AuthCase): AuthVerdict | undefined {
  const { sender, stateKey } = hearing.event;
  if (stateKey === undefined || !stateKey.startsWith('@') || stateKey === sender) return undefined;
  return hearing.reject(
    hearing.numbers.stateKey,
    `${sender} may not set state that belongs to ${shown(stateKey)}`,
    `${shown(stateKey)} sends it`,
  );
}
