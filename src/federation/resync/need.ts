// Whether anybody is in need of the whole state of a room: somebody of ours who is in it, or may be for all that is
// known of it.
//
// What the current state says of our users is not all: a merge on an incomplete state may take a join back that the
// whole state allows. So the events count as well that are about them.

import type { Accounts } from '../../account/accounts.js';
import type { PartialState } from '../../core/partial-states.js';
import { type RoomId, serverOf } from '../../event/ids.js';
import type { Pdu } from '../../event/pdu.js';
import type { FederationParts } from '../parts.js';
import { isBackfilled } from '../../room/graph/known-events.js';
import { MEMBER_TYPE } from '../../room/state/key.js';

interface NeedParts extends Pick<FederationParts, 'engine' | 'serverName'> {
  readonly accounts: Pick<Accounts, 'memberships'>;
}

/**
 * How this server stands to a room whose state is not all known:
 *
 *   in           somebody of ours is joined
 *   lost         nobody is, and nobody ended that: a merge took a join back
 *   thrown out   somebody of another server ended it, and on an incomplete state may have had no right to
 *   out          all of ours left by themselves
 */
export type Standing = 'in' | 'lost' | 'thrown out' | 'out';

/** Is there nobody for whom the state has to be whole, or was the room joined anew, from another one? */
export async function isMoot(parts: NeedParts, base: PartialState): Promise<boolean> {
  const { roomId, eventId, kind } = base;
  if (kind === 'join' && parts.engine.partial.joinOf(roomId)?.eventId !== eventId) return true;
  return (await standingIn(parts, base)) === 'out';
}

/** Costs the memberships that our users ever had there. */
export async function standingIn(parts: NeedParts, { roomId, eventId }: PartialState): Promise<Standing> {
  const { accounts, engine, serverName } = parts;
  await accounts.memberships.caughtUp();
  if (accounts.memberships.isServerIn(roomId)) return 'in';
  const users = new Set<string>(accounts.memberships.ofRoom(roomId).keys());
  const joined = engine.graph.event(eventId)?.pdu.sender;
  if (joined !== undefined && serverOf(joined) === serverName) users.add(joined);
  let standing: Standing = 'out';
  for (const userId of users) {
    const last = await lastMembership(parts, roomId, userId);
    const membership = last?.content['membership'];
    if (membership === 'join') return 'lost';
    if (last === undefined || serverOf(last.sender) === serverName) continue;
    if (membership === 'leave' || membership === 'ban') standing = 'thrown out';
  }
  return standing;
}

/** The newest event about a user's membership that was accepted, whatever came of it in the state. */
async function lastMembership(
  { engine: { store, graph } }: NeedParts,
  roomId: RoomId,
  userId: string,
): Promise<Pdu | undefined> {
  const room = store.room(roomId);
  if (room === undefined) return undefined;
  let last: Pdu | undefined;
  for await (const seq of store.versions(room.number, MEMBER_TYPE, userId)) {
    const id = store.event(seq)?.eventId;
    const event = id === undefined ? undefined : graph.event(id);
    if (event?.verdict !== 'accepted' || event.isOutlier || isBackfilled(event)) continue;
    last = event.pdu;
  }
  return last;
}
