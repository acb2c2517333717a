// A join from another server: taken into the room, and answered with the room as it was before.
//
// The answer is made of the state before the join, whatever came to the room meanwhile. Which of that state is
// told to a server that wants to be spared the members: join-state.ts.
//
// Source: server-server API, PUT /v2/send_join/{roomId}/{eventId}; "Restricted rooms".

import { parseUserId, serverOf } from '../../../event/ids.js';
import { type JsonObject, own } from '../../../event/json.js';
import type { Pdu } from '../../../event/pdu.js';
import type { KnownEvent } from '../../../room/graph/known-events.js';
import { invalidParam } from '../../errors.js';
import type { Federation } from '../../federation.js';
import type { FederationRequest, FederationRoute, JsonText } from '../../route.js';
import { jsonWithEvents } from '../event-texts.js';
import { param, queryFlag, queryText } from '../request-fields.js';
import { residentRoom, type ServedRoom } from '../rooms.js';
import { servingOf } from '../serving.js';
import { type JoinWishes, stateForJoin } from './join-state.js';
import { MEMBERS_PARAMETER, NEEDED } from './needed-members.js';
import { authorisingUser } from './restricted-join.js';
import { EVENT_BODY_BYTES_MAX, signedMembership, takeIn } from './signed-events.js';

async function sendJoin(request: FederationRequest, federation: Federation): Promise<JsonText> {
  const { engine } = federation.parts;
  const roomId = param(request, 'roomId');
  // Read before anything is taken in: what has the wrong form is refused as a whole.
  const wishes: JoinWishes = {
    mayOmitMembers: queryFlag(request, 'omit_members'),
    wantsNeeded: queryText(request, MEMBERS_PARAMETER) === NEEDED,
  };
  const { pdu } = await signedMembership(
    request,
    federation,
    await residentRoom(federation, roomId, request.origin),
    'join',
  );
  // Keys were fetched meanwhile: the room is asked anew.
  const room = await residentRoom(federation, roomId, request.origin);
  assertAuthorised(federation, room, pdu);
  const signed = engine.sign(pdu.json, pdu.rules.version);
  const event = await takeIn(federation, request, pdu, signed);
  return joinAnswer(federation, room, event, wishes);
}

/**
 * Before it is signed here, a restricted join must be one that this server may vouch for, by a user of its own.
 * One by a user of another resident needs that server's signature, which is checked with all others.
 * @throws FederationError 400, 403
 */
function assertAuthorised(federation: Federation, room: ServedRoom, { sender, content }: Pdu): void {
  const named = own(content, 'join_authorised_via_users_server');
  if (named === undefined) return;
  const authorising = typeof named === 'string' ? parseUserId(named) : undefined;
  if (authorising === undefined) throw invalidParam('join_authorised_via_users_server names no user.');
  if (serverOf(authorising) !== federation.parts.serverName) return;
  // The rules check that this one may invite; what counts here is whether the joining user meets a condition.
  authorisingUser(federation, room, sender);
}

async function joinAnswer(
  federation: Federation,
  { view: current }: ServedRoom,
  event: KnownEvent,
  wishes: JoinWishes,
): Promise<JsonText> {
  const { engine, serverName } = federation.parts;
  const view = current.at(event.roots?.before ?? current.rootRef);
  const told = await stateForJoin(federation, view, event, wishes);
  const { members } = servingOf(engine);
  await members.prepare(view);
  const head: JsonObject = {
    origin: serverName,
    members_omitted: told.isWithoutMembers,
    ...(told.isWithoutMembers ? { servers_in_room: [...members.of(view).joined()] } : {}),
    ...(told.kinds === undefined ? {} : { [MEMBERS_PARAMETER]: told.kinds }),
  };
  return jsonWithEvents(engine, [
    `${JSON.stringify(head).slice(0, -1)},"event":`,
    { events: [event.seq] },
    ',"auth_chain":[',
    { events: told.chainSeqs },
    '],"state":[',
    { events: told.stateSeqs },
    ']}',
  ]);
}

export const sendJoinRoutes: readonly FederationRoute[] = [
  {
    method: 'PUT',
    path: '/_matrix/federation/v2/send_join/:roomId/:eventId',
    auth: 'server',
    bodyBytesMax: EVENT_BODY_BYTES_MAX,
    handler: sendJoin,
  },
];
