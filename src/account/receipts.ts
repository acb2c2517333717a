// Receipts: how far everybody has read in a room. The receipts of a room lie in one internal room beside it, so
// that all of them are one range, and what changed between two points is a difference of two roots.
//
//   !receipts/ROOM    stateroom.receipt / user, receipt type, thread    { event_id, ts }
//
// The fully-read marker is account data of the room. Source: client-server API, "Receipts", "Read markers".

import type { InternalRecord } from '../core/internal.js';
import type { EventId, RoomId, UserId } from '../event/ids.js';
import { internalRoomId } from '../event/internal.js';
import type { JsonObject } from '../event/json.js';
import { type AccountParts, joinKey, numberOf, splitKey, textOf } from './parts.js';

/** The record's type. */
export const RECEIPT = 'stateroom.receipt';
const UNTHREADED = '';

export type ReceiptType = 'm.read' | 'm.read.private';

export interface Receipt {
  readonly userId: UserId;
  readonly type: ReceiptType;
  /** `main`, or the root of a thread; undefined for a receipt without a thread. */
  readonly threadId: string | undefined;
  readonly eventId: EventId;
  /** Milliseconds since 1970. */
  readonly ts: number;
}

/** The internal room that holds a room's receipts. */
export function receiptsRoom(roomId: RoomId): RoomId {
  // An internal id knows no colon and writes a slash instead: escaped, two rooms never share one.
  return internalRoomId('receipts', roomId.replaceAll('%', '%25').replaceAll(':', '%3A'));
}

const RECEIPTS_PREFIX = receiptsRoom('' as RoomId);

/** The room whose receipts an internal room holds; undefined for one that holds none. */
export function roomOfReceipts(internalId: RoomId): RoomId | undefined {
  if (!internalId.startsWith(RECEIPTS_PREFIX)) return undefined;
  const escaped = internalId.slice(RECEIPTS_PREFIX.length);
  return escaped.replaceAll('%3A', ':').replaceAll('%25', '%') as RoomId;
}

/** The receipt that a record of a receipts room holds. */
export function receiptOf(stateKey: string, content: JsonObject): Receipt {
  const [userId, rest] = splitKey(stateKey);
  const [type, threadId] = splitKey(rest);
  return {
    userId: userId as UserId,
    type: type === 'm.read.private' ? type : 'm.read',
    threadId: threadId === UNTHREADED ? undefined : threadId,
    eventId: (textOf(content, 'event_id') ?? '') as EventId,
    ts: numberOf(content, 'ts') ?? 0,
  };
}

export class Receipts {
  readonly #parts: AccountParts;

  constructor(parts: AccountParts) {
    this.#parts = parts;
  }

  get(roomId: RoomId, userId: UserId, type: ReceiptType, threadId: string | undefined): Receipt | undefined {
    const key = joinKey(userId, type, threadId ?? UNTHREADED);
    const content = this.#parts.engine.internal.get(receiptsRoom(roomId), RECEIPT, key);
    return content === undefined ? undefined : receiptOf(key, content);
  }

  /** The record that replaces the user's receipt of this type and thread. */
  record(roomId: RoomId, { userId, type, threadId, eventId, ts }: Receipt): InternalRecord {
    return {
      roomId: receiptsRoom(roomId),
      type: RECEIPT,
      stateKey: joinKey(userId, type, threadId ?? UNTHREADED),
      content: { event_id: eventId, ts },
    };
  }
}
