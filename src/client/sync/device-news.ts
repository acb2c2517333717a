// What an answer tells a device of devices: messages to it, whose keys changed, and how many of its own are left.
//
// Messages come in order, some at a time. They are taken away only when the client comes back with the token that
// came with them: an answer that got lost is then repeated.
//
// Source: client-server API, "Send-to-Device messaging", "End-to-end encryption", "Extensions to /sync".

import { DEVICE_LISTS_ROOM } from '../../account/device-lists.js';
import { PARTIAL_ROOM } from '../../core/partial-states.js';
import type { JsonObject } from '../../event/json.js';
import type { StateView } from '../../reader/state-view.js';
import { MEMBER_TYPE } from '../../room/state/key.js';
import type { Homeserver } from '../homeserver.js';
import type { Requester } from '../route.js';
import type { SyncContext } from './context.js';
import type { SyncToken } from './token.js';

/** Messages in one answer. */
const BATCH = 100;

export interface DeviceNews {
  readonly body: JsonObject;
  readonly isEmpty: boolean;
  /** Messages to the device are told up to this seq. */
  readonly toDeviceSeq: number;
}

/** Takes away the messages that the client has got, as its token says. */
export async function acknowledge(
  home: Homeserver,
  { userId, deviceId }: Requester,
  since: SyncToken,
): Promise<void> {
  await home.accounts.toDevice.acknowledge(userId, deviceId, since.toDeviceSeq);
}

/** @param hasMovedMembers somebody may have come into a room of the user's since the token, or gone */
export async function deviceNews(context: SyncContext, hasMovedMembers: boolean): Promise<DeviceNews> {
  const { home, requester, since, to } = context;
  const { userId, deviceId } = requester;
  const { toDevice, oneTimeKeys } = home.accounts;
  const waiting = toDevice.after(userId, deviceId, since?.toDeviceSeq ?? 0, BATCH + 1, to.seq);
  const batch = waiting.slice(0, BATCH);
  const lists = await deviceLists(context, hasMovedMembers);
  return {
    body: {
      ...(batch.length === 0
        ? {}
        : { to_device: { events: batch.map(({ type, sender, content }) => ({ type, sender, content })) } }),
      ...(lists === undefined ? {} : { device_lists: lists }),
      device_one_time_keys_count: oneTimeKeys.counts(userId, deviceId),
      device_unused_fallback_key_types: oneTimeKeys.unusedFallbackTypes(userId, deviceId),
    },
    isEmpty: batch.length === 0 && lists === undefined,
    toDeviceSeq: waiting.length > BATCH ? (batch.at(-1)?.seq ?? to.seq) : to.seq,
  };
}

/** Undefined where nothing changed, and in an initial sync: who begins asks for everybody's keys anyhow. */
async function deviceLists(context: SyncContext, hasMovedMembers: boolean): Promise<JsonObject | undefined> {
  const { home, requester, since, to } = context;
  if (since === undefined) return undefined;
  const hasNewKeys = home.notifier.moments.newestSeq(DEVICE_LISTS_ROOM) > since.seq;
  if (!hasNewKeys && !hasMovedMembers && !(await hasCompletedRoom(context, since.seq))) return undefined;
  const { changed, left } = await home.accounts.deviceLists.changedSince(requester.userId, since.seq, to.seq);
  return changed.length === 0 && left.length === 0 ? undefined : { changed, left };
}

/** Is there a room of the user's of which not all members were known at a seq, and now are? */
async function hasCompletedRoom({ home, requester }: SyncContext, seq: number): Promise<boolean> {
  if (home.notifier.moments.newestSeq(PARTIAL_ROOM) <= seq) return false;
  const { partial } = home.engine;
  const roomIds = (await home.accounts.memberships.ofUser(requester.userId)).keys();
  for (const roomId of roomIds) if (partial.completedAfter(roomId, seq) !== undefined) return true;
  return false;
}

/** May what differs between two states of a room bear on whose devices a user follows? */
export function bearsOnDevices(base: StateView, end: StateView): boolean {
  for (const { type, stateKey } of base.diff(end)) {
    if (type === MEMBER_TYPE) {
      if ((base.membership(stateKey) === 'join') !== (end.membership(stateKey) === 'join')) return true;
    } else if (type === 'm.room.encryption') return true;
  }
  return false;
}
