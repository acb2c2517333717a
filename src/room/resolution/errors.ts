// What can go wrong in a resolution. A result is exact or there is none: nothing here is a warning.

import { defineError } from '../../lib/errors.js';

/** The resolution would read more events than allowed. */
export const ResolutionTooLargeError = defineError(
  'ROOM_RESOLUTION_TOO_LARGE',
  'A resolution needs more events than its limit allows: the room is damaged or hostile, or raise the limit.',
);

/** A state that is to be resolved names an event that the room does not hold. */
export const ResolutionEventUnknownError = defineError(
  'ROOM_RESOLUTION_EVENT_UNKNOWN',
  'A state to be resolved names an event that is not known or is no state event; fetch it first.',
);
