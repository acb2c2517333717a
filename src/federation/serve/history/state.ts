// The state before an event, whole or by ids, with its auth chain; the auth chain of an event.
//
// Source: server-server API, GET /state/{roomId}, /state_ids/{roomId}, /event_auth/{roomId}/{eventId}.

import { Readable } from 'node:stream';
import { utf8 } from '../../../lib/bytes.js';
import type { StateView } from '../../../reader/state-view.js';
import type { KnownEvent } from '../../../room/graph/known-events.js';
import { notFound } from '../../errors.js';
import type { Federation } from '../../federation.js';
import { type FederationRequest, type FederationRoute, JsonText } from '../../route.js';
import { jsonWithEvents } from '../event-texts.js';
import { param, requiredQuery } from '../request-fields.js';
import { assertWhole, eventAsked, roomAskedBy, type ServedRoom } from '../rooms.js';
import { servingOf } from '../serving.js';

async function state(request: FederationRequest, federation: Federation): Promise<JsonText> {
  const { engine } = federation.parts;
  const view = await stateAsked(request, federation);
  const { stateSeqs, chainSeqs } = await servingOf(engine).chains.ofState(view);
  return jsonWithEvents(engine, [
    '{"pdus":[',
    { events: stateSeqs },
    '],"auth_chain":[',
    { events: chainSeqs },
    ']}',
  ]);
}

async function stateIds(request: FederationRequest, federation: Federation): Promise<JsonText> {
  const view = await stateAsked(request, federation);
  const { stateIds, chainIds } = await servingOf(federation.parts.engine).chains.idsOfState(view);
  const text = JSON.stringify({ pdu_ids: stateIds, auth_chain_ids: chainIds });
  return new JsonText(Readable.from([utf8(text)]));
}

/** The state before the event in the query. @throws FederationError 403, 404 */
function stateAsked(request: FederationRequest, federation: Federation): Promise<StateView> {
  return stateAskedAt(request, federation, requiredQuery(request, 'event_id'));
}

/**
 * The state before an event of the room in the path, for a server that may ask for it.
 * @throws FederationError 403, 404
 */
export async function stateAskedAt(
  request: FederationRequest,
  federation: Federation,
  eventId: string,
): Promise<StateView> {
  const room = await roomAskedBy(federation, param(request, 'roomId'), request.origin);
  const event = eventAsked(federation, room, eventId);
  assertWhole(event);
  if (event.roots === undefined) throw notFound('The state at this event is not known here.');
  return room.view.at(event.roots.before);
}

async function eventAuth(request: FederationRequest, federation: Federation): Promise<JsonText> {
  const { engine } = federation.parts;
  const room = await roomAskedBy(federation, param(request, 'roomId'), request.origin);
  const event = eventAsked(federation, room, param(request, 'eventId'));
  assertWhole(event);
  const events = await authChainOf(federation, room, event);
  return jsonWithEvents(engine, ['{"auth_chain":[', { events }, ']}']);
}

/** Places in the store of an event's auth chain; the event itself is not in it. */
async function authChainOf(
  { parts: { engine } }: Federation,
  { view }: ServedRoom,
  { pdu }: KnownEvent,
): Promise<number[]> {
  if (pdu.type === 'm.room.create') return [];
  const cited = pdu.authEvents.flatMap((id) => engine.store.seqOf(id) ?? []);
  const create = view.rules.authorisation.createIsImplied ? view.get('m.room.create') : undefined;
  if (create !== undefined) cited.push(engine.store.seqOf(create) ?? 0);
  const above = await servingOf(engine).chains.of(view, cited);
  return [...new Set([...above, ...cited])].sort((a, b) => a - b);
}

const V1 = '/_matrix/federation/v1';

export const stateRoutes: readonly FederationRoute[] = [
  { method: 'GET', path: `${V1}/state/:roomId`, auth: 'server', handler: state },
  { method: 'GET', path: `${V1}/state_ids/:roomId`, auth: 'server', handler: stateIds },
  { method: 'GET', path: `${V1}/event_auth/:roomId/:eventId`, auth: 'server', handler: eventAuth },
];
