// Puts the endpoints for other servers onto the HTTP framework: no more at once from a server than it may, the
// signature checked over the bytes as they came, the handler called, its answer written.
//
// Before the body is read, the header must at least be one, and whoever sends it is counted: by the name that it
// claims and the network that it comes from, so that nobody uses up what is another's.

import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { limitExceeded } from '../../client/errors.js';
import type { ServerName } from '../../event/ids.js';
import type { JsonObject } from '../../event/json.js';
import { admit, answerBytes } from '../../federation/admission.js';
import { unauthorized } from '../../federation/errors.js';
import type { Federation } from '../../federation/federation.js';
import { parseXMatrix } from '../../federation/identity/x-matrix.js';
import { type FederationRequest, type FederationRoute, Octets } from '../../federation/route.js';
import type { LongRequests } from './long-requests.js';
import { networkOf, type RateLimits } from './rate-limits.js';
import type { EndSignal } from '../../lib/end-signal.js';

export interface FederationMountParts {
  readonly federation: Federation;
  readonly rateLimits: RateLimits;
  readonly longRequests: LongRequests;
  /** Requests of one server that are worked on at once. */
  readonly requestsPerServer: number;
}

/** When to come back, for a server that asks too much at once. */
const BUSY_MS = 1_000;

export function mountFederationRoutes(
  app: FastifyInstance,
  routes: readonly FederationRoute[],
  parts: FederationMountParts,
): void {
  const underWay = new Map<string, number>();
  for (const route of routes) mount(app, route, parts, underWay);
}

function mount(
  app: FastifyInstance,
  route: FederationRoute,
  { federation, rateLimits, longRequests, requestsPerServer }: FederationMountParts,
  underWay: Map<string, number>,
): void {
  app.route({
    method: route.method,
    url: route.path,
    ...(route.bodyBytesMax === undefined ? {} : { bodyLimit: route.bodyBytesMax }),
    onRequest: (request, reply, done) => {
      const asker = askerOf(route, request);
      const retryAfterMs = rateLimits.take('federation', asker);
      if (retryAfterMs > 0) throw limitExceeded(retryAfterMs);
      const count = (underWay.get(asker) ?? 0) + 1;
      if (count > requestsPerServer) throw limitExceeded(BUSY_MS);
      underWay.set(asker, count);
      reply.raw.once('close', () => {
        const left = (underWay.get(asker) ?? 1) - 1;
        if (left === 0) underWay.delete(asker);
        else underWay.set(asker, left);
      });
      done();
    },
    handler: async (request, reply) => {
      const { origin, body } = await admit(federation, route, {
        method: request.method,
        uri: request.raw.url ?? '',
        authorization: authorizationOf(request),
        bytes: request.body as Uint8Array | undefined,
      });
      const signalOf = longRequests.signalOf(reply.raw);
      const answer = await route.handler(new ServerRequest(request, origin, body, signalOf), federation);
      const bytes = answerBytes(answer);
      return reply
        .code(200)
        .header('content-type', answer instanceof Octets ? 'application/octet-stream' : 'application/json')
        .send(bytes instanceof Uint8Array ? bufferOf(bytes) : Readable.from(bytes));
    },
  });
}

/** Who is counted: the server that the request claims to be of, at the place that it comes from. */
function askerOf({ auth }: FederationRoute, request: FastifyRequest): string {
  const network = networkOf(request.ip);
  if (auth === 'none') return network;
  const [header] = authorizationOf(request);
  if (header === undefined) throw unauthorized('The request is not signed: it has no X-Matrix header.');
  const claimed = parseXMatrix(header);
  if (claimed === undefined) throw unauthorized('The X-Matrix header is malformed.');
  return `${claimed.origin} ${network}`;
}

function authorizationOf(request: FastifyRequest): readonly string[] {
  return request.raw.headersDistinct['authorization'] ?? [];
}

function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** A request as handlers get it. */
class ServerRequest implements FederationRequest {
  readonly origin: ServerName;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string | readonly string[]>>;
  readonly body: JsonObject;
  readonly #signalOf: () => EndSignal;

  constructor(request: FastifyRequest, origin: ServerName, body: JsonObject, signalOf: () => EndSignal) {
    this.origin = origin;
    this.params = request.params as Record<string, string>;
    this.query = request.query as Record<string, string | string[]>;
    this.body = body;
    this.#signalOf = signalOf;
  }

  get signal(): EndSignal {
    return this.#signalOf();
  }
}

/** The endpoint that delegates: which server answers for this one's name. */
export function delegationRoute(delegate: string): FederationRoute {
  return {
    method: 'GET',
    path: '/.well-known/matrix/server',
    auth: 'none',
    handler: () => ({ 'm.server': delegate }),
  };
}
