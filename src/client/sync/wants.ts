// Which events a timeline holds: what the client's filter lets through, and nothing that somebody ignored says.
//
// The two are asked one after the other, so that neither takes the other's place. State is told whoever set it.
//
// Source: client-server API, "Filtering"; "Ignoring Users".

import type { RoomId } from '../../event/ids.js';
import type { KnownEvent } from '../../room/graph/known-events.js';
import type { SyncContext } from './context.js';

export function wantsEvent({ filter, ignored }: SyncContext, roomId: RoomId): (event: KnownEvent) => boolean {
  if (!filter.timeline.allowsRoom(roomId)) return () => false;
  return ({ pdu }) => {
    if (pdu.stateKey === undefined && ignored.has(pdu.sender)) return false;
    return filter.timeline.allows(pdu);
  };
}
