// `m.room.member` with membership `invite`: by a member, or through a third party.

import { own } from '../../event/json.js';
import { shown, type AuthCase } from './case.js';
import { rejectUnlessJoined } from './join-rules.js';
import { showLevel } from './levels.js';
import { thirdPartyRule } from './third-party-invite.js';
import type { AuthVerdict } from './verdict.js';

export function inviteRule(hearing: AuthCase, target: string): AuthVerdict {
  const { event } = hearing;
  const rule = hearing.numbers.member.invite;
  const thirdParty = own(event.content, 'third_party_invite');
  if (thirdParty !== undefined) return thirdPartyRule(hearing, target, thirdParty, `${rule}.1`);

  const notJoined = rejectUnlessJoined(hearing, `${rule}.2`);
  if (notJoined !== undefined) return notJoined;

  const membership = hearing.membershipOf(target);
  if (membership === 'join' || membership === 'ban') {
    return hearing.reject(
      `${rule}.3`,
      `${target} cannot be invited (membership ${shown(membership)})`,
      membership === 'ban' ? `unban ${target}` : undefined,
    );
  }

  const required = hearing.levels.named('invite');
  const level = hearing.senderLevel;
  if (level >= required) {
    const reason = `${event.sender} may invite: level ${showLevel(level)}, needed ${showLevel(required)}`;
    return hearing.allow(`${rule}.4`, reason);
  }
  return hearing.rejectLevel(`${rule}.5`, `invite ${target}`, required);
}
