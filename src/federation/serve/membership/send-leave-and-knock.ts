// Leaves and knocks of users of servers that are not in the room: taken in, and passed on.
//
// Source: server-server API, PUT /v2/send_leave/{roomId}/{eventId}, PUT /v1/send_knock/{roomId}/{eventId}.

import type { JsonObject } from '../../../event/json.js';
import type { Federation } from '../../federation.js';
import type { FederationRequest, FederationRoute, JsonText } from '../../route.js';
import { jsonWithEvents } from '../event-texts.js';
import { param } from '../request-fields.js';
import { residentRoom } from '../rooms.js';
import { EVENT_BODY_BYTES_MAX, signedMembership, takeIn } from './signed-events.js';
import { assertKnockable } from './templates.js';

/** What somebody at the door is shown of the room. */
const SHOWN_TYPES = [
  'm.room.create',
  'm.room.join_rules',
  'm.room.name',
  'm.room.avatar',
  'm.room.topic',
  'm.room.canonical_alias',
  'm.room.encryption',
] as const;

async function sendLeave(request: FederationRequest, federation: Federation): Promise<JsonObject> {
  const room = await residentRoom(federation, param(request, 'roomId'), request.origin);
  const { pdu } = await signedMembership(request, federation, room, 'leave');
  await takeIn(federation, request, pdu);
  return {};
}

async function sendKnock(request: FederationRequest, federation: Federation): Promise<JsonText> {
  const { engine } = federation.parts;
  const room = await residentRoom(federation, param(request, 'roomId'), request.origin);
  assertKnockable(room);
  const { pdu } = await signedMembership(request, federation, room, 'knock');
  const { roots } = await takeIn(federation, request, pdu);
  const view = room.view.at(roots?.after ?? room.view.rootRef);
  const events = SHOWN_TYPES.flatMap((type) => {
    const id = view.get(type);
    return (id === undefined ? undefined : engine.store.seqOf(id)) ?? [];
  });
  return jsonWithEvents(engine, ['{"knock_room_state":[', { events }, ']}']);
}

export const sendLeaveAndKnockRoutes: readonly FederationRoute[] = [
  {
    method: 'PUT',
    path: '/_matrix/federation/v2/send_leave/:roomId/:eventId',
    auth: 'server',
    bodyBytesMax: EVENT_BODY_BYTES_MAX,
    handler: sendLeave,
  },
  {
    method: 'PUT',
    path: '/_matrix/federation/v1/send_knock/:roomId/:eventId',
    auth: 'server',
    bodyBytesMax: EVENT_BODY_BYTES_MAX,
    handler: sendKnock,
  },
];
