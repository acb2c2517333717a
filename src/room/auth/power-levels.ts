// The reader of power levels: who has what level, and what level is needed, with and without the event.
//
// Source: client-server API, "m.room.power_levels"; rooms/v12 on creators.

import { isArray, isObject, own, type JsonObject, type JsonValue } from '../../event/json.js';
import type { Pdu } from '../../event/pdu.js';
import { readLevel, UNREADABLE, type PowerLevel } from './levels.js';

/** The levels that stand at the top of the content, in the order in which the rules name them. */
export const NAMED_LEVELS = [
  'users_default',
  'events_default',
  'state_default',
  'ban',
  'redact',
  'kick',
  'invite',
] as const;

export type NamedLevel = (typeof NAMED_LEVELS)[number];

const DEFAULTS: Readonly<Record<NamedLevel, number>> = {
  users_default: 0,
  events_default: 0,
  state_default: 50,
  ban: 50,
  redact: 50,
  kick: 50,
  invite: 0,
};

const CREATOR_LEVEL_WITHOUT_EVENT = 100;
const EMPTY: JsonObject = {};

/** Power levels in force. Each answer costs one lookup; none throws. */
export interface PowerLevels {
  /**
   * A user's level: `Infinity` for a creator in version 12, `UNREADABLE` where the room's value is no level.
   */
  user(userId: string): PowerLevel;
  /** The level for an action, or one of the defaults. */
  named(name: NamedLevel): PowerLevel;
  /** The *required power level* of an event type. */
  toSend(type: string, isState: boolean): PowerLevel;
}

/**
 * The levels that follow from a create event and a power levels event; either may be missing.
 *
 * @param create says who the creators are: needed in version 12, and where there is no power levels event
 */
export function powerLevelsOf(create: Pdu | undefined, powerLevels: Pdu | undefined): PowerLevels {
  const content = powerLevels?.content ?? EMPTY;
  const users = levelMap(own(content, 'users'));
  const events = levelMap(own(content, 'events'));
  const privileged =
    create?.rules.authorisation.creatorsArePrivileged === true ? creatorsOf(create) : undefined;
  const creator = create === undefined ? undefined : creatorOf(create);

  const named = (name: NamedLevel): PowerLevel => readLevel(own(content, name)) ?? DEFAULTS[name];
  return {
    user(userId) {
      if (privileged?.has(userId) === true) return Number.POSITIVE_INFINITY;
      if (powerLevels === undefined) return userId === creator ? CREATOR_LEVEL_WITHOUT_EVENT : 0;
      if (users === undefined) return UNREADABLE;
      return readLevel(own(users, userId)) ?? named('users_default');
    },
    named,
    toSend(type, isState) {
      if (events === undefined) return UNREADABLE;
      const level = readLevel(own(events, type));
      if (level !== undefined) return level;
      // A default of null is no level, where for a user it is none at all: so it has always been read.
      const name = isState ? 'state_default' : 'events_default';
      return own(content, name) === null ? UNREADABLE : named(name);
    },
  };
}

/**
 * The one creator of rooms before version 12: `content.creator`, from version 11 the sender of the create
 * event.
 */
export function creatorOf(create: Pdu): string | undefined {
  if (!create.rules.authorisation.creatorIsInContent) return create.sender;
  const creator = own(create.content, 'creator');
  return typeof creator === 'string' ? creator : undefined;
}

/** All creators: from version 12 `additional_creators` are some too. */
export function creatorsOf(create: Pdu): ReadonlySet<string> {
  const creators = new Set<string>();
  const creator = creatorOf(create);
  if (creator !== undefined) creators.add(creator);
  const additional = own(create.content, 'additional_creators');
  if (create.rules.authorisation.creatorsArePrivileged && isArray(additional)) {
    for (const entry of additional) if (typeof entry === 'string') creators.add(entry);
  }
  return creators;
}

/**
 * A map of levels as content holds it; undefined for what is none. An empty array or string is an empty map:
 * before version 10 servers took them for one, and rooms may hold them.
 */
export function levelMap(value: JsonValue | undefined): JsonObject | undefined {
  if (value === undefined || value === '' || (isArray(value) && value.length === 0)) return EMPTY;
  return isObject(value) ? value : undefined;
}
