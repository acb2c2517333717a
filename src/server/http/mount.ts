// Puts declared routes onto the HTTP framework: who asks, whether they may ask again so soon, the body read and
// checked, the handler called, its answer written.
//
// All of that before the body is read needs no body: a stranger cannot make us read one.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { TSchema } from 'typebox';
import type { Validator } from 'typebox/compile';
import { authenticate } from '../../client/authenticate.js';
import { badJson, limitExceeded } from '../../client/errors.js';
import type { Homeserver } from '../../client/homeserver.js';
import { Reply, type Requester, type Route } from '../../client/route.js';
import type { JsonObject } from '../../event/json.js';
import { parseBody } from './body.js';
import type { LongRequests } from './long-requests.js';
import { networkOf, type RateLimits } from './rate-limits.js';
import { accessTokenOf, HandledRequest } from './request.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks, where the route wants to know. */
    requester: Requester | undefined;
  }
}

/** What mounted routes need beside the homeserver. */
export interface MountParts {
  readonly home: Homeserver;
  readonly rateLimits: RateLimits;
  readonly longRequests: LongRequests;
  /** Deepest nesting of JSON. */
  readonly jsonDepthMax: number;
}

const CURRENT_PREFIX = '/_matrix/client/v3/';
/** Clients of before 2022 ask there for the same. */
const OLD_PREFIX = '/_matrix/client/r0/';

/** Every route under its path, and what is under v3 under r0 as well. */
export function withOldPaths(routes: readonly Route[]): Route[] {
  const paths = new Set(routes.map(({ method, path }) => `${method} ${path}`));
  const old = routes
    .filter(({ path }) => path.startsWith(CURRENT_PREFIX))
    .map((route) => ({ ...route, path: `${OLD_PREFIX}${route.path.slice(CURRENT_PREFIX.length)}` }))
    .filter(({ method, path }) => !paths.has(`${method} ${path}`));
  return [...routes, ...old];
}

export function mountRoutes(app: FastifyInstance, routes: readonly Route[], parts: MountParts): void {
  app.decorateRequest('requester', undefined);
  for (const route of routes) mount(app, route, parts);
}

function mount(
  app: FastifyInstance,
  route: Route,
  { home, rateLimits, longRequests, jsonDepthMax }: MountParts,
): void {
  app.route({
    method: route.method,
    url: route.path,
    ...(route.bodyBytesMax === undefined ? {} : { bodyLimit: route.bodyBytesMax }),
    // No promise where nothing is waited for: they would cost more than what is done here.
    onRequest: (request, _reply, done) => {
      request.requester = identified(home, route, request, rateLimits);
      const asker = request.requester?.userId ?? networkOf(request.ip);
      const retryAfterMs = rateLimits.take(route.rateLimit, asker);
      if (retryAfterMs > 0) throw limitExceeded(retryAfterMs);
      done();
    },
    handler: (request, reply) => {
      const body =
        route.method === 'GET' ? {} : parseBody(request.body as Uint8Array | undefined, jsonDepthMax);
      const handled = new HandledRequest(request, body, longRequests.signalOf(reply.raw));
      const answer =
        route.body === undefined
          ? route.handler(handled, home)
          : checkBody(route.body, body).then(() => route.handler(handled, home));
      if (answer instanceof Promise) return answer.then((later) => send(reply, later));
      return send(reply, answer);
    },
  });
}

/** Who asks. Whoever guesses tokens is slowed down as everybody else is. */
function identified(
  home: Homeserver,
  { auth }: Route,
  request: FastifyRequest,
  rateLimits: RateLimits,
): Requester | undefined {
  if (auth === 'none') return undefined;
  try {
    return authenticate(home, accessTokenOf(request), auth, request.ip);
  } catch (error) {
    const retryAfterMs = rateLimits.take('other', networkOf(request.ip));
    throw retryAfterMs > 0 ? limitExceeded(retryAfterMs) : error;
  }
}

const validators = new WeakMap<TSchema, Validator>();

/** What checks bodies of a schema, made when the first comes: few routes have one, and what makes it takes 18 MB. */
async function validatorOf(schema: TSchema): Promise<Validator> {
  const known = validators.get(schema);
  if (known !== undefined) return known;
  const { Compile } = await import('typebox/compile');
  const validator = Compile(schema);
  validators.set(schema, validator);
  return validator;
}

/** @throws MatrixError 400 M_BAD_JSON for a body that the schema does not let pass */
async function checkBody(schema: TSchema, body: JsonObject): Promise<void> {
  const validator = await validatorOf(schema);
  if (validator.Check(body)) return;
  const [first] = validator.Errors(body);
  const place = first?.instancePath.slice(1).replaceAll('/', '.') ?? '';
  throw badJson(`The body is not as it should be: ${place === '' ? 'it' : place} ${first?.message ?? ''}.`);
}

/** Writes an answer. */
function send(reply: FastifyReply, answer: JsonObject | Reply): void {
  if (!(answer instanceof Reply)) {
    sendJson(reply, 200, answer);
    return;
  }
  for (const [name, value] of Object.entries(answer.headers)) reply.header(name, value);
  if (typeof answer.body !== 'string') {
    sendJson(reply, answer.status, answer.body);
    return;
  }
  if (!reply.hasHeader('content-type')) reply.type('text/plain; charset=utf-8');
  reply.code(answer.status).send(answer.body);
}

/** JSON, made text here: the framework would only look for a schema first. */
export function sendJson(reply: FastifyReply, status: number, body: object): FastifyReply {
  return reply.code(status).header('content-type', 'application/json').send(JSON.stringify(body));
}
