// The one outcome of an incoming event, with stable codes.

import type { EventId, RoomId } from '../event/ids.js';
import type { StoredVerdict } from '../store/records.js';

/**
 * - `accepted`: stored, in the room's timeline; a state event changed the state after it
 * - `soft_failed`: stored with its state, but not allowed by the current state: no extremity, not shown to clients
 * - `rejected`: stored with its reason; it changes nothing
 * - `duplicate`: known already, with its place unless it came as an outlier again; `known` says what became of it
 * - `dropped`: malformed, unsigned, of an unknown room: nothing is stored
 * - `waiting`: stored aside until the events it refers to arrive
 */
export type VerdictKind = 'accepted' | 'soft_failed' | 'rejected' | 'duplicate' | 'dropped' | 'waiting';

/** What became of one incoming event, told after it is durably so. */
export interface Verdict {
  readonly verdict: VerdictKind;
  /** `OK`, one of `VERDICT_CODES`, or the code of the error that made it be dropped. */
  readonly code: string;
  /** One sentence; empty when accepted. */
  readonly reason: string;
  /** Undefined when the event is too malformed to have one. */
  readonly eventId: EventId | undefined;
  readonly roomId: RoomId | undefined;
  /** Place in the commit order, when stored. */
  readonly seq: number | undefined;
  /** The deciding authorisation rule, as the room version's specification numbers it. */
  readonly rule?: string;
  /** For a duplicate: the verdict of the event that is known. */
  readonly known?: StoredVerdict;
  /** For `waiting`: what it waits for, the first `MISSING_MAX`. */
  readonly missing?: readonly EventId[];
}

/** Missing events named in a verdict, at most. */
export const MISSING_MAX = 1_000;

/** Codes of verdicts that are not the code of an error, with what each means. */
export const VERDICT_CODES = {
  OK: 'The event passed every check.',
  DUPLICATE: 'The event is known already.',
  WAITING: 'Events that it refers to are missing; it is taken when they arrive.',
  AUTH_EVENTS_INVALID:
    'Its auth_events are duplicated, unexpected, rejected, of another room, or lack the create event.',
  AUTH_BY_AUTH_EVENTS: 'Its own auth_events do not allow it.',
  AUTH_BY_STATE_BEFORE: 'The state before it does not allow it.',
  AUTH_BY_CURRENT_STATE: 'The current state of the room does not allow it (soft failed).',
  GRAPH_OTHER_ROOM: 'It refers to events of another room as its predecessors.',
  GRAPH_SECOND_CREATE: 'The room has a create event already.',
  GRAPH_NO_HISTORY: 'It names no predecessors and does not create the room.',
  ROOM_UNKNOWN: 'Its room is not known, and nobody said which version it has.',
  ROOM_VERSION_UNKNOWN: 'Its room has a version that stateroom does not speak.',
  SIGNATURE_INVALID: 'A signature that it needs is missing or does not verify.',
  AUTH_EVENTS_MISSING:
    'It cites events that are neither known nor among those given with it, or were dropped.',
  AUTH_EVENTS_CIRCULAR: 'It cites itself, directly or through others.',
  OTHER_ROOM: 'It is an event of another room.',
  NOT_STATE: 'It is no state event, and was given as part of a state.',
  STATE_KEY_TWICE: 'The state has another event at its key.',
  HORIZON_FULL: 'Too many events wait for missing ones already.',
  RESOLUTION_TOO_LARGE: 'Resolving the state before it would take more work than allowed.',
} as const;

export type VerdictCode = keyof typeof VERDICT_CODES;

/** How many incoming events ended in each verdict since the engine was opened. */
export type VerdictCounts = Record<VerdictKind, number>;

export function noVerdicts(): VerdictCounts {
  return { accepted: 0, soft_failed: 0, rejected: 0, duplicate: 0, dropped: 0, waiting: 0 };
}
