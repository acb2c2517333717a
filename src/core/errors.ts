// Faults of the core that are no event's.

import { defineError } from '../lib/errors.js';

export const CoreClosedError = defineError(
  'CORE_CLOSED',
  'The engine is closed or closing; nothing more is taken.',
);
export const JoinRefusedError = defineError(
  'CORE_JOIN_REFUSED',
  'What a server gave as the room that was joined does not hold; the fields name the event and the cause. The room ' +
    'is as it was: ask another server.',
);
export const StateIncompleteError = defineError(
  'CORE_STATE_INCOMPLETE',
  'The state that was given as the whole one names events that are not here; fetch them, or ask another server.',
);
export const StateRefusedError = defineError(
  'CORE_STATE_REFUSED',
  'The state that was given as the whole one cannot be that of the room at the event; ask another server.',
);
