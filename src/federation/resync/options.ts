// Limits of the fetching of what incomplete states lack.

import { GAP_OPTIONS, type GapOptions } from '../gaps/options.js';

export interface ResyncOptions {
  /** States that are fetched at once. */
  readonly roomsAtOnce: number;
  /** How long until a state that could not be had is tried again: doubled each time up to the longest. */
  readonly retryMs: number;
  readonly retryMsMax: number;
  /** Servers asked in one round, one after the other; the next round asks others. */
  readonly serversMax: number;
  /** No other server is asked in a round after this: other rooms wait for their turn. */
  readonly roundTimeoutMs: number;
  /** For all that is asked of one server. */
  readonly serverTimeoutMs: number;
  /** What may be asked of one server: a whole state, and what it rests on. */
  readonly fetching: GapOptions;
}

export const RESYNC_OPTIONS: ResyncOptions = {
  roomsAtOnce: 3,
  retryMs: 10_000,
  retryMsMax: 3_600_000,
  serversMax: 8,
  roundTimeoutMs: 20 * 60_000,
  serverTimeoutMs: 15 * 60_000,
  fetching: {
    ...GAP_OPTIONS,
    // Others take minutes to put a large state together.
    requestTimeoutMs: 5 * 60_000,
    requestsMax: 5_000,
    eventsMax: 2 * GAP_OPTIONS.stateEntriesMax,
    singleEventsMax: 1_000,
    stateBytesMax: 256 * 1024 * 1024,
  },
};
