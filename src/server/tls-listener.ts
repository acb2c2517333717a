// A port with TLS, for servers and clients that come without a reverse proxy: the same requests, the same answers.

import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { toError } from '../lib/errors.js';
import type { FederationConfig } from './config/federation-config.js';
import { ListenError, TlsFileError } from './errors.js';
import type { App } from './http/app.js';
import { Connections } from './http/connections.js';

export interface TlsListener {
  readonly port: number;
  readonly close: () => Promise<void>;
}

export interface TlsLimits {
  readonly connections: number;
  readonly requestTimeoutMs: number;
  readonly shutdownMs: number;
}

/**
 * Listens where the configuration says; undefined where it says nothing.
 * @throws SERVER_TLS_FILE, SERVER_LISTEN_FAILED
 */
export async function openTlsListener(
  { address, port, certFile, keyFile }: FederationConfig['tls'],
  app: App,
  limits: TlsLimits,
): Promise<TlsListener | undefined> {
  if (port === undefined || certFile === undefined || keyFile === undefined) return undefined;
  const [cert, key] = await Promise.all([textOfFile(certFile), textOfFile(keyFile)]);
  const server = serverWith(cert, key, certFile, limits);
  server.on('request', (request, response) => app.fastify.routing(request, response));
  const connections = new Connections(server);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const says = `cannot listen with TLS on ${address}, port ${port}: ${toError(cause).message}`;
      reject(new ListenError(`${says}; federation.tls.port sets another`, { address, port }, cause));
    });
    server.listen(port, address, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () => closed(server, connections, limits.shutdownMs),
  };
}

/** @throws SERVER_TLS_FILE */
export async function textOfFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new TlsFileError(`cannot read ${path}: ${toError(cause).message}`, { path }, cause);
  }
}

function serverWith(cert: string, key: string, path: string, limits: TlsLimits): Server {
  try {
    const server = createServer({
      cert,
      key,
      minVersion: 'TLSv1.2',
      ALPNProtocols: ['http/1.1'],
      requestTimeout: limits.requestTimeoutMs,
    });
    server.maxConnections = limits.connections;
    return server;
  } catch (cause) {
    throw new TlsFileError(`${path} and its key do not fit: ${toError(cause).message}`, { path }, cause);
  }
}

/** Takes no more connections and waits for what is under way, but not for ever. */
async function closed(server: Server, connections: Connections, shutdownMs: number): Promise<void> {
  const timer = setTimeout(() => server.closeAllConnections(), shutdownMs);
  try {
    const ended = new Promise<void>((resolve) => server.close(() => resolve()));
    connections.stop();
    await ended;
  } finally {
    clearTimeout(timer);
  }
}
