// The ephemeral events of a room in an answer: who types, and the receipts that are new.
//
// Receipts lie in an internal room beside the room, so what is new is what differs between two of its roots.
//
// Source: client-server API, "Typing Notifications", "Receipts".

import { changesSince } from '../../account/changes.js';
import { receiptOf, receiptsRoom, RECEIPT } from '../../account/receipts.js';
import type { RoomId } from '../../event/ids.js';
import type { JsonObject, JsonValue } from '../../event/json.js';
import type { SyncContext } from './context.js';

export interface EphemeralEvents {
  readonly events: readonly JsonObject[];
  /** The user's own receipts moved: what is unread changed. */
  readonly hasOwnReceipt: boolean;
}

type ByUser = Record<string, JsonValue>;
type ByType = Map<string, ByUser>;

/** @param isFresh the client knows nothing of the room yet */
export async function ephemeralEvents(
  context: SyncContext,
  roomId: RoomId,
  isFresh: boolean,
): Promise<EphemeralEvents> {
  const { ephemeral } = context.filter;
  const receipts = await newReceipts(context, roomId, isFresh);
  const typing = typingEvent(context, roomId, isFresh);
  const wants = (type: string): boolean => ephemeral.allowsRoom(roomId) && ephemeral.allowsType(type);
  return {
    events: [...(wants('m.typing') ? typing : []), ...(wants('m.receipt') ? receipts.events : [])],
    hasOwnReceipt: receipts.hasOwn,
  };
}

function typingEvent(
  { home, positionSince, ignored }: SyncContext,
  roomId: RoomId,
  isFresh: boolean,
): JsonObject[] {
  const { users, position } = home.ephemeral.typing(roomId);
  const shown = users.filter((userId) => !ignored.has(userId));
  if (isFresh ? shown.length === 0 : position <= positionSince) return [];
  return [{ type: 'm.typing', content: { user_ids: shown } }];
}

async function newReceipts(
  context: SyncContext,
  roomId: RoomId,
  isFresh: boolean,
): Promise<{ readonly events: readonly JsonObject[]; readonly hasOwn: boolean }> {
  const { home, since, to, requester, ignored, filter } = context;
  const { engine, notifier } = home;
  const internalId = receiptsRoom(roomId);
  const known = isFresh ? 0 : (since?.seq ?? 0);
  if (notifier.moments.newestSeq(internalId) <= known) return { events: [], hasOwn: false };
  const room = engine.store.room(internalId);
  if (room === undefined) return { events: [], hasOwn: false };
  const now = await notifier.moments.stateAt(room, to.seq);
  const before = await notifier.moments.stateAt(room, known);
  /** A user may have several receipts at one event, of several threads: an event has place for one of them. */
  const byThread = new Map<string, Map<string, ByType>>();
  let hasOwn = false;
  for (const { type, stateKey, after } of changesSince(before, now)) {
    const record = after === undefined || type !== RECEIPT ? undefined : engine.reader.events.pdu(after);
    if (record === undefined) continue;
    const receipt = receiptOf(stateKey, record.content);
    const isOwn = receipt.userId === requester.userId;
    hasOwn ||= isOwn;
    if (receipt.type === 'm.read.private' && !isOwn) continue;
    if (ignored.has(receipt.userId) || !filter.ephemeral.allowsSender(receipt.userId)) continue;
    const byEvent = entryOf(byThread, receipt.threadId ?? '', () => new Map<string, ByType>());
    const byType = entryOf(byEvent, receipt.eventId, () => new Map<string, ByUser>());
    const users = entryOf(byType, receipt.type, (): ByUser => ({}));
    const thread = receipt.threadId === undefined ? {} : { thread_id: receipt.threadId };
    users[receipt.userId] = { ts: receipt.ts, ...thread };
  }
  const events = [...byThread.values()].map((byEvent) => ({
    type: 'm.receipt',
    content: Object.fromEntries(
      [...byEvent].map(([eventId, byType]): [string, JsonObject] => [eventId, Object.fromEntries(byType)]),
    ),
  }));
  return { events, hasOwn };
}

function entryOf<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const existing = map.get(key);
  if (existing !== undefined) return existing;
  const made = make();
  map.set(key, made);
  return made;
}
