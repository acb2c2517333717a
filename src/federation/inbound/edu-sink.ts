// What becomes of EDUs of other servers, once they are checked: whoever is concerned is told by these callbacks.
//
// Source: server-server API, "EDUs", "Typing Notifications", "Presence", "Receipts", "Device Management",
// "End-to-End Encryption", "Send-to-device messaging".

import type { ReceiptType } from '../../account/receipts.js';
import type { ToDeviceMessage } from '../../account/to-device.js';
import type { EventId, RoomId, UserId } from '../../event/ids.js';
import type { JsonObject } from '../../event/json.js';

/** A member of the room types in it, or no longer. */
export interface RemoteTyping {
  readonly roomId: RoomId;
  readonly userId: UserId;
  readonly isTyping: boolean;
}

/** A member of the room has read so far. */
export interface RemoteReceipt {
  readonly roomId: RoomId;
  readonly userId: UserId;
  readonly type: Extract<ReceiptType, 'm.read'>;
  readonly threadId: string | undefined;
  readonly eventId: EventId;
  /** Milliseconds since 1970, as claimed. */
  readonly ts: number;
}

export interface RemotePresence {
  readonly userId: UserId;
  readonly state: 'online' | 'unavailable' | 'offline';
  readonly statusMessage: string | undefined;
  /** Milliseconds. */
  readonly lastActiveAgoMs: number;
  readonly isCurrentlyActive: boolean;
}

/** A device of a user of another server is new, changed or gone. */
export interface RemoteDeviceUpdate {
  readonly userId: UserId;
  readonly deviceId: string;
  readonly streamId: number;
  /** Updates that came before it: one not seen means that the list must be asked for. */
  readonly prevIds: readonly number[];
  readonly isDeleted: boolean;
  readonly displayName: string | undefined;
  /** As it came, of bounded size; who keeps it checks it. */
  readonly keys: JsonObject | undefined;
}

/** Cross-signing keys of a user of another server: as they came, of bounded size. */
export interface RemoteSigningKeys {
  readonly userId: UserId;
  readonly masterKey: JsonObject | undefined;
  readonly selfSigningKey: JsonObject | undefined;
}

/**
 * Those that return promises are durable when these resolve: the sender is answered only then, and sends all of
 * it again when they reject. `toDevice` hands its records to the writer before it returns, so that they land in
 * one commit group with the note that they came.
 */
export interface EduSink {
  typing(typing: RemoteTyping): void;
  presence(presence: RemotePresence): void;
  receipts(receipts: readonly RemoteReceipt[]): Promise<void>;
  toDevice(messages: readonly ToDeviceMessage[]): Promise<void>;
  deviceUpdate(update: RemoteDeviceUpdate): Promise<void>;
  signingKeys(keys: RemoteSigningKeys): Promise<void>;
}
