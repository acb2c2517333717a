// What happened around an event, with the state there. All members are part of that unless the client loads them
// lazily: then a room whose state is known in part is not waited for.
//
// Source: client-server API, GET /rooms/{roomId}/context/{eventId}.

import type { EventId } from '../event/ids.js';
import type { JsonObject } from '../event/json.js';
import { type KnownEvent, orderOf } from '../room/graph/known-events.js';
import { toClientEvent, toClientEvents } from './client-event.js';
import { notFound } from './errors.js';
import { type EventFilter, filterOfQuery } from './event-filter.js';
import type { Homeserver } from './homeserver.js';
import { membersShown, wantedBy } from './messages.js';
import { placeToken, readPage } from './pagination.js';
import { inWholeRoom } from './partial-rooms.js';
import { param, queryInteger, queryText } from './request-fields.js';
import type { AuthenticatedRequest, Route } from './route.js';
import { toClientState } from './state-listing.js';
import { readableRoom, type RoomAccess, stateAfter, visibleEvent } from './visibility.js';

const LIMIT_DEFAULT = 10;
const LIMIT_MAX = 100;

async function context(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const filter = filterOfQuery(queryText(request, 'filter'));
  const look = (): RoomAccess => readableRoom(home, param(request, 'roomId'), request.user.userId);
  const access = needsMembers(filter) ? await inWholeRoom(home, request, look) : look();
  const event = visibleEvent(home, access, param(request, 'eventId'));
  if (event === undefined) throw notFound('The event is not there, or you may not see it.');
  const asked = queryInteger(request, 'limit', { max: LIMIT_MAX }) ?? filter.limit ?? LIMIT_DEFAULT;
  const limit = filter.allowsRoom(access.room.roomId) ? Math.min(asked, LIMIT_MAX) : 0;
  const half = Math.floor(limit / 2);
  const common = { roomNumber: access.room.number, wants: wantedBy(home, request, filter) };
  const { engine } = home;
  const { viewer } = access;
  const [before, after] = await Promise.all([
    readPage(engine, viewer, { ...common, direction: 'b', from: orderOf(event) - 1, limit: half }),
    readPage(engine, viewer, { ...common, direction: 'f', from: orderOf(event), limit: limit - half }),
  ]);
  const serving = { requester: request.user, viewer, detail: 'timeline', bundles: 'all' } as const;
  const shown = [event, ...before.events, ...after.events];
  return {
    start: placeToken(before.next ?? orderOf(before.events.at(-1) ?? event) - 1),
    end: placeToken(after.next ?? orderOf(after.events.at(-1) ?? event)),
    event: await toClientEvent(home, event, serving),
    events_before: await toClientEvents(home, before.events, serving),
    events_after: await toClientEvents(home, after.events, serving),
    state: await stateAround(request, home, access, filter, shown),
  };
}

/** Does the answer hold members beside those who are shown? */
function needsMembers(filter: EventFilter): boolean {
  return !filter.lazyLoadMembers && filter.allowsType('m.room.member');
}

/** The state at the last event shown; of the members only those who are shown, where the client loads lazily. */
async function stateAround(
  request: AuthenticatedRequest,
  home: Homeserver,
  access: RoomAccess,
  filter: EventFilter,
  shown: readonly KnownEvent[],
): Promise<JsonObject[]> {
  const { viewer } = access;
  const newest = shown.reduce((last, event) => (orderOf(event) > orderOf(last) ? event : last));
  const ids: EventId[] = [];
  for (const { type, eventId } of stateAfter(viewer.view, newest).sorted()) {
    const isLeftOut = filter.lazyLoadMembers && type === 'm.room.member';
    if (!isLeftOut && filter.allowsType(type)) ids.push(eventId);
  }
  if (filter.lazyLoadMembers && filter.allowsType('m.room.member')) {
    ids.push(...membersShown(home, access, shown).map(({ pdu }) => pdu.eventId));
  }
  return toClientState(home, viewer.view.roomId, ids, { requester: request.user, viewer }, ({ pdu }) =>
    filter.allows(pdu),
  );
}

export const contextRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/_matrix/client/v3/rooms/:roomId/context/:eventId',
    auth: 'user',
    rateLimit: 'other',
    handler: context,
  },
];
