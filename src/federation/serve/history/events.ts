// Events that other servers lack: one by its id, those before some, those between some and others.
//
// What was rejected or soft failed here is given too: others judge for themselves, and may need it to place what
// follows. Where history is not visible to the server, events are given in redacted form.
//
// Source: server-server API, GET /event/{eventId}, GET /backfill/{roomId}, POST /get_missing_events/{roomId}.

import type { EventId } from '../../../event/ids.js';
import type { JsonObject } from '../../../event/json.js';
import type { KnownEvent } from '../../../room/graph/known-events.js';
import { forbidden, invalidParam, missingParam } from '../../errors.js';
import type { Federation } from '../../federation.js';
import type { FederationRequest, FederationRoute, JsonText } from '../../route.js';
import { type AnswerPart, jsonWithEvents } from '../event-texts.js';
import { bodyInteger, bodyTexts, param, queryInteger, queryList } from '../request-fields.js';
import { eventAsked, roomAskedBy, type ServedRoom } from '../rooms.js';
import { byAge, eventsUpTo, missingBefore, placedEvents } from './walk.js';

const BACKFILL_MAX = 100;
const MISSING_DEFAULT = 10;
const MISSING_MAX = 20;
/** Ids that are looked at in a request; more are passed over. */
const FROM_MAX = 50;
const EARLIEST_MAX = 500;

const NOT_IN_ROOM = 'Your server is not in the room of this event, or there is no such event.';

async function event(request: FederationRequest, federation: Federation): Promise<JsonText> {
  const { engine } = federation.parts;
  const eventId = param(request, 'eventId');
  const found = engine.reader.events.get(asId(eventId));
  // The room is not named: whoever is in none where the event could be learns nothing.
  if (found === undefined || found.pdu.rules.isInternal) throw forbidden(NOT_IN_ROOM);
  const room = await roomAskedBy(federation, found.pdu.roomId, request.origin);
  const asked = eventAsked(federation, room, eventId);
  return transaction(federation, room, [asked]);
}

async function backfill(request: FederationRequest, federation: Federation): Promise<JsonText> {
  const { reader } = federation.parts.engine;
  const room = await roomAskedBy(federation, param(request, 'roomId'), request.origin);
  const from = queryList(request, 'v').slice(0, FROM_MAX).map(asId);
  if (from.length === 0) throw missingParam('v is missing.');
  const limit = queryInteger(request, 'limit');
  if (limit === undefined) throw missingParam('limit is missing.');
  if (limit < 1) throw invalidParam('limit is a count from 1.');
  const { roomId } = room.row;
  const asked = placedEvents(reader, roomId, from);
  const allowed = asked.filter((each) => room.sight.mayAskAt(each)).map(({ pdu }) => pdu.eventId);
  if (allowed.length === 0 && !room.sight.isInRoom) throw forbidden(NOT_IN_ROOM);
  return transaction(federation, room, eventsUpTo(reader, roomId, allowed, Math.min(limit, BACKFILL_MAX)));
}

async function missingEvents(request: FederationRequest, federation: Federation): Promise<JsonText> {
  const { engine } = federation.parts;
  const { reader } = engine;
  const { body } = request;
  const room = await roomAskedBy(federation, param(request, 'roomId'), request.origin);
  const earliest = bodyTexts(body, 'earliest_events', EARLIEST_MAX).map(asId);
  const latest = bodyTexts(body, 'latest_events', FROM_MAX).map(asId);
  const limit = bodyInteger(body, 'limit') ?? MISSING_DEFAULT;
  if (limit < 0) throw invalidParam('limit is a count.');
  const { roomId } = room.row;
  const asked = placedEvents(reader, roomId, latest);
  const allowed = asked.filter((each) => room.sight.mayAskAt(each)).map(({ pdu }) => pdu.eventId);
  if (allowed.length === 0 && !room.sight.isInRoom) throw forbidden(NOT_IN_ROOM);
  const found = missingBefore(reader, {
    roomId,
    latest: allowed,
    earliest: new Set(earliest),
    minDepth: Math.max(0, bodyInteger(body, 'min_depth') ?? 0),
    limit: Math.min(limit, MISSING_MAX),
  });
  // Oldest first, so that they can be taken in as they come.
  const events = seqsOf(found.sort(byAge));
  return jsonWithEvents(engine, ['{"events":[', { events }, ']}'], room.sight.hidden(found));
}

/** Events as a transaction: what both `event` and `backfill` answer. */
function transaction(
  { parts: { engine, serverName, now } }: Federation,
  { sight }: ServedRoom,
  found: readonly KnownEvent[],
): JsonText {
  const head: JsonObject = { origin: serverName, origin_server_ts: now() };
  const parts: readonly AnswerPart[] = [
    `${JSON.stringify(head).slice(0, -1)},"pdus":[`,
    { events: seqsOf(found) },
    ']}',
  ];
  return jsonWithEvents(engine, parts, sight.hidden(found));
}

/** Whatever is asked for: ids that belong to nothing are looked up in vain. */
function asId(text: string): EventId {
  return text as EventId;
}

function seqsOf(events: readonly KnownEvent[]): number[] {
  return events.map(({ seq }) => seq);
}

const V1 = '/_matrix/federation/v1';

export const eventRoutes: readonly FederationRoute[] = [
  { method: 'GET', path: `${V1}/event/:eventId`, auth: 'server', handler: event },
  { method: 'GET', path: `${V1}/backfill/:roomId`, auth: 'server', handler: backfill },
  {
    method: 'POST',
    path: `${V1}/get_missing_events/:roomId`,
    auth: 'server',
    handler: missingEvents,
  },
];
