// The HTTP server: the framework set up so that everything it says is what the specification says.
//
// Source: client-server API, "API Standards", "Web Browser Clients", "Rate limiting".

import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Homeserver } from '../../client/homeserver.js';
import type { Route } from '../../client/route.js';
import type { FederationRoute } from '../../federation/route.js';
import type { ServerConfig } from '../config/config.js';
import type { Logger } from '../operations/logs.js';
import type { RequestMetrics } from '../operations/request-metrics.js';
import { Connections } from './connections.js';
import { refusalOf, unrecognized } from './failures.js';
import { LongRequests } from './long-requests.js';
import { mountFederationRoutes } from './mount-federation.js';
import { mountRoutes, sendJson, withOldPaths } from './mount.js';
import { Paths } from './paths.js';
import { RateLimits } from './rate-limits.js';

export interface AppParts {
  readonly config: ServerConfig;
  readonly home: Homeserver;
  readonly routes: readonly Route[];
  /** Endpoints for other servers; mounted where the homeserver has federation. */
  readonly federationRoutes?: readonly FederationRoute[];
  /** Those that the homeserver counts by too; without them, the application's own. */
  readonly rateLimits?: RateLimits;
  readonly log: Logger;
  readonly metrics: RequestMetrics;
}

/** The HTTP server and what must be told when it stops. */
export interface App {
  readonly fastify: FastifyInstance;
  readonly connections: Connections;
  readonly longRequests: LongRequests;
  readonly rateLimits: RateLimits;
}

/** Percent-encoded, an id of 255 bytes is three times that. */
const PATH_PARAMETER_LENGTH_MAX = 2_048;

/** What every body is taken for. */
const BODY_TYPE = 'application/json';

/** As the specification recommends them, on every response. */
const CORS = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'GET, POST, PUT, DELETE, OPTIONS',
  'access-control-allow-headers': 'X-Requested-With, Content-Type, Authorization',
} as const;

export function createApp(parts: AppParts): App {
  const { config, home, routes: declared, federationRoutes = [], log, metrics } = parts;
  const routes = withOldPaths(declared);
  const longRequests = new LongRequests();
  const { rateLimits = new RateLimits(config.rateLimits, () => performance.now()) } = parts;
  const run = randomBytes(3).toString('hex');
  let requests = 0;
  const app = fastify({
    logger: false,
    bodyLimit: config.limits.bodyBytes,
    requestTimeout: config.limits.requestTimeoutMs,
    exposeHeadRoutes: false,
    forceCloseConnections: 'idle',
    trustProxy: config.listen.trustedProxies.length === 0 ? false : [...config.listen.trustedProxies],
    genReqId: () => `${run}-${(++requests).toString(36)}`,
    // Nothing here has one of the framework's schemas: its own compilers would only take memory.
    schemaController: { compilersFactory: { buildValidator: noCompiler, buildSerializer: noCompiler } },
    routerOptions: { maxParamLength: PATH_PARAMETER_LENGTH_MAX },
    frameworkErrors: (error, request, reply) => void fail(error, request, reply.headers(CORS), log),
    clientErrorHandler: answerBrokenRequest,
  });
  app.server.maxConnections = config.limits.connections;
  const connections = new Connections(app.server);

  app.removeAllContentTypeParsers();
  app.addContentTypeParser(BODY_TYPE, { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

  app.addHook('onRequest', (request, reply, done) => {
    reply.headers(CORS);
    // What a client says of its body's type changes nothing: it is JSON, or it is refused.
    request.raw.headers['content-type'] = BODY_TYPE;
    if (request.method === 'OPTIONS') reply.code(204).send();
    else done();
  });
  app.addHook('onSend', (_request, reply, payload, done) => {
    if (longRequests.isStopping) reply.header('connection', 'close');
    done(null, payload);
  });
  app.addHook('onResponse', (request, reply, done) => {
    const route = request.is404 ? undefined : request.routeOptions.url;
    metrics.observe(request.method, route, reply.statusCode, reply.elapsedTime);
    if (log.isLevelEnabled('debug')) logRequest(request, reply, log);
    done();
  });
  app.setErrorHandler((error, request, reply) => fail(error, request, reply, log));

  const { federation } = home;
  const paths = new Paths([...routes, ...(federation === undefined ? [] : federationRoutes)]);
  app.setNotFoundHandler(async (request, reply) => {
    const methods = paths.methods(pathOf(request));
    if (methods.length > 0) reply.header('allow', [...methods, 'OPTIONS'].join(', '));
    throw unrecognized(methods.length > 0 ? 405 : 404);
  });

  mountRoutes(app, routes, { home, rateLimits, longRequests, jsonDepthMax: config.limits.jsonDepth });
  if (federation !== undefined) {
    const { requestsPerServer } = config.federation;
    mountFederationRoutes(app, federationRoutes, { federation, rateLimits, longRequests, requestsPerServer });
  }
  return { fastify: app, connections, longRequests, rateLimits };
}

function noCompiler(): never {
  throw new Error('no route has a schema of the framework');
}

/** The path without its query: that may hold an access token. */
function pathOf(request: FastifyRequest): string {
  const end = request.url.indexOf('?');
  return end === -1 ? request.url : request.url.slice(0, end);
}

function logRequest(request: FastifyRequest, reply: FastifyReply, log: Logger): void {
  log.debug(
    {
      request: request.id,
      method: request.method,
      path: pathOf(request),
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime),
      ip: request.ip,
    },
    'request',
  );
}

function fail(thrown: unknown, request: FastifyRequest, reply: FastifyReply, log: Logger): FastifyReply {
  const { refusal, isOurs } = refusalOf(thrown);
  if (isOurs) {
    log.error(
      { request: request.id, method: request.method, path: pathOf(request), err: thrown },
      'request failed',
    );
    reply.header('x-request-id', request.id);
  }
  const { retry_after_ms: retryAfterMs } = refusal.body;
  if (typeof retryAfterMs === 'number') reply.header('retry-after', Math.ceil(retryAfterMs / 1_000));
  return sendJson(reply, refusal.status, refusal.responseBody());
}

/** Requests that are no HTTP, or whose head is too large or too slow: there is no request to answer yet. */
function answerBrokenRequest(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, errcode] = BROKEN.get(error.code ?? '') ?? ['400 Bad Request', 'M_UNKNOWN'];
  const body = JSON.stringify({ errcode, error: 'The request is no HTTP that is understood here.' });
  const headers = Object.entries({
    ...CORS,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    connection: 'close',
  });
  const head = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  socket.end(`HTTP/1.1 ${status}\r\n${head}\r\n${body}`);
}

const BROKEN: ReadonlyMap<string, readonly [status: string, errcode: string]> = new Map([
  ['HPE_HEADER_OVERFLOW', ['431 Request Header Fields Too Large', 'M_TOO_LARGE']],
  ['ERR_HTTP_REQUEST_TIMEOUT', ['408 Request Timeout', 'M_UNKNOWN']],
]);
