// `m.room.member` with membership `join`: the creator, the invited, the public, and the restricted.

import { own } from '../../event/json.js';
import { shown, type AuthCase } from './case.js';
import { joinRuleOf } from './join-rules.js';
import { showLevel } from './levels.js';
import { creatorOf } from './power-levels.js';
import type { AuthVerdict } from './verdict.js';

export function joinRule(hearing: AuthCase, target: string): AuthVerdict {
  const { event } = hearing;
  const rules = hearing.numbers.member.join;
  if (isCreatorsFirst(hearing, target))
    return hearing.allow(rules.creator, `${target} created the room and joins it`);
  if (event.sender !== target)
    return hearing.reject(rules.sender, `${event.sender} may not join for ${target}`);

  const membership = hearing.membershipOf(target);
  if (membership === 'ban') return hearing.reject(rules.banned, `${target} is banned`, `unban ${target}`);

  const rule = joinRuleOf(hearing);
  const isIn = membership === 'join' || membership === 'invite';
  const { authorisation } = event.rules;
  const knocks = rule === 'knock' && authorisation.allowsKnock;
  const restricts =
    (rule === 'restricted' && authorisation.allowsRestricted) ||
    (rule === 'knock_restricted' && authorisation.allowsKnockRestricted);

  if ((rule === 'invite' || knocks) && isIn) {
    return hearing.allow(rules.invited, `${target} may join (membership ${shown(membership)})`);
  }
  if (restricts && rules.restricted !== undefined) {
    if (isIn)
      return hearing.allow(`${rules.restricted}.1`, `${target} may join (membership ${shown(membership)})`);
    return joinRestricted(hearing, target, rules.restricted);
  }
  if (rule === 'public') return hearing.allow(rules.public, `${target} may join: the join rule is public`);
  return hearing.reject(
    rules.otherwise,
    `${target} may not join: the join rule is ${shown(rule)}, membership ${shown(membership)}`,
    rule === 'invite' || knocks ? `an invite for ${target}, or join rule public` : 'join rule public',
  );
}

/** "The only previous event is an m.room.create and the state_key is the creator": whoever sent it. */
function isCreatorsFirst(hearing: AuthCase, target: string): boolean {
  const { prevEvents } = hearing.event;
  if (prevEvents.length !== 1) return false;
  const { create } = hearing;
  return create !== undefined && prevEvents[0] === create.eventId && creatorOf(create) === target;
}

/**
 * The authorising user must be joined and may invite. That its server signed is checked with the signatures.
 */
function joinRestricted(hearing: AuthCase, target: string, rule: string): AuthVerdict {
  const remedy = `an invite for ${target}, or a join authorised by a joined user who may invite`;
  const authorising = own(hearing.event.content, 'join_authorised_via_users_server');
  if (typeof authorising !== 'string') {
    return hearing.reject(
      `${rule}.2`,
      `the join of ${target} names no user whose server authorised it`,
      remedy,
    );
  }
  const membership = hearing.membershipOf(authorising);
  if (membership !== 'join') {
    const reason = `${shown(authorising)}, who authorised it, is not joined ( ${shown(membership)})`;
    return hearing.reject(`${rule}.2`, reason, remedy);
  }
  const required = hearing.levels.named('invite');
  const level = hearing.levels.user(authorising);
  const compared = `level ${showLevel(level)}, needed ${showLevel(required)}`;
  if (!(level >= required)) {
    const reason = `${shown(authorising)}, who authorised it, may not invite: ${compared}`;
    return hearing.reject(`${rule}.2`, reason, remedy);
  }
  return hearing.allow(`${rule}.3`, `${shown(authorising)} may authorise the join of ${target}: ${compared}`);
}
