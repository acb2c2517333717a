// A state event as its entry in the tree, without all that the tree does not ask for: states given whole are large.

import type { EventId } from '../event/ids.js';
import { own } from '../event/json.js';
import type { Pdu } from '../event/pdu.js';
import type { StateFacts } from '../room/graph/known-events.js';
import { MEMBER_TYPE } from '../room/state/key.js';
import type { StateEvent, StateUpdate } from '../room/state/room-states.js';

export interface GivenEntry extends StateUpdate {
  readonly event: StateEvent;
}

/** The entry of an event of which so much is known; undefined for one that is no state. */
export function givenEntryOfFacts(
  eventId: EventId,
  { type, stateKey, membership }: StateFacts,
): GivenEntry | undefined {
  if (stateKey === undefined) return undefined;
  const content = membership === undefined ? {} : { membership };
  return { type, stateKey, event: { type, eventId, content } };
}

/** The entry of an event; undefined for one that is no state. */
export function givenEntryOf({ type, stateKey, eventId, content }: Pdu): GivenEntry | undefined {
  if (stateKey === undefined) return undefined;
  const membership = type === MEMBER_TYPE ? own(content, 'membership') : undefined;
  const said = typeof membership === 'string' ? { membership } : {};
  return { type, stateKey, event: { type, eventId, content: said } };
}
