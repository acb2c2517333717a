// One event before the authorisation rules: what they read of the state, and the verdict they give.
//
// Every event that a rule looks at is noted, so that a verdict can name what it rested on.

import type { EventId } from '../../event/ids.js';
import { isArray, own, type JsonValue } from '../../event/json.js';
import type { Pdu } from '../../event/pdu.js';
import { showLevel, type PowerLevel } from './levels.js';
import { powerLevelsOf, type PowerLevels } from './power-levels.js';
import { ruleNumbers, type RuleNumbers } from './rule-numbers.js';
import type { AuthState, AuthVerdict } from './verdict.js';

const SHOWN_LENGTH_MAX = 80;

/** A rule: its verdict, or undefined when it leaves the decision to those after it. */
export type AuthRule = (hearing: AuthCase) => AuthVerdict | undefined;

export class AuthCase {
  readonly event: Pdu;
  readonly numbers: RuleNumbers;
  readonly #state: AuthState;
  readonly #restedOn = new Set<EventId>();
  #levels: PowerLevels | undefined;

  constructor(event: Pdu, state: AuthState) {
    this.event = event;
    this.numbers = ruleNumbers(event.rules);
    this.#state = state;
  }

  /** The event now at a key of the state. */
  stateEvent(type: string, stateKey: string): Pdu | undefined {
    const event = this.#state.get(type, stateKey);
    if (event !== undefined) this.#restedOn.add(event.eventId);
    return event;
  }

  get create(): Pdu | undefined {
    return this.stateEvent('m.room.create', '');
  }

  /** The power levels in force. */
  get levels(): PowerLevels {
    this.#levels ??= powerLevelsOf(this.create, this.stateEvent('m.room.power_levels', ''));
    return this.#levels;
  }

  get senderLevel(): PowerLevel {
    return this.levels.user(this.event.sender);
  }

  /** A user's *current membership state*; undefined when the room has none. */
  membershipOf(userId: string): JsonValue | undefined {
    const member = this.stateEvent('m.room.member', userId);
    return member === undefined ? undefined : own(member.content, 'membership');
  }

  allow(rule: string, reason: string): AuthVerdict {
    return this.#verdict(true, rule, reason);
  }

  reject(rule: string, reason: string, remedy?: string): AuthVerdict {
    return this.#verdict(false, rule, reason, remedy);
  }

  /** Rejects because the sender's level is below the one needed. */
  rejectLevel(rule: string, action: string, required: PowerLevel): AuthVerdict {
    const { sender } = this.event;
    const have = showLevel(this.senderLevel);
    const need = showLevel(required);
    return this.reject(
      rule,
      `${sender} may not ${action}: level ${have}, needed ${need}`,
      Number.isNaN(required)
        ? 'new power levels, in which the level needed is an integer'
        : `${sender} needs level ${need}, has ${have}`,
    );
  }

  #verdict(allowed: boolean, rule: string, reason: string, remedy?: string): AuthVerdict {
    const verdict = {
      allowed,
      roomVersion: this.event.rules.version,
      rule,
      reason,
      restedOn: [...this.#restedOn],
    };
    return remedy === undefined ? verdict : { ...verdict, remedy };
  }
}

/** A value from a stranger, quoted and bounded, for sentences. */
export function shown(value: JsonValue | undefined): string {
  if (value === undefined) return 'none';
  if (typeof value === 'string') {
    return JSON.stringify(
      value.length <= SHOWN_LENGTH_MAX ? value : `${value.slice(0, SHOWN_LENGTH_MAX)}...`,
    );
  }
  if (value === null || typeof value === 'boolean' || typeof value === 'number') return String(value);
  return isArray(value) ? 'an array' : 'an object or number';
}
