// What a client may redact.
//
// Source: client-server API, "Redactions".

import type { EventId } from '../event/ids.js';
import type { JsonValue } from '../event/json.js';
import { forbidden, invalidParam, notFound } from './errors.js';
import type { Homeserver } from './homeserver.js';
import { powerLevelsAt, type RoomAccess, visibleEvent } from './visibility.js';

const EVENT_ID_LENGTH_MAX = 255;

/** An event id that a client names. @throws MatrixError 400 */
export function redactedId(value: JsonValue | undefined): EventId {
  if (typeof value !== 'string' || !value.startsWith('$') || value.length > EVENT_ID_LENGTH_MAX) {
    throw invalidParam('redacts is no event id.');
  }
  return value as EventId;
}

/**
 * Checks that the user may redact an event: their own, or any with the room's `redact` level.
 * @throws MatrixError 404 for an event that they cannot see, 403
 */
export function mayRedact(home: Homeserver, access: RoomAccess, eventId: EventId): void {
  const { viewer, view } = access;
  const event = visibleEvent(home, access, eventId);
  if (event === undefined) throw notFound('The event to redact was not found in this room.');
  if (event.pdu.sender === viewer.userId) return;
  const levels = powerLevelsAt(home.engine, view);
  if (!(levels.user(viewer.userId) >= levels.named('redact'))) {
    throw forbidden('You may redact your own events only.');
  }
}
