// A page of a room's timeline, in either direction.
//
// Source: client-server API, GET /rooms/{roomId}/messages; "Lazy-loading room members".

import type { EventId } from '../event/ids.js';
import type { JsonObject } from '../event/json.js';
import type { KnownEvent } from '../room/graph/known-events.js';
import type { RoomRow } from '../store/records.js';
import { citedMember } from './cited-member.js';
import { toClientEvents } from './client-event.js';
import { missingParam } from './errors.js';
import { type EventFilter, filterOfQuery } from './event-filter.js';
import type { Homeserver } from './homeserver.js';
import { BEGINNING, type Page, type PageRequest, placeOfToken, placeToken, readPage } from './pagination.js';
import { param, queryInteger, queryText, queryWord } from './request-fields.js';
import type { AuthenticatedRequest, Route } from './route.js';
import { readableRoom, type RoomAccess } from './visibility.js';

const LIMIT_DEFAULT = 10;
const LIMIT_MAX = 1_000;
/** Times that others are asked for history for one page. */
const BACKFILLS_MAX = 3;

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
  const { events, next } = await pageOf(home, access, {
    roomNumber: room.number,
    direction,
    from,
    to: to === undefined ? undefined : placeOfToken(to),
    limit: Math.min(limit ?? filter.limit ?? LIMIT_DEFAULT, filter.limit ?? LIMIT_MAX, LIMIT_MAX),
    wants: wantedBy(home, request, filter),
  });
  const serving = { requester: request.user, viewer, detail: 'timeline', bundles: 'all' } as const;
  const senders = filter.lazyLoadMembers ? membersShown(home, access, events) : [];
  return {
    start: placeToken(from),
    ...(next === undefined ? {} : { end: placeToken(next) }),
    chunk: await toClientEvents(home, events, serving),
    ...(senders.length === 0 ? {} : { state: await toClientEvents(home, senders, serving) }),
  };
}

/**
 * A page; where it ends before it is full and other servers know what came before, that is fetched first. Only for
 * those who are in the room: nobody else makes this server ask others.
 */
async function pageOf(home: Homeserver, { room, viewer }: RoomAccess, request: PageRequest): Promise<Page> {
  const { engine, federation } = home;
  let page = await readPage(engine, viewer, request);
  if (federation === undefined || request.direction === 'f' || !viewer.isJoined) return page;
  for (let i = 0; i < BACKFILLS_MAX && page.next === undefined; i++) {
    if (reachesBackTo(request, engine.store.room(room.roomId) ?? room)) return page;
    const { events, hasMore } = await federation.gaps.backfill(room.roomId, request.limit);
    if (events > 0) page = await readPage(engine, viewer, request);
    if (page.next !== undefined || !hasMore) return page;
    const { timelineFirst } = engine.store.room(room.roomId) ?? room;
    if (page.events.length >= request.limit || events === 0 || i === BACKFILLS_MAX - 1) {
      return { ...page, next: timelineFirst - 1 };
    }
  }
  return page;
}

/** Does the page end where the client wants it to, or where the room begins? */
function reachesBackTo({ to }: PageRequest, { timelineFirst, backwardExtremities }: RoomRow): boolean {
  return backwardExtremities.length === 0 || (to !== undefined && to >= timelineFirst);
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
  return Math.min(home.engine.watermark, until);
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

/** The member events, as of the events, of those who sent them: each once. Whom the state lacks their event cites. */
export function membersShown(
  home: Homeserver,
  { view }: RoomAccess,
  events: readonly KnownEvent[],
): KnownEvent[] {
  const senders = new Set<string>();
  const shown = new Map<EventId, KnownEvent>();
  for (const event of events) {
    const { pdu, roots } = event;
    if (roots === undefined || senders.has(pdu.sender)) continue;
    senders.add(pdu.sender);
    const id = view.at(roots.after).get('m.room.member', pdu.sender);
    const member = id === undefined ? citedMember(home.engine, event) : home.engine.reader.events.get(id);
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
