// `m.room.power_levels` (rule 10; 9 in versions 6 to 11): its form, and that nobody gives or takes what is
// above them.

import { own, type JsonObject, type JsonValue } from '../../event/json.js';
import { shown, type AuthCase } from './case.js';
import { isIntegerLevel, readLevel, showLevel, UNREADABLE, type PowerLevel } from './levels.js';
import { creatorsOf, levelMap, NAMED_LEVELS } from './power-levels.js';
import { looksLikeUserId } from './user-ids.js';
import type { AuthVerdict } from './verdict.js';

/** One level before and after; undefined where it does not stand. */
interface Change {
  readonly name: string;
  readonly before: PowerLevel | undefined;
  readonly after: PowerLevel | undefined;
}

export function powerLevelsRule(hearing: AuthCase): AuthVerdict | undefined {
  const { event, numbers } = hearing;
  if (event.type !== 'm.room.power_levels') return undefined;
  const malformed = rejectTypes(hearing) ?? rejectUsers(hearing) ?? rejectCreators(hearing);
  if (malformed !== undefined) return malformed;

  // Only the event with the empty key is in force, so one with another key has no previous one.
  // One that is no state is held to the same, as the text has it; Synapse cannot process it at all.
  const inForce = (event.stateKey ?? '') === '' ? hearing.stateEvent('m.room.power_levels', '') : undefined;
  if (inForce === undefined)
    return hearing.allow(numbers.powerLevels.noPrevious, 'the first power levels of the room');
  return (
    rejectNamed(hearing, inForce.content) ??
    rejectEntries(hearing, inForce.content, 'events') ??
    (event.rules.authorisation.checksNotifications
      ? rejectEntries(hearing, inForce.content, 'notifications')
      : undefined) ??
    rejectUserEntries(hearing, inForce.content) ??
    hearing.allow(
      numbers.powerLevels.otherwise,
      `${event.sender} may change the power levels so: level ${showLevel(hearing.senderLevel)}`,
    )
  );
}

/** From version 10: what is there must be an integer, or an object of integers. */
function rejectTypes(hearing: AuthCase): AuthVerdict | undefined {
  const { content } = hearing.event;
  const { named, maps } = hearing.numbers.powerLevels;
  if (named === undefined || maps === undefined) return undefined;
  for (const name of NAMED_LEVELS) {
    const value = own(content, name);
    if (value !== undefined && !isIntegerLevel(value))
      return hearing.reject(named, `${name} is no integer but ${shown(value)}`);
  }
  for (const name of ['events', 'notifications']) {
    const value = own(content, name);
    if (value === undefined) continue;
    const map = strictMap(value);
    if (map === undefined) return hearing.reject(maps, `${name} is no object but ${shown(value)}`);
    for (const [key, level] of Object.entries(map)) {
      if (!isIntegerLevel(level))
        return hearing.reject(maps, `${name} gives ${shown(key)} ${shown(level)}, which is no integer`);
    }
  }
  return undefined;
}

/** User ids with levels. The text reads as if `users` had to be there; no server ever asked that. */
function rejectUsers(hearing: AuthCase): AuthVerdict | undefined {
  const { content, rules } = hearing.event;
  const rule = hearing.numbers.powerLevels.users;
  const value = own(content, 'users');
  if (value === undefined) return undefined;
  const users = strictMap(value);
  if (users === undefined) return hearing.reject(rule, `users is no object but ${shown(value)}`);
  for (const [userId, level] of Object.entries(users)) {
    if (!looksLikeUserId(userId))
      return hearing.reject(rule, `users names ${shown(userId)}, which is no user id`);
    const isLevel = rules.authorisation.requiresIntegerLevels
      ? isIntegerLevel(level)
      : isReadable(entryLevel(level));
    if (!isLevel)
      return hearing.reject(rule, `users gives ${shown(userId)} ${shown(level)}, which is no integer`);
  }
  return undefined;
}

/** From version 12 creators stand above all levels, and may not be given one. */
function rejectCreators(hearing: AuthCase): AuthVerdict | undefined {
  const rule = hearing.numbers.powerLevels.creators;
  const users = levelMap(own(hearing.event.content, 'users'));
  const { create } = hearing;
  if (rule === undefined || users === undefined || create === undefined) return undefined;
  for (const creator of creatorsOf(create)) {
    if (own(users, creator) === undefined) continue;
    return hearing.reject(
      rule,
      `users names ${shown(creator)}, a creator of the room`,
      `power levels without ${shown(creator)}`,
    );
  }
  return undefined;
}

