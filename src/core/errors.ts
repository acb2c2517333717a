// Faults of the core that are no event's.

import { defineError } from '../lib/errors.js';

export const CoreClosedError = defineError(
  'CORE_CLOSED',
  'The engine is closed or closing; nothing more is taken.',
);
