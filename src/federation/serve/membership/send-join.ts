// A join from another server: taken into the room, and answered with the room as it was before.
//
// Of a room with thousands of members a server may ask to be spared them: it gets the rest of the state, and
// learns the members later. `omit_members` is a filter over the same state; what is left is read, nothing else.
//
// Source: server-server API, PUT /v2/send_join/{roomId}/{eventId}; "Restricted rooms".

import { parseUserId, serverOf } from '../../../event/ids.js';
import { type JsonObject, own } from '../../../event/json.js';
import type { Pdu } from '../../../event/pdu.js';
import type { StateView } from '../../../reader/state-view.js';
import type { KnownEvent } from '../../../room/graph/known-events.js';
import { MEMBER_TYPE } from '../../../room/state/key.js';
import { stateTextAt } from '../../../reader/room-facts.js';
import { invalidParam } from '../../errors.js';
import type { Federation } from '../../federation.js';
import type { FederationRequest, FederationRoute, JsonText } from '../../route.js';
import { jsonWithEvents } from '../event-texts.js';
import { param, queryFlag } from '../request-fields.js';
import { residentRoom, type ServedRoom } from '../rooms.js';
import { servingOf } from '../serving.js';
import { authorisingUser } from './restricted-join.js';
import { EVENT_BODY_BYTES_MAX, signedMembership, takeIn } from './signed-events.js';

const HEROES = 5;
/** Members among whom heroes are looked for: rooms without a name are small, or have no need of the oldest. */
const CANDIDATES_MAX = 500;

async function sendJoin(request: FederationRequest, federation: Federation): Promise<JsonText> {
  const { engine } = federation.parts;
  const roomId = param(request, 'roomId');
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
  return joinAnswer(federation, room, event, queryFlag(request, 'omit_members'));
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
  { parts: { engine, serverName } }: Federation,
  { view: current }: ServedRoom,
  event: KnownEvent,
  omitsMembers: boolean,
): Promise<JsonText> {
  const view = current.at(event.roots?.before ?? current.rootRef);
  const { chains, members } = servingOf(engine);
  const head: JsonObject = {
    origin: serverName,
    members_omitted: omitsMembers,
    ...(omitsMembers ? { servers_in_room: [...members.of(view).joined()] } : {}),
  };
  let stateSeqs: readonly number[];
  let chainSeqs: readonly number[];
  if (omitsMembers) {
    stateSeqs = stateWithoutMembers(engine, view, event.pdu.sender);
    const isInState = new Set(stateSeqs);
    chainSeqs = (await chains.of(view, [...stateSeqs, event.seq])).filter((seq) => !isInState.has(seq));
  } else {
    const whole = await chains.ofState(view);
    stateSeqs = whole.stateSeqs;
    const ofJoin = await chains.of(view, [event.seq]);
    chainSeqs = [...new Set([...whole.chainSeqs, ...ofJoin])].sort((a, b) => a - b);
  }
  return jsonWithEvents(engine, [
    `${JSON.stringify(head).slice(0, -1)},"event":`,
    { events: [event.seq] },
    ',"auth_chain":[',
    { events: chainSeqs },
    '],"state":[',
    { events: stateSeqs },
    ']}',
  ]);
}

type Engine = Federation['parts']['engine'];

/** Places in the store of all state but memberships; of these the joining user's own, and heroes where they name the room. */
function stateWithoutMembers(engine: Engine, view: StateView, joining: string): number[] {
  const ids = [];
  for (const { type, eventId } of view.entries()) {
    // The members are the second half of the tree.
    if (type === MEMBER_TYPE) break;
    ids.push(eventId);
  }
  const own = view.get(MEMBER_TYPE, joining);
  if (own !== undefined) ids.push(own);
  const { reader } = engine;
  const isNamed =
    stateTextAt(reader, view, 'm.room.name', 'name') !== undefined ||
    stateTextAt(reader, view, 'm.room.canonical_alias', 'alias') !== undefined;
  const seqs = ids.flatMap((id) => engine.store.seqOf(id) ?? []);
  return isNamed ? seqs : [...seqs, ...heroes(engine, view, joining)];
}

/** The memberships of those whom a room without a name is named after, as `m.heroes` chooses them. */
function heroes(engine: Engine, view: StateView, joining: string): number[] {
  const present: number[] = [];
  const gone: number[] = [];
  let lookedAt = 0;
  for (const { userId, membership, eventId } of view.members()) {
    if (userId === joining) continue;
    if (++lookedAt > CANDIDATES_MAX) break;
    const seq = engine.store.seqOf(eventId);
    if (seq === undefined) continue;
    if (membership === 'join' || membership === 'invite') present.push(seq);
    else if (membership === 'leave' || membership === 'ban') gone.push(seq);
  }
  return (present.length > 0 ? present : gone).sort((a, b) => a - b).slice(0, HEROES);
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
