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

// Queries, in place and in reader threads.

export const QueryError = defineError(
  'READER_QUERY_INVALID',
  'A query is not of any known form; the message names the field.',
);
export const TimeoutError = defineError(
  'READER_TIMEOUT',
  'A query took longer than it may. Ask for less, page by page, or allow more time.',
);
export const AbortedError = defineError('READER_ABORTED', 'The caller gave up a query.');
export const BusyError = defineError(
  'READER_BUSY',
  'More queries wait for a reader thread than may. Ask again later, or allow more threads.',
);
export const BehindError = defineError(
  'READER_BEHIND',
  'The caller has seen a commit that is not in this store: its watermark belongs to another one.',
);
export const ClosedError = defineError('READER_CLOSED', 'The readers are closed or closing.');
export const FailedError = defineError(
  'READER_FAILED',
  'A query failed for a reason that no rule foresees: a bug, or a reader thread that ended.',
);
