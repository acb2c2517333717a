// State resolution v2 (room versions 2 to 11) and v2.1 (12), in the five steps of the specification.
//
// Source: rooms/v2 and rooms/v12, "State resolution", "Algorithm". v2.1 begins with an empty state instead of
// the unconflicted one, and tries the conflicted subgraph too.

import type { EventId } from '../../event/ids.js';
import { compareCodePoints } from '../../lib/bytes.js';
import { authDifference } from './auth-difference.js';
import type { Outcome, ResolutionContext, Winner } from './context.js';
import { PartialState, iterativeAuthChecks } from './iterative-auth.js';
import { compareKeys } from './keys.js';
import { Mainline, mainlineOrder } from './mainline-order.js';
import { powerOrder } from './power-order.js';
import { conflictedSubgraph } from './subgraph.js';

/** Resolves the conflict. @throws ROOM_RESOLUTION_EVENT_UNKNOWN, ROOM_RESOLUTION_TOO_LARGE */
export function resolveV2<Root>(context: ResolutionContext<Root>): Outcome {
  const { rules, conflicts, unconflicted, events } = context;
  const startsEmpty = rules.stateResolution === 'v2.1';
  const fullConflictedSet = findFullConflictedSet(context, startsEmpty);

  const power = powerOrder(fullConflictedSet, events);
  const state = new PartialState((type, key) => (startsEmpty ? undefined : unconflicted.get(type, key)));
  const powerSteps = iterativeAuthChecks('power', power, state, events);

  const rest = new Set(fullConflictedSet);
  for (const { event } of power) rest.delete(event.eventId);
  const mainline = new Mainline(events, state.get('m.room.power_levels', ''));
  const ordered = mainlineOrder(rest, mainline, events);
  const mainlineSteps = iterativeAuthChecks('mainline', ordered, state, events);

  return {
    winners: findWinners(context, state),
    pulledIn: [...fullConflictedSet].filter((id) => !conflicts.values.has(id)).sort(compareCodePoints),
    steps: [...powerSteps, ...mainlineSteps],
    mainline: mainline.read,
  };
}

function findFullConflictedSet<Root>(context: ResolutionContext<Root>, withSubgraph: boolean): Set<EventId> {
  const full = new Set(context.conflicts.values.keys());
  for (const id of full) context.events.get(id);
  for (const id of authDifference(context)) full.add(id);
  if (withSubgraph) for (const id of conflictedSubgraph(context)) full.add(id);
  return full;
}

/** Step 5: what the states agree on stands, whatever was applied over it. A key that none had may come in. */
function findWinners<Root>(
  { conflicts, unconflicted }: ResolutionContext<Root>,
  state: PartialState,
): Winner[] {
  const winners: Winner[] = [];
  for (const [key, { type, stateKey }] of conflicts.keys) {
    winners.push({ type, stateKey, eventId: state.applied.get(key)?.eventId });
  }
  for (const [key, { type, stateKey, eventId }] of state.applied) {
    const isNew = !conflicts.keys.has(key) && unconflicted.get(type, stateKey) === undefined;
    if (isNew) winners.push({ type, stateKey, eventId });
  }
  return winners.sort(compareKeys);
}
