// Invitations by address, once the address is bound to a Matrix user: the identity server tells that user's
// server, which sends the invite if it is in the room, and else asks the inviting server to.
//
// Nothing is believed of what an identity server says: the room's own `m.room.third_party_invite` holds the keys
// that must have signed it, and the authorisation rules check that.
//
// Source: server-server API, "Third-party invites".

import { randomBytes } from 'node:crypto';
import { parseUserId, serverOf, type ServerName, type UserId } from '../../../event/ids.js';
import { isArray, isObject, type JsonObject, own } from '../../../event/json.js';
import { parsePdu } from '../../../event/parse.js';
import { toBase64Url } from '../../../lib/base64.js';
import { StateroomError } from '../../../lib/errors.js';
import {
  badJson,
  FederationError,
  forbidden,
  invalidParam,
  isRemoteFailure,
  notFound,
} from '../../errors.js';
import type { Federation } from '../../federation.js';
import { relayRecord } from '../../outbound/fan-out.js';
import type { FederationRequest, FederationRoute } from '../../route.js';
import { bodyObject, bodyText, localUser, param, userIdOf } from '../request-fields.js';
import { namedRoom, residentRoom } from '../rooms.js';
import { servingOf } from '../serving.js';
import { EVENT_BODY_BYTES_MAX } from './signed-events.js';

/** Invites that one binding may bring; more are passed over. */
const INVITES_MAX = 20;

/** The server of an invited user asks for the invite that one of ours promised. */
async function exchange(request: FederationRequest, federation: Federation): Promise<JsonObject> {
  const { body, origin } = request;
  const room = await residentRoom(federation, param(request, 'roomId'), origin);
  const { roomId } = room.row;
  const content = bodyObject(body, 'content') ?? {};
  const isInvite = own(body, 'type') === 'm.room.member' && own(content, 'membership') === 'invite';
  if (!isInvite || own(body, 'room_id') !== roomId)
    throw invalidParam('The event is no invite to this room.');
  const sender = localUser(bodyText(body, 'sender') ?? '', federation.parts.serverName);
  const target = userIdOf(bodyText(body, 'state_key') ?? '');
  if (serverOf(target) !== origin) throw forbidden('The invited user is none of the asking server.');
  const invite = thirdPartyOf(bodyObject(content, 'third_party_invite') ?? {});
  if (invite === undefined) throw invalidParam('The event holds no third-party invite.');
  try {
    await federation.membership.invite({ roomId, sender, target, content: { third_party_invite: invite } });
  } catch (error) {
    throw refusalOf(error);
  }
  return {};
}

/** Nobody signs this request; see the head of the file. */
async function onBind({ body }: FederationRequest, federation: Federation): Promise<JsonObject> {
  const { accounts, serverName, log } = federation.parts;
  const userId = localUser(bodyText(body, 'mxid') ?? '', serverName);
  if (!accounts.users.isActive(userId)) throw notFound('There is no such user.');
  const invites = own(body, 'invites') ?? [];
  if (!isArray(invites)) throw badJson('invites is no list.');
  for (const invite of invites.slice(0, INVITES_MAX)) {
    if (!isObject(invite)) continue;
    try {
      await followUp(federation, userId, invite);
    } catch (error) {
      const { errcode, message } = refusalOf(error);
      log.info({ user: userId, errcode, reason: message }, 'a third-party invite could not be followed up');
    }
  }
  return {};
}

async function followUp(federation: Federation, target: UserId, invite: JsonObject): Promise<void> {
  const { engine, serverName } = federation.parts;
  const [roomId, from] = [own(invite, 'room_id'), own(invite, 'sender')];
  const sender = typeof from === 'string' ? parseUserId(from) : undefined;
  const named = own(invite, 'display_name');
  const thirdParty = thirdPartyOf({
    display_name: typeof named === 'string' ? named : target,
    signed: own(invite, 'signed') ?? null,
  });
  if (typeof roomId !== 'string' || sender === undefined || thirdParty === undefined) return;
  const content = { membership: 'invite', third_party_invite: thirdParty };
  const row = namedRoom(engine, roomId);
  const isOurs = serverOf(sender) === serverName;
  if (row !== undefined && servingOf(engine).members.of(engine.currentState(roomId)).has(serverName)) {
    const draft = engine.draft(row.roomId, { type: 'm.room.member', sender, stateKey: target, content });
    if (!draft.allowed.ok) throw forbidden(draft.allowed.reason);
    // Ids of the first versions name a server, which has to sign.
    const named = own(draft.event, 'event_id') === undefined ? {} : { event_id: newEventId(serverName) };
    const event = parsePdu(engine.sign({ ...draft.event, ...named }, row.version), draft.rules);
    // What users of other servers send is not passed on by itself.
    const alongside = isOurs ? [] : [relayRecord(event.eventId, [])];
    const { verdict, reason } = await engine.receive(event.json, { alongside });
    if (verdict !== 'accepted') throw forbidden(reason);
  } else if (!isOurs) {
    const path = `/_matrix/federation/v1/exchange_third_party_invite/${encodeURIComponent(roomId)}`;
    const event = { type: 'm.room.member', room_id: roomId, sender, state_key: target, content };
    await federation.remote.put(serverOf(sender), path, event);
  }
}

/** What of a third-party invite goes into the event; `signed` as it is, for nothing of it may be missing. */
function thirdPartyOf(invite: JsonObject): JsonObject | undefined {
  const [name, signed] = [own(invite, 'display_name'), own(invite, 'signed')];
  if (typeof name !== 'string' || !isObject(signed)) return undefined;
  const [mxid, token, signatures] = ['mxid', 'token', 'signatures'].map((key) => own(signed, key));
  if (typeof mxid !== 'string' || typeof token !== 'string' || !isObject(signatures)) return undefined;
  return { display_name: name, signed };
}

function newEventId(serverName: ServerName): string {
  return `$${toBase64Url(randomBytes(13))}:${serverName}`;
}

/** What another server did not do, or our rules or its form did not allow. @throws what is neither */
function refusalOf(error: unknown): FederationError {
  if (error instanceof FederationError) return error;
  if (isRemoteFailure(error)) {
    return new FederationError(502, 'M_UNKNOWN', 'The server of the invited user did not sign the invite.');
  }
  if (error instanceof StateroomError && error.code === 'ENGINE_FORBIDDEN') return forbidden(error.message);
  if (error instanceof StateroomError && error.code.startsWith('EVENT_')) return invalidParam(error.message);
  throw error;
}

const V1 = '/_matrix/federation/v1';

export const thirdPartyInviteRoutes: readonly FederationRoute[] = [
  {
    method: 'PUT',
    path: `${V1}/exchange_third_party_invite/:roomId`,
    auth: 'server',
    bodyBytesMax: EVENT_BODY_BYTES_MAX,
    handler: exchange,
  },
  {
    method: 'PUT',
    path: `${V1}/3pid/onbind`,
    auth: 'none',
    bodyBytesMax: EVENT_BODY_BYTES_MAX,
    handler: onBind,
  },
];
