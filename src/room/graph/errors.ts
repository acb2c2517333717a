// Faults of a room's stored graph.

import { defineError } from '../../lib/errors.js';

export const TraceDivergesError = defineError(
  'ROOM_TRACE_DIVERGES',
  'A stored resolution, done again, gives another state than it gave: stored data is damaged, or the rules changed.',
);
