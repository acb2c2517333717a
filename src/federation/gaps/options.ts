// Limits of what is fetched to fill gaps.

export interface GapOptions {
  /** What is missing may be on its way: how long it is waited for before anybody is asked. */
  readonly patienceMs: number;
  /** For one request, and for one filling of a room's gaps. */
  readonly requestTimeoutMs: number;
  readonly fillTimeoutMs: number;
  /** Requests, and events taken in, that one filling may cost. */
  readonly requestsMax: number;
  readonly eventsMax: number;
  /** Servers asked the same thing, one after the other. */
  readonly serversMax: number;
  /** Events asked for at once of those missing, and how often going further back. */
  readonly missingEventsMax: number;
  readonly missingRoundsMax: number;
  /** States of fewer entries are not compared by their trees: all their ids are one short answer. */
  readonly treeEntriesMin: number;
  /** Entries of a state or an auth chain that are read; what says more is refused. */
  readonly stateEntriesMax: number;
  /** Requests for single events at once, and in one filling; a state that lacks more is asked for whole. */
  readonly singleEventsAtOnce: number;
  readonly singleEventsMax: number;
  /** History is shown before its state is all known when the state lacks more events than this. */
  readonly historyLackingMax: number;
  /** Bytes of an answer with a state, and of one with events. */
  readonly stateBytesMax: number;
  readonly eventsBytesMax: number;
  /** Rooms whose gaps are filled at once. */
  readonly roomsAtOnce: number;
  /** How long until what could not be had is tried again: doubled each time up to the longest. */
  readonly retryMs: number;
  readonly retryMsMax: number;
  /** For a page of a client that reaches the end of what is known. */
  readonly backfillTimeoutMs: number;
  readonly backfillEventsMax: number;
}

export const GAP_OPTIONS: GapOptions = {
  patienceMs: 200,
  requestTimeoutMs: 20_000,
  fillTimeoutMs: 5 * 60_000,
  requestsMax: 500,
  eventsMax: 100_000,
  serversMax: 8,
  missingEventsMax: 20,
  missingRoundsMax: 10,
  treeEntriesMin: 500,
  stateEntriesMax: 300_000,
  singleEventsAtOnce: 8,
  singleEventsMax: 400,
  historyLackingMax: 50,
  stateBytesMax: 128 * 1024 * 1024,
  eventsBytesMax: 16 * 1024 * 1024,
  roomsAtOnce: 32,
  retryMs: 30_000,
  retryMsMax: 6 * 3_600_000,
  backfillTimeoutMs: 4_000,
  backfillEventsMax: 100,
};
