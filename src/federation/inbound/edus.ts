// Reads the EDUs of a transaction: what is not of the right form, or not the sender's to say, is passed over.
//
// EDUs are never answered one by one, so there is nobody to tell of a bad one. A server speaks for its own users
// only, and about rooms that its list of allowed servers and the user's membership let it speak about.

import type { Accounts } from '../../account/accounts.js';
import type { ToDeviceMessage } from '../../account/to-device.js';
import { canonicalJson } from '../../event/canonical.js';
import {
  type EventId,
  fitsBytes,
  MAX_ID_BYTES,
  parseUserId,
  type RoomId,
  serverOf,
  type ServerName,
  type UserId,
} from '../../event/ids.js';
import { isArray, isObject, JsonNumber, type JsonObject, type JsonValue, own } from '../../event/json.js';
import type { Engine } from '../../engine/engine.js';
import type {
  RemoteDeviceUpdate,
  RemotePresence,
  RemoteReceipt,
  RemoteSigningKeys,
  RemoteTyping,
} from './edu-sink.js';
import type { ServerAcls } from './server-acl.js';
import type { UnsureMembers } from './unsure-members.js';

/** Receipts, presences and messages to devices that one EDU may bring. */
const ENTRIES_MAX = 500;
const STATUS_BYTES_MAX = 1_024;
const MESSAGE_BYTES_MAX = 64 * 1024;
const MESSAGE_ID_BYTES_MAX = 128;
const KEYS_BYTES_MAX = 64 * 1024;
const PREV_IDS_MAX = 1_000;
const DEPTH_MAX = 100;
const ALL_DEVICES = '*';
const MAIN_THREAD = 'main';

/** What the EDUs of one transaction say, all checked. */
export interface CheckedEdus {
  readonly typing: readonly RemoteTyping[];
  readonly presence: readonly RemotePresence[];
  readonly receipts: readonly RemoteReceipt[];
  readonly toDevice: ReadonlyArray<{
    readonly messageId: string;
    readonly messages: readonly ToDeviceMessage[];
  }>;
  readonly deviceUpdates: readonly RemoteDeviceUpdate[];
  readonly signingKeys: readonly RemoteSigningKeys[];
  /** EDUs of which nothing was left. */
  readonly passedOver: number;
}

export interface EduContext {
  readonly origin: ServerName;
  readonly serverName: ServerName;
  readonly engine: Engine;
  readonly accounts: Accounts;
  readonly acls: ServerAcls;
  readonly unsureMembers: Pick<UnsureMembers, 'admits'>;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer Item)[] ? Item[] : T[K] };

/** Checks EDUs as they came. Never throws for what they hold. */
export function checkEdus(edus: readonly JsonValue[], context: EduContext): CheckedEdus {
  const checked: Mutable<CheckedEdus> = {
    typing: [],
    presence: [],
    receipts: [],
    toDevice: [],
    deviceUpdates: [],
    signingKeys: [],
    passedOver: 0,
  };
  for (const edu of edus) {
    const type = isObject(edu) ? own(edu, 'edu_type') : undefined;
    const content = isObject(edu) ? own(edu, 'content') : undefined;
    if (typeof type !== 'string' || !isObject(content) || !take(checked, type, content, context)) {
      checked.passedOver++;
    }
  }
  return checked;
}

/** Was there anything in it? */
function take(
  checked: Mutable<CheckedEdus>,
  type: string,
  content: JsonObject,
  context: EduContext,
): boolean {
  switch (type) {
    case 'm.typing':
      return add(checked.typing, typingOf(content, context));
    case 'm.presence':
      return add(checked.presence, presencesOf(content, context));
    case 'm.receipt':
      return add(checked.receipts, receiptsOf(content, context));
    case 'm.direct_to_device':
      return add(checked.toDevice, toDeviceOf(content, context));
    case 'm.device_list_update':
      return add(checked.deviceUpdates, deviceUpdateOf(content, context));
    case 'm.signing_key_update':
      return add(checked.signingKeys, signingKeysOf(content, context));
    default:
      return false;
  }
}

function add<T>(list: T[], items: readonly T[]): boolean {
  list.push(...items);
  return items.length > 0;
}

