// The homeserver, from its configuration: store, engine, accounts, HTTP server, local socket; and its end.
//
//   store ─▶ signing key ─▶ engine ─▶ accounts ─▶ notifier ─▶ HTTP, metrics, admin socket
//   end:  no new connections ─▶ long polls answered ─▶ what is under way finished ─▶ the same chain backwards

import { join } from 'node:path';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { Accounts } from '../account/accounts.js';
import { Ephemeral } from '../client/ephemeral.js';
import type { Homeserver } from '../client/homeserver.js';
import { clientRoutes } from '../client/routes.js';
import { Notifier } from '../client/sync/notifier.js';
import { UiaSessions } from '../client/uia-sessions.js';
import { type Engine, openEngineOn } from '../engine/engine.js';
import type { ServerName } from '../event/ids.js';
import { toError } from '../lib/errors.js';
import { Store } from '../store/store.js';
import { type AdminSocket, openAdminSocket } from './admin/socket.js';
import type { ServerConfig } from './config/config.js';
import { ListenError, NameChangedError } from './errors.js';
import { type App, createApp } from './http/app.js';
import { addLandingPage } from './landing.js';
import { type MetricsListener, openMetricsListener } from './operations/metrics-listener.js';
import { addEngineMetrics } from './operations/engine-metrics.js';
import { type Logger, openLog } from './operations/logs.js';
import { addHealth, addMetrics } from './operations/operation-routes.js';
import { RequestMetrics } from './operations/request-metrics.js';
import { sharedSecretRoutes } from './shared-secret.js';
import { keptSigningKey } from './signing-key-file.js';
import { packageVersion } from './version.js';

const NAME_KEY = 'server_name';
const DEFAULT_NAME = 'localhost' as ServerName;
const KEY_FILE = 'signing.key';

/** A homeserver that answers. */
export interface RunningHomeserver {
  readonly home: Homeserver;
  readonly app: App;
  readonly log: Logger;
  /** Where it listens: `http://127.0.0.1:8008`. */
  readonly address: string;
  /** The data folder was made just now. */
  readonly isFirstRun: boolean;
  /** Answers what is under way, writes what is acknowledged, and ends. */
  readonly close: () => Promise<void>;
}

export interface OpenOptions {
  /** Where logs go; stdout without it. */
  readonly logOutput?: NodeJS.WritableStream;
  /** What hashing a password costs; cheaper for tests only. */
  readonly passwordCost?: { readonly memoryKiB: number; readonly passes: number };
}

/**
 * Starts a homeserver.
 * @throws as `Store.open`; SERVER_KEY_INVALID, SERVER_NAME_CHANGED, SERVER_LISTEN_FAILED
 */
export async function openHomeserver(
  config: ServerConfig,
  options: OpenOptions = {},
): Promise<RunningHomeserver> {
  const log = openLog(config.log, options.logOutput);
  // What was opened is closed again, last first: at the end, or when the start fails halfway.
  const closers: Array<() => Promise<void>> = [];
  const close = async (): Promise<void> => {
    let failure: Error | undefined;
    for (const closer of closers.splice(0).reverse()) {
      await closer().catch((error: unknown) => {
        failure ??= toError(error);
      });
    }
    if (failure !== undefined) throw failure;
  };
  try {
    return await start(config, options, log, closers, close);
  } catch (error) {
    // Why it did not start is what there is to say, whatever fails after it.
    await close().catch(() => undefined);
    throw error;
  }
}

