// The member event of an event's sender, as the event itself cites it.
//
// Every event but a create event names its sender's membership among its auth events. While the state of a room is
// known in part only, that is how the members are known whom the state lacks.
//
// Source: server-server API, "Auth events selection"; MSC3902, "Lazy-loading".

import type { Engine } from '../engine/engine.js';
import { MEMBER_TYPE } from '../room/state/key.js';
import type { KnownEvent } from '../room/graph/known-events.js';

/** Undefined where it cites none that is known and counts. A point read for each of its auth events. */
export function citedMember({ reader }: Engine, { pdu }: KnownEvent): KnownEvent | undefined {
  for (const id of pdu.authEvents) {
    const cited = reader.events.get(id);
    const isMember = cited?.pdu.type === MEMBER_TYPE && cited.pdu.stateKey === pdu.sender;
    if (isMember && cited.verdict !== 'rejected' && cited.pdu.roomId === pdu.roomId) return cited;
  }
  return undefined;
}
