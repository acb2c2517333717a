// The homeserver, from its configuration: store, engine, accounts, HTTP server, local socket; and its end.
//
//   store ─▶ signing key ─▶ engine ─▶ accounts ─▶ notifier ─▶ federation ─▶ HTTP, TLS, metrics, admin socket
//   end:  no new connections ─▶ long polls answered ─▶ what is under way finished ─▶ the same chain backwards

import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { Accounts } from '../account/accounts.js';
import { Ephemeral } from '../client/ephemeral.js';
import { federateEphemeral } from '../client/federated-ephemeral.js';
import type { Homeserver } from '../client/homeserver.js';
import { clientRoutes } from '../client/routes.js';
import { Notifier } from '../client/sync/notifier.js';
import { UiaSessions } from '../client/uia-sessions.js';
import { type Engine, openEngineOn } from '../engine/engine.js';
import type { ServerName } from '../event/ids.js';
import type { PublicKeys } from '../event/verify.js';
import { federationRoutes } from '../federation/routes.js';
import { toError } from '../lib/errors.js';
import { Store } from '../store/store.js';
import { type AdminSocket, openAdminSocket } from './admin/socket.js';
import type { ServerConfig } from './config/config.js';
import { ListenError, NameChangedError } from './errors.js';
import { type App, createApp } from './http/app.js';
import { delegationRoute } from './http/mount-federation.js';
import { RateLimits } from './http/rate-limits.js';
import { addLandingPage } from './landing.js';
import { type MetricsListener, openMetricsListener } from './operations/metrics-listener.js';
import { addEngineMetrics } from './operations/engine-metrics.js';
import { CoreMetrics } from './operations/core-metrics.js';
import { HistoryCollector } from './operations/history-collector.js';
import { type Logger, openLog } from './operations/logs.js';
import { addHealth, addMetrics } from './operations/operation-routes.js';
import { RequestMetrics } from './operations/request-metrics.js';
import { openFederation } from './open-federation.js';
import { addFederationMetrics } from './operations/federation-metrics.js';
import { KeptSigningKeys } from './signing-key-file.js';
import { openTlsListener } from './tls-listener.js';
import { packageVersion } from './version.js';

const NAME_KEY = 'server_name';
const DEFAULT_NAME = 'localhost' as ServerName;
const KEY_FILE = 'signing.key';
/** What may wait for missing events: on disk, and some hundred bytes of memory each. */
const HORIZON = { eventsMax: 100_000, bytesMax: 512 * 1024 * 1024 } as const;

/** A homeserver that answers. */
export interface RunningHomeserver {
  readonly home: Homeserver;
  readonly app: App;
  readonly log: Logger;
  /** Where it listens: `http://127.0.0.1:8008`. */
  readonly address: string;
  /** The port with TLS, where there is one. */
  readonly tlsPort: number | undefined;
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
  for (const warning of config.warnings) log.warn(warning);
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
  const registry = new Registry();
  // Federation knows the keys of other servers, and is opened on the engine that asks it for them.
  let lookup: PublicKeys = () => undefined;
  const { engine, serverName, signingKeys, isFirstRun } = await openServersEngine(store, config, {
    log,
    registry,
    keys: (server, keyId, validAt) => lookup(server, keyId, validAt),
  });
  closers.push(() => engine.close());

  const accounts = await Accounts.open({
    engine,
    serverName,
    ...(options.passwordCost === undefined ? {} : { passwordCost: options.passwordCost }),
  });
  closers.push(() => accounts.close());
  const ephemeral = new Ephemeral({ now: Date.now, hasPresence: config.presence.enabled });
  const notifier = new Notifier({ engine, accounts, ephemeral });
  closers.push(() => notifier.close());
  const context = { engine, accounts, serverName, keys: signingKeys, log };
  const federation = await openFederation(config.federation, context);
  if (federation !== undefined) {
    lookup = (server, keyId, validAt) => federation.keyRing.lookup(server, keyId, validAt);
    closers.push(() => federation.close());
    const part = federateEphemeral({ ephemeral, notifier }, federation);
    closers.push(async () => part());
    addFederationMetrics(registry, federation);
  }

