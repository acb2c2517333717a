// What the steps of a resolution share, and what each algorithm hands back.

import type { EventId } from '../../event/ids.js';
import type { RoomVersionRules } from '../../event/rules.js';
import type { Conflicts, UnconflictedState } from './conflicts.js';
import type { TraceStep } from './contract.js';
import type { EventReader } from './event-reader.js';

/** Bounds on the work of one resolution. They never change a result: it is exact, or an error. */
export interface ResolutionLimits {
  /** Distinct events read before ROOM_RESOLUTION_TOO_LARGE. Default 1,000,000. */
  readonly eventsMax?: number;
  /**
   * Citing events looked at, upwards, to tell what every auth chain holds; then whole chains are walked
   * instead. Default 4,096.
   */
  readonly citersMax?: number;
}

/** One resolution at work. */
export interface ResolutionContext<Root> {
  readonly rules: RoomVersionRules;
  readonly conflicts: Conflicts<Root>;
  readonly unconflicted: UnconflictedState<Root>;
  readonly events: EventReader;
  readonly citersMax: number;
}

/** What a key has in the end; undefined when it has nothing. */
export interface Winner {
  readonly type: string;
  readonly stateKey: string;
  readonly eventId: EventId | undefined;
}

/** The result of an algorithm: values for every conflicted key, and for keys that no state held. */
export interface Outcome {
  readonly winners: readonly Winner[];
  readonly pulledIn: readonly EventId[];
  readonly steps: readonly TraceStep[];
  readonly mainline: readonly EventId[];
}
