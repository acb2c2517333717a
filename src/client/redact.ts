// Redacting an event.
//
// From room version 3 the rules let any redaction into the room and every server decides whether it counts;
// so whether the user may redact is asked before it is sent.
//
// Source: client-server API, PUT /rooms/{roomId}/redact/{eventId}/{txnId}; rooms/v3, "Handling redactions".

import type { JsonObject } from '../event/json.js';
import type { Homeserver } from './homeserver.js';
import { mayRedact, redactedId } from './redactions.js';
import { bodyText, param } from './request-fields.js';
import type { AuthenticatedRequest, Route } from './route.js';
import { onceOnlyOf, sendEvent } from './send.js';
import { joinedRoom } from './visibility.js';

async function redact(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const roomId = param(request, 'roomId');
  const access = joinedRoom(home, roomId, request.user.userId);
  const redacts = redactedId(param(request, 'eventId'));
  const reason = bodyText(request.body, 'reason');
  mayRedact(home, access, redacts);
  const outgoing = {
    type: 'm.room.redaction',
    content: reason === undefined ? {} : { reason },
    redacts,
  };
  const onceOnly = onceOnlyOf(request, `redact/${roomId}/${redacts}`);
  return sendEvent(home, request.user, roomId, outgoing, onceOnly);
}

export const redactRoutes: readonly Route[] = [
  {
    method: 'PUT',
    path: '/_matrix/client/v3/rooms/:roomId/redact/:eventId/:txnId',
    auth: 'user',
    rateLimit: 'message',
    handler: redact,
  },
];
