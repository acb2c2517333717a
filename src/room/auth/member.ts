// `m.room.member` (rule 5; 4 in versions 6 to 11): form, then join, leave, ban and knock. Invites: invite.ts.
//
// A level is read only where a sentence compares it. Synapse reads those for inviting and banning first, and
// cannot process any membership event of a room (up to version 9) in which one of them is no integer.

import { own, type JsonValue } from '../../event/json.js';
import { shown, type AuthCase } from './case.js';
import { inviteRule } from './invite.js';
import { joinRule } from './join.js';
import { joinRuleOf, rejectUnlessJoined } from './join-rules.js';
import { showLevel } from './levels.js';
import { domainOf } from './user-ids.js';
import type { AuthVerdict } from './verdict.js';

export function memberRule(hearing: AuthCase): AuthVerdict | undefined {
  const { event } = hearing;
  if (event.type !== 'm.room.member') return undefined;

  const rules = hearing.numbers.member;
  const target = event.stateKey;
  const membership = own(event.content, 'membership');
  if (target === undefined) return hearing.reject(rules.form, 'a membership is state, with a user as key');
  if (membership === undefined) return hearing.reject(rules.form, 'the content holds no membership');
  // The text does not ask that the key be a user's; Synapse takes no event of which it cannot tell the user's
  // server.
  if (domainOf(target) === undefined) return hearing.reject(rules.form, `${shown(target)} is no user id`);
  if (membership === 'join' && rules.authorised !== undefined) {
    const malformed = rejectAuthorisingUser(hearing, rules.authorised);
    if (malformed !== undefined) return malformed;
  }

  switch (membership) {
    case 'join':
      return joinRule(hearing, target);
    case 'invite':
      return inviteRule(hearing, target);
    case 'leave':
      return leaveRule(hearing, target);
    case 'ban':
      return banRule(hearing, target);
    case 'knock':
      return rules.knock === undefined
        ? unknown(hearing, membership)
        : knockRule(hearing, target, rules.knock);
    default:
      return unknown(hearing, membership);
  }
}

function unknown(hearing: AuthCase, membership: JsonValue): AuthVerdict {
  return hearing.reject(hearing.numbers.member.unknown, `membership ${shown(membership)} is not known`);
}

/**
 * "If the event is not validly signed by the homeserver of the user ID denoted by the key, reject": the
 * signature is checked with the others, before; what denotes no server cannot have signed. The text asks this
 * of every membership, Synapse of joins alone, where the key means something.
 */
function rejectAuthorisingUser(hearing: AuthCase, rule: string): AuthVerdict | undefined {
  const user = own(hearing.event.content, 'join_authorised_via_users_server');
  if (user === undefined || (typeof user === 'string' && domainOf(user) !== undefined)) return undefined;
  return hearing.reject(
    rule,
    `join_authorised_via_users_server ${shown(user)} names no server that could have signed`,
  );
}

function leaveRule(hearing: AuthCase, target: string): AuthVerdict {
  const { event, levels } = hearing;
  const rule = hearing.numbers.member.leave;
  const membership = hearing.membershipOf(target);
  if (event.sender === target) return leaveOwnRule(hearing, membership);

  const notJoined = rejectUnlessJoined(hearing, `${rule}.2`);
  if (notJoined !== undefined) return notJoined;

  const banLevel = levels.named('ban');
  const senderLevel = hearing.senderLevel;
  if (membership === 'ban' && !(senderLevel >= banLevel)) {
    return hearing.rejectLevel(`${rule}.3`, `unban ${target}`, banLevel);
  }
  return decideByLevels(hearing, target, 'kick', { allow: `${rule}.4`, reject: `${rule}.5` });
}

function leaveOwnRule(hearing: AuthCase, membership: JsonValue | undefined): AuthVerdict {
  const rule = `${hearing.numbers.member.leave}.1`;
  const { sender } = hearing.event;
  const mayLeave =
    membership === 'join' ||
    membership === 'invite' ||
    (membership === 'knock' && hearing.numbers.member.knock !== undefined);
  return mayLeave
    ? hearing.allow(rule, `${sender} leaves (membership ${shown(membership)})`)
    : hearing.reject(
        rule,
        `${sender} has nothing to leave (membership ${shown(membership)})`,
        membership === 'ban' ? `unban ${sender}` : undefined,
      );
}

function banRule(hearing: AuthCase, target: string): AuthVerdict {
  const rule = hearing.numbers.member.ban;
  const notJoined = rejectUnlessJoined(hearing, `${rule}.1`);
  if (notJoined !== undefined) return notJoined;
  return decideByLevels(hearing, target, 'ban', { allow: `${rule}.2`, reject: `${rule}.3` });
}

function knockRule(hearing: AuthCase, target: string, rule: string): AuthVerdict {
  const { event } = hearing;
  const asked = joinRuleOf(hearing);
  const mayKnock =
    asked === 'knock' || (asked === 'knock_restricted' && event.rules.authorisation.allowsKnockRestricted);
  if (!mayKnock) {
    return hearing.reject(
      `${rule}.1`,
      `nobody may knock: the join rule is ${shown(asked)}`,
      'join rule knock',
    );
  }
  if (event.sender !== target)
    return hearing.reject(`${rule}.2`, `${event.sender} may not knock for ${target}`);

  const membership = hearing.membershipOf(target);
  if (membership !== 'ban' && membership !== 'invite' && membership !== 'join') {
    return hearing.allow(`${rule}.3`, `${target} may knock (membership ${shown(membership)})`);
  }
  return hearing.reject(
    `${rule}.4`,
    `${target} may not knock (membership ${shown(membership)})`,
    membership === 'ban' ? `unban ${target}` : undefined,
  );
}

/** Kicks and bans: the sender has the level for it, and more than the target has. */
function decideByLevels(
  hearing: AuthCase,
  target: string,
  action: 'kick' | 'ban',
  rules: { readonly allow: string; readonly reject: string },
): AuthVerdict {
  const { sender } = hearing.event;
  const required = hearing.levels.named(action);
  const senderLevel = hearing.senderLevel;
  const targetLevel = hearing.levels.user(target);
  const levels = `level ${showLevel(senderLevel)}, needed ${showLevel(required)}`;
  const compared = `${levels}, ${target} has ${showLevel(targetLevel)}`;
  if (!(senderLevel >= required)) {
    return hearing.reject(
      rules.reject,
      `${sender} may not ${action} ${target}: ${compared}`,
      `${sender} needs level ${showLevel(required)}, has ${showLevel(senderLevel)}`,
    );
  }
  if (targetLevel < senderLevel)
    return hearing.allow(rules.allow, `${sender} may ${action} ${target}: ${compared}`);
  return hearing.reject(
    rules.reject,
    `${sender} may not ${action} ${target}: ${compared}`,
    targetLevel === Number.POSITIVE_INFINITY
      ? undefined
      : `${sender} needs a level above ${showLevel(targetLevel)}`,
  );
}
