// A user comes into a room: here, where this server is in it, or by way of a server that is.
//
// Source: client-server API, "Joining rooms".

import type { RoomId } from '../event/ids.js';
import type { JsonObject } from '../event/json.js';
import type { Federation } from '../federation/federation.js';
import { MatrixError } from './errors.js';
import type { Homeserver } from './homeserver.js';
import { changeMembership, NobodyLetsInError } from './membership-change.js';
import { asked, type NamedRoom, reachedBy } from './remote-rooms.js';
import type { Requester } from './route.js';

/**
 * Joins a user of ours to a room.
 * @param extra what the event says beside the membership: a reason
 * @throws MatrixError
 */
export async function joinRoom(
  home: Homeserver,
  requester: Requester,
  room: NamedRoom,
  extra: JsonObject,
): Promise<{ readonly room_id: RoomId }> {
  const { roomId } = room;
  const federation = await reachedBy(home, roomId);
  if (federation !== undefined) {
    await enterBy(federation, home, requester, room, extra);
  } else if (home.engine.currentState(roomId).membership(requester.userId) !== 'join') {
    await joinHere(home, requester, room, extra);
  }
  return { room_id: roomId };
}

/** Joins by another server; whoever was waited for may have brought the room meanwhile. */
async function enterBy(
  federation: Federation,
  home: Homeserver,
  requester: Requester,
  room: NamedRoom,
  extra: JsonObject,
): Promise<void> {
  const { userId } = requester;
  const content = { ...home.accounts.profiles.memberFields(userId), ...extra };
  const isIn = await asked(() => federation.membership.join({ ...room, userId, content }));
  if (!isIn) await joinHere(home, requester, room, extra);
}

/**
 * Joins a room that this server is in; by another server where only that can let the user in, or can tell whether the
 * user may come in: of a room whose state is not all known, an invitation may not be known either.
 */
async function joinHere(
  home: Homeserver,
  requester: Requester,
  { roomId, via }: NamedRoom,
  extra: JsonObject,
): Promise<void> {
  const { userId } = requester;
  try {
    await changeMembership(home, requester, roomId, { target: userId, membership: 'join', extra });
    // Where the room said nothing of the user before, what they were told outside of it was kept.
    await home.accounts.outside.remove(userId, roomId);
  } catch (error) {
    const { federation, engine } = home;
    if (federation === undefined || !mayOthersKnow(error, engine.partial.isPartial(roomId))) throw error;
    const others = federation.roomServers.serversOf(roomId);
    const content = { ...home.accounts.profiles.memberFields(userId), ...extra };
    await asked(() => federation.membership.join({ roomId, via: [...via, ...others], userId, content }));
  }
}

/** Is it a refusal that another server may not share? */
function mayOthersKnow(error: unknown, isPartial: boolean): boolean {
  if (error instanceof NobodyLetsInError) return true;
  return isPartial && error instanceof MatrixError && error.status === 403;
}
