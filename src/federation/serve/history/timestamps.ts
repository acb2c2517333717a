// The event of a room that is nearest to a moment.
//
// Events lie in the order in which they came, which is nearly that of their times: the place is found by halving
// that order, and the nearest is looked for around it. What claims a time far from its place may be missed.
//
// Source: server-server API, GET /timestamp_to_event/{roomId}.

import type { Engine } from '../../../engine/engine.js';
import type { JsonObject } from '../../../event/json.js';
import type { KnownEvent } from '../../../room/graph/known-events.js';
import { invalidParam, missingParam, notFound } from '../../errors.js';
import type { Federation } from '../../federation.js';
import type { FederationRequest, FederationRoute } from '../../route.js';
import { param, queryInteger, queryText } from '../request-fields.js';
import { assertInRoom, roomAskedBy, type ServedRoom } from '../rooms.js';

/** Events that are looked at to each side of the place. */
const AROUND_MAX = 200;
const ORDER_MAX = Number.MAX_SAFE_INTEGER;

async function timestampToEvent(request: FederationRequest, federation: Federation): Promise<JsonObject> {
  const room = await roomAskedBy(federation, param(request, 'roomId'), request.origin);
  assertInRoom(room);
  const ts = queryInteger(request, 'ts');
  if (ts === undefined) throw missingParam('ts is missing.');
  const direction = queryText(request, 'dir');
  if (direction !== 'f' && direction !== 'b') throw invalidParam('dir is f or b.');
  const found = await nearest(federation.parts.engine, room, ts, direction);
  if (found === undefined) throw notFound(`No event was found from ${ts} in this direction.`);
  return { event_id: found.pdu.eventId, origin_server_ts: found.pdu.originServerTs };
}

/** The nearest event that the server may see and whose time is not on the other side of `ts`. */
async function nearest(
  engine: Engine,
  { row, sight }: ServedRoom,
  ts: number,
  direction: 'f' | 'b',
): Promise<KnownEvent | undefined> {
  const place = await placeOf(engine, row.number, ts);
  let best: KnownEvent | undefined;
  const distance = ({ pdu }: KnownEvent): number =>
    direction === 'f' ? pdu.originServerTs - ts : ts - pdu.originServerTs;
  for (const reverse of [true, false]) {
    const range = reverse ? { to: place, reverse } : { from: place };
    let lookedAt = 0;
    for await (const [, seq] of engine.store.timeline(row.number, range)) {
      const event = engine.reader.events.at(seq);
      if (++lookedAt > AROUND_MAX) break;
      if (event === undefined || event.verdict !== 'accepted' || distance(event) < 0) continue;
      const isNearer = best === undefined || distance(event) < distance(best);
      if (isNearer && sight.canSee(event)) best = event;
    }
  }
  return best;
}

/** The place in the timeline before which times are below `ts`, as far as times keep to the order. */
async function placeOf(engine: Engine, roomNumber: number, ts: number): Promise<number> {
  let [low, high] = [await edge(engine, roomNumber, false), await edge(engine, roomNumber, true)];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const [order, time] = await firstFrom(engine, roomNumber, middle);
    if (time < ts) low = Math.max(order, middle) + 1;
    else high = middle;
  }
  return low;
}

async function edge(engine: Engine, roomNumber: number, reverse: boolean): Promise<number> {
  for await (const [order] of engine.store.timeline(roomNumber, { reverse })) return order;
  return 0;
}

/** The first event at or after a place: its place and time. Behind all events both are beyond all others. */
async function firstFrom(
  engine: Engine,
  roomNumber: number,
  from: number,
): Promise<readonly [order: number, time: number]> {
  for await (const [order, seq] of engine.store.timeline(roomNumber, { from })) {
    const event = engine.reader.events.at(seq);
    if (event !== undefined) return [order, event.pdu.originServerTs];
  }
  return [ORDER_MAX, Number.POSITIVE_INFINITY];
}

export const timestampRoutes: readonly FederationRoute[] = [
  {
    method: 'GET',
    path: '/_matrix/federation/v1/timestamp_to_event/:roomId',
    auth: 'server',
    handler: timestampToEvent,
  },
];
