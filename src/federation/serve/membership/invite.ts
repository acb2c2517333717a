// An invitation of one of our users, by a user of another server: checked, signed, and kept where this server is
// not in the room. Where it is, the event comes once more in a transaction and is taken in then.
//
// Source: server-server API, "Inviting to a room", PUT /v1/invite and /v2/invite; client-server API, "Invite
// permission".

import { parseUserId, serverOf, type UserId } from '../../../event/ids.js';
import { isArray, isObject, type JsonObject, type JsonValue, own } from '../../../event/json.js';
import { parsePdu } from '../../../event/parse.js';
import type { Pdu } from '../../../event/pdu.js';
import { receiveJson, type ReceivedPdu, verifyReceived } from '../../../event/receive.js';
import { type RoomVersionRules, rulesOf } from '../../../event/rules.js';
import { StateroomError } from '../../../lib/errors.js';
import { badJson, FederationError, forbidden, invalidParam, missingParam } from '../../errors.js';
import type { Federation } from '../../federation.js';
import type { FederationRequest, FederationRoute } from '../../route.js';
import { bodyObject, bodyText, param } from '../request-fields.js';
import { namedRoom } from '../rooms.js';
import { servingOf } from '../serving.js';
import { EVENT_BODY_BYTES_MAX, signedByOrigin } from './signed-events.js';

/** Events that tell of the room; more are passed over. */
const ROOM_STATE_MAX = 50;
const BODY_BYTES_MAX = EVENT_BODY_BYTES_MAX + 1024 * 1024;

async function inviteV2(request: FederationRequest, federation: Federation): Promise<JsonObject> {
  const { body } = request;
  const version = bodyText(body, 'room_version');
  if (version === undefined) throw missingParam('room_version is missing.');
  const rules = rulesOf(version);
  if (rules === undefined) {
    throw new FederationError(
      400,
      'M_INCOMPATIBLE_ROOM_VERSION',
      'The room has a version that this server does not speak.',
      { room_version: version },
    );
  }
  const event = bodyObject(body, 'event');
  if (event === undefined) throw missingParam('event is missing.');
  return { event: await invited(request, federation, event, rules, own(body, 'invite_room_state')) };
}

/** The body is the event itself; only rooms of the first two versions are old enough. */
async function inviteV1(request: FederationRequest, federation: Federation): Promise<readonly JsonValue[]> {
  const { body } = request;
  const rules = rulesOf('1');
  if (rules === undefined) throw badJson('There is no room version 1.');
  const unsigned = own(body, 'unsigned');
  const state = isObject(unsigned) ? own(unsigned, 'invite_room_state') : undefined;
  return [200, { event: await invited(request, federation, body, rules, state) }];
}

/** @returns the event with this server's signature added, else as it came */
async function invited(
  request: FederationRequest,
  federation: Federation,
  event: JsonObject,
  rules: RoomVersionRules,
  roomState: JsonValue | undefined,
): Promise<JsonObject> {
  const { engine, serverName } = federation.parts;
  const { pdu } = await signedByOrigin(request, federation, event, rules);
  if (pdu.roomId !== param(request, 'roomId')) throw invalidParam('The event is one of another room.');
  if (pdu.type !== 'm.room.member' || own(pdu.content, 'membership') !== 'invite') {
    throw invalidParam('The event is no invite.');
  }
  const target = pdu.stateKey === undefined ? undefined : parseUserId(pdu.stateKey);
  if (target === undefined || serverOf(target) !== serverName) {
    throw invalidParam('The invited user is none of this server.');
  }
  assertInvitable(federation, pdu, target);
  const state = await checkedState(federation, pdu, roomState);
  const signed = engine.sign(event, rules.version);
  if (!isInRoom(federation, pdu)) {
    await federation.membership.storeInvite(parsePdu(signed, rules), state, request.origin);
  }
  return signed;
}