function typingOf(content: JsonObject, context: EduContext): RemoteTyping[] {
  const userId = userOf(content, 'user_id', context);
  const roomId = own(content, 'room_id');
  const isTyping = own(content, 'typing');
  if (userId === undefined || typeof roomId !== 'string' || typeof isTyping !== 'boolean') return [];
  if (!isInRoom(roomId as RoomId, userId, context)) return [];
  return [{ roomId: roomId as RoomId, userId, isTyping }];
}

function presencesOf(content: JsonObject, context: EduContext): RemotePresence[] {
  const push = own(content, 'push');
  if (!isArray(push)) return [];
  return push.slice(0, ENTRIES_MAX).flatMap((entry) => {
    if (!isObject(entry)) return [];
    const userId = userOf(entry, 'user_id', context);
    const state = own(entry, 'presence');
    if (userId === undefined) return [];
    if (state !== 'online' && state !== 'unavailable' && state !== 'offline') return [];
    const status = own(entry, 'status_msg');
    return [
      {
        userId,
        state,
        statusMessage: typeof status === 'string' && fitsBytes(status, STATUS_BYTES_MAX) ? status : undefined,
        lastActiveAgoMs: naturalOf(own(entry, 'last_active_ago')) ?? 0,
        isCurrentlyActive: own(entry, 'currently_active') === true,
      },
    ];
  });
}

function receiptsOf(content: JsonObject, context: EduContext): RemoteReceipt[] {
  const receipts: RemoteReceipt[] = [];
  for (const [room, byType] of Object.entries(content).slice(0, ENTRIES_MAX)) {
    const roomId = room as RoomId;
    const byUser = isObject(byType) ? own(byType, 'm.read') : undefined;
    if (!isObject(byUser) || receipts.length >= ENTRIES_MAX) continue;
    for (const [user, receipt] of Object.entries(byUser).slice(0, ENTRIES_MAX - receipts.length)) {
      const userId = ownUser(user, context);
      if (userId === undefined || !isObject(receipt) || !isInRoom(roomId, userId, context)) continue;
      const read = receiptOf(roomId, userId, receipt, context);
      if (read !== undefined) receipts.push(read);
    }
  }
  return receipts;
}

function receiptOf(
  roomId: RoomId,
  userId: UserId,
  receipt: JsonObject,
  { engine }: EduContext,
): RemoteReceipt | undefined {
  const eventIds = own(receipt, 'event_ids');
  const eventId = isArray(eventIds) ? eventIds[0] : undefined;
  const details = own(receipt, 'data');
  const ts = isObject(details) ? naturalOf(own(details, 'ts')) : undefined;
  const thread = isObject(details) ? own(details, 'thread_id') : undefined;
  if (typeof eventId !== 'string' || !eventId.startsWith('$') || !fitsBytes(eventId, MAX_ID_BYTES)) return;
  if (ts === undefined || (thread !== undefined && typeof thread !== 'string')) return;
  // Each thread is a record of its own: made-up ones would be kept for ever.
  if (thread !== undefined && thread !== MAIN_THREAD) {
    if (engine.reader.events.get(thread as EventId)?.pdu.roomId !== roomId) return;
  }
  return { roomId, userId, type: 'm.read', threadId: thread, eventId: eventId as EventId, ts };
}

function toDeviceOf(content: JsonObject, context: EduContext): [] | [CheckedEdus['toDevice'][number]] {
  const sender = userOf(content, 'sender', context);
  const type = nameOf(own(content, 'type'));
  const messageId = own(content, 'message_id');
  const byUser = own(content, 'messages');
  if (sender === undefined || type === undefined || !isObject(byUser)) return [];
  if (typeof messageId !== 'string' || !fitsBytes(messageId, MESSAGE_ID_BYTES_MAX)) return [];
  const messages: ToDeviceMessage[] = [];
  for (const [user, byDevice] of Object.entries(byUser).slice(0, ENTRIES_MAX)) {
    const userId = parseUserId(user);
    if (userId === undefined || serverOf(userId) !== context.serverName || !isObject(byDevice)) continue;
    for (const [deviceId, message] of messagesByDevice(userId, byDevice, context)) {
      if (messages.length < ENTRIES_MAX && isKeepable(message, MESSAGE_BYTES_MAX)) {
        messages.push({ userId, deviceId, type, sender, content: message });
      }
    }
  }
  return messages.length === 0 ? [] : [{ messageId, messages }];
}

