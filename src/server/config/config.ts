// The configuration: one YAML file, then environment variables, then flags, each over the one before.
//
// All is checked at start. Everything that is wrong is told at once, by its key, with the nearest right one. Only
// environment variables that name no setting are left at a warning.

import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type { ServerName } from '../../event/ids.js';
import type { RateLimit } from '../../client/route.js';
import { ConfigError, ConfigUnreadableError } from '../errors.js';
import { federationConfig, type FederationConfig } from './federation-config.js';
import { nearest } from './nearest.js';
import { type Setting, SETTINGS, type SettingValue, variableOf } from './settings.js';

/** So many a second, after so many at once. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

export interface ServerConfig {
  /** Undefined: whatever the data folder's is, else localhost. */
  readonly serverName: ServerName | undefined;
  readonly publicBaseUrl: string | undefined;
  readonly data: string;
  readonly signingKeyPath: string | undefined;
  readonly listen: {
    readonly address: string;
    readonly port: number;
    readonly trustedProxies: readonly string[];
  };
  readonly registration: {
    readonly enabled: boolean;
    readonly tokens: readonly string[];
    readonly sharedSecret: string | undefined;
  };
  readonly defaultRoomVersion: string;
  readonly accessTokenLifetimeMs: number;
  /** Undefined: requests are not limited. */
  readonly rateLimits:
    | Readonly<Record<Exclude<RateLimit, 'none'> | 'password' | 'federation', Rate>>
    | undefined;
  readonly limits: {
    readonly bodyBytes: number;
    readonly jsonDepth: number;
    readonly requestTimeoutMs: number;
    readonly connections: number;
    readonly shutdownMs: number;
  };
  readonly syncTimeoutMsMax: number;
  readonly partialStateWaitMs: number;
  /** Is it kept and shown who is there? */
  readonly presence: { readonly enabled: boolean };
  readonly federation: FederationConfig;
  readonly log: { readonly level: string; readonly format: 'json' | 'text' | 'auto' };
  readonly metrics: {
    readonly enabled: boolean;
    readonly address: string;
    readonly port: number | undefined;
  };
  /** What is kept of the server's own records that were replaced, and how often the rest is collected. */
  readonly ownRecords: {
    readonly historyEvents: number;
    readonly historyMs: number;
    /** Fewer wait for more. */
    readonly collectAtLeast: number;
    readonly collectEveryMs: number;
  };
  readonly durability: 'sync' | 'os';
  readonly nodeCacheBytes: number;
  /** What is odd about where the settings come from, in sentences, and does not keep the server from running. */
  readonly warnings: readonly string[];
}

/** Where settings come from. */
export interface ConfigSources {
  /** Path of the YAML file; none is read without it. */
  readonly file?: string | undefined;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** By key: `listen.port`. Undefined ones do not count. */
  readonly flags?: Readonly<Record<string, SettingValue>>;
}

/** Variables of ours that are no settings. */
const OTHER_VARIABLES = new Set(['STATEROOM_CONFIG', 'STATEROOM_DEBUG', 'STATEROOM_STORIES']);

interface Reading {
  readonly values: Map<string, SettingValue>;
  readonly faults: string[];
  readonly warnings: string[];
}

/** @throws SERVER_CONFIG_UNREADABLE, SERVER_CONFIG_INVALID */
export function loadConfig(sources: ConfigSources = {}): ServerConfig {
  const reading: Reading = { values: new Map(), faults: [], warnings: [] };
  for (const { key, fallback } of SETTINGS) reading.values.set(key, fallback);
  if (sources.file !== undefined) readFile(reading, sources.file);
  readEnvironment(reading, sources.environment ?? {});
  for (const [key, value] of Object.entries(sources.flags ?? {})) {
    const setting = SETTINGS.find((known) => known.key === key);
    if (setting !== undefined && value !== undefined) take(reading, setting, value, 'flags');
  }
  checkTogether(reading);
  if (reading.faults.length > 0) {
    throw new ConfigError(reading.faults.join('\n  '), { faults: reading.faults.length, file: sources.file });
  }
  return configOf(reading);
}

function readFile(reading: Reading, file: string): void {
  let content: unknown;
  try {
    content = parse(readFileSync(file, 'utf8'), { maxAliasCount: 0 });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigUnreadableError(`${file}: ${why}`, { file }, cause);
  }
  // An empty file, or one of comments alone, changes nothing.
  if (content !== null) readSection(reading, content, '', file);
}

function readSection(reading: Reading, content: unknown, prefix: string, file: string): void {
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    reading.faults.push(`${file}: ${prefix === '' ? 'the file' : prefix} is made of keys and values`);
    return;
  }
  for (const [name, value] of Object.entries(content)) {
    const key = prefix === '' ? name : `${prefix}.${name}`;
    const setting = SETTINGS.find((known) => known.key === key);
    if (setting !== undefined) take(reading, setting, value, file);
    else if (!isSection(key)) reading.faults.push(`${file}: ${unknownKey(key)}`);
    else if (value !== null) readSection(reading, value, key, file);
  }
}

function isSection(key: string): boolean {
  return SETTINGS.some((setting) => setting.key.startsWith(`${key}.`));
}

function unknownKey(key: string): string {
  const keys = SETTINGS.flatMap((setting) => {
    const parts = setting.key.split('.');
    return parts.map((_, i) => parts.slice(0, i + 1).join('.'));
  });
  const ofSameName = keys.find((known) => known.split('.').at(-1) === key.split('.').at(-1));
  const meant = nearest(key, new Set(keys)) ?? ofSameName;
  return `${key} is no setting${meant === undefined ? '' : `; did you mean ${meant}?`}`;
}

