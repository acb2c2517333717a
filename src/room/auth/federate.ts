// Rule 3 (4 in version 12): a room with `m.federate` false is for users of its creator's server alone.

import { own } from '../../event/json.js';
import type { AuthCase } from './case.js';
import { domainOf } from './user-ids.js';
import type { AuthVerdict } from './verdict.js';

/**
 * The text says "set to `false`" and is silent on values that are no boolean; as in Synapse, anything but
 * `true` closes the room. The rule is about the sender alone: Synapse also refuses membership events whose
 * target is on another server, which no version's text says, and which no second server can ever see.
 */
export function federateRule(hearing: AuthCase): AuthVerdict | undefined {
  const { create, event, numbers } = hearing;
  if (create === undefined) return undefined;
  const federates = own(create.content, 'm.federate');
  if (federates === undefined || federates === true) return undefined;
  if (domainOf(create.sender) === domainOf(event.sender)) return undefined;
  return hearing.reject(
    numbers.federate,
    `${event.sender} is not on the server of ${create.sender}, and the room does not federate`,
  );
}
