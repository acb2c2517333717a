// Whether anybody is in need of the whole state of a room: somebody of ours who is in it, or may be for all that is
// known of it.

import type { Accounts } from '../../account/accounts.js';
import type { PartialState } from '../../core/partial-states.js';
import { type RoomId, serverOf } from '../../event/ids.js';
import type { FederationParts } from '../parts.js';

interface NeedParts extends Pick<FederationParts, 'engine' | 'serverName'> {
  readonly accounts: Pick<Accounts, 'memberships'>;
}

/** Is there nobody for whom the state has to be whole, or was the room joined anew, from another one? */
export async function isMoot(parts: NeedParts, { roomId, eventId, kind }: PartialState): Promise<boolean> {
  const { engine, accounts } = parts;
  if (kind === 'join' && engine.partial.joinOf(roomId)?.eventId !== eventId) return true;
  await accounts.memberships.caughtUp();
  return !accounts.memberships.isServerIn(roomId) && !wereThrownOut(parts, roomId);
}

/**
 * Did somebody of another server end a membership of ours? On an incomplete state they may have had no right to: it
 * has to be whole for that to come out.
 */
export function wereThrownOut({ accounts, engine, serverName }: NeedParts, roomId: RoomId): boolean {
  for (const { membership, eventId } of accounts.memberships.ofRoom(roomId).values()) {
    if (membership !== 'leave' && membership !== 'ban') continue;
    const sender = engine.graph.event(eventId)?.pdu.sender;
    if (sender !== undefined && serverOf(sender) !== serverName) return true;
  }
  return false;
}