async function start(
  config: ServerConfig,
  options: OpenOptions,
  log: Logger,
  closers: Array<() => Promise<void>>,
  close: () => Promise<void>,
): Promise<RunningHomeserver> {
  const store = await Store.open(
    { kind: 'folder', path: config.data, create: true },
    { durability: config.durability },
  );
  const { engine, serverName, isFirstRun } = await openServersEngine(store, config, log);
  closers.push(() => engine.close());

  const accounts = await Accounts.open({
    engine,
    serverName,
    ...(options.passwordCost === undefined ? {} : { passwordCost: options.passwordCost }),
  });
  closers.push(() => accounts.close());
  const ephemeral = new Ephemeral({ now: Date.now });
  const notifier = new Notifier({ engine, accounts, ephemeral });
  closers.push(() => notifier.close());

  let address = '';
  const home: Homeserver = {
    options: {
      serverName,
      get publicBaseUrl() {
        return config.publicBaseUrl ?? address;
      },
      isRegistrationOpen: config.registration.enabled,
      registrationTokens: config.registration.tokens,
      defaultRoomVersion: config.defaultRoomVersion,
      syncTimeoutMsMax: config.syncTimeoutMsMax,
      accessTokenLifetimeMs: config.accessTokenLifetimeMs,
    },
    engine,
    accounts,
    ephemeral,
    notifier,
    uiaSessions: new UiaSessions({ now: Date.now }),
    now: Date.now,
  };

  const registry = new Registry();
  const app = createApp({
    config,
    home,
    routes: [...clientRoutes, ...secretRoutes(config)],
    log,
    metrics: new RequestMetrics(registry),
  });
  addOperations(app, home, registry, config);
  closers.push(() => stopListening(app, config.limits.shutdownMs, log));
  address = await listen(app, config);
  const path = store.path ?? config.data;
  const extras: ReadonlyArray<AdminSocket | MetricsListener | undefined> = [
    await openAdminSocket(home, path, log),
    await openMetricsListener(registry, config.metrics),
  ];
  for (const extra of extras) if (extra !== undefined) closers.push(extra.close);
  log.info({ address, server_name: serverName, data: path, version: packageVersion() }, 'listening');
  return { home, app, log, address, isFirstRun, close };
}

/** The engine under the server's name, with its key; the store is closed where that fails. */
async function openServersEngine(
  store: Store,
  config: ServerConfig,
  log: Logger,
): Promise<{ readonly engine: Engine; readonly serverName: ServerName; readonly isFirstRun: boolean }> {
  try {
    const kept = store.meta<ServerName>(NAME_KEY);
    const serverName = nameOf(kept, config);
    const keyPath = config.signingKeyPath ?? join(store.path ?? config.data, KEY_FILE);
    const { key, isNew } = await keptSigningKey(keyPath);
    if (isNew) log.info({ path: keyPath, key_id: key.keyId }, 'made a new signing key: keep a copy of it');
    if (kept === undefined) await store.writeMeta(NAME_KEY, serverName);
    const engine = await openEngineOn(store, {
      serverName,
      signingKey: key,
      nodeCacheBytes: config.nodeCacheBytes,
      onStateReset: (trace, { roomId, resets }) =>
        log.warn(
          { room: roomId, trace, keys: resets.length },
          'a merge took state back; `stateroom resolve` shows it',
        ),
    });
    return { engine, serverName, isFirstRun: kept === undefined };
  } catch (error) {
    await store.close();
    throw error;
  }
}

function nameOf(kept: ServerName | undefined, { serverName, data }: ServerConfig): ServerName {
  if (kept !== undefined && serverName !== undefined && kept !== serverName) {
    throw new NameChangedError(
      `the data in ${data} is that of ${kept}, not of ${serverName}; use another folder`,
      {
        server_name: serverName,
        kept,
      },
    );
  }
  return kept ?? serverName ?? DEFAULT_NAME;
}

function secretRoutes({ registration }: ServerConfig) {
  return registration.sharedSecret === undefined ? [] : sharedSecretRoutes(registration.sharedSecret);
}

function addOperations(app: App, home: Homeserver, registry: Registry, config: ServerConfig): void {
  addLandingPage(app.fastify, home, packageVersion());
  addHealth(app.fastify, home, app.longRequests);
  collectDefaultMetrics({ register: registry });
  addEngineMetrics(registry, home, app);
  if (config.metrics.enabled) addMetrics(app.fastify, registry);
}

async function listen({ fastify }: App, { listen: { address, port } }: ServerConfig): Promise<string> {
  try {
    const url = await fastify.listen({ host: address, port });
    // All addresses are none that a client could be given.
    return url.replace(/\/\/(0\.0\.0\.0|\[::\])/, '//localhost');
  } catch (cause) {
    throw new ListenError(
      `cannot listen on ${address}, port ${port}: ${toError(cause).message}; listen.port or --port sets another`,
      { address, port },
      cause,
    );
  }
}

/** Takes no more connections and waits for what is under way, but not for ever. */
async function stopListening(
  { fastify, connections, longRequests }: App,
  shutdownMs: number,
  log: Logger,
): Promise<void> {
  longRequests.stop();
  const timer = setTimeout(() => {
    log.warn('requests that did not end are cut off');
    fastify.server.closeAllConnections();
  }, shutdownMs);
  try {
    const closed = fastify.close();
    connections.stop();
    await closed;
  } finally {
    clearTimeout(timer);
  }
}
