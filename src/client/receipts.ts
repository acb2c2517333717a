// How far users have read: receipts, public and private, of threads or without, and the fully-read marker.
//
// A receipt that would go back is taken for done: what was read stays read.
//
// Source: client-server API, "Receipts", "Read and unread markers".

import type { ReceiptType } from '../account/receipts.js';
import type { InternalRecord } from '../core/internal.js';
import type { EventId, RoomId, UserId } from '../event/ids.js';
import { fitsBytes, MAX_ID_BYTES } from '../event/ids.js';
import { isObject, type JsonObject, own } from '../event/json.js';
import { type KnownEvent, orderOf } from '../room/graph/known-events.js';
import { invalidParam, notFound } from './errors.js';
import type { Homeserver } from './homeserver.js';
import { pathRoomId } from './own-data.js';
import { bodyText, param } from './request-fields.js';
import type { AuthenticatedRequest, Route } from './route.js';
import { joinedRoom, type RoomAccess, visibleEvent } from './visibility.js';

const FULLY_READ = 'm.fully_read';
const MAIN_THREAD = 'main';
const THREAD_HOPS_MAX = 3;

type Marker = ReceiptType | typeof FULLY_READ;

async function postReceipt(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const { userId } = request.user;
  const access = joinedRoom(home, pathRoomId(request), userId);
  const type = param(request, 'receiptType');
  if (type !== 'm.read' && type !== 'm.read.private' && type !== FULLY_READ) {
    throw invalidParam('The receipt type is m.read, m.read.private or m.fully_read.');
  }
  const threadId = threadOf(request.body, type);
  const event = eventOf(home, access, param(request, 'eventId'));
  if (threadId !== undefined && !isInThread(home, event, threadId)) {
    throw invalidParam('The event is not of this thread.');
  }
  await write(home, userId, access.room.roomId, [[type, event, threadId]]);
  return {};
}

async function postReadMarkers(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const { userId } = request.user;
  const access = joinedRoom(home, pathRoomId(request), userId);
  const markers = ([FULLY_READ, 'm.read', 'm.read.private'] as const).flatMap((type) => {
    const eventId = bodyText(request.body, type);
    return eventId === undefined ? [] : [[type, eventOf(home, access, eventId), undefined] as const];
  });
  await write(home, userId, access.room.roomId, markers);
  return {};
}

async function write(
  home: Homeserver,
  userId: UserId,
  roomId: RoomId,
  markers: ReadonlyArray<readonly [type: Marker, event: KnownEvent, threadId: string | undefined]>,
): Promise<void> {
  const records = markers.flatMap(([type, event, threadId]) =>
    recordsOf(home, userId, roomId, { type, event, threadId }),
  );
  home.ephemeral.active(userId);
  if (records.length > 0) await home.engine.internal.write(records);
}

/** None where the user has read further already. */
function recordsOf(
  { accounts, engine, now }: Homeserver,
  userId: UserId,
  roomId: RoomId,
  marker: { readonly type: Marker; readonly event: KnownEvent; readonly threadId: string | undefined },
): readonly InternalRecord[] {
  const { type, event, threadId } = marker;
  const { eventId } = event.pdu;
  if (type === FULLY_READ) {
    return [accounts.accountData.record(userId, roomId, FULLY_READ, { event_id: eventId })];
  }
  const before = accounts.receipts.get(roomId, userId, type, threadId);
  const read = before === undefined ? undefined : engine.reader.events.get(before.eventId);
  if (read !== undefined && orderOf(read) >= orderOf(event)) return [];
  return [accounts.receipts.record(roomId, { userId, type, threadId, eventId, ts: now() })];
}

function eventOf(home: Homeserver, access: RoomAccess, eventId: string): KnownEvent {
  const event = visibleEvent(home, access, eventId);
  if (event === undefined) throw notFound('There is no such event in this room.');
  return event;
}

function threadOf(body: JsonObject, type: Marker): string | undefined {
  const threadId = own(body, 'thread_id');
  if (threadId === undefined) return undefined;
  if (typeof threadId !== 'string' || threadId === '' || !fitsBytes(threadId, MAX_ID_BYTES)) {
    throw invalidParam('thread_id is `main` or the id of the event that the thread begins with.');
  }
  if (type === FULLY_READ) throw invalidParam('The fully-read marker knows no threads.');
  return threadId;
}

/** The event that a thread begins with is of the main timeline, and of its thread too. */
function isInThread(home: Homeserver, event: KnownEvent, threadId: string): boolean {
  if (event.pdu.eventId === threadId) return true;
  let related: KnownEvent | undefined = event;
  for (let hops = 0; related !== undefined && hops <= THREAD_HOPS_MAX; hops++) {
    const relation = own(related.pdu.content, 'm.relates_to');
    const target = isObject(relation) ? own(relation, 'event_id') : undefined;
    if (!isObject(relation) || typeof target !== 'string') return threadId === MAIN_THREAD;
    if (own(relation, 'rel_type') === 'm.thread') return target === threadId;
    const next = home.engine.reader.events.get(target as EventId);
    related = next?.pdu.roomId === event.pdu.roomId ? next : undefined;
  }
  return threadId === MAIN_THREAD;
}

export const receiptRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: '/_matrix/client/v3/rooms/:roomId/receipt/:receiptType/:eventId',
    auth: 'user',
    rateLimit: 'other',
    handler: postReceipt,
  },
  {
    method: 'POST',
    path: '/_matrix/client/v3/rooms/:roomId/read_markers',
    auth: 'user',
    rateLimit: 'other',
    handler: postReadMarkers,
  },
];
