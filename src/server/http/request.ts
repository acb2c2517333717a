// A request as handlers get it, made from the framework's.

import type { FastifyRequest } from 'fastify';
import type { JsonObject } from '../../event/json.js';
import type { AuthenticatedRequest, Requester } from '../../client/route.js';
import type { EndSignal } from '../../lib/end-signal.js';

export class HandledRequest implements AuthenticatedRequest {
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string | readonly string[]>>;
  readonly body: JsonObject;
  readonly requester: Requester | undefined;
  readonly #request: FastifyRequest;
  readonly #signalOf: () => EndSignal;

  /** @param signalOf makes the signal when somebody asks for it: most handlers do not */
  constructor(request: FastifyRequest, body: JsonObject, signalOf: () => EndSignal) {
    this.params = request.params as Record<string, string>;
    this.query = request.query as Record<string, string | string[]>;
    this.body = body;
    this.requester = request.requester;
    this.#request = request;
    this.#signalOf = signalOf;
  }

  get ip(): string {
    return this.#request.ip;
  }

  get userAgent(): string {
    return this.#request.headers['user-agent'] ?? '';
  }

  get signal(): EndSignal {
    return this.#signalOf();
  }

  get user(): Requester {
    if (this.requester === undefined) throw new Error('a route without a user asked for one');
    return this.requester;
  }
}

/** The access token: of the header, else of the query, where it is deprecated. */
export function accessTokenOf(request: FastifyRequest): string | undefined {
  const header = request.headers.authorization;
  if (header !== undefined) return /^Bearer +(\S+) *$/i.exec(header)?.[1] ?? '';
  const { access_token: token } = request.query as Record<string, string | string[] | undefined>;
  return typeof token === 'string' ? token : token?.[0];
}
