// How an endpoint that other servers call is declared: path, who may call it, its limits and its handler.
//
// Handlers know no HTTP framework: they get a request whose signature is checked, and give back JSON or throw a
// `FederationError`. src/server mounts the routes; tests call them through a network in memory.

import type { ServerName } from '../event/ids.js';
import type { JsonObject, JsonValue } from '../event/json.js';
import { concatBytes } from '../lib/bytes.js';
import type { Federation } from './federation.js';

/** A request of another server as a handler sees it. */
export interface FederationRequest {
  /** Who asks, proved by its signature; empty where the route's `auth` is `none`. */
  readonly origin: ServerName;
  /** Path parameters, percent-decoded. */
  readonly params: Readonly<Record<string, string>>;
  /** Query parameters; a repeated one as a list. */
  readonly query: Readonly<Record<string, string | readonly string[]>>;
  /** The body, an object; empty where there is none. */
  readonly body: JsonObject;
  /** Aborted when the caller is gone or the server shuts down. */
  readonly signal: AbortSignal;
}

/**
 * An answer that is JSON text already, a piece at a time: the state of a large room is never held whole, nor
 * parsed to be written again.
 */
export class JsonText {
  /** @param pieces to be read once, in order */
  constructor(readonly pieces: AsyncIterable<Uint8Array>) {}

  /** All of it, where it must be in one piece. */
  async bytes(): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    for await (const piece of this.pieces) pieces.push(piece);
    return concatBytes(...pieces);
  }
}

/** An answer that is no JSON: bytes of a form of their own. */
export class Octets {
  constructor(readonly bytes: Uint8Array) {}
}

/** What a handler answers, with status 200; the old endpoints answer with arrays. */
export type FederationAnswer = JsonObject | readonly JsonValue[] | JsonText | Octets;

export interface FederationRoute {
  readonly method: 'GET' | 'PUT' | 'POST';
  /** With `:name` parameters: `/_matrix/federation/v1/send/:txnId`. */
  readonly path: string;
  /** `server` needs a valid `X-Matrix` signature. */
  readonly auth: 'server' | 'none';
  /** Bytes of the body at most; without it the server's limit holds. */
  readonly bodyBytesMax?: number;
  readonly handler: (
    request: FederationRequest,
    federation: Federation,
  ) => Promise<FederationAnswer> | FederationAnswer;
}
