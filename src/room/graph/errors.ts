// Faults of a room's graph: as it is stored, or as it is given whole.

import { defineError } from '../../lib/errors.js';

export const TraceDivergesError = defineError(
  'ROOM_TRACE_DIVERGES',
  'A stored resolution, done again, gives another state than it gave: stored data is damaged, or the rules changed.',
);
export const GraphCycleError = defineError(
  'ROOM_GRAPH_CYCLE',
  'Events refer to each other in a circle: their ids cannot be those of real events.',
);
export const GraphReferenceError = defineError(
  'ROOM_GRAPH_REFERENCE_UNKNOWN',
  'An event refers to one that is not among the events given; add that event.',
);
export const GraphMixedRoomsError = defineError(
  'ROOM_GRAPH_MIXED_ROOMS',
  'The events given are of more than one room; give those of one.',
);
