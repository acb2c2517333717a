// How an endpoint is declared: path, who may call it, its limits and its handler, in one place.
//
// Handlers know no HTTP framework: they get a request read and checked, and give back JSON or throw a
// `MatrixError`. src/server mounts the routes.

import type { TSchema } from 'typebox';
import type { JsonObject } from '../event/json.js';
import type { Homeserver } from './homeserver.js';
import type { Requester } from './requester.js';
import type { EndSignal } from '../lib/end-signal.js';

export type { Requester } from './requester.js';

/** A request as a handler sees it. */
export interface ClientRequest {
  /** Path parameters, percent-decoded. */
  readonly params: Readonly<Record<string, string>>;
  /** Query parameters; a repeated one as a list. */
  readonly query: Readonly<Record<string, string | readonly string[]>>;
  /** The body, an object; empty where there is none. Matches the route's schema. */
  readonly body: JsonObject;
  /** Present where the route's `auth` is `user`; perhaps where it is `optional`. */
  readonly requester: Requester | undefined;
  readonly ip: string;
  readonly userAgent: string;
  /** Aborted when the client is gone or the server shuts down: long polls answer then. */
  readonly signal: EndSignal;
}

/** A response that is more than 200 and JSON. */
export class Reply {
  constructor(
    readonly status: number,
    readonly body: JsonObject | string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {}
}

/** Classes of requests that are limited together, per user or address. */
export type RateLimit = 'login' | 'register' | 'message' | 'join' | 'other' | 'none';

export interface Route {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** With `:name` parameters: `/_matrix/client/v3/rooms/:roomId/leave`. */
  readonly path: string;
  /** `user` needs a valid access token; `optional` takes one if it is there. */
  readonly auth: 'none' | 'optional' | 'user';
  readonly rateLimit: RateLimit;
  /** Shape of the body, at the edge; finer checks are the handler's. */
  readonly body?: TSchema;
  /** Bytes of the body at most; without it the server's limit holds. */
  readonly bodyBytesMax?: number;
  readonly handler: (
    request: AuthenticatedRequest,
    home: Homeserver,
  ) => Promise<JsonObject | Reply> | JsonObject | Reply;
}

/** A request of a route with `auth: 'user'`. */
export interface AuthenticatedRequest extends ClientRequest {
  /** Always present where `auth` is `user`; elsewhere use `ClientRequest.requester`. */
  readonly user: Requester;
}
