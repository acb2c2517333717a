// The conflicted state subgraph: every event on a path of auth events from one conflicted event to another.
//
// Source: rooms/v12, "Conflicted state subgraph" (state resolution v2.1, MSC4297). Walked downwards from the
// conflicted events, and never below the oldest of them: nothing beneath it can lead to a conflicted event.

import type { EventId } from '../../event/ids.js';
import type { ResolutionContext } from './context.js';

/** The conflicted events and all on a path between two of them. */
export function conflictedSubgraph<Root>(context: ResolutionContext<Root>): Set<EventId> {
  const { conflicts, events } = context;
  const conflicted = conflicts.values;
  let lowest = Infinity;
  for (const id of conflicted.keys()) lowest = Math.min(lowest, events.order(id));

  const reached = new Set<EventId>(conflicted.keys());
  const waiting = [...reached];
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    const event = events.find(id);
    if (event === undefined) continue;
    for (const cited of events.authEventsOf(event)) {
      if (reached.has(cited) || events.order(cited) <= lowest) continue;
      reached.add(cited);
      waiting.push(cited);
    }
  }

  // Oldest first, so that what an event cites is decided before it.
  const oldestFirst = [...reached]
    .map((id) => ({ id, order: events.order(id) }))
    .sort((a, b) => a.order - b.order);
  const subgraph = new Set<EventId>(conflicted.keys());
  for (const { id } of oldestFirst) {
    const event = events.find(id);
    if (event !== undefined && events.authEventsOf(event).some((cited) => subgraph.has(cited)))
      subgraph.add(id);
  }
  return subgraph;
}
