// A space and its rooms, as far as the server that asks could join or read them.
//
// Source: server-server API, GET /hierarchy/{roomId}; client-server API, "Spaces".

import type { EventId, ServerName } from '../../../event/ids.js';
import { isArray, type JsonObject, own } from '../../../event/json.js';
import type { Pdu } from '../../../event/pdu.js';
import { compareCodePoints } from '../../../lib/bytes.js';
import { historyVisibilityAt, stateTextAt } from '../../../reader/room-facts.js';
import { roomSummary } from '../../../reader/room-summary.js';
import type { StateView } from '../../../reader/state-view.js';
import { notFound } from '../../errors.js';
import type { Federation } from '../../federation.js';
import type { FederationRequest, FederationRoute } from '../../route.js';
import { allowedRooms, conditionsOf } from '../membership/restricted-join.js';
import { param, queryFlag } from '../request-fields.js';
import { namedRoom } from '../rooms.js';
import { servingOf } from '../serving.js';

const CHILD = 'm.space.child';
/** Children of a space that are told of. */
const CHILDREN_MAX = 250;
/** Children that are looked at to find them. */
const CHILDREN_LOOKED_AT_MAX = 5_000;
/** Printable ASCII, at most 50 characters. */
const ORDER = /^[\x20-\x7e]{1,50}$/;

function hierarchy(request: FederationRequest, federation: Federation): JsonObject {
  const { origin } = request;
  const view = residentView(federation, param(request, 'roomId'));
  if (view === undefined || !isAccessible(federation, view, origin)) {
    throw notFound('There is no such room here that your server could join or read.');
  }
  const suggestedOnly = queryFlag(request, 'suggested_only');
  const events = childEvents(federation, view, suggestedOnly);
  const children: JsonObject[] = [];
  const inaccessible: string[] = [];
  for (const { stateKey: roomId = '' } of events) {
    const child = residentView(federation, roomId);
    // Of what is not known here nothing is said; others may know.
    if (child === undefined) continue;
    if (isAccessible(federation, child, origin)) children.push(summary(federation, child));
    else inaccessible.push(roomId);
  }
  return {
    room: { ...summary(federation, view), children_state: events.map(strippedChild) },
    children,
    inaccessible_children: inaccessible,
  };
}

/** The current state of a room that somebody of ours is in; undefined for others, of which nothing new is known. */
function residentView({ parts: { engine, serverName } }: Federation, roomId: string): StateView | undefined {
  const row = namedRoom(engine, roomId);
  if (row === undefined || row.isPartial) return undefined;
  const view = engine.currentState(row.roomId);
  return servingOf(engine).members.of(view).has(serverName) ? view : undefined;
}

/** Could a user of the server join the room, knock at it, or read it? */
function isAccessible(federation: Federation, view: StateView, server: ServerName): boolean {
  const { engine } = federation.parts;
  const { acls, members } = servingOf(engine);
  if (!acls.allows(server, view.roomId)) return false;
  const servers = members.of(view);
  if (servers.has(server)) return true;
  for (const userId of servers.users(server)) if (view.membership(userId) === 'invite') return true;
  const rule = stateTextAt(engine.reader, view, 'm.room.join_rules', 'join_rule');
  const { allowsKnock, allowsKnockRestricted } = view.rules.authorisation;
  if (rule === 'public' || (rule === 'knock' && allowsKnock)) return true;
  if (rule === 'knock_restricted' && allowsKnockRestricted) return true;
  if (historyVisibilityAt(engine.reader, view) === 'world_readable') return true;
  const rooms = allowedRooms(conditionsOf(federation, { view }) ?? []);
  return rooms.some((roomId) => {
    const allowed = residentView(federation, roomId);
    return allowed !== undefined && members.of(allowed).has(server);
  });
}

function summary(federation: Federation, view: StateView): JsonObject {
  const conditions = conditionsOf(federation, { view });
  const allowed = conditions === undefined ? {} : { allowed_room_ids: allowedRooms(conditions) };
  return { ...roomSummary(federation.parts.engine.reader, view), ...allowed };
}

/** The space's valid children, in the order in which they are shown. */
function childEvents({ parts: { engine } }: Federation, view: StateView, suggestedOnly: boolean): Pdu[] {
  const ids: EventId[] = [];
  for (const { eventId } of view.entries(CHILD)) {
    if (ids.length >= CHILDREN_LOOKED_AT_MAX) break;
    ids.push(eventId);
  }
  return ids
    .flatMap((id) => engine.reader.events.pdu(id) ?? [])
    .filter((event) => isChild(event) && (!suggestedOnly || own(event.content, 'suggested') === true))
    .sort(compareChildren)
    .slice(0, CHILDREN_MAX);
}

function isChild({ content, stateKey }: Pdu): boolean {
  const via = own(content, 'via');
  const isVia = isArray(via) && via.length > 0 && via.every((server) => typeof server === 'string');
  return isVia && stateKey?.startsWith('!') === true;
}

function compareChildren(a: Pdu, b: Pdu): number {
  const [orderA, orderB] = [orderOf(a), orderOf(b)];
  if (orderA !== undefined && orderB !== undefined && orderA !== orderB) {
    return compareCodePoints(orderA, orderB);
  }
  if ((orderA === undefined) !== (orderB === undefined)) return orderA === undefined ? 1 : -1;
  return a.originServerTs - b.originServerTs || compareCodePoints(a.stateKey ?? '', b.stateKey ?? '');
}

function orderOf({ content }: Pdu): string | undefined {
  const order = own(content, 'order');
  return typeof order === 'string' && ORDER.test(order) ? order : undefined;
}

function strippedChild({ type, stateKey = '', sender, content, originServerTs }: Pdu): JsonObject {
  return { type, state_key: stateKey, sender, content, origin_server_ts: originServerTs };
}

export const hierarchyRoutes: readonly FederationRoute[] = [
  {
    method: 'GET',
    path: '/_matrix/federation/v1/hierarchy/:roomId',
    auth: 'server',
    handler: hierarchy,
  },
];
