// Metrics on a port of their own, where one is configured: for a Prometheus on another machine.

import { createServer } from 'node:http';
import type { Registry } from 'prom-client';
import { toError } from '../../lib/errors.js';
import type { ServerConfig } from '../config/config.js';
import { ListenError } from '../errors.js';

export interface MetricsListener {
  readonly close: () => Promise<void>;
}

/** Listens where the configuration says; undefined where it says nothing. @throws SERVER_LISTEN_FAILED */
export async function openMetricsListener(
  registry: Registry,
  { enabled, address, port }: ServerConfig['metrics'],
): Promise<MetricsListener | undefined> {
  if (!enabled || port === undefined) return undefined;
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    registry.metrics().then(
      (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const says = `cannot listen for metrics on ${address}, port ${port}: ${toError(cause).message}`;
      reject(new ListenError(says, { address, port }, cause));
    });
    server.listen(port, address, resolve);
  });
  return {
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}
