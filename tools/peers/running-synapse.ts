// A real Synapse in a process of its own: SQLite, loopback, a name that leads through a wire which can be cut.

import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import type { Certificates } from './certificates.js';
import { freePort } from './wire.js';

const START_MS_MAX = 90_000;
const POLL_MS = 200;
/** Prints the rooms that it joined without their members, and has not fetched these yet. */
const PARTIAL_ROOMS = `
import json, sqlite3, sys
database = sqlite3.connect('file:' + sys.argv[1] + '?mode=ro', uri=True, timeout=30)
print(json.dumps([row[0] for row in database.execute('SELECT room_id FROM partial_state_rooms')]))
`;
const NO_LIMIT = { per_second: 10_000, burst_count: 10_000 };

export interface SynapseParts {
  readonly python: string;
  /** An empty folder, for its database and keys. */
  readonly folder: string;
  readonly certificates: Certificates;
  /** Whose port the server is named after, and what others reach it by. */
  readonly wire: { readonly port: number; lead(port: number): void };
}

export class RunningSynapse {
  readonly #child: ChildProcess;
  readonly #logPath: string;
  readonly #python: string;
  readonly #databasePath: string;
  readonly #ended: Promise<number | null>;
  readonly serverName: string;
  /** Of the client-server API. */
  readonly address: string;

  private constructor(child: ChildProcess, { python, folder, wire }: SynapseParts, address: string) {
    this.#child = child;
    this.#python = python;
    this.#logPath = logPathIn(folder);
    this.#databasePath = databasePathIn(folder);
    this.serverName = serverNameOf(wire);
    this.address = address;
    this.#ended = new Promise((resolve) => {
      child.once('exit', resolve);
    });
  }

  /** @throws Error with the end of its log when it does not start */
  static async start(parts: SynapseParts): Promise<RunningSynapse> {
    const { python, folder, certificates, wire } = parts;
    const [clientPort, federationPort] = [await freePort(), await freePort()];
    const serverName = serverNameOf(wire);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'log.yaml'), stringify(logConfig(logPathIn(folder))));
    const configPath = join(folder, 'homeserver.yaml');
    writeFileSync(
      configPath,
      stringify(config({ serverName, folder, certificates, clientPort, federationPort })),
    );
    const args = ['-m', 'synapse.app.homeserver', '-c', configPath];
    const made = spawnSync(python, [...args, '--generate-keys'], { encoding: 'utf8', cwd: folder });
    if (made.status !== 0) throw new Error(`Synapse made no keys: ${made.stderr}`);
    const child = spawn(python, args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
    let complaint = '';
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (complaint += chunk));
    const synapse = new RunningSynapse(child, parts, `http://127.0.0.1:${clientPort}`);
    for (const end = Date.now() + START_MS_MAX; Date.now() < end; await sleep(POLL_MS)) {
      if (child.exitCode !== null) break;
      const answer = await fetch(`${synapse.address}/health`).catch(() => undefined);
      if (answer?.ok !== true) continue;
      wire.lead(federationPort);
      return synapse;
    }
    await synapse.stop();
    throw new Error(`Synapse did not start: ${complaint}\n${synapse.log().slice(-5_000)}`);
  }

  /** What it logged so far: warnings and worse. */
  log(): string {
    try {
      return readFileSync(this.#logPath, 'utf8');
    } catch {
      return '';
    }
  }

  /** The rooms whose state it does not know all of yet, as its database says. */
  async partialRooms(): Promise<readonly string[]> {
    const { stdout } = await promisify(execFile)(this.#python, ['-c', PARTIAL_ROOMS, this.#databasePath]);
    return JSON.parse(stdout) as string[];
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 10_000);
    await this.#ended;
    clearTimeout(timer);
  }

  /** Ends it as a power cut would. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}

function serverNameOf({ port }: SynapseParts['wire']): string {
  return `localhost:${port}`;
}

function logPathIn(folder: string): string {
  return join(folder, 'homeserver.log');
}

function databasePathIn(folder: string): string {
  return join(folder, 'homeserver.db');
}

function logConfig(filename: string): object {
  return {
    version: 1,
    formatters: { plain: { format: '%(asctime)s %(name)s %(levelname)s %(request)s %(message)s' } },
    handlers: { file: { class: 'logging.FileHandler', filename, formatter: 'plain' } },
    root: { level: process.env['STATEROOM_SYNAPSE_LOG'] ?? 'WARNING', handlers: ['file'] },
    disable_existing_loggers: false,
  };
}

interface ConfigParts {
  readonly serverName: string;
  readonly folder: string;
  readonly certificates: Certificates;
  readonly clientPort: number;
  readonly federationPort: number;
}

function config({ serverName, folder, certificates, clientPort, federationPort }: ConfigParts): object {
  const listener = { type: 'http', bind_addresses: ['127.0.0.1'], x_forwarded: false };
  return {
    server_name: serverName,
    public_baseurl: `http://127.0.0.1:${clientPort}/`,
    pid_file: join(folder, 'homeserver.pid'),
    signing_key_path: join(folder, 'signing.key'),
    log_config: join(folder, 'log.yaml'),
    media_store_path: join(folder, 'media'),
    database: { name: 'sqlite3', args: { database: databasePathIn(folder) } },
    listeners: [
      { ...listener, port: clientPort, tls: false, resources: [{ names: ['client'], compress: false }] },
      { ...listener, port: federationPort, tls: true, resources: [{ names: ['federation', 'keys'] }] },
    ],
    tls_certificate_path: certificates.certificate,
    tls_private_key_path: certificates.key,
    federation_custom_ca_list: [certificates.authority],
    ip_range_blacklist: [],
    federation_ip_range_blacklist: [],
    trusted_key_servers: [],
    suppress_key_server_warning: true,
    report_stats: false,
    enable_registration: true,
    enable_registration_without_verification: true,
    macaroon_secret_key: 'only for tests',
    form_secret: 'only for tests',
    bcrypt_rounds: 4,
    allow_public_rooms_over_federation: true,
    federation: { destination_min_retry_interval: '1s', destination_max_retry_interval: '2s' },
    rc_message: NO_LIMIT,
    rc_registration: NO_LIMIT,
    rc_login: { address: NO_LIMIT, account: NO_LIMIT, failed_attempts: NO_LIMIT },
    rc_joins: { local: NO_LIMIT, remote: NO_LIMIT },
    rc_joins_per_room: NO_LIMIT,
    rc_invites: { per_room: NO_LIMIT, per_user: NO_LIMIT, per_issuer: NO_LIMIT },
    rc_admin_redaction: NO_LIMIT,
    rc_federation: { sleep_limit: 100_000, reject_limit: 100_000, concurrent: 100 },
    experimental_features: { msc3266_enabled: true },
  };
}
