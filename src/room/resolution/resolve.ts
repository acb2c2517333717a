// State resolution: several states of a room become one, the same on every server.
//
// The states are never read whole. What they disagree on comes from one walk over their trees, the auth chains
// are walked as far as the disagreement reaches, and the result is made from the first state, or from one that
// is nearer, by setting and removing keys. From which it is made cannot be told by the result.
//
// Source: rooms/v1, rooms/v2, rooms/v12, "State resolution".

import type { RoomVersionRules } from '../../event/rules.js';
import { UnconflictedState, candidatesOf, findConflicts } from './conflicts.js';
import type { Outcome, ResolutionContext, ResolutionLimits, Winner } from './context.js';
import type { EventGraph, Resolution, ResolutionTrace, States, TraceKey } from './contract.js';
import { EventReader } from './event-reader.js';
import { keyOf } from './keys.js';
import { resolveV1 } from './v1.js';
import { resolveV2 } from './v2.js';

const EVENTS_MAX = 1_000_000;
const CITERS_MAX = 4_096;

const NOTHING: Outcome = { winners: [], pulledIn: [], steps: [], mainline: [] };

export interface ResolutionOptions<Root> extends ResolutionLimits {
  /**
   * A state of the room that the result is likely near, such as the one that stood before a branch grew. It bears
   * on the cost alone: fewer new nodes are made when the result is made from it.
   */
  readonly near?: Root;
}

/**
 * The resolution of a set of states. The order and number of equal `roots` do not matter, neither to the
 * result nor to the trace; one state is its own resolution; none resolve to the empty state.
 *
 * Cost: what the states differ in, the events in conflict and what they rest on, one update.
 *
 * @throws ROOM_RESOLUTION_EVENT_UNKNOWN when a conflicting state names an event that `graph` does not know
 * @throws ROOM_RESOLUTION_TOO_LARGE when more events would be read than `options` allow
 */
export function resolve<Root>(
  rules: RoomVersionRules,
  roots: readonly Root[],
  states: States<Root>,
  graph: EventGraph,
  options: ResolutionOptions<Root> = {},
): Resolution<Root> {
  const conflicts = findConflicts(states, roots);
  const context: ResolutionContext<Root> = {
    rules,
    conflicts,
    unconflicted: new UnconflictedState(states, conflicts),
    events: new EventReader(graph, options.eventsMax ?? EVENTS_MAX),
    citersMax: options.citersMax ?? CITERS_MAX,
  };
  const outcome = run(context);
  const root = applyWinners(context, states, outcome.winners, options.near);
  return { root, trace: traceOf(context, outcome, states.hash(root)), eventsRead: context.events.eventsRead };
}

function run<Root>(context: ResolutionContext<Root>): Outcome {
  if (context.conflicts.keys.size === 0) return NOTHING;
  return context.rules.stateResolution === 'v1' ? resolveV1(context) : resolveV2(context);
}

/** The result, made from the first state or from the near one: from that which takes fewer changes. */
function applyWinners<Root>(
  { conflicts, events }: ResolutionContext<Root>,
  states: States<Root>,
  winners: readonly Winner[],
  near: Root | undefined,
): Root {
  let [base] = conflicts.roots;
  let changes = winners.filter(({ type, stateKey, eventId }) => {
    return conflicts.keys.get(keyOf(type, stateKey))?.rest !== eventId;
  });
  if (near !== undefined && changes.length > 1) {
    const fromNear = changesFromNear(states, base, changes, near);
    if (fromNear.length < changes.length) [base, changes] = [near, fromNear];
  }
  if (changes.length === 0) return base;
  const updates = changes.map(({ type, stateKey, eventId }) => ({
    type,
    stateKey,
    event: eventId === undefined ? undefined : events.get(eventId),
  }));
  return states.update(base, updates);
}

/** What makes of the near state what the changes make of the base. */
function changesFromNear<Root>(
  states: States<Root>,
  base: Root,
  changes: readonly Winner[],
  near: Root,
): Winner[] {
  const wanted = new Map<string, Winner>();
  for (const change of changes) wanted.set(keyOf(change.type, change.stateKey), change);
  for (const { type, stateKey, rest, others } of states.diffMany([base, near])) {
    const key = keyOf(type, stateKey);
    const winner = wanted.get(key);
    if (winner === undefined) wanted.set(key, { type, stateKey, eventId: rest });
    else if (winner.eventId === others[0]?.eventId) wanted.delete(key);
  }
  return [...wanted.values()];
}

function traceOf<Root>(
  { rules, conflicts }: ResolutionContext<Root>,
  { winners, pulledIn, steps, mainline }: Outcome,
  output: string,
): ResolutionTrace {
  const keys = winners.map(({ type, stateKey, eventId }): TraceKey => {
    const absent = { type, stateKey, rest: undefined, others: [] };
    const candidates = candidatesOf(
      conflicts.keys.get(keyOf(type, stateKey)) ?? absent,
      conflicts.roots.length,
    );
    return { type, stateKey, candidates, winner: eventId ?? null };
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
