// Questions that cannot be answered as asked.

import { defineError } from '../lib/errors.js';

export const EventUnknownError = defineError('READER_EVENT_UNKNOWN', 'No event of that id is stored.');
export const RoomUnknownError = defineError('READER_ROOM_UNKNOWN', 'No room of that id is stored.');
export const RootUnknownError = defineError(
  'READER_ROOT_UNKNOWN',
  'No stored event has a state with that root.',
);
export const TargetError = defineError(
  'READER_TARGET_INVALID',
  'A state is named by an event id ($...), a room id (!...) or a root (64 hex digits).',
);
export const NoStateError = defineError(
  'READER_NO_STATE',
  'The event is stored as an outlier: without a place in the graph it has no state around it.',
);
