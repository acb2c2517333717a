// Input for an explanation that cannot be read as what it should be.

import { defineError } from '../../lib/errors.js';

export const EventsInvalidError = defineError(
  'READER_EVENTS_INVALID',
  'An event in the input is not an event of the room version, has not the id it claims, or comes twice.',
);
export const StateSetInvalidError = defineError(
  'READER_STATE_SET_INVALID',
  'A state is a list of ids of known state events, with one event for a type and state key.',
);
export const NothingToMergeError = defineError(
  'READER_NOTHING_TO_MERGE',
  'The event or room has no history of several branches around it that could be resolved again.',
);
