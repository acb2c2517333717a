// Rule 11 of versions 1 and 2: who may redact. Later versions decide that when the redaction is applied.

import { own } from '../../event/json.js';
import type { AuthCase } from './case.js';
import { showLevel } from './levels.js';
import { domainOf } from './user-ids.js';
import type { AuthVerdict } from './verdict.js';

export function redactionRule(hearing: AuthCase): AuthVerdict | undefined {
  const { event, numbers } = hearing;
  if (event.type !== 'm.room.redaction' || numbers.redaction === undefined) return undefined;

  const required = hearing.levels.named('redact');
  const level = hearing.senderLevel;
  if (level >= required) {
    return hearing.allow(
      `${numbers.redaction}.1`,
      `${event.sender} may redact: level ${showLevel(level)}, needed ${showLevel(required)}`,
    );
  }

  // The text does not foresee a redaction of nothing. It does nothing, and Synapse lets it pass.
  const redacts = own(event.json, 'redacts');
  if (typeof redacts !== 'string')
    return hearing.allow(`${numbers.redaction}.2`, 'the redaction names no event');
  const domain = domainOf(event.eventId);
  if (domain !== undefined && domain === domainOf(redacts)) {
    return hearing.allow(
      `${numbers.redaction}.2`,
      `${event.eventId} redacts an event of its own server ${domain}`,
    );
  }
  return hearing.rejectLevel(`${numbers.redaction}.3`, 'redact events of other servers', required);
}
