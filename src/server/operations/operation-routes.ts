// Endpoints for those who run the server: is it well, and how is it doing.

import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Registry } from 'prom-client';
import type { Homeserver } from '../../client/homeserver.js';
import { sendJson } from '../http/mount.js';
import type { LongRequests } from '../http/long-requests.js';
import { unrecognized } from '../http/failures.js';

/** `GET /_stateroom/health`: 200 while the server takes writes, else 503. Says nothing that is secret. */
export function addHealth(app: FastifyInstance, home: Homeserver, longRequests: LongRequests): void {
  app.get('/_stateroom/health', async (_request, reply) => {
    const status = longRequests.isStopping
      ? 'stopping'
      : home.engine.core.writer.failure === undefined
        ? 'ok'
        : 'failed';
    return sendJson(reply, status === 'ok' ? 200 : 503, { status });
  });
}

/** `GET /_stateroom/metrics`, for this machine only: what came through a proxy is from elsewhere. */
export function addMetrics(app: FastifyInstance, registry: Registry): void {
  app.get('/_stateroom/metrics', async (request, reply) => {
    if (!isFromHere(request)) throw unrecognized(404);
    return reply.type(registry.contentType).send(await registry.metrics());
  });
}

const FORWARDED = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via'];

function isFromHere({ raw }: FastifyRequest): boolean {
  const address = raw.socket.remoteAddress ?? '';
  const isLoopback = address === '::1' || /^(::ffff:)?127\./.test(address);
  return isLoopback && FORWARDED.every((name) => raw.headers[name] === undefined);
}
