// What a verdict rested on, event by event, in words: memberships, levels compared, the join rule.

import type { EventId } from '../../event/ids.js';
import { own } from '../../event/json.js';
import type { Pdu } from '../../event/pdu.js';
import { type PowerLevel, showLevel } from '../../room/auth/levels.js';
import { type NamedLevel, powerLevelsOf } from '../../room/auth/power-levels.js';
import type { AuthVerdict } from '../../room/auth/verdict.js';
import { saidBy } from './describe.js';

/** One event that a verdict rested on. */
export interface Fact {
  readonly event_id: EventId;
  readonly type: string;
  readonly state_key: string;
  readonly sender: string;
  /** What it says to the event in question. */
  readonly says: string;
}

/** The levels that an event is measured by; null where no number says it (a creator's, or unreadable). */
export interface Levels {
  readonly sender: string;
  readonly sender_level: number | string;
  readonly required_level: number | string;
  /** What the level is required for. */
  readonly required_for: string;
  /** The power levels event they come from; null for the defaults. */
  readonly power_levels: EventId | null;
}

/** The events that a verdict names, with what they say. */
export function factsOf(
  event: Pdu,
  { restedOn }: AuthVerdict,
  find: (id: EventId) => Pdu | undefined,
): Fact[] {
  const events = restedOn.flatMap((id) => find(id) ?? []);
  const create = events.find(({ type }) => type === 'm.room.create');
  return events.map((rested) => ({
    event_id: rested.eventId,
    type: rested.type,
    state_key: rested.stateKey ?? '',
    sender: rested.sender,
    says: sayFor(event, rested, create),
  }));
}

/** The sender's level and the one needed, by a create event and power levels. */
export function levelsOf(event: Pdu, create: Pdu | undefined, powerLevels: Pdu | undefined): Levels {
  const levels = powerLevelsOf(create, powerLevels);
  const { action, required } = requirementOf(event, levels);
  return {
    sender: event.sender,
    sender_level: levelJson(levels.user(event.sender)),
    required_level: levelJson(required),
    required_for: action,
    power_levels: powerLevels?.eventId ?? null,
  };
}

function sayFor(event: Pdu, rested: Pdu, create: Pdu | undefined): string {
  switch (rested.type) {
    case 'm.room.create':
      return `${rested.sender} created the room`;
    case 'm.room.power_levels': {
      const { sender, sender_level, required_level, required_for } = levelsOf(event, create, rested);
      return `${sender} has level ${sender_level}; level ${required_level} is needed to ${required_for}`;
    }
    case 'm.room.member':
      return `${rested.stateKey ?? ''} has membership ${saidBy(rested) ?? 'none'}`;
    case 'm.room.join_rules':
      return `the join rule is ${saidBy(rested) ?? 'none'}`;
    default:
      return saidBy(rested) ?? rested.type;
  }
}

function requirementOf(
  event: Pdu,
  levels: ReturnType<typeof powerLevelsOf>,
): { readonly action: string; readonly required: PowerLevel } {
  const { type, stateKey, sender, content } = event;
  const named = (name: NamedLevel, action: string) => ({ action, required: levels.named(name) });
  if (type === 'm.room.member') {
    const membership = own(content, 'membership');
    if (membership === 'invite') return named('invite', `invite ${stateKey ?? ''}`);
    if (membership === 'ban') return named('ban', `ban ${stateKey ?? ''}`);
    if (membership === 'leave' && sender !== stateKey) return named('kick', `remove ${stateKey ?? ''}`);
    return { action: 'set its own membership', required: 0 };
  }
  if (type === 'm.room.third_party_invite') return named('invite', 'invite');
  return { action: `send ${type}`, required: levels.toSend(type, stateKey !== undefined) };
}

function levelJson(level: PowerLevel): number | string {
  return typeof level === 'number' && Number.isFinite(level) ? level : showLevel(level);
}
