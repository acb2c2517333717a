// Limits of what comes in.

export interface InputOptions {
  /** Events that wait to be worked off, of all servers; beyond that they are told to come back. */
  readonly queuedEventsMax: number;
  readonly queuedBytesMax: number;
  /** The part of it that one server may take up. */
  readonly queuedShareMax: number;
  /** What a server that is told to come back is told to wait. */
  readonly retryAfterMs: number;
  /** Events of one room that are worked off together. */
  readonly batchMax: number;
  /** Answers that are remembered, of one server and of all, and for how long. */
  readonly answersOfServerMax: number;
  readonly answersMax: number;
  readonly answersKeptMs: number;
  /** Events that could not be taken and are remembered. */
  readonly failuresMax: number;
  /** So often an event that is left in the queue after a start is begun with, before it is given up. */
  readonly attemptsMax: number;
  /** Events whose signing keys could not be had: how many are kept, how often and how long between they are tried. */
  readonly parkedMax: number;
  readonly parkedTriesMax: number;
  readonly parkedRetryMs: number;
}

export const INPUT_OPTIONS: InputOptions = {
  queuedEventsMax: 50_000,
  queuedBytesMax: 256 * 1024 * 1024,
  queuedShareMax: 0.25,
  retryAfterMs: 5_000,
  batchMax: 50,
  answersOfServerMax: 16,
  answersMax: 20_000,
  answersKeptMs: 24 * 3_600_000,
  failuresMax: 1_000,
  attemptsMax: 3,
  parkedMax: 5_000,
  parkedTriesMax: 12,
  parkedRetryMs: 5 * 60_000,
};
