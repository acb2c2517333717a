// Causes for which an event, a piece of JSON or an identifier is refused.
//
// Codes are stable: federation, import and the command line answer with them.

import { defineError } from '../lib/errors.js';

export const EventBadJsonError = defineError(
  'EVENT_BAD_JSON',
  'The bytes are no JSON: invalid UTF-8 or syntax, a lone surrogate, or nested too deeply. Ask again.',
);
export const EventNotCanonicalError = defineError(
  'EVENT_NOT_CANONICAL',
  'A value has no canonical JSON in this room version: float, integer beyond 2^53 - 1, lone surrogate.',
);
export const EventNotObjectError = defineError(
  'EVENT_NOT_OBJECT',
  'The JSON is no object, so it is no event.',
);
export const EventTooLargeError = defineError(
  'EVENT_TOO_LARGE',
  'The event with its signatures is larger than 65,536 bytes of canonical JSON. No room takes it.',
);
export const EventFieldTooLongError = defineError(
  'EVENT_FIELD_TOO_LONG',
  'One of type, state_key, sender, room_id and event_id is longer than 255 bytes.',
);
export const EventBadTypeError = defineError('EVENT_BAD_TYPE', 'The event has no type, or it is no string.');
export const EventBadStateKeyError = defineError(
  'EVENT_BAD_STATE_KEY',
  'The event has a state_key that is no string.',
);
export const EventBadSenderError = defineError(
  'EVENT_BAD_SENDER',
  'The event has no sender, or it is no user id.',
);
export const EventBadRoomIdError = defineError(
  'EVENT_BAD_ROOM_ID',
  'The event has no room id of the form that its room version asks for, or has one where there must be none.',
);
export const EventBadEventIdError = defineError(
  'EVENT_BAD_EVENT_ID',
  'The event has no event id of the form that its room version asks for.',
);
export const EventBadContentError = defineError(
  'EVENT_BAD_CONTENT',
  'The event has no content, or it is no object.',
);
export const EventBadPrevEventsError = defineError(
  'EVENT_BAD_PREV_EVENTS',
  'prev_events is no list of references of the form that the room version asks for.',
);
export const EventTooManyPrevEventsError = defineError(
  'EVENT_TOO_MANY_PREV_EVENTS',
  'prev_events names more than 20 events.',
);
export const EventBadAuthEventsError = defineError(
  'EVENT_BAD_AUTH_EVENTS',
  'auth_events is no list of references of the form that the room version asks for.',
);
export const EventTooManyAuthEventsError = defineError(
  'EVENT_TOO_MANY_AUTH_EVENTS',
  'auth_events names more than 10 events.',
);
export const EventBadDepthError = defineError(
  'EVENT_BAD_DEPTH',
  'depth is missing, no integer, negative, or beyond what the room version allows.',
);
export const EventBadTimestampError = defineError(
  'EVENT_BAD_TIMESTAMP',
  'origin_server_ts is missing or no integer.',
);
export const EventBadHashesError = defineError(
  'EVENT_BAD_HASHES',
  'hashes is missing, or holds no 32-byte sha256 in base64.',
);
export const EventBadSignaturesError = defineError(
  'EVENT_BAD_SIGNATURES',
  'signatures is missing, or is no object of servers, each an object of keys with strings.',
);
export const EventBadKeyError = defineError(
  'EVENT_BAD_KEY',
  'A signing key is not named ed25519:version, or its seed is not 32 bytes.',
);
