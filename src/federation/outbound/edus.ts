// EDUs as they go over the wire.
//
// Source: server-server API, "Typing Notifications", "Presence", "Receipts", "Device Management",
// "End-to-End Encryption", "Send-to-device messaging".

import type { Accounts } from '../../account/accounts.js';
import type { RoomId, UserId } from '../../event/ids.js';
import type { JsonObject } from '../../event/json.js';
import type { PresenceItem, ReceiptItem, TypingItem } from './items.js';

function edu(type: string, content: JsonObject): JsonObject {
  return { edu_type: type, content };
}

export function typingEdu({ roomId, userId, isTyping }: TypingItem): JsonObject {
  return edu('m.typing', { room_id: roomId, user_id: userId, typing: isTyping });
}

export function presenceEdu(items: readonly PresenceItem[]): JsonObject {
  return edu('m.presence', { push: items.map(({ userId, presence }) => ({ user_id: userId, ...presence })) });
}

/**
 * Receipts in as few EDUs as there can be: one has place for one receipt of each user in a room, and a user may
 * have several, of several threads.
 */
export function receiptEdus(items: Iterable<ReceiptItem>): JsonObject[] {
  const layers: Map<RoomId, Map<UserId, JsonObject>>[] = [];
  for (const { roomId, receipt } of items) {
    const { userId, eventId, ts, threadId } = receipt;
    const thread = threadId === undefined ? {} : { thread_id: threadId };
    let layer = layers.find((rooms) => rooms.get(roomId)?.has(userId) !== true);
    if (layer === undefined) layers.push((layer = new Map<RoomId, Map<UserId, JsonObject>>()));
    const users = layer.get(roomId) ?? new Map<UserId, JsonObject>();
    layer.set(roomId, users.set(userId, { event_ids: [eventId], data: { ts, ...thread } }));
  }
  return layers.map((rooms) =>
    edu(
      'm.receipt',
      Object.fromEntries(
        [...rooms].map(([roomId, users]): [string, JsonObject] => [
          roomId,
          { 'm.read': Object.fromEntries(users) },
        ]),
      ),
    ),
  );
}

/**
 * What a change of a user's devices is told as, with the keys as they are now.
 * @param seq of the change
 */
export function deviceEdus(accounts: Accounts, userId: UserId, seq: number): JsonObject[] {
  const change = accounts.deviceLists.changeAt(seq);
  if (change === undefined) return [];
  if (change.deviceId === undefined) return signingKeyEdus(accounts, userId);
  const { deviceId, previous } = change;
  const device = accounts.devices.get(userId, deviceId);
  const keys = accounts.deviceKeys.shown(userId, deviceId, undefined);
  const name = device?.displayName;
  return [
    edu('m.device_list_update', {
      user_id: userId,
      device_id: deviceId,
      stream_id: seq,
      prev_id: previous === undefined ? [] : [previous],
      ...(device === undefined ? { deleted: true } : {}),
      ...(name === undefined ? {} : { device_display_name: name }),
      ...(device === undefined || keys === undefined ? {} : { keys }),
    }),
  ];
}

/**
 * The newest change of a user's devices, and their cross-signing keys. Where changes before it were missed its
 * `prev_id` tells, and the list is asked for.
 */
export function newestDeviceEdus(accounts: Accounts, userId: UserId): JsonObject[] {
  const newest = accounts.deviceLists.streamId(userId);
  return [...(newest > 0 ? deviceEdus(accounts, userId, newest) : []), ...signingKeyEdus(accounts, userId)];
}

/** None for a user without cross-signing keys. */
function signingKeyEdus({ crossSigning }: Accounts, userId: UserId): JsonObject[] {
  const master = crossSigning.shown(userId, 'master', undefined);
  const selfSigning = crossSigning.shown(userId, 'self_signing', undefined);
  if (master === undefined) return [];
  return [
    edu('m.signing_key_update', {
      user_id: userId,
      master_key: master,
      ...(selfSigning === undefined ? {} : { self_signing_key: selfSigning }),
    }),
  ];
}