  let address = '';
  const rateLimits = new RateLimits(config.rateLimits, () => performance.now());
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
      partialStateWaitMs: config.partialStateWaitMs,
      accessTokenLifetimeMs: config.accessTokenLifetimeMs,
    },
    engine,
    accounts,
    ephemeral,
    notifier,
    uiaSessions: new UiaSessions({ now: Date.now }),
    passwordAttempts: {
      take: (account) => rateLimits.take('password', account),
      giveBack: (account) => rateLimits.giveBack('password', account),
    },
    ...(federation === undefined ? {} : { federation }),
    rotateSigningKey: async () => (await signingKeys.rotate(Date.now())).keyId,
    now: Date.now,
  };

  const app = createApp({
    config,
    home,
    rateLimits,
    routes: [...clientRoutes, ...(await secretRoutes(config))],
    federationRoutes: [...federationRoutes, ...delegationRoutes(config)],
    log,
    metrics: new RequestMetrics(registry),
  });
  addOperations(app, home, registry, config);
  const collector = new HistoryCollector(engine, config.ownRecords, registry, log);
  closers.push(() => collector.close());
  closers.push(() => stopListening(app, config.limits.shutdownMs, log));
  address = await listen(app, config);
  const path = store.path ?? config.data;
  const tls = await openTlsListener(config.federation.tls, app, config.limits);
  if (tls !== undefined) closers.push(tls.close);
  const extras: ReadonlyArray<AdminSocket | MetricsListener | undefined> = [
    await openAdminSocket(home, path, log),
    await openMetricsListener(registry, config.metrics),
  ];
  for (const extra of extras) if (extra !== undefined) closers.push(extra.close);
  // All was read once now, while the database put itself in order after its opening.
  await store.settle();
  log.info(
    { address, tls_port: tls?.port, server_name: serverName, data: path, version: packageVersion() },
    'listening',
  );
  return { home, app, log, address, tlsPort: tls?.port, isFirstRun, close };
}

interface OpenedEngine {
  readonly engine: Engine;
  readonly serverName: ServerName;
  readonly signingKeys: KeptSigningKeys;
  readonly isFirstRun: boolean;
}

/** The engine under the server's name, with its key; the store is closed where that fails. */
async function openServersEngine(
  store: Store,
  config: ServerConfig,
  { log, registry, keys }: { readonly log: Logger; readonly registry: Registry; readonly keys: PublicKeys },
): Promise<OpenedEngine> {
  try {
    const kept = store.meta<ServerName>(NAME_KEY);
    const serverName = nameOf(kept, config);
    const keyPath = config.signingKeyPath ?? join(store.path ?? config.data, KEY_FILE);
    const signingKeys = await KeptSigningKeys.open(keyPath);
    const { signingKey } = signingKeys;
    if (signingKeys.isNew) {
      log.info({ path: keyPath, key_id: signingKey.keyId }, 'made a new signing key: keep a copy of it');
    }
    if (kept === undefined) await store.writeMeta(NAME_KEY, serverName);
    const engine = await openEngineOn(store, {
      serverName,
      signingKey,
      ...(config.federation.enabled ? { keys, verifierThreads: threadsOf(config) } : {}),
      nodeCacheBytes: config.nodeCacheBytes,
      horizon: { ...HORIZON, eventsOfRoomMax: config.federation.waitingOfRoomMax },
      observer: new CoreMetrics(registry),
      onStateReset: (trace, { roomId, resets }) =>
        log.warn(
          { room: roomId, trace, keys: resets.length },
          'a merge took state back; `stateroom resolve` shows it',
        ),
    });
    return { engine, serverName, signingKeys, isFirstRun: kept === undefined };
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

function threadsOf({ federation }: ServerConfig): number {
  return federation.verifierThreads ?? availableParallelism();
}

function delegationRoutes({ federation: { delegate } }: ServerConfig) {
  return delegate === undefined ? [] : [delegationRoute(delegate)];
}

async function secretRoutes({ registration: { sharedSecret } }: ServerConfig) {
  if (sharedSecret === undefined) return [];
  // Few servers have it, and its schema takes some megabytes.
  const { sharedSecretRoutes } = await import('./shared-secret.js');
  return sharedSecretRoutes(sharedSecret);
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
