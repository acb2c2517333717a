// Every setting there is: its key in the file, what it means, what it is when nobody says, what it may be.
//
// One table serves all: reading, checking, environment variables, and the file that `--print-config` writes.

import { parseServerName } from '../../event/ids.js';
import { ROOM_VERSIONS } from '../../event/rules.js';
import { FEDERATION_SETTINGS } from './federation-settings.js';
import { urlFault, notEmpty, port, networks, between, wholeBetween, oneOf, type Setting } from './setting.js';

export type { Setting, SettingValue } from './setting.js';

/** Classes of requests with limits of their own, and why. */
const RATES: ReadonlyArray<readonly [name: string, perSecond: number, burst: number, doc: string]> = [
  ['login', 0.5, 30, 'Logging in, by address.'],
  ['password', 0.2, 20, 'Wrong passwords, by account, wherever they come from.'],
  ['register', 0.5, 60, 'Registering, by address.'],
  ['message', 20, 200, 'Sending, by user.'],
  ['join', 2, 60, 'Joining and creating rooms, inviting, by user.'],
  ['other', 100, 1_000, 'Everything else, by user or address.'],
  ['federation', 200, 2_000, 'Requests of another server.'],
];

export const SETTINGS: readonly Setting[] = [
  {
    key: 'server_name',
    kind: 'text',
    fallback: undefined,
    example: 'example.org',
    doc: 'The name of this server, as in @user:example.org. It can never be changed. Without one: localhost.',
    fault: (value) =>
      parseServerName(String(value)) === undefined
        ? 'is a server name: example.org, or with a port'
        : undefined,
  },
  {
    key: 'public_base_url',
    kind: 'text',
    fallback: undefined,
    example: 'https://matrix.example.org',
    doc: 'Where clients reach this server. Without it: where it listens.',
    fault: urlFault,
  },
  {
    key: 'data',
    kind: 'text',
    fallback: './stateroom-data',
    doc: 'The data folder, made when it is not there. Relative to the working directory.',
    fault: notEmpty,
  },
  {
    key: 'signing_key_path',
    kind: 'text',
    fallback: undefined,
    example: '/etc/stateroom/signing.key',
    doc: 'The signing key, made when it is not there. Without it: signing.key in the data folder.',
    fault: notEmpty,
  },
  {
    key: 'listen.address',
    kind: 'text',
    fallback: '127.0.0.1',
    doc: 'The address to listen on. Put a reverse proxy with TLS before it; 0.0.0.0 and :: are all addresses.',
    fault: notEmpty,
  },
  { key: 'listen.port', kind: 'number', fallback: 8008, doc: 'The port; 0 is any free one.', fault: port },
  {
    key: 'listen.trusted_proxies',
    kind: 'list',
    fallback: [],
    doc: 'Addresses or networks of proxies whose X-Forwarded-For is believed, such as 127.0.0.1 or 10.0.0.0/8.',
    fault: networks,
  },
  {
    key: 'registration.enabled',
    kind: 'flag',
    fallback: false,
    doc: 'May anybody register? Otherwise `stateroom admin user create` makes users.',
  },
  {
    key: 'registration.tokens',
    kind: 'list',
    fallback: [],
    doc: 'Tokens that allow who has one to register, also while registration is closed.',
    fault: (value) =>
      (value as readonly string[]).every((token) => /^[A-Za-z0-9._~-]{1,64}$/.test(token))
        ? undefined
        : 'are tokens of at most 64 letters, digits and . _ ~ -',
  },
  {
    key: 'registration.shared_secret',
    kind: 'text',
    fallback: undefined,
    example: 'a long random text',
    doc: 'Who knows it may register users by POST /_synapse/admin/v1/register. Without it there is no such endpoint.',
    fault: (value) => (String(value).length < 8 ? 'has at least 8 characters' : undefined),
  },
  {
    key: 'rooms.default_version',
    kind: 'text',
    fallback: '12',
    doc: 'The version of new rooms.',
    fault: (value) => {
      const versions: readonly string[] = ROOM_VERSIONS.map(({ version }) => version);
      return versions.includes(String(value)) ? undefined : `is one of ${versions.join(', ')}`;
    },
  },
  {
    key: 'sessions.access_token_lifetime_ms',
    kind: 'number',
    fallback: 3_600_000,
    doc: 'How long an access token is good for, where the client can refresh it.',
    fault: between(10_000, 365 * 86_400_000),
  },
  {
    key: 'rate_limits.enabled',
    kind: 'flag',
    fallback: true,
    doc: 'Are requests limited? Each class has so many a second, after so many at once.',
  },
  ...RATES.flatMap(([name, perSecond, burst, doc]): Setting[] => [
    {
      key: `rate_limits.${name}.per_second`,
      kind: 'number',
      fallback: perSecond,
      doc,
      fault: between(0.001, 1_000_000),
    },
    {
      key: `rate_limits.${name}.burst`,
      kind: 'number',
      fallback: burst,
      doc: 'At once.',
      fault: wholeBetween(1, 10_000_000),
    },
  ]),
  {
    key: 'limits.body_bytes',
    kind: 'number',
    fallback: 4 * 1024 * 1024,
    doc: 'The largest body of a request.',
    fault: wholeBetween(65_536, 1024 * 1024 * 1024),
  },
  {
    key: 'limits.json_depth',
    kind: 'number',
    fallback: 100,
    doc: 'The deepest nesting of the JSON in a request.',
    fault: wholeBetween(10, 500),
  },
  {
    key: 'limits.request_timeout_ms',
    kind: 'number',
    fallback: 60_000,
    doc: 'A request must have arrived whole within that time.',
    fault: wholeBetween(1_000, 3_600_000),
  },
  {
    key: 'limits.connections',
    kind: 'number',
    fallback: 20_000,
    doc: 'Connections at once; more are turned away.',
    fault: wholeBetween(10, 1_000_000),
  },
  {
    key: 'limits.shutdown_ms',
    kind: 'number',
    fallback: 10_000,
    doc: 'How long a shutdown waits for requests under way.',
    fault: wholeBetween(0, 600_000),
  },
  {
    key: 'sync.timeout_ms_max',
    kind: 'number',
    fallback: 120_000,
    doc: 'The longest that /sync waits for news, whatever a client asks for.',
    fault: wholeBetween(0, 3_600_000),
  },
  {
    key: 'client.partial_state_wait_ms',
    kind: 'number',
    fallback: 30_000,
    doc: 'How long a request for all members of a room waits while they are still fetched after a join.',
    fault: wholeBetween(0, 3_600_000),
  },
  {
    key: 'presence.enabled',
    kind: 'flag',
    fallback: true,
    doc: 'Is it kept and shown who is there? It costs work in large rooms.',
  },
  ...FEDERATION_SETTINGS,
  {
    key: 'log.level',
    kind: 'text',
    fallback: 'info',
    doc: 'What is logged: fatal, error, warn, info, debug (each request) or trace.',
    fault: oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'),
  },
  {
    key: 'log.format',
    kind: 'text',
    fallback: 'auto',
    doc: 'json, text, or auto: text on a terminal, else json. Logs go to stdout.',
    fault: oneOf('json', 'text', 'auto'),
  },
  {
    key: 'metrics.enabled',
    kind: 'flag',
    fallback: true,
    doc: 'Are there metrics for Prometheus at /_stateroom/metrics? Only requests from this machine get them.',
  },
  {
    key: 'metrics.address',
    kind: 'text',
    fallback: '127.0.0.1',
    doc: 'Where the port below is listened on.',
    fault: notEmpty,
  },
  {
    key: 'metrics.port',
    kind: 'number',
    fallback: undefined,
    example: '9108',
    doc: 'A port of their own for metrics, for a Prometheus on another machine.',
    fault: port,
  },
  {
    key: 'own_records.history_events',
    kind: 'number',
    fallback: 5_000,
    doc: "Receipts, tokens and other records of the server's own replace each other: so many of a room are kept.",
    fault: wholeBetween(0, 1_000_000),
  },
  {
    key: 'own_records.history_ms',
    kind: 'number',
    fallback: 7 * 86_400_000,
    doc: 'And not longer than this. A client that was away for longer is told all there is.',
    fault: wholeBetween(0, 10 * 365 * 86_400_000),
  },
  {
    key: 'own_records.collect_at_least',
    kind: 'number',
    fallback: 200,
    doc: 'Fewer than so many of a room are not worth collecting, and wait until there are more.',
    fault: wholeBetween(2, 1_000),
  },
  {
    key: 'own_records.collect_every_ms',
    kind: 'number',
    fallback: 600_000,
    doc: 'How often what is beyond that is collected; 0 is never.',
    fault: wholeBetween(0, 86_400_000),
  },
  {
    key: 'durability',
    kind: 'text',
    fallback: 'sync',
    doc: 'sync: on disk before it is acknowledged. os: faster; a power loss may take the last moments.',
    fault: oneOf('sync', 'os'),
  },
  {
    key: 'caches.node_bytes',
    kind: 'number',
    fallback: 64 * 1024 * 1024,
    doc: 'Memory for nodes of state trees.',
    fault: wholeBetween(1024 * 1024, 1024 * 1024 * 1024 * 1024),
  },
];

/** The environment variable of a setting: `listen.port` is STATEROOM_LISTEN_PORT. */
export function variableOf(key: string): string {
  return `STATEROOM_${key.replaceAll('.', '_').toUpperCase()}`;
}
