// The first half of the handshakes: templates for a join, a leave or a knock of a user of the server that asks.
//
// What the rules do not allow is refused here already, so that nothing is signed in vain.
//
// Source: server-server API, "Joining Rooms", "Leaving Rooms", "Knocking upon a room".

import type { JsonObject } from '../../../event/json.js';
import type { UserId } from '../../../event/ids.js';
import { FederationError, forbidden } from '../../errors.js';
import type { Federation } from '../../federation.js';
import type { FederationRequest, FederationRoute } from '../../route.js';
import { param, queryList, userOfOrigin } from '../request-fields.js';
import { residentRoom, type ServedRoom } from '../rooms.js';
import { authorisingUser } from './restricted-join.js';

/** What servers from before room versions understand. */
const VERSIONS_DEFAULT = ['1'];

async function makeJoin(request: FederationRequest, federation: Federation): Promise<JsonObject> {
  const userId = userOfOrigin(request);
  const room = await residentRoom(federation, param(request, 'roomId'), request.origin);
  assertSpoken(request, room);
  const authorising = authorisingUser(federation, room, userId);
  const content =
    authorising === undefined
      ? { membership: 'join' }
      : { membership: 'join', join_authorised_via_users_server: authorising };
  return template(federation, room, userId, content);
}

async function makeKnock(request: FederationRequest, federation: Federation): Promise<JsonObject> {
  const userId = userOfOrigin(request);
  const room = await residentRoom(federation, param(request, 'roomId'), request.origin);
  assertSpoken(request, room);
  assertKnockable(room);
  return template(federation, room, userId, { membership: 'knock' });
}

/** Of a room that is known in part no leave would be taken here, so none is begun; Synapse begins it all the same. */
async function makeLeave(request: FederationRequest, federation: Federation): Promise<JsonObject> {
  const userId = userOfOrigin(request);
  const room = await residentRoom(federation, param(request, 'roomId'), request.origin);
  return template(federation, room, userId, { membership: 'leave' });
}

/** @throws FederationError 403 where the rules do not allow it */
function template(
  { parts: { engine, serverName } }: Federation,
  { row }: ServedRoom,
  userId: UserId,
  content: JsonObject,
): JsonObject {
  const member = { type: 'm.room.member', sender: userId, stateKey: userId, content };
  const draft = engine.draft(row.roomId, member);
  if (!draft.allowed.ok) throw forbidden(`${draft.allowed.reason} (rule ${draft.allowed.rule})`);
  return { room_version: row.version, event: { ...draft.event, origin: serverName } };
}

/** @throws FederationError 400 where the asking server does not speak the room's version */
function assertSpoken(request: FederationRequest, { row: { version } }: ServedRoom): void {
  const spoken = queryList(request, 'ver');
  if ((spoken.length === 0 ? VERSIONS_DEFAULT : spoken).includes(version)) return;
  throw new FederationError(
    400,
    'M_INCOMPATIBLE_ROOM_VERSION',
    `The room has version ${version}, which your server does not list.`,
    { room_version: version },
  );
}

/** @throws FederationError 403 in versions before 7 */
export function assertKnockable({ view }: ServedRoom): void {
  if (!view.rules.authorisation.allowsKnock) throw forbidden('Rooms of this version know no knocking.');
}

const V1 = '/_matrix/federation/v1';

export const templateRoutes: readonly FederationRoute[] = [
  { method: 'GET', path: `${V1}/make_join/:roomId/:userId`, auth: 'server', handler: makeJoin },
  { method: 'GET', path: `${V1}/make_leave/:roomId/:userId`, auth: 'server', handler: makeLeave },
  { method: 'GET', path: `${V1}/make_knock/:roomId/:userId`, auth: 'server', handler: makeKnock },
];
