// The rules on an event's own `auth_events`: rule 2, in version 12 rules 2 and 3.

import { createIdOfRoom, type EventId } from '../../event/ids.js';
import type { Pdu } from '../../event/pdu.js';
import { AuthCase, shown } from './case.js';
import { authEventKeys } from './selection.js';
import type { AuthState, AuthVerdict } from './verdict.js';

/**
 * Are the events that it cites as `auth_events` such as it may cite? Says nothing on whether they allow it:
 * see `authorise`. Never throws.
 *
 * @param authEvents the events that `event.authEvents` names, all of them, in any order
 * @param isRejected was this event rejected when it was received?
 */
export function checkAuthEvents(
  event: Pdu,
  authEvents: readonly Pdu[],
  isRejected: (id: EventId) => boolean,
): AuthVerdict {
  const hearing = new AuthCase(event, authStateOf(authEvents));
  const rules = hearing.numbers.authEvents;
  if (event.type === 'm.room.create') {
    return hearing.allow(
      hearing.numbers.create.otherwise,
      'nothing is asked of the auth_events of a create event',
    );
  }
  const { createIsImplied } = event.rules.authorisation;
  if (createIsImplied && isRejected(createIdOfRoom(event.roomId))) {
    return hearing.reject(rules.noCreate, `the create event of ${event.roomId} was rejected`);
  }

  const twice = duplicateOf(event, authEvents);
  if (twice !== undefined) return hearing.reject(rules.duplicate, `auth_events hold two events for ${twice}`);

  const expected = new Set(authEventKeys(event).map(([type, stateKey]) => nameOf(type, stateKey)));
  for (const cited of authEvents) {
    if (cited.stateKey !== undefined && expected.has(nameOf(cited.type, cited.stateKey))) continue;
    return hearing.reject(
      rules.unexpected,
      `auth_events hold ${cited.eventId}, ${describe(cited)}, which has no say in it`,
    );
  }
  for (const cited of authEvents) {
    if (isRejected(cited.eventId))
      return hearing.reject(rules.rejected, `auth_events hold ${cited.eventId}, which was rejected`);
  }
  if (!createIsImplied && hearing.create === undefined) {
    return hearing.reject(rules.noCreate, 'auth_events hold no create event');
  }
  for (const cited of authEvents) {
    if (cited.roomId === event.roomId) continue;
    return hearing.reject(
      rules.otherRoom,
      `auth_events hold ${cited.eventId} of another room, ${cited.roomId}`,
    );
  }
  return hearing.allow(rules.all, 'auth_events hold what they should');
}

/**
 * A state made of these events; of several at one key the last counts. Events that are no state are left out.
 */
export function authStateOf(events: Iterable<Pdu>): AuthState {
  const byName = new Map<string, Pdu>();
  for (const event of events) {
    if (event.stateKey !== undefined) byName.set(nameOf(event.type, event.stateKey), event);
  }
  return { get: (type, stateKey) => byName.get(nameOf(type, stateKey)) };
}

/** An id named twice, or two events at one key. */
function duplicateOf(event: Pdu, authEvents: readonly Pdu[]): string | undefined {
  const ids = new Set<EventId>();
  for (const id of event.authEvents) {
    if (ids.has(id)) return id;
    ids.add(id);
  }
  const names = new Set<string>();
  for (const cited of authEvents) {
    if (cited.stateKey === undefined) continue;
    const name = nameOf(cited.type, cited.stateKey);
    if (names.has(name)) return describe(cited);
    names.add(name);
  }
  return undefined;
}

/** One string for a key: no two keys have the same, whatever characters they hold. */
function nameOf(type: string, stateKey: string): string {
  return `${type.length}:${type}${stateKey}`;
}

function describe(event: Pdu): string {
  return event.stateKey === undefined ? shown(event.type) : `${shown(event.type)} ${shown(event.stateKey)}`;
}
