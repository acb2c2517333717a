// What an engine refuses to do for its user.

import { defineError } from '../lib/errors.js';

export const ForbiddenError = defineError(
  'ENGINE_FORBIDDEN',
  'The authorisation rules, or the form of the event, do not allow it; the message names rule and reason.',
);
export const NotLocalError = defineError(
  'ENGINE_NOT_LOCAL',
  'Events are sent for users of this server only, by an engine that was given its name and signing key.',
);
