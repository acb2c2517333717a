// A homeserver on a free port of this machine, asked by real HTTP.

import { mkdtempSync, rmSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { Registry } from 'prom-client';
import type { Route } from '../../src/client/route.js';
import { loadConfig, type ServerConfig } from '../../src/server/config/config.js';
import type { SettingValue } from '../../src/server/config/settings.js';
import { createApp, type App } from '../../src/server/http/app.js';
import { openLog } from '../../src/server/operations/logs.js';
import { RequestMetrics } from '../../src/server/operations/request-metrics.js';
import { openHomeserver, type RunningHomeserver } from '../../src/server/start.js';
import { Harness } from '../client/harness.js';

/** Cheap enough for tests. */
const PASSWORD_COST = { memoryKiB: 8, passes: 1 };

/** A response, read whole. */
export interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The JSON body; an empty object where it is none. */
  readonly body: Readonly<Record<string, unknown>>;
}

export interface AskOptions {
  readonly method?: string;
  /** Sent as it is, or as JSON. */
  readonly body?: string | Uint8Array | object;
  readonly headers?: Readonly<Record<string, string>>;
  readonly token?: string;
}

/** One request on a connection of its own, its path sent exactly as it is written. */
export function ask(address: string, path: string, options: AskOptions = {}): Promise<Answered> {
  const { hostname, port } = new URL(address);
  const { body, token } = options;
  const bytes =
    body === undefined || typeof body === 'string' || body instanceof Uint8Array
      ? body
      : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        hostname,
        port,
        path,
        method: options.method ?? (body === undefined ? 'GET' : 'POST'),
        headers: {
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(bytes === undefined ? {} : { 'content-length': String(Buffer.byteLength(bytes)) }),
          ...options.headers,
        },
        agent: false,
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text, body: bodyOf(text) });
        });
      },
    );
    request.on('error', reject);
    request.end(bytes);
  });
}

function bodyOf(text: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}

/** Log lines, kept. */
export class KeptLog extends Writable {
  text = '';

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString('utf8');
    done();
  }
}

function configWith(flags: Readonly<Record<string, SettingValue>>): ServerConfig {
  return loadConfig({
    flags: { 'listen.port': 0, 'log.format': 'json', 'federation.verifier_threads': 0, ...flags },
  });
}

/** A folder that goes with the tests. */
export function tempFolder(): { readonly path: string; readonly remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'stateroom-server-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** A whole homeserver on a data folder. */
export function serve(
  data: string,
  flags: Readonly<Record<string, SettingValue>> = {},
  logOutput: NodeJS.WritableStream = new KeptLog(),
): Promise<RunningHomeserver> {
  const config = configWith({ data, durability: 'os', ...flags });
  return openHomeserver(config, { logOutput, passwordCost: PASSWORD_COST });
}

/** Routes of a test, mounted as the server mounts its own, on a homeserver in memory. */
export interface Mounted {
  readonly harness: Harness;
  readonly app: App;
  readonly address: string;
  readonly log: KeptLog;
  readonly close: () => Promise<void>;
}

export async function mounted(
  routes: readonly Route[],
  flags: Readonly<Record<string, SettingValue>> = {},
): Promise<Mounted> {
  const harness = await Harness.open();
  const config = configWith(flags);
  const log = new KeptLog();
  const app = createApp({
    config,
    home: harness.home,
    routes,
    log: openLog(config.log, log),
    metrics: new RequestMetrics(new Registry()),
  });
  const address = await app.fastify.listen({ host: '127.0.0.1', port: 0 });
  return {
    harness,
    app,
    address,
    log,
    close: async () => {
      app.longRequests.stop();
      await app.fastify.close();
      await harness.close();
    },
  };
}