/** @throws FederationError 403 */
function assertInvitable({ parts: { engine, accounts } }: Federation, pdu: Pdu, target: UserId): void {
  if (!accounts.users.isActive(target)) throw forbidden('There is no such user to invite.');
  const permission = accounts.accountData.get(target, undefined, 'm.invite_permission_config');
  if (permission !== undefined && own(permission, 'default_action') === 'block') {
    throw new FederationError(403, 'M_INVITE_BLOCKED', 'The user takes no invitations.');
  }
  const row = namedRoom(engine, pdu.roomId);
  if (row === undefined) return;
  if (row.version !== pdu.rules.version) throw invalidParam('The room has another version.');
  if (!servingOf(engine).acls.allows(serverOf(pdu.sender), row.roomId)) {
    throw forbidden("The room's access list denies your server.");
  }
}

function isInRoom({ parts: { engine, serverName } }: Federation, { roomId }: Pdu): boolean {
  const row = namedRoom(engine, roomId);
  return row !== undefined && servingOf(engine).members.of(engine.currentState(roomId)).has(serverName);
}

/**
 * What the invite tells of the room, stripped. From version 12 it must be whole, signed events of that room, the
 * create event among them; before, servers still send stripped ones.
 * @throws FederationError 400 M_INVALID_PARAM, M_MISSING_PARAM
 */
async function checkedState(
  { keyRing }: Federation,
  { roomId, rules }: Pdu,
  given: JsonValue | undefined,
): Promise<JsonObject[]> {
  if (given !== undefined && !isArray(given)) throw badJson('invite_room_state is no list.');
  const events = (given ?? []).slice(0, ROOM_STATE_MAX).filter(isObject);
  if (rules.roomIdIsCreateHash) {
    const received = events.map((event) => stateEvent(event, rules));
    if (!received.some(({ pdu }) => pdu.type === 'm.room.create')) {
      throw missingParam('invite_room_state lacks the create event.');
    }
    await keyRing.fetchFor(events, rules);
    const validAt = ({ pdu }: ReceivedPdu): number => pdu.originServerTs;
    for (const each of received) {
      if (each.pdu.roomId !== roomId) throw invalidParam('invite_room_state holds events of another room.');
      const keys = (server: string, keyId: string) => keyRing.lookup(server, keyId, validAt(each));
      if (!verifyReceived(each, keys).ok) throw invalidParam('invite_room_state holds an unsigned event.');
    }
  }
  return events.flatMap(stripped);
}

function stateEvent(json: JsonObject, rules: RoomVersionRules): ReceivedPdu {
  try {
    const received = receiveJson(json, rules);
    if (received.pdu.stateKey === undefined) throw invalidParam('invite_room_state holds what is no state.');
    return received;
  } catch (error) {
    if (!(error instanceof StateroomError) || error instanceof FederationError) throw error;
    throw invalidParam(`invite_room_state holds a malformed event: ${error.message}.`);
  }
}

function stripped(event: JsonObject): JsonObject[] {
  const [type, stateKey, sender] = ['type', 'state_key', 'sender'].map((name) => own(event, name));
  const content = own(event, 'content');
  const isText = [type, stateKey, sender].every((value) => typeof value === 'string');
  if (!isText || type === undefined || stateKey === undefined || sender === undefined) return [];
  return isObject(content) ? [{ type, state_key: stateKey, sender, content }] : [];
}

export const inviteRoutes: readonly FederationRoute[] = [
  {
    method: 'PUT',
    path: '/_matrix/federation/v1/invite/:roomId/:eventId',
    auth: 'server',
    bodyBytesMax: BODY_BYTES_MAX,
    handler: inviteV1,
  },
  {
    method: 'PUT',
    path: '/_matrix/federation/v2/invite/:roomId/:eventId',
    auth: 'server',
    bodyBytesMax: BODY_BYTES_MAX,
    handler: inviteV2,
  },
];
