// What state resolution is given and what it gives back. It touches rooms only through these.
//
// `Root` is a handle on one immutable state map; equal maps have roots of equal `hash`.

import type { EventId } from '../../event/ids.js';
import type { Pdu } from '../../event/pdu.js';
import type { RoomVersion } from '../../event/rules.js';

/** One key whose values differ between two states; undefined where the key is absent. */
export interface StateChange {
  readonly type: string;
  readonly stateKey: string;
  readonly before: EventId | undefined;
  readonly after: EventId | undefined;
}

/** One key on which several states differ. Values are undefined where the key is absent. */
export interface StateVariance {
  readonly type: string;
  readonly stateKey: string;
  /** What the first state holds, and every other that `others` does not name. */
  readonly rest: EventId | undefined;
  /** All different from `rest` and from each other. */
  readonly others: readonly StateVariant[];
}

/** What some of several states hold at a key. */
export interface StateVariant {
  readonly eventId: EventId | undefined;
  /** Which states, by their place among those given; in no order. */
  readonly states: readonly number[];
}

/** States by handle. All calls are synchronous and cost what they touch, not the size of the room. */
export interface States<Root> {
  readonly empty: Root;
  /** Equal strings mean equal states. */
  hash(root: Root): string;
  get(root: Root, type: string, stateKey: string): EventId | undefined;
  /** Keys on which not all of the states agree. Cost: that of what differs, however many states there are. */
  diffMany(roots: readonly Root[]): Iterable<StateVariance>;
  /** All entries: for the fallbacks only, it costs the room's size. */
  entries(
    root: Root,
  ): Iterable<{ readonly type: string; readonly stateKey: string; readonly eventId: EventId }>;
  /** A new state with keys set (an event) or removed (undefined). */
  update(
    root: Root,
    changes: Iterable<{ readonly type: string; readonly stateKey: string; readonly event: Pdu | undefined }>,
  ): Root;
}

/** The room's events by id. */
export interface EventGraph {
  /** The event, when it is known. Rejected events are known too. */
  event(id: EventId): Pdu | undefined;
  isRejected(id: EventId): boolean;
  /** A number that is greater for every event than for each of its auth events. Any number for an unknown event. */
  order(id: EventId): number;
  /** Accepted state events that name this event among their auth events. */
  citedBy(id: EventId): Iterable<EventId>;
}

/** Why an event did or did not take its key in a resolution. */
export interface TraceStep {
  readonly eventId: EventId;
  readonly type: string;
  readonly stateKey: string;
  /** Which list it was taken from. */
  readonly phase: 'power' | 'mainline' | 'v1-auth' | 'v1-other';
  readonly allowed: boolean;
  /** The auth rule that decided, and its sentence; for v1 also the rule of the choice. */
  readonly rule: string;
  readonly reason: string;
  /** What placed it where it stands in the order: sender's level, mainline position, timestamp. */
  readonly order: {
    readonly senderLevel?: number;
    /** From version 12: the sender is a creator of the room, above every level, so that no level is given. */
    readonly senderIsCreator?: boolean;
    /** 0 is the newest on the mainline; undefined is "no ancestor on it", which sorts first. */
    readonly mainlinePosition?: number;
    readonly originServerTs: number;
    readonly depth?: number;
  };
}

/** One conflicted key: what each input said, what won. */
export interface TraceKey {
  readonly type: string;
  readonly stateKey: string;
  /** By input state, in the order of `inputs`; null where absent. */
  readonly candidates: ReadonlyArray<EventId | null>;
  readonly winner: EventId | null;
}

/** A stored, replayable record of one resolution. Plain JSON. */
export interface ResolutionTrace {
  readonly algorithm: 'v1' | 'v2' | 'v2.1';
  readonly roomVersion: RoomVersion;
  /** Hashes of the input roots, sorted by code point. */
  readonly inputs: readonly string[];
  /** Hash of the output root. */
  readonly output: string;
  readonly keys: readonly TraceKey[];
  /** Events in the full conflicted set that no input holds at a conflicted key (auth difference, conflicted subgraph). */
  readonly pulledIn: readonly EventId[];
  /** Every event tried, in the order in which it was applied. */
  readonly steps: readonly TraceStep[];
  /** Mainline, newest first, that ordered the rest. */
  readonly mainline: readonly EventId[];
}

/** Result of a resolution. */
export interface Resolution<Root> {
  readonly root: Root;
  readonly trace: ResolutionTrace;
  /** Nodes are counted by the states; this is the number of distinct events read. */
  readonly eventsRead: number;
}
