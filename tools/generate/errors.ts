// What can be wrong with a request for a generated room.

import { defineError } from '../../src/lib/errors.js';

/** An option of the generator is out of range, or two do not fit together. */
export const GenerateBadOptionError = defineError(
  'GENERATE_BAD_OPTION',
  'An option of the room generator is out of range or does not fit the others; the message says what would do.',
);
