// What waits to be sent to a destination.

import type { Receipt } from '../../account/receipts.js';
import type { EventId, RoomId, ServerName, UserId } from '../../event/ids.js';
import type { JsonObject } from '../../event/json.js';

/** An event: of ours, or one that we pass on for others. */
export interface EventItem {
  readonly kind: 'event';
  /** Place in the commit order: of the event, or of the wish to pass it on. */
  readonly seq: number;
  readonly eventId: EventId;
  readonly roomId: RoomId;
  /** Servers that are not in the room any more once it is there. */
  readonly leaving: ReadonlySet<ServerName>;
}

/** A user of ours changed a device, or their cross-signing keys. */
export interface DeviceItem {
  readonly kind: 'device';
  readonly seq: number;
  readonly userId: UserId;
}

export type QueuedItem = EventItem | DeviceItem;

/** A user of ours has read so far. */
export interface ReceiptItem {
  readonly seq: number;
  readonly roomId: RoomId;
  readonly receipt: Receipt;
}

export interface TypingItem {
  readonly roomId: RoomId;
  readonly userId: UserId;
  readonly isTyping: boolean;
}

/** One user's presence, as `m.presence` has it. */
export interface PresenceItem {
  readonly userId: UserId;
  readonly presence: JsonObject;
}
