// The room that a process of the crash tests writes to and collects.

import { internalRoomId } from '../../../src/event/internal.js';

export const COLLECTED_ROOM = internalRoomId('receipts', 'crash');
/** Records that there are at a time: each takes the place of the one so many before. */
export const COLLECTED_KEYS = 60;
