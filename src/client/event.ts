// One event: by its id, or by the time at which it was sent.
//
// Source: client-server API, GET /rooms/{roomId}/event/{eventId}, GET /rooms/{roomId}/timestamp_to_event.

import type { JsonObject } from '../event/json.js';
import type { Engine } from '../engine/engine.js';
import { toClientEvent } from './client-event.js';
import { MatrixError, missingParam, notFound } from './errors.js';
import type { Homeserver } from './homeserver.js';
import { readPage } from './pagination.js';
import { param, queryInteger, queryWord } from './request-fields.js';
import type { AuthenticatedRequest, Route } from './route.js';
import { readableRoom, type RoomAccess, visibleEvent } from './visibility.js';

/** What is said where an event is not there, or not for the one who asks. */
export const EVENT_NOT_FOUND = 'The event is not there, or you may not see it.';

async function event(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const access = accessOrNotFound(request, home);
  const found = visibleEvent(home, access, param(request, 'eventId'));
  if (found === undefined) throw notFound(EVENT_NOT_FOUND);
  const { viewer } = access;
  return toClientEvent(home, found, { requester: request.user, viewer, detail: 'timeline', bundles: 'all' });
}

/**
 * What the user may read of the room. Here the specification says 404 where other endpoints say 403.
 * @throws MatrixError 404
 */
export function accessOrNotFound(request: AuthenticatedRequest, home: Homeserver): RoomAccess {
  try {
    return readableRoom(home, param(request, 'roomId'), request.user.userId);
  } catch (error) {
    throw error instanceof MatrixError && error.status === 403 ? notFound(EVENT_NOT_FOUND) : error;
  }
}

async function eventAtTime(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const { room, viewer } = readableRoom(home, param(request, 'roomId'), request.user.userId);
  const time = queryInteger(request, 'ts');
  const direction = queryWord(request, 'dir', ['f', 'b'] as const);
  if (time === undefined || direction === undefined) throw missingParam('ts and dir are needed.');
  const isBack = direction === 'b';
  const border = await orderAtTime(home.engine, room.number, isBack ? time + 1 : time);
  const { events } = await readPage(home.engine, viewer, {
    roomNumber: room.number,
    direction,
    from: border - 1,
    limit: 1,
    wants: ({ pdu }) => (isBack ? pdu.originServerTs <= time : pdu.originServerTs >= time),
  });
  const [found] = events;
  if (found === undefined) throw notFound('There is no event that you may see on that side of the time.');
  return { event_id: found.pdu.eventId, origin_server_ts: found.pdu.originServerTs };
}

/**
 * About the first order of a room at or after a time, by halving: O(log n) reads. Senders say the times, so
 * they need not rise; who asks looks on from there.
 */
async function orderAtTime(engine: Engine, roomNumber: number, time: number): Promise<number> {
  let low = (await nearest(engine, roomNumber, {}))?.order ?? 0;
  let high = ((await nearest(engine, roomNumber, { reverse: true }))?.order ?? 0) + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const found = await nearest(engine, roomNumber, { from: middle });
    if (found === undefined || found.time >= time) high = middle;
    else low = found.order + 1;
  }
  return low;
}

async function nearest(
  engine: Engine,
  roomNumber: number,
  range: { readonly from?: number; readonly reverse?: boolean },
): Promise<{ readonly order: number; readonly time: number } | undefined> {
  for await (const [order, seq] of engine.store.timeline(roomNumber, range)) {
    const found = engine.reader.events.at(seq);
    if (found !== undefined) return { order, time: found.pdu.originServerTs };
  }
  return undefined;
}

export const eventRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/_matrix/client/v3/rooms/:roomId/event/:eventId',
    auth: 'user',
    rateLimit: 'other',
    handler: event,
  },
  {
    method: 'GET',
    path: '/_matrix/client/v1/rooms/:roomId/timestamp_to_event',
    auth: 'user',
    rateLimit: 'other',
    handler: eventAtTime,
  },
];