/** The devices that are there, each with its own message before the one for all. */
function messagesByDevice(
  userId: UserId,
  byDevice: JsonObject,
  { accounts }: EduContext,
): (readonly [deviceId: string, message: JsonObject])[] {
  return accounts.devices.list(userId).flatMap(({ deviceId }) => {
    const message = own(byDevice, deviceId) ?? own(byDevice, ALL_DEVICES);
    return isObject(message) ? [[deviceId, message] as const] : [];
  });
}

function deviceUpdateOf(content: JsonObject, context: EduContext): RemoteDeviceUpdate[] {
  const userId = userOf(content, 'user_id', context);
  const deviceId = nameOf(own(content, 'device_id'));
  const streamId = naturalOf(own(content, 'stream_id'));
  if (userId === undefined || deviceId === undefined || streamId === undefined) return [];
  const prevIds = own(content, 'prev_id');
  const displayName = own(content, 'device_display_name');
  return [
    {
      userId,
      deviceId,
      streamId,
      prevIds: isArray(prevIds) ? prevIds.slice(0, PREV_IDS_MAX).flatMap((id) => naturalOf(id) ?? []) : [],
      isDeleted: own(content, 'deleted') === true,
      displayName:
        typeof displayName === 'string' && fitsBytes(displayName, STATUS_BYTES_MAX) ? displayName : undefined,
      keys: keysOf(content, 'keys'),
    },
  ];
}

function signingKeysOf(content: JsonObject, context: EduContext): RemoteSigningKeys[] {
  const userId = userOf(content, 'user_id', context);
  if (userId === undefined) return [];
  return [
    { userId, masterKey: keysOf(content, 'master_key'), selfSigningKey: keysOf(content, 'self_signing_key') },
  ];
}

function keysOf(content: JsonObject, key: string): JsonObject | undefined {
  const keys = own(content, key);
  return isObject(keys) && isKeepable(keys, KEYS_BYTES_MAX) ? keys : undefined;
}

/** Is the user joined to the room, as far as that is known, and the user's server allowed in it? */
function isInRoom(
  roomId: RoomId,
  userId: UserId,
  { engine, acls, origin, unsureMembers }: EduContext,
): boolean {
  const room = engine.store.room(roomId);
  if (room === undefined || !acls.allows(origin, roomId)) return false;
  const membership = engine.reader.view(roomId, room.root).membership(userId);
  return membership === undefined ? unsureMembers.admits(roomId, userId) : membership === 'join';
}

function userOf(content: JsonObject, key: string, context: EduContext): UserId | undefined {
  const user = own(content, key);
  return typeof user === 'string' ? ownUser(user, context) : undefined;
}

/** A user of the server that speaks. */
function ownUser(text: string, { origin }: EduContext): UserId | undefined {
  const userId = parseUserId(text);
  return userId !== undefined && serverOf(userId) === origin ? userId : undefined;
}

function nameOf(value: JsonValue | undefined): string | undefined {
  if (typeof value !== 'string' || value === '' || value.includes('\0')) return undefined;
  return fitsBytes(value, MAX_ID_BYTES) ? value : undefined;
}

function naturalOf(value: JsonValue | undefined): number | undefined {
  const number = value instanceof JsonNumber ? value.value : value;
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : undefined;
}

/** Small enough, and not nested so deeply that reading it again would fail. */
function isKeepable(value: JsonObject, bytesMax: number): boolean {
  if (isDeeper(value, DEPTH_MAX)) return false;
  return Buffer.byteLength(canonicalJson(value, { strictCanonicalJson: false })) <= bytesMax;
}

function isDeeper(value: JsonValue, depth: number): boolean {
  if (depth === 0) return true;
  if (isArray(value)) return value.some((item) => isDeeper(item, depth - 1));
  return isObject(value) && Object.values(value).some((item) => isDeeper(item, depth - 1));
}