function rejectNamed(hearing: AuthCase, before: JsonObject): AuthVerdict | undefined {
  const rule = hearing.numbers.powerLevels.namedChange;
  const changes = changesOf(before, hearing.event.content, NAMED_LEVELS);
  for (const change of changes) {
    if (isAbove(change.before, hearing)) return rejectChange(hearing, `${rule}.1`, change, change.before);
    if (isAbove(change.after, hearing)) return rejectChange(hearing, `${rule}.2`, change, change.after);
  }
  return undefined;
}

function rejectEntries(
  hearing: AuthCase,
  content: JsonObject,
  name: 'events' | 'notifications',
): AuthVerdict | undefined {
  const { entriesCurrent, entriesNew } = hearing.numbers.powerLevels;
  const before = levelMap(own(content, name));
  const after = levelMap(own(hearing.event.content, name));
  if (before === undefined)
    return hearing.reject(entriesCurrent, `${name} in force is no object, so it cannot be compared`);
  if (after === undefined) return hearing.reject(entriesNew, `${name} is no object`);

  const changes = changesOf(before, after, keysOf(before, after));
  for (const change of changes) {
    if (isAbove(change.before, hearing)) return rejectChange(hearing, entriesCurrent, change, change.before);
  }
  for (const change of changes) {
    if (isAbove(change.after, hearing)) return rejectChange(hearing, entriesNew, change, change.after);
  }
  return undefined;
}

function rejectUserEntries(hearing: AuthCase, content: JsonObject): AuthVerdict | undefined {
  const { sender } = hearing.event;
  const { usersCurrent, usersNew } = hearing.numbers.powerLevels;
  const before = levelMap(own(content, 'users'));
  const after = levelMap(own(hearing.event.content, 'users'));
  if (before === undefined)
    return hearing.reject(usersCurrent, 'users in force is no object, so it cannot be compared');
  if (after === undefined) return hearing.reject(usersNew, 'users is no object');

  const senderLevel = hearing.senderLevel;
  const have = showLevel(senderLevel);
  const changes = changesOf(before, after, keysOf(before, after));
  for (const change of changes) {
    if (change.name === sender || change.before === undefined || change.before < senderLevel) continue;
    return hearing.reject(
      usersCurrent,
      `${sender} (${have}) may not change ${shown(change.name)}, who has ${showLevel(change.before)}`,
      `${sender} needs a level above ${showLevel(change.before)}, has ${have}`,
    );
  }
  for (const change of changes) {
    if (isAbove(change.after, hearing)) return rejectChange(hearing, usersNew, change, change.after);
  }
  return undefined;
}

function rejectChange(
  hearing: AuthCase,
  rule: string,
  change: Change,
  decisive: PowerLevel | undefined,
): AuthVerdict {
  const { sender } = hearing.event;
  const have = showLevel(hearing.senderLevel);
  const from = showLevel(change.before);
  const to = showLevel(change.after);
  const need = showLevel(decisive);
  return hearing.reject(
    rule,
    `${sender} (${have}) may not change ${shown(change.name)} from ${from} to ${to}: needed ${need}`,
    isReadable(decisive) ? `${sender} needs level ${need}, has ${have}` : undefined,
  );
}

/**
 * What differs, by value: `"50"` and `50` are the same level. What cannot be read differs from everything.
 */
function changesOf(before: JsonObject, after: JsonObject, names: Iterable<string>): Change[] {
  const changes: Change[] = [];
  for (const name of names) {
    const change = { name, before: entryLevel(own(before, name)), after: entryLevel(own(after, name)) };
    if (change.before !== change.after) changes.push(change);
  }
  return changes;
}

function keysOf(a: JsonObject, b: JsonObject): Set<string> {
  return new Set([...Object.keys(a), ...Object.keys(b)]);
}

/** A level that stands in the content: null, too, is one that cannot be read. */
function entryLevel(value: JsonValue | undefined): PowerLevel | undefined {
  return value === undefined ? undefined : (readLevel(value) ?? UNREADABLE);
}

function isReadable(level: PowerLevel | undefined): boolean {
  return level !== undefined && !Number.isNaN(level);
}

function isAbove(level: PowerLevel | undefined, hearing: AuthCase): boolean {
  return level !== undefined && !(level <= hearing.senderLevel);
}

function strictMap(value: JsonValue): JsonObject | undefined {
  return typeof value === 'object' && !Array.isArray(value) ? levelMap(value) : undefined;
}
