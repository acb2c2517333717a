// State resolution: several states of a room become one, the same on every server.
//
// The states are never read whole. What they disagree on comes from diffs, the auth chains are walked as far
// as the disagreement reaches, and the result is the first state with the disagreed keys set or removed.
//
// Source: rooms/v1, rooms/v2, rooms/v12, "State resolution".

import type { RoomVersionRules } from '../../event/rules.js';
import { UnconflictedState, findConflicts } from './conflicts.js';
import type { Outcome, ResolutionContext, ResolutionLimits, Winner } from './context.js';
import type { EventGraph, Resolution, ResolutionTrace, States, TraceKey } from './contract.js';
import { EventReader } from './event-reader.js';
import { keyOf } from './keys.js';
import { resolveV1 } from './v1.js';
import { resolveV2 } from './v2.js';

const EVENTS_MAX = 1_000_000;
const CITERS_MAX = 4_096;

const NOTHING: Outcome = { winners: [], pulledIn: [], steps: [], mainline: [] };

/**
 * The resolution of a set of states. The order and number of equal `roots` do not matter, neither to the
 * result nor to the trace; one state is its own resolution; none resolve to the empty state.
 *
 * Cost: a diff for each state but the first, the events in conflict and what they rest on, one update.
 *
 * @throws ROOM_RESOLUTION_EVENT_UNKNOWN when a conflicting state names an event that `graph` does not know
 * @throws ROOM_RESOLUTION_TOO_LARGE when more events would be read than `limits` allow
 */
export function resolve<Root>(
  rules: RoomVersionRules,
  roots: readonly Root[],
  states: States<Root>,
  graph: EventGraph,
  limits: ResolutionLimits = {},
): Resolution<Root> {
  const conflicts = findConflicts(states, roots);
  const context: ResolutionContext<Root> = {
    rules,
    conflicts,
    unconflicted: new UnconflictedState(states, conflicts),
    events: new EventReader(graph, limits.eventsMax ?? EVENTS_MAX),
    citersMax: limits.citersMax ?? CITERS_MAX,
  };
  const outcome = run(context);
  const root = applyWinners(context, states, outcome.winners);
  return { root, trace: traceOf(context, outcome, states.hash(root)), eventsRead: context.events.eventsRead };
}

function run<Root>(context: ResolutionContext<Root>): Outcome {
  if (context.conflicts.keys.size === 0) return NOTHING;
  return context.rules.stateResolution === 'v1' ? resolveV1(context) : resolveV2(context);
}

function applyWinners<Root>(
  { conflicts, events }: ResolutionContext<Root>,
  states: States<Root>,
  winners: readonly Winner[],
): Root {
  const [first] = conflicts.roots;
  const changes = [];
  for (const { type, stateKey, eventId } of winners) {
    if (conflicts.keys.get(keyOf(type, stateKey))?.candidates[0] === eventId) continue;
    changes.push({ type, stateKey, event: eventId === undefined ? undefined : events.get(eventId) });
  }
  return changes.length === 0 ? first : states.update(first, changes);
}

function traceOf<Root>(
  { rules, conflicts }: ResolutionContext<Root>,
  { winners, pulledIn, steps, mainline }: Outcome,
  output: string,
): ResolutionTrace {
  const keys = winners.map(({ type, stateKey, eventId }): TraceKey => {
    const candidates =
      conflicts.keys.get(keyOf(type, stateKey))?.candidates ?? conflicts.roots.map(() => undefined);
    return { type, stateKey, candidates: candidates.map((id) => id ?? null), winner: eventId ?? null };
  });
  return {
    algorithm: rules.stateResolution,
    roomVersion: rules.version,
    inputs: conflicts.hashes,
    output,
    keys,
    pulledIn,
    steps,
    mainline,
  };
}
