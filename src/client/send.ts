// Sending an event of a local user into a room, once per transaction id.
//
// The transaction is committed with the event, so that a client that asks again, after a crash too, gets the same
// event and not another.
//
// Source: client-server API, "Sending events to a room", "Transaction identifiers".

import type { LocalTemplate } from '../engine/local-events.js';
import type { EventId } from '../event/ids.js';
import { type JsonObject, own } from '../event/json.js';
import { StateroomError } from '../lib/errors.js';
import { forbidden, invalidParam, MatrixError } from './errors.js';
import type { Homeserver } from './homeserver.js';
import { mayRedact, redactedId } from './redactions.js';
import { param } from './request-fields.js';
import type { AuthenticatedRequest, Requester, Route } from './route.js';
import { joinedRoom, NOT_IN_ROOM } from './visibility.js';

const TXN_ID_BYTES_MAX = 255;

/** What is sent, by whom it is known already. */
export type Outgoing = Omit<LocalTemplate, 'sender'>;

/** A request that is to take effect once, however often it is made. */
export interface OnceOnly {
  /** The endpoint and what it is about: an id counts for one of them only. */
  readonly endpoint: string;
  readonly txnId: string;
}

/**
 * Sends an event and answers when it is committed.
 * @throws MatrixError 403 when the rules do not allow it, 400 or 413 when its form is wrong
 */
export async function sendEvent(
  home: Homeserver,
  { userId, deviceId }: Requester,
  roomId: string,
  outgoing: Outgoing,
  onceOnly?: OnceOnly,
): Promise<{ readonly event_id: EventId }> {
  if (outgoing.type === 'm.room.create') throw forbidden('A room is created once.');
  const template = { ...outgoing, sender: userId };
  if (onceOnly === undefined) {
    const { eventId } = await committed(() => home.engine.send(roomId, template));
    return { event_id: eventId };
  }
  const sent = await home.accounts.sentEvents.once({ userId, deviceId, ...onceOnly }, async (transaction) => {
    const { eventId } = await committed(() => home.engine.send(roomId, template, { transaction }));
    return eventId;
  });
  return { event_id: sent };
}

/** The event, or the refusal as a client is told it. */
export async function committed<Sent>(send: () => Promise<Sent>): Promise<Sent> {
  try {
    return await send();
  } catch (error) {
    throw refusalOf(error);
  }
}

function refusalOf(error: unknown): unknown {
  if (!(error instanceof StateroomError) || error instanceof MatrixError) return error;
  const { code, message } = error;
  if (code === 'ENGINE_FORBIDDEN') return forbidden(message);
  if (code === 'READER_ROOM_UNKNOWN') return forbidden(NOT_IN_ROOM);
  if (code === 'EVENT_TOO_LARGE' || code === 'EVENT_FIELD_TOO_LONG') {
    return new MatrixError(413, 'M_TOO_LARGE', message);
  }
  return code.startsWith('EVENT_') ? new MatrixError(400, 'M_BAD_JSON', message) : error;
}

/** The transaction of a request whose path ends in `:txnId`. @throws MatrixError 400 */
export function onceOnlyOf(request: AuthenticatedRequest, endpoint: string): OnceOnly {
  const txnId = param(request, 'txnId');
  if (txnId === '' || Buffer.byteLength(txnId) > TXN_ID_BYTES_MAX || txnId.includes('\0')) {
    throw invalidParam(`A transaction id has 1 to ${TXN_ID_BYTES_MAX} bytes, none of them NUL.`);
  }
  return { endpoint, txnId };
}

async function send(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const roomId = param(request, 'roomId');
  const type = param(request, 'eventType');
  const access = joinedRoom(home, roomId, request.user.userId);
  const onceOnly = onceOnlyOf(request, `send/${roomId}/${type.replaceAll('\0', '')}`);
  const content = request.body;
  if (type !== 'm.room.redaction') {
    return sendEvent(home, request.user, roomId, { type, content }, onceOnly);
  }
  const redacts = redactedId(own(content, 'redacts'));
  mayRedact(home, access, redacts);
  return sendEvent(home, request.user, roomId, { type, content, redacts }, onceOnly);
}

export const sendRoutes: readonly Route[] = [
  {
    method: 'PUT',
    path: '/_matrix/client/v3/rooms/:roomId/send/:eventType/:txnId',
    auth: 'user',
    rateLimit: 'message',
    handler: send,
  },
];
