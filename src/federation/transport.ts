// What carries a request to another server: the real one speaks HTTPS, that of tests a network in memory.

import type { ServerName } from '../event/ids.js';
import type { JsonObject } from '../event/json.js';

/** A request to another server, before it is signed. */
export interface OutgoingRequest {
  readonly destination: ServerName;
  readonly method: 'GET' | 'PUT' | 'POST';
  /** Percent-encoded path, with its query: what is signed and sent, byte for byte. */
  readonly uri: string;
  readonly body?: JsonObject;
  /** Sign it with `X-Matrix`; key requests are not. */
  readonly isSigned: boolean;
  /** Milliseconds for everything: discovery, connection, answer. */
  readonly timeoutMs: number;
  /** Bytes of the answer at most. */
  readonly bytesMax: number;
  readonly signal?: AbortSignal;
}

/** An answer as it came: any status, body not looked at yet. */
export interface IncomingAnswer {
  readonly status: number;
  readonly bytes: Uint8Array;
  /** Of `Retry-After`, milliseconds. */
  readonly retryAfterMs?: number;
}

export interface Transport {
  /**
   * @throws FEDERATION_UNREACHABLE when no answer came (discovery, connection, TLS, time, size);
   *   FEDERATION_ADDRESS_FORBIDDEN for addresses that we do not talk to
   */
  send(request: OutgoingRequest): Promise<IncomingAnswer>;
  close(): Promise<void>;
}
