// Every limit and time of federation, with what it is when nobody says.

import type { ServerName } from '../event/ids.js';

export interface FederationOptions {
  // Requests to other servers.
  /** Milliseconds for a request that names no other limit. */
  readonly requestTimeoutMs: number;
  /** Bytes of an answer, where the request names no other limit. */
  readonly answerBytesMax: number;
  /** Milliseconds for the join, knock and leave handshakes, which may wait for the other server's own requests. */
  readonly handshakeTimeoutMs: number;
  /** Milliseconds for the first step of these, which waits for nobody else: a server that hangs is passed over. */
  readonly templateTimeoutMs: number;
  /** Milliseconds after which no other server is tried for the same join, knock or leave. */
  readonly candidatesTimeoutMs: number;
  /** Bytes of a room's whole state. */
  readonly stateBytesMax: number;
  /** Are rooms joined without their members first, which are fetched later? */
  readonly partialJoins: boolean;

  // Joins of other servers' users.
  /**
   * Rooms with at most so many members, of whatever membership, are told in full also where a server asks to be
   * spared them: 50 memberships are some 40 kB, less than what it takes to come again and ask for them.
   */
  readonly smallRoomMembersMax: number;
  /** Are servers that ask for it told the members that count, beside the state without members? */
  readonly tellsNeededMembers: boolean;

  // Servers that fail.
  /** How long a server is left alone after its first failure; doubled with each more. */
  readonly backoffMs: number;
  /** So often it is doubled at most: 2^16 seconds are 18 hours. */
  readonly backoffDoublings: number;

  // Keys.
  /** Notaries that are asked for keys that their own server does not give, in this order. */
  readonly trustedKeyServers: readonly ServerName[];
  /** How long our own keys are good for, from when they are asked for. */
  readonly keyValidityMs: number;
  /** How long a key that could not be had is not asked for again. */
  readonly keyRetryMs: number;
  readonly keyTimeoutMs: number;
  /** Servers whose keys are fetched at once; more wait. */
  readonly keyFetchesMax: number;
  /** Servers whose keys wait to be fetched; more are refused. */
  readonly keyFetchesWaitingMax: number;
}

export const FEDERATION_OPTIONS: FederationOptions = {
  requestTimeoutMs: 30_000,
  answerBytesMax: 10 * 1024 * 1024,
  handshakeTimeoutMs: 60_000,
  templateTimeoutMs: 15_000,
  candidatesTimeoutMs: 120_000,
  stateBytesMax: 256 * 1024 * 1024,
  partialJoins: true,
  smallRoomMembersMax: 50,
  tellsNeededMembers: true,
  backoffMs: 1_000,
  backoffDoublings: 16,
  trustedKeyServers: [],
  keyValidityMs: 24 * 3_600_000,
  keyRetryMs: 10 * 60_000,
  keyTimeoutMs: 10_000,
  keyFetchesMax: 32,
  keyFetchesWaitingMax: 2_048,
};
