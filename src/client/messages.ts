// A page of a room's timeline, in either direction.
//
// Source: client-server API, GET /rooms/{roomId}/messages; "Lazy-loading room members".

import type { EventId } from '../event/ids.js';
import type { JsonObject } from '../event/json.js';
import type { KnownEvent } from '../room/graph/known-events.js';
import { toClientEvents } from './client-event.js';
import { missingParam } from './errors.js';
import { type EventFilter, filterOfQuery } from './event-filter.js';
import type { Homeserver } from './homeserver.js';
import { BEGINNING, placeOfToken, placeToken, readPage } from './pagination.js';
import { param, queryInteger, queryText, queryWord } from './request-fields.js';
import type { AuthenticatedRequest, Route } from './route.js';
import { readableRoom, type RoomAccess } from './visibility.js';

const LIMIT_DEFAULT = 10;
const LIMIT_MAX = 1_000;

async function messages(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const access = readableRoom(home, param(request, 'roomId'), request.user.userId);
  const { room, viewer } = access;
  const direction = queryWord(request, 'dir', ['b', 'f'] as const);
  if (direction === undefined) throw missingParam('dir is needed: b or f.');
  const filter = filterOfQuery(queryText(request, 'filter'));
  const limit = queryInteger(request, 'limit', { max: LIMIT_MAX });
  const from = startOf(request, home, access, direction);
  const to = queryText(request, 'to');
  if (!filter.allowsRoom(room.roomId)) return { start: placeToken(from), chunk: [] };
  const { events, next } = await readPage(home.engine, viewer, {
    roomNumber: room.number,
    direction,
    from,
    to: to === undefined ? undefined : placeOfToken(to),
    limit: Math.min(limit ?? filter.limit ?? LIMIT_DEFAULT, filter.limit ?? LIMIT_MAX, LIMIT_MAX),
    wants: wantedBy(home, request, filter),
  });
  const serving = { requester: request.user, viewer, detail: 'timeline' } as const;
  const senders = filter.lazyLoadMembers ? membersShown(home, access, events) : [];
  return {
    start: placeToken(from),
    ...(next === undefined ? {} : { end: placeToken(next) }),
    chunk: await toClientEvents(home, events, serving),
    ...(senders.length === 0 ? {} : { state: await toClientEvents(home, senders, serving) }),
  };
}

/** The place that the client names; else the end of what the user may see, or the beginning. */
function startOf(
  request: AuthenticatedRequest,
  home: Homeserver,
  { until }: RoomAccess,
  direction: 'b' | 'f',
): number {
  const token = queryText(request, 'from');
  if (token !== undefined && token !== '') return placeOfToken(token);
  if (direction === 'f') return BEGINNING;
  return Math.min(home.engine.core.release.watermark, until);
}

/** What the filter lets through, without what ignored users say. */
export function wantedBy(
  home: Homeserver,
  request: AuthenticatedRequest,
  filter: EventFilter,
): (event: KnownEvent) => boolean {
  const ignored = home.accounts.accountData.ignoredUsers(request.user.userId);
  return ({ pdu }) => (pdu.stateKey !== undefined || !ignored.has(pdu.sender)) && filter.allows(pdu);
}

/** The member events, as of the events, of those who sent them: each once. */
export function membersShown(
  home: Homeserver,
  { view }: RoomAccess,
  events: readonly KnownEvent[],
): KnownEvent[] {
  const senders = new Set<string>();
  const shown = new Map<EventId, KnownEvent>();
  for (const { pdu, roots } of events) {
    if (roots === undefined || senders.has(pdu.sender)) continue;
    senders.add(pdu.sender);
    const id = view.at(roots.after).get('m.room.member', pdu.sender);
    const member = id === undefined ? undefined : home.engine.reader.events.get(id);
    if (member !== undefined) shown.set(member.pdu.eventId, member);
  }
  return [...shown.values()];
}

export const messagesRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/_matrix/client/v3/rooms/:roomId/messages',
    auth: 'user',
    rateLimit: 'other',
    handler: messages,
  },
];
