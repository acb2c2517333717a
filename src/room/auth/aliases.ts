// Rule 4 of versions 1 to 5: `m.room.aliases` is each server's own.

import type { AuthCase } from './case.js';
import { shown } from './case.js';
import { domainOf } from './user-ids.js';
import type { AuthVerdict } from './verdict.js';

export function aliasesRule(hearing: AuthCase): AuthVerdict | undefined {
  const { event, numbers } = hearing;
  if (event.type !== 'm.room.aliases' || numbers.aliases === undefined) return undefined;
  if (event.stateKey === undefined)
    return hearing.reject(`${numbers.aliases}.1`, 'aliases are state, with a server as key');
  const domain = domainOf(event.sender);
  if (event.stateKey !== domain) {
    return hearing.reject(
      `${numbers.aliases}.2`,
      `${event.sender} may not set the aliases of ${shown(event.stateKey)}`,
    );
  }
  return hearing.allow(`${numbers.aliases}.3`, `${event.sender} sets the aliases of ${domain}`);
}
