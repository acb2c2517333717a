// Limits of what goes out.

export interface SenderOptions {
  /** Events in a transaction at most; the specification says 50. */
  readonly pdusMax: number;
  /** EDUs in a transaction at most; the specification says 100. */
  readonly edusMax: number;
  /** Bytes of messages to devices in one transaction, about. */
  readonly toDeviceBytesMax: number;
  /** Milliseconds for a transaction to be answered. */
  readonly transactionTimeoutMs: number;
  /** Transactions under way at once, over all destinations. */
  readonly transactionsMax: number;
  /** Events and device changes that wait in memory for one destination; one more, and it catches up later. */
  readonly queuedMax: number;
  /** The same for one that fails. */
  readonly queuedFailingMax: number;
  /** Who fails for longer catches up later: nothing waits for them in memory. */
  readonly outageMs: number;
  /** Receipts, and presences, that wait for one destination; beyond that the oldest go. */
  readonly ephemeralMax: number;
  /** Presence is told for the sake of rooms with at most so many other servers; 0: not at all. */
  readonly presenceServersMax: number;
  /** Messages to devices that wait for one destination; beyond that the oldest go. */
  readonly toDeviceMax: number;
  /** So often a transaction is refused before what is in it is given up. */
  readonly refusalsMax: number;
  /** Newest events of one room that are sent when catching up. */
  readonly extremitiesMax: number;
  /** How far the position on disk may lag behind when nothing else is written, in events. */
  readonly positionLagMax: number;
}

export const SENDER_OPTIONS: SenderOptions = {
  pdusMax: 50,
  edusMax: 100,
  toDeviceBytesMax: 2 * 1024 * 1024,
  transactionTimeoutMs: 60_000,
  transactionsMax: 100,
  queuedMax: 5_000,
  queuedFailingMax: 500,
  outageMs: 5 * 60_000,
  ephemeralMax: 500,
  presenceServersMax: 200,
  toDeviceMax: 10_000,
  refusalsMax: 5,
  extremitiesMax: 20,
  positionLagMax: 1_000,
};
