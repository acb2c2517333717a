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
  /** The state there was not all known when it was handed out. */
  readonly isPartial: boolean;
}

/** A user of ours changed a device, or their cross-signing keys. */
export interface DeviceItem {
  readonly kind: 'device';
  /** Place in the commit order: of the change, or of what makes it known to more servers. */
  readonly seq: number;
  readonly userId: UserId;
  /** Not the change at that place is told, but all as it is: the newest change of a device, and signing keys. */
  readonly isNewest: boolean;
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
