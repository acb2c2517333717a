// Servers that fail are left alone for a while, longer each time, until they answer or are heard again.
//
//   !servers    stateroom.destination / server    { failing_since, failures, retry_at, last_error }
//
// The n-th failure in a row keeps us away for 2^(n-1) seconds, times 0.8 to 1.4: many servers that saw one fail
// at once do not come back at once. Only failures outside of such a time count, so that ten requests that fail
// together are one failure.

import type { JsonObject } from '../event/json.js';
import { own } from '../event/json.js';
import { toError } from '../lib/errors.js';
import type { ServerName } from '../event/ids.js';
import { BackingOffError } from './errors.js';
import { type FederationParts, SERVERS_ROOM } from './parts.js';

const TYPE = 'stateroom.destination';
/** Servers whose failures are kept: names are made up for nothing. The oldest are forgotten first. */
const FAILING_MAX = 100_000;
const JITTER_MIN = 0.8;
const JITTER_MAX = 1.4;
const ERROR_LENGTH_MAX = 300;

/** A server that failed, and was not heard since. */
export interface FailingServer {
  /** Milliseconds since 1970. */
  readonly failingSince: number;
  /** Failures in a row. */
  readonly failures: number;
  /** It is asked again from then on. */
  readonly retryAt: number;
  /** What happened last, for people. */
  readonly lastError: string;
}

type DestinationParts = Pick<FederationParts, 'engine' | 'now' | 'random' | 'log' | 'options'>;

export class Destinations {
  readonly #parts: DestinationParts;
  readonly #failing = new Map<ServerName, FailingServer>();
  readonly #listeners = new Set<(server: ServerName) => void>();

  constructor(parts: DestinationParts) {
    this.#parts = parts;
    for (const { stateKey, content } of parts.engine.internal.entries(SERVERS_ROOM, TYPE)) {
      const failing = failingOf(content);
      if (failing !== undefined) this.#failing.set(stateKey as ServerName, failing);
    }
  }

  /** What is known of a server that fails; undefined for one that does not. */
  failing(server: ServerName): FailingServer | undefined {
    return this.#failing.get(server);
  }

  /** Every server that fails. */
  allFailing(): Iterable<readonly [server: ServerName, failing: FailingServer]> {
    return this.#failing;
  }

  get failingCount(): number {
    return this.#failing.size;
  }

  /** How many servers are left alone now. */
  get backingOffCount(): number {
    const now = this.#parts.now();
    let count = 0;
    for (const { retryAt } of this.#failing.values()) if (retryAt > now) count++;
    return count;
  }

  /** Is the server left alone now? */
  isBackingOff(server: ServerName): boolean {
    return (this.#failing.get(server)?.retryAt ?? 0) > this.#parts.now();
  }

  /** @throws FEDERATION_BACKING_OFF */
  assertMayAsk(server: ServerName): void {
    const retryAt = this.#failing.get(server)?.retryAt ?? 0;
    if (retryAt <= this.#parts.now()) return;
    throw new BackingOffError(`${server} failed not long ago and is left alone for now`, {
      destination: server,
      retry_at: retryAt,
    });
  }

  /**
   * It did not answer, or with a fault of its own.
   * @param lastError what happened, for people
   * @param retryAfterMs what it asked for; honoured up to the longest backoff
   */
  failed(server: ServerName, lastError: string, retryAfterMs = 0): void {
    const { now, random, options } = this.#parts;
    const before = this.#failing.get(server);
    const at = now();
    if (before !== undefined && before.retryAt > at) return;
    const failures = (before?.failures ?? 0) + 1;
    const doublings = Math.min(failures - 1, options.backoffDoublings);
    const jitter = JITTER_MIN + random() * (JITTER_MAX - JITTER_MIN);
    const longestMs = options.backoffMs * 2 ** options.backoffDoublings;
    const waitMs = Math.max(options.backoffMs * 2 ** doublings * jitter, Math.min(retryAfterMs, longestMs));
    const failing = {
      failingSince: before?.failingSince ?? at,
      failures,
      retryAt: Math.ceil(at + waitMs),
      lastError: lastError.slice(0, ERROR_LENGTH_MAX),
    };
    this.#failing.delete(server);
    this.#failing.set(server, failing);
    this.#write(server, failing);
    if (this.#failing.size > FAILING_MAX) this.#forgetOldest();
  }

  /** It answered, or sent a request that it signed: it is there. */
  heard(server: ServerName): void {
    if (!this.#failing.delete(server)) return;
    this.#write(server, undefined);
    for (const listener of this.#listeners) listener(server);
  }

  /** Calls the listener for each server that failed and is heard again, or is to be tried. @returns what ends that */
  onRecovered(listener: (server: ServerName) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Ends the time for which a server is left alone: somebody wants it tried now. @returns false where it does not fail */
  retryNow(server: ServerName): boolean {
    const failing = this.#failing.get(server);
    if (failing === undefined) return false;
    const due = { ...failing, retryAt: this.#parts.now() };
    this.#failing.set(server, due);
    this.#write(server, due);
    for (const listener of this.#listeners) listener(server);
    return true;
  }

  #forgetOldest(): void {
    for (const server of this.#failing.keys()) {
      this.#failing.delete(server);
      this.#write(server, undefined);
      return;
    }
  }

  #write(server: ServerName, failing: FailingServer | undefined): void {
    const { engine, log } = this.#parts;
    const content: JsonObject | undefined = failing && {
      failing_since: failing.failingSince,
      failures: failing.failures,
      retry_at: failing.retryAt,
      last_error: failing.lastError,
    };
    const record = { roomId: SERVERS_ROOM, type: TYPE, stateKey: server, content };
    // What is lost with it is a server asked once too often after a restart.
    engine.internal.write([record]).catch((error: unknown) => {
      log.warn({ destination: server, err: toError(error) }, 'the backoff of a server was not written');
    });
  }
}

function failingOf(content: JsonObject): FailingServer | undefined {
  const failingSince = own(content, 'failing_since');
  const failures = own(content, 'failures');
  const retryAt = own(content, 'retry_at');
  if (typeof failingSince !== 'number' || typeof failures !== 'number' || typeof retryAt !== 'number') {
    return undefined;
  }
  const lastError = own(content, 'last_error');
  return { failingSince, failures, retryAt, lastError: typeof lastError === 'string' ? lastError : '' };
}
