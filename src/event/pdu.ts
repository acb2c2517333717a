// The PDU as the rest of stateroom sees it: parsed once, checked for form, never changed.
//
// Source: server-server API, "PDUs"; rooms/v1 to rooms/v12, "Event format".

import type { EventId, RoomId, UserId } from './ids.js';
import type { JsonObject } from './json.js';
import type { RoomVersionRules } from './rules.js';

/** One persistent event. Made by `parsePdu`; all fields have passed the format checks of the room's version. */
export interface Pdu {
  readonly rules: RoomVersionRules;
  readonly eventId: EventId;
  /** From version 12 the create event carries none; this is then derived from its id. */
  readonly roomId: RoomId;
  readonly type: string;
  /** Present (perhaps empty) exactly when this is a state event. */
  readonly stateKey: string | undefined;
  readonly sender: UserId;
  readonly content: JsonObject;
  readonly prevEvents: readonly EventId[];
  readonly authEvents: readonly EventId[];
  /** As claimed; beyond 2^53 - 1 (versions 1 to 5) it is the nearest number. */
  readonly depth: number;
  /** Milliseconds since 1970, as claimed. */
  readonly originServerTs: number;
  /** The event that an `m.room.redaction` names, wherever its version keeps it. */
  readonly redacts: EventId | undefined;
  /** The whole event as JSON: redacted already when its content hash did not match. */
  readonly json: JsonObject;
}
