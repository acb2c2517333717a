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

  const expected = authEventKeys(event);
  for (const cited of authEvents) {
    if (expected.some(([type, stateKey]) => isAt(cited, type, stateKey))) continue;
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
export function authStateOf(events: readonly Pdu[]): AuthState {
  // A handful of events: to look at each costs less than a map.
  return { get: (type, stateKey) => events.findLast((event) => isAt(event, type, stateKey)) };
}

/** An id named twice, or two events at one key. */
function duplicateOf(event: Pdu, authEvents: readonly Pdu[]): string | undefined {
  const ids = event.authEvents;
  const twice = ids.find((id, i) => ids.indexOf(id) !== i);
  if (twice !== undefined) return twice;
  const second = authEvents.find(
    ({ type, stateKey }, i) =>
      stateKey !== undefined && authEvents.findIndex((other) => isAt(other, type, stateKey)) !== i,
  );
  return second === undefined ? undefined : describe(second);
}

/** Is it the event of this key? Never, when it is no state event. */
function isAt(event: Pdu, type: string, stateKey: string): boolean {
  return event.stateKey === stateKey && event.type === type;
}

function describe(event: Pdu): string {
  return event.stateKey === undefined ? shown(event.type) : `${shown(event.type)} ${shown(event.stateKey)}`;
}
