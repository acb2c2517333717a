// The authorisation rules of room versions 1 to 12, in the order of the lists: the first that decides,
// decides.
//
// Source: rooms/v1 to rooms/v12, "Authorisation rules"; server-server API, "Authorization rules". Where the
// text leaves something open, the verdict is Synapse's, and a comment says so: rooms must agree. The rules on
// an event's own `auth_events` are in auth-events.ts; signatures, that of an authorising server of a
// restricted join among them, are the business of src/event/verify.ts.

import { roomIdOfCreate } from '../../event/ids.js';
import type { Pdu } from '../../event/pdu.js';
import { aliasesRule } from './aliases.js';
import { AuthCase, shown, type AuthRule } from './case.js';
import { createRule } from './create.js';
import { federateRule } from './federate.js';
import { memberRule } from './member.js';
import { powerLevelsRule } from './power-levels-rule.js';
import { redactionRule } from './redaction.js';
import { levelRule, senderJoinedRule, stateKeyRule, thirdPartyInviteEventRule } from './send.js';
import type { AuthState, AuthVerdict } from './verdict.js';

const RULES: readonly AuthRule[] = [
  createRule,
  roomRule,
  federateRule,
  aliasesRule,
  memberRule,
  senderJoinedRule,
  thirdPartyInviteEventRule,
  levelRule,
  stateKeyRule,
  powerLevelsRule,
  redactionRule,
];

/**
 * Do the rules of the event's room version allow it, given this state? Never throws, whatever the event
 * holds.
 *
 * @param state the state before the event, or that of its auth events, or the current one: as the caller
 *   asks. It answers for the create event in version 12 too.
 * @returns cost: a handful of state reads; power levels are read in time linear in their size
 */
export function authorise(event: Pdu, state: AuthState): AuthVerdict {
  const hearing = new AuthCase(event, state);
  for (const rule of RULES) {
    const verdict = rule(hearing);
    if (verdict !== undefined) return verdict;
  }
  return hearing.allow(hearing.numbers.otherwise, `${event.sender} may send ${shown(event.type)}`);
}

/** No room without its create event; from version 12 the room's id must be that event's. */
function roomRule(hearing: AuthCase): AuthVerdict | undefined {
  const { event, create, numbers } = hearing;
  if (create === undefined)
    return hearing.reject(numbers.authEvents.noCreate, 'the room has no create event');
  if (!event.rules.authorisation.createIsImplied || event.roomId === roomIdOfCreate(create.eventId))
    return undefined;
  return hearing.reject(
    numbers.authEvents.noCreate,
    `room ${event.roomId} is not that of create event ${create.eventId}`,
  );
}