function readEnvironment(reading: Reading, environment: NonNullable<ConfigSources['environment']>): void {
  const byVariable = new Map(SETTINGS.map((setting) => [variableOf(setting.key), setting]));
  for (const [name, text] of Object.entries(environment)) {
    if (!name.startsWith('STATEROOM_') || OTHER_VARIABLES.has(name) || text === undefined || text === '')
      continue;
    const setting = byVariable.get(name);
    if (setting === undefined) {
      // An environment is shared: what begins with our name may be a service manager's, or another version's.
      const meant = nearest(name, byVariable.keys());
      reading.warnings.push(
        `environment: ${name} is no setting${meant === undefined ? '' : `; did you mean ${meant}?`}`,
      );
    } else take(reading, setting, fromText(setting, text), `environment: ${name}`);
  }
}

/** What a variable's text stands for; text that stands for nothing stays text, and is refused. */
function fromText({ kind }: Setting, text: string): SettingValue {
  if (kind === 'list') return text.split(',').map((item) => item.trim());
  if (kind === 'number' && /^-?[0-9]+(\.[0-9]+)?$/.test(text)) return Number(text);
  if (kind === 'flag' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}

const KINDS = {
  text: 'is a text',
  number: 'is a number',
  flag: 'is true or false',
  list: 'is a list of texts',
} as const;

function take({ values, faults }: Reading, setting: Setting, given: unknown, from: string): void {
  // A key that is there without a value is a key left out.
  if (given === null) return;
  const value = ofKind(setting, given);
  const fault = value === undefined ? KINDS[setting.kind] : setting.fault?.(value);
  if (fault === undefined) values.set(setting.key, value);
  else faults.push(`${from}: ${setting.key} ${fault}${shown(setting, given)}`);
}

function ofKind({ kind, key }: Setting, value: unknown): SettingValue {
  switch (kind) {
    case 'text':
      // YAML reads a version without quotes as a number.
      return typeof value === 'string' || (key === 'rooms.default_version' && typeof value === 'number')
        ? String(value)
        : undefined;
    case 'number':
      return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
    case 'flag':
      return typeof value === 'boolean' ? value : undefined;
    case 'list':
      return Array.isArray(value) && value.every((item) => typeof item === 'string') ? value : undefined;
  }
}

/** The value that was given, unless it is a secret. */
function shown({ key }: Setting, value: unknown): string {
  if (key === 'registration.shared_secret' || key === 'registration.tokens') return '';
  return `, not ${JSON.stringify(value)?.slice(0, 80)}`;
}

function configOf({ values, warnings }: Reading): ServerConfig {
  const optional = (key: string): string | undefined => values.get(key) as string | undefined;
  const text = (key: string): string => optional(key) ?? '';
  const number = (key: string): number => Number(values.get(key));
  const flag = (key: string): boolean => values.get(key) === true;
  const list = (key: string): readonly string[] => (values.get(key) ?? []) as readonly string[];
  const rate = (name: string): Rate => ({
    perSecond: number(`rate_limits.${name}.per_second`),
    burst: number(`rate_limits.${name}.burst`),
  });
  return {
    serverName: optional('server_name') as ServerName | undefined,
    publicBaseUrl: optional('public_base_url')?.replace(/\/+$/, ''),
    data: text('data'),
    signingKeyPath: optional('signing_key_path'),
    listen: {
      address: text('listen.address'),
      port: number('listen.port'),
      trustedProxies: list('listen.trusted_proxies'),
    },
    registration: {
      enabled: flag('registration.enabled'),
      tokens: list('registration.tokens'),
      sharedSecret: optional('registration.shared_secret'),
    },
    defaultRoomVersion: text('rooms.default_version'),
    accessTokenLifetimeMs: number('sessions.access_token_lifetime_ms'),
    rateLimits: flag('rate_limits.enabled')
      ? {
          login: rate('login'),
          password: rate('password'),
          register: rate('register'),
          message: rate('message'),
          join: rate('join'),
          other: rate('other'),
          federation: rate('federation'),
        }
      : undefined,
    limits: {
      bodyBytes: number('limits.body_bytes'),
      jsonDepth: number('limits.json_depth'),
      requestTimeoutMs: number('limits.request_timeout_ms'),
      connections: number('limits.connections'),
      shutdownMs: number('limits.shutdown_ms'),
    },
    syncTimeoutMsMax: number('sync.timeout_ms_max'),
    partialStateWaitMs: number('client.partial_state_wait_ms'),
    presence: { enabled: flag('presence.enabled') },
    federation: federationConfig(values),
    log: { level: text('log.level'), format: text('log.format') as 'json' | 'text' | 'auto' },
    metrics: {
      enabled: flag('metrics.enabled'),
      address: text('metrics.address'),
      port: values.get('metrics.port') as number | undefined,
    },
    ownRecords: {
      historyEvents: number('own_records.history_events'),
      historyMs: number('own_records.history_ms'),
      collectAtLeast: number('own_records.collect_at_least'),
      collectEveryMs: number('own_records.collect_every_ms'),
    },
    durability: text('durability') as 'sync' | 'os',
    nodeCacheBytes: number('caches.node_bytes'),
    warnings,
  };
}

/** Settings that mean nothing without one another. */
function checkTogether({ values, faults }: Reading): void {
  const files = ['federation.tls.cert_file', 'federation.tls.key_file'];
  if (values.get('federation.tls.port') === undefined) return;
  for (const key of files) {
    if (values.get(key) === undefined) faults.push(`${key} is missing: federation.tls.port needs it`);
  }
}
