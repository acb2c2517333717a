import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { GAP_OPTIONS } from '../../src/federation/gaps/options.js';
import { INPUT_OPTIONS } from '../../src/federation/inbound/options.js';
import { FEDERATION_OPTIONS } from '../../src/federation/options.js';
import { SENDER_OPTIONS } from '../../src/federation/outbound/options.js';
import { StateroomError } from '../../src/lib/errors.js';
import { loadConfig } from '../../src/server/config/config.js';
import { printConfig } from '../../src/server/config/print.js';
import { SETTINGS, variableOf } from '../../src/server/config/settings.js';
import { tempFolder } from './support.js';

const test = suite('server/config');
const folder = tempFolder();
test.after(() => folder.remove());

function fileOf(text: string): string {
  const file = join(folder.path, 'stateroom.yaml');
  writeFileSync(file, text);
  return file;
}

function faultOf(work: () => unknown): StateroomError {
  try {
    work();
  } catch (error) {
    if (error instanceof StateroomError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

test('without a file everything has a value, and the server listens on this machine only', () => {
  const config = loadConfig();
  assert.equal(config.listen, { address: '127.0.0.1', port: 8008, trustedProxies: [] });
  assert.is(config.registration.enabled, false);
  assert.is(config.registration.sharedSecret, undefined);
  assert.is(config.durability, 'sync');
  assert.is(config.serverName, undefined);
});

test('a file is overridden by the environment, and that by flags', () => {
  const file = fileOf(
    'server_name: file.org\nlisten:\n  port: 1\n  address: 127.0.0.2\nregistration: {tokens: [a, b]}\n',
  );
  const environment = { STATEROOM_SERVER_NAME: 'env.org', STATEROOM_LISTEN_PORT: '2' };
  const config = loadConfig({ file, environment, flags: { 'listen.port': 3, server_name: undefined } });
  assert.is(config.serverName, 'env.org');
  assert.is(config.listen.port, 3);
  assert.is(config.listen.address, '127.0.0.2');
  assert.equal(config.registration.tokens, ['a', 'b']);
});

test('federation and presence are as they are documented, and can be turned down or off', () => {
  const { presence, federation } = loadConfig();
  assert.is(presence.enabled, true);
  assert.is(federation.presenceServersMax, SENDER_OPTIONS.presenceServersMax);
  assert.is(federation.input.queuedEventsMax, INPUT_OPTIONS.queuedEventsMax);
  assert.is(federation.gaps.retryMsMax, GAP_OPTIONS.retryMsMax);
  const file = fileOf(
    'presence: {enabled: false}\nfederation:\n  presence: false\n  input: {events_max: 500}\n' +
      '  gaps: {patience_ms: 50, waiting_of_room_max: 20}\n',
  );
  const changed = loadConfig({ file });
  assert.is(changed.presence.enabled, false);
  assert.is(changed.federation.presenceServersMax, 0);
  assert.is(changed.federation.input.queuedEventsMax, 500);
  assert.is(changed.federation.gaps.patienceMs, 50);
  assert.is(changed.federation.waitingOfRoomMax, 20);
});

test('joins without members are as they are documented on either side, and can be turned down or off', () => {
  const joins = ({ partialJoins, smallRoomMembersMax, tellsNeededMembers }: typeof FEDERATION_OPTIONS) => ({
    partialJoins,
    smallRoomMembersMax,
    tellsNeededMembers,
  });
  const { federation } = loadConfig();
  assert.equal(joins({ ...FEDERATION_OPTIONS, ...federation }), joins(FEDERATION_OPTIONS));
  const file = fileOf(
    'federation: {partial_joins: false, small_room_members_max: 0, tells_needed_members: false}\n',
  );
  const changed = loadConfig({ file });
  assert.equal(joins({ ...FEDERATION_OPTIONS, ...changed.federation }), {
    partialJoins: false,
    smallRoomMembersMax: 0,
    tellsNeededMembers: false,
  });
  for (const value of ['-1', '1.5', '1000001', 'few']) {
    const fault = faultOf(() =>
      loadConfig({ file: fileOf(`federation: {small_room_members_max: ${value}}\n`) }),
    );
    assert.match(fault.message, 'federation.small_room_members_max is a', value);
  }
});

test('lists and switches are read from the environment', () => {
  const { registration, rateLimits } = loadConfig({
    environment: {
      STATEROOM_REGISTRATION_TOKENS: 'one, two',
      STATEROOM_REGISTRATION_ENABLED: 'true',
      STATEROOM_RATE_LIMITS_ENABLED: 'false',
      STATEROOM_DEBUG: '1',
      HOME: '/',
    },
  });
  assert.equal(registration.tokens, ['one', 'two']);
  assert.is(registration.enabled, true);
  assert.is(rateLimits, undefined);
});

test('a key that there is not is named with the nearest that there is', () => {
  const cases: ReadonlyArray<readonly [yaml: string, says: string]> = [
    ['listen: {prot: 8008}', 'listen.prot is no setting; did you mean listen.port?'],
    ['servername: x', 'servername is no setting; did you mean server_name?'],
    ['port: 8008', 'port is no setting; did you mean listen.port?'],
    [
      'rate_limits: {mesage: {burst: 1}}',
      'rate_limits.mesage is no setting; did you mean rate_limits.message?',
    ],
    ['qqqqqqqqqqqqqqqqqqqqqqq: 1', 'qqqqqqqqqqqqqqqqqqqqqqq is no setting'],
  ];
  for (const [yaml, says] of cases) {
    const fault = faultOf(() => loadConfig({ file: fileOf(yaml) }));
    assert.is(fault.code, 'SERVER_CONFIG_INVALID');
    assert.ok(fault.message.endsWith(says), fault.message);
  }
});

test('a variable of the environment that is no setting is warned of with the nearest that is, and changes nothing', () => {
  const environment = {
    STATEROOM_LISTEN_PROT: '1',
    STATEROOM_PORT_8008_TCP: 'tcp://10.0.0.1:8008',
    STATEROOM_CONFIG: '/etc/stateroom.yaml',
    STATEROOM_LISTEN_ADDRESS: '::1',
    HOME: '/root',
  };
  const { warnings, ...config } = loadConfig({ environment });
  assert.is(warnings.length, 2);
  assert.is(
    warnings[0],
    'environment: STATEROOM_LISTEN_PROT is no setting; did you mean STATEROOM_LISTEN_PORT?',
  );
  assert.match(warnings[1] ?? '', /^environment: STATEROOM_PORT_8008_TCP is no setting/);
  const { warnings: none, ...same } = loadConfig({ environment: { STATEROOM_LISTEN_ADDRESS: '::1' } });
  assert.equal(none, []);
  assert.equal(config, same);
  const fault = faultOf(() => loadConfig({ environment: { STATEROOM_LISTEN_PORT: 'many' } }));
  assert.is(fault.code, 'SERVER_CONFIG_INVALID', 'what a setting is given must be right');
});

test('a value that cannot be is refused by its key, and every fault is told at once', () => {
  const file = fileOf(
    [
      'server_name: "not a name!"',
      'public_base_url: example.org',
      'listen: {port: 70000, address: 5, trusted_proxies: [127.0.0.1, 10.0.0.0/99]}',
      'registration: {enabled: yes please, shared_secret: short, tokens: [1]}',
      'rate_limits: {login: {per_second: 0}}',
      'limits: {body_bytes: 1.5}',
      'log: {level: loud}',
      'durability: maybe',
      'sync: 5',
      'rooms: {default_version: "99"}',
    ].join('\n'),
  );
  const { message } = faultOf(() => loadConfig({ file }));
  for (const key of [
    'server_name is a server name',
    'public_base_url is an address',
    'listen.port is a port from 0 to 65535, not 70000',
    'listen.address is a text, not 5',
    'listen.trusted_proxies are addresses or networks',
    'registration.enabled is true or false',
    'registration.shared_secret has at least 8 characters',
    'registration.tokens is a list of texts',
    'rate_limits.login.per_second is from',
    'limits.body_bytes is a whole number',
    'log.level is one of',
    'durability is one of sync, os, not "maybe"',
    'sync is made of keys and values',
    'rooms.default_version is one of 1, 2',
  ]) {
    assert.match(message, key);
  }
  assert.not.match(message, 'short');
});

test('a file that is no YAML, or not there, is named', () => {
  const broken = faultOf(() => loadConfig({ file: fileOf('a: [') }));
  assert.is(broken.code, 'SERVER_CONFIG_UNREADABLE');
  assert.match(broken.message, 'stateroom.yaml');
  const gone = faultOf(() => loadConfig({ file: join(folder.path, 'gone.yaml') }));
  assert.is(gone.code, 'SERVER_CONFIG_UNREADABLE');
  assert.match(gone.message, 'gone.yaml');
  assert.is(faultOf(() => loadConfig({ file: fileOf('- a\n') })).code, 'SERVER_CONFIG_INVALID');
});

test('keys named like what objects inherit are no settings', () => {
  for (const key of ['__proto__', 'toString', 'constructor']) {
    assert.match(faultOf(() => loadConfig({ file: fileOf(`${key}: 1`) })).message, `${key} is no setting`);
  }
});

test('the printed file holds every setting and changes none', () => {
  const text = printConfig();
  assert.equal(loadConfig({ file: fileOf(text) }), loadConfig());
  for (const { key, doc } of SETTINGS) {
    assert.match(text, doc);
    assert.ok(new RegExp(`^ *(# )?${key.split('.').at(-1) ?? ''}:`, 'm').test(text), key);
  }
  // With what is commented out taken in, it is still a file of known settings.
  const names = SETTINGS.filter(({ example }) => example !== undefined).map(({ key }) =>
    key.split('.').at(-1),
  );
  const all = text.replaceAll(new RegExp(`^( *)# ((${names.join('|')}): )`, 'gm'), '$1$2');
  const config = loadConfig({ file: fileOf(all) });
  assert.is(config.serverName, 'example.org');
  assert.is(config.metrics.port, 9108);
});

test('every setting has one environment variable of its own', () => {
  assert.is(new Set(SETTINGS.map(({ key }) => variableOf(key))).size, SETTINGS.length);
});

test('an empty file, and sections without keys, change nothing', () => {
  assert.equal(loadConfig({ file: fileOf('# nothing\n') }), loadConfig());
  assert.equal(loadConfig({ file: fileOf('listen:\nserver_name:\n') }), loadConfig());
});

test.run();
