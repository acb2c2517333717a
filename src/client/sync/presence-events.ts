// Presence in an answer: that of the user, and of those who share a room with them.
//
// Source: client-server API, "Presence".

import type { RoomId, UserId } from '../../event/ids.js';
import type { JsonObject } from '../../event/json.js';
import type { Presence } from '../ephemeral.js';
import { isJoined, presenceJson } from '../presence.js';
import type { SyncContext } from './context.js';

/** @param joined the rooms that the user is joined to */
export function presenceEvents(context: SyncContext, joined: readonly RoomId[]): JsonObject[] {
  const { home, requester, filter, positionSince, ignored, since } = context;
  const events: JsonObject[] = [];
  if (!filter.presence.allowsType('m.presence')) return events;
  for (const [userId, presence] of home.ephemeral.presentSince(positionSince)) {
    // Who was never seen by this client and is not there is no news.
    if (since === undefined && presence.state === 'offline') continue;
    if (ignored.has(userId) || !filter.presence.allowsSender(userId)) continue;
    if (userId === requester.userId || sharesRoom(context, joined, userId)) {
      events.push(presenceEvent(home.now(), userId, presence));
    }
  }
  return events;
}

function sharesRoom({ home }: SyncContext, joined: readonly RoomId[], userId: UserId): boolean {
  return joined.some((roomId) => isJoined(home, roomId, userId));
}

function presenceEvent(now: number, userId: UserId, presence: Presence): JsonObject {
  return { type: 'm.presence', sender: userId, content: presenceJson(now, presence) };
}
