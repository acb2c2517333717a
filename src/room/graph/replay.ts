// The state after every event of a graph held in memory, from nothing but the graph.
//
// What the core does as events arrive, without arrival: there is no current state, so nothing soft fails.

import type { EventId } from '../../event/ids.js';
import type { Pdu } from '../../event/pdu.js';
import type { RoomVersionRules } from '../../event/rules.js';
import { compareCodePoints } from '../../lib/bytes.js';
import { EMPTY_ROOT } from '../../tree/tree.js';
import type { RootRef } from '../../tree/types.js';
import { type Check, checkByAuthEvents, checkByState } from '../checks.js';
import { resolve } from '../resolution/resolve.js';
import type { RoomStates } from '../state/room-states.js';
import type { EventSet } from './event-set.js';

/** An event that the rules do not allow where it stands. */
export interface Refused {
  readonly eventId: EventId;
  readonly check: Check;
}

/** States by event, and the events that did not pass. */
export interface Replayed {
  readonly after: ReadonlyMap<EventId, RootRef>;
  readonly refused: readonly Refused[];
}

/**
 * Replays a graph whose references are all known.
 *
 * @param rules those of the room, or with another algorithm of resolution
 * @param onRefused `reject`: an event that the rules refuse changes nothing; `take`: it counts all the same
 * @throws ROOM_RESOLUTION_TOO_LARGE
 */
export function replayEvents(
  set: EventSet,
  states: RoomStates,
  rules: RoomVersionRules,
  onRefused: 'reject' | 'take',
): Replayed {
  const after = new Map<EventId, RootRef>();
  const refused: Refused[] = [];
  const merged = new Map<string, RootRef>();

  const before = (event: Pdu): RootRef => {
    const roots = new Map<string, RootRef>();
    for (const id of event.prevEvents) {
      const root = after.get(id);
      if (root !== undefined) roots.set(states.hash(root), root);
    }
    const [only, ...others] = roots.values();
    if (only === undefined) return EMPTY_ROOT;
    if (others.length === 0) return only;
    const name = [...roots.keys()].sort(compareCodePoints).join();
    const root = merged.get(name) ?? resolve(rules, [...roots.values()], states, set).root;
    merged.set(name, root);
    return root;
  };

  for (const event of set.events) {
    const root = before(event);
    const check = firstRefusal(event, set, states, root);
    if (check !== undefined) refused.push({ eventId: event.eventId, check });
    if (check !== undefined && onRefused === 'reject') set.reject(event.eventId);
    after.set(event.eventId, set.isRejected(event.eventId) ? root : states.put(root, event));
  }
  return { after, refused };
}

function firstRefusal(event: Pdu, set: EventSet, states: RoomStates, before: RootRef): Check | undefined {
  const cited = event.authEvents.flatMap((id) => set.event(id) ?? []);
  const refused = checkByAuthEvents(event, cited, set).find(({ verdict }) => !verdict.allowed);
  if (refused !== undefined) return refused;
  const check = checkByState('auth_by_state_before', event, states, before, set);
  return check.verdict.allowed ? undefined : check;
}
