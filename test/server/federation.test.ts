// Endpoints for other servers by real HTTP and TLS: who gets in, what is refused before it is read, and our keys.

import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ServerName } from '../../src/event/ids.js';
import type { JsonObject } from '../../src/event/json.js';
import { parsePdu } from '../../src/event/parse.js';
import { rulesOf } from '../../src/event/rules.js';
import { createSigningKey, signEvent, signJson } from '../../src/event/signing.js';
import { readKeyAnswer } from '../../src/federation/identity/key-answer.js';
import { signRequest } from '../../src/federation/identity/x-matrix.js';
import { decodeStateNodes } from '../../src/federation/state-parts.js';
import { toBase64 } from '../../src/lib/base64.js';
import { blake3 } from '../../src/lib/blake3.js';
import { toHex } from '../../src/lib/bytes.js';
import { StateroomError } from '../../src/lib/errors.js';
import { connectAdmin } from '../../src/server/admin/client.js';
import { loadConfig } from '../../src/server/config/config.js';
import { KeptSigningKeys } from '../../src/server/signing-key-file.js';
import type { RunningHomeserver } from '../../src/server/start.js';
import { Authority } from '../../tools/peers/authority.js';
import { ask, serve, tempFolder } from './support.js';

const test = suite('server/federation');

const folder = tempFolder();
const authority = new Authority();
const CA_FILE = fileWith('ca.pem', authority.cert);
const OTHER = 'other.test' as ServerName;
const OTHER_KEY = createSigningKey('ed25519:o', new Uint8Array(32).fill(4));
const US = 'us.test' as ServerName;
const PROFILE = '/_matrix/federation/v1/query/profile?user_id=%40nobody%3Aus.test';
let folders = 0;

test.after(() => folder.remove());

function fileWith(name: string, text: string): string {
  const path = join(folder.path, name);
  writeFileSync(path, text);
  return path;
}

function freshData(): string {
  return join(folder.path, `data-${++folders}`);
}

/** Another server that publishes its keys by HTTPS. */
async function otherServer() {
  const keys = signJson(
    {
      server_name: OTHER,
      verify_keys: { [OTHER_KEY.keyId]: { key: toBase64(OTHER_KEY.publicKey) } },
      old_verify_keys: {},
      valid_until_ts: Date.now() + 3_600_000,
    },
    OTHER,
    OTHER_KEY,
  );
  const server = createServer(authority.issue(OTHER), (_, response) => response.end(JSON.stringify(keys)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    flags: {
      server_name: US,
      'federation.ca_file': CA_FILE,
      'federation.resolve': [`${OTHER}=127.0.0.1:${port}`],
      'federation.allow_private_networks': ['127.0.0.0/8'],
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function signed(method: string, uri: string, content?: JsonObject, destination = US): Record<string, string> {
  return { authorization: signRequest({ method, uri, origin: OTHER, destination, content }, OTHER_KEY) };
}

async function withServers(
  work: (us: RunningHomeserver) => Promise<void>,
  flags: Readonly<Record<string, number | boolean | string>> = {},
): Promise<void> {
  const other = await otherServer();
  const us = await serve(freshData(), { ...other.flags, ...flags });
  await work(us);
  await us.close();
  await other.close();
}

test('a server whose keys can be fetched gets in, and is told what a handler says', () =>
  withServers(async ({ address }) => {
    const answer = await ask(address, PROFILE, { headers: signed('GET', PROFILE) });
    assert.is(answer.status, 404);
    assert.is(answer.body['errcode'], 'M_NOT_FOUND');
    const uri = '/_matrix/federation/v1/send/1';
    const body = { origin: OTHER, origin_server_ts: 1, pdus: [], edus: [] };
    const sent = await ask(address, uri, { method: 'PUT', body, headers: signed('PUT', uri, body) });
    assert.is(sent.status, 200, sent.text);
    assert.equal(sent.body, { pdus: {} });
  }));

test('an answer that is no JSON comes as the bytes that it is', () =>
  withServers(async ({ address, home }) => {
    await home.accounts.register({ username: 'alice', password: 'right' });
    const identifier = { type: 'm.id.user', user: 'alice' };
    const login = { type: 'm.login.password', identifier, password: 'right' };
    const { body: session } = await ask(address, '/_matrix/client/v3/login', { body: login });
    const created = await ask(address, '/_matrix/client/v3/createRoom', {
      body: { preset: 'public_chat', room_version: '11' },
      token: session['access_token'] as string,
    });
    const roomId = created.body['room_id'] as string;
    const user = `@bob:${OTHER}`;
    const make = `/_matrix/federation/v1/make_join/${encodeURIComponent(roomId)}/${encodeURIComponent(user)}?ver=11`;
    const made = await ask(address, make, { headers: signed('GET', make) });
    assert.is(made.status, 200, made.text);
    const rules = rulesOf('11');
    assert.ok(rules);
    const template = { ...(made.body['event'] as JsonObject), origin_server_ts: Date.now() };
    const join = parsePdu(signEvent(template, rules, OTHER, OTHER_KEY), rules);
    const send = `/_matrix/federation/v2/send_join/${encodeURIComponent(roomId)}/${encodeURIComponent(join.eventId)}`;
    const sent = await ask(address, send, {
      method: 'PUT',
      body: join.json,
      headers: signed('PUT', send, join.json),
    });
    assert.is(sent.status, 200, sent.text);

    const uri = `/_matrix/federation/unstable/org.stateroom/state_nodes/${encodeURIComponent(roomId)}`;
    const body = { event_id: join.eventId, paths: [''] };
    const answer = await fetch(`${address}${uri}`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: signed('POST', uri, body),
    });
    assert.is(answer.status, 200);
    assert.is(answer.headers.get('content-type'), 'application/octet-stream');
    const decoded = decodeStateNodes(new Uint8Array(await answer.arrayBuffer()), 1);
    assert.is(toHex(decoded?.root ?? new Uint8Array()), home.engine.stateAt(join.eventId, 'before').root);
    assert.is(toHex(blake3(decoded?.nodes[0] ?? new Uint8Array())), toHex(decoded?.root ?? new Uint8Array()));
  }));

test('a request that is unsigned, badly signed or for another server is refused', () =>
  withServers(async ({ address }) => {
    const refused: ReadonlyArray<Record<string, string>> = [
      {},
      { authorization: 'Bearer abc' },
      { authorization: 'X-Matrix origin=x' },
      signed('PUT', PROFILE),
      signed('GET', `${PROFILE}&more`),
      signed('GET', PROFILE, undefined, 'else.test' as ServerName),
      { authorization: signed('GET', PROFILE)['authorization']?.replace(OTHER, 'nobody.invalid') ?? '' },
    ];
    for (const headers of refused) {
      const answer = await ask(address, PROFILE, { headers });
      assert.is(answer.status, 401, JSON.stringify(headers));
      assert.is(answer.body['errcode'], 'M_UNAUTHORIZED');
    }
  }));

test('a body that is no JSON object, or too large, is refused', () =>
  withServers(async ({ address }) => {
    const uri = '/_matrix/federation/v1/user/keys/query';
    const headers = signed('POST', uri, {});
    const bad = await ask(address, uri, { method: 'POST', body: '{"a":', headers });
    assert.is(bad.body['errcode'], 'M_NOT_JSON');
    const list = await ask(address, uri, { method: 'POST', body: '[]', headers });
    assert.is(list.body['errcode'], 'M_BAD_JSON');
    const large = await ask(address, uri, {
      method: 'POST',
      body: `{"a":"${'x'.repeat(30_000_000)}"}`,
      headers,
    }).catch((error: unknown) => ({ status: error instanceof Error ? 413 : 0 }));
    assert.is(large.status, 413);
  }));

test('what there is not is M_UNRECOGNIZED, with the methods that there are', () =>
  withServers(async ({ address }) => {
    const nowhere = await ask(address, '/_matrix/federation/v1/nothing');
    assert.is(nowhere.status, 404);
    assert.is(nowhere.body['errcode'], 'M_UNRECOGNIZED');
    const method = await ask(address, '/_matrix/federation/v1/send/1', { method: 'DELETE' });
    assert.is(method.status, 405);
    assert.is(method.body['errcode'], 'M_UNRECOGNIZED');
    assert.is(method.headers['allow'], 'PUT, OPTIONS');
  }));

test('a server that asks too often is told to wait, and no other with it', () =>
  withServers(
    async ({ address }) => {
      for (let i = 0; i < 3; i++) await ask(address, PROFILE, { headers: signed('GET', PROFILE) });
      const limited = await ask(address, PROFILE, { headers: signed('GET', PROFILE) });
      assert.is(limited.status, 429);
      assert.is(limited.body['errcode'], 'M_LIMIT_EXCEEDED');
      assert.ok(Number(limited.body['retry_after_ms']) > 0);
      assert.is((await ask(address, '/_matrix/key/v2/server')).status, 200);
    },
    { 'rate_limits.federation.burst': 3, 'rate_limits.federation.per_second': 0.01 },
  ));

test('with a certificate there is a port with TLS that answers the same', async () => {
  const { cert, key } = authority.issue('us.test');
  const server = await serve(freshData(), {
    server_name: US,
    'federation.delegate': 'us.test:443',
    'federation.tls.address': '127.0.0.1',
    'federation.tls.port': 0,
    'federation.tls.cert_file': fileWith('tls.pem', cert),
    'federation.tls.key_file': fileWith('tls.key', key),
  });
  const text = await new Promise<string>((resolve, reject) => {
    const options = {
      host: '127.0.0.1',
      port: server.tlsPort,
      path: '/_matrix/key/v2/server',
      ca: authority.cert,
    };
    httpsRequest({ ...options, servername: 'us.test', agent: false }, (response) => {
      let read = '';
      response.on('data', (piece: Buffer) => (read += piece.toString()));
      response.on('end', () => resolve(read));
    })
      .on('error', reject)
      .end();
  });
  assert.ok(typeof readKeyAnswer(JSON.parse(text) as JsonObject, US) !== 'string');
  const delegation = await ask(server.address, '/.well-known/matrix/server');
  assert.equal(delegation.body, { 'm.server': 'us.test:443' });
  await server.close();
});

test('files of certificates that are not there, or none, are named', async () => {
  const tls = { 'federation.tls.port': 1, 'federation.tls.cert_file': 'x', 'federation.tls.key_file': 'y' };
  for (const flags of [{ 'federation.ca_file': join(folder.path, 'gone.pem') }, tls]) {
    const fault = await serve(freshData(), flags).catch((error: unknown) => error);
    assert.ok(fault instanceof StateroomError && fault.code === 'SERVER_TLS_FILE', String(fault));
  }
});

test('a signing key is rotated while the server runs: the old one is told as old, also after a restart', async () => {
  const data = freshData();
  const server = await serve(data, { server_name: US });
  const before = (await ask(server.address, '/_matrix/key/v2/server')).body as JsonObject;
  const admin = await connectAdmin(data);
  const { key_id: keyId } = await admin.call<{ key_id: string }>('signing_key.rotate');
  admin.close();
  const after = (await ask(server.address, '/_matrix/key/v2/server')).body as JsonObject;
  await server.close();
  const again = await serve(data);
  const restarted = (await ask(again.address, '/_matrix/key/v2/server')).body as JsonObject;
  await again.close();
  const [oldId] = Object.keys(before['verify_keys'] as JsonObject);
  for (const told of [after, restarted]) {
    assert.equal(Object.keys(told['verify_keys'] as JsonObject), [keyId]);
    assert.equal(Object.keys(told['old_verify_keys'] as JsonObject), [oldId]);
    assert.ok(typeof readKeyAnswer(told, US) !== 'string');
  }
  assert.is(readFileSync(join(data, 'signing.key'), 'utf8').trim().split('\n').length, 2);
});

test('a key file is refused where it does not say since when an old key signs no more', async () => {
  const seed = toBase64(new Uint8Array(32).fill(1));
  const files: ReadonlyArray<readonly [text: string, keys: number | undefined]> = [
    [`ed25519 a ${seed}\n`, 1],
    [`ed25519 a ${seed}\r\n\r\ned25519 b ${seed} 1700000000000\n`, 2],
    [`ed25519 a ${seed}\ned25519 b ${seed}\n`, undefined],
    [`ed25519 a ${seed} 1700000000000\n`, undefined],
    ['', undefined],
    ['ed25519 a short\n', undefined],
  ];
  for (const [i, [text, keys]] of files.entries()) {
    const read = await KeptSigningKeys.open(fileWith(`${i}.key`, text)).catch((error: unknown) => error);
    if (keys !== undefined) {
      assert.ok(read instanceof KeptSigningKeys, text);
      assert.is(1 + read.retired().length, keys);
    } else assert.ok(read instanceof StateroomError && read.code === 'SERVER_KEY_INVALID', text);
  }
});

test('a server that keeps to itself has no endpoints for others', async () => {
  const server = await serve(freshData(), { 'federation.enabled': false });
  assert.is((await ask(server.address, '/_matrix/key/v2/server')).status, 404);
  assert.is(server.home.federation, undefined);
  await server.close();
});

test('metrics tell of requests to other servers and of those that fail', () =>
  withServers(async ({ address }) => {
    await ask(address, PROFILE, { headers: signed('GET', PROFILE) });
    const { text } = await ask(address, '/_stateroom/metrics');
    assert.match(text, /^stateroom_federation_requests{result="answered"} 1$/m);
    assert.match(text, /^stateroom_federation_destinations_in_backoff 0$/m);
    assert.match(text, /^stateroom_federation_queue_length{queue="input_events"} 0$/m);
  }));

test('settings of federation that cannot be are refused by their key', () => {
  const wrong: ReadonlyArray<
    readonly [flags: Record<string, number | string | readonly string[]>, says: string]
  > = [
    [{ 'federation.resolve': ['a.org'] }, 'federation.resolve are server names and places'],
    [{ 'federation.resolve': ['a.org=b:99999'] }, 'federation.resolve are server names and places'],
    [
      { 'federation.allow_private_networks': ['10.0.0.0/99'] },
      'federation.allow_private_networks are addresses',
    ],
    [{ 'federation.trusted_key_servers': ['not a name'] }, 'federation.trusted_key_servers are server names'],
    [{ 'federation.delegate': 'https://a.org' }, 'federation.delegate is a host name'],
    [{ 'federation.tls.port': 8448 }, 'federation.tls.cert_file is missing'],
  ];
  for (const [flags, says] of wrong) {
    try {
      loadConfig({ flags });
      assert.unreachable(says);
    } catch (error) {
      assert.match(String(error), says);
    }
  }
  const { federation } = loadConfig({
    environment: { STATEROOM_FEDERATION_RESOLVE: 'a.org=10.0.0.7:1, b.org:5=[::1]:2' },
  });
  assert.equal(
    [...federation.resolve].map(([name, { host, port }]) => `${name} ${host} ${port}`),
    ['a.org 10.0.0.7 1', 'b.org:5 ::1 2'],
  );
});

test.run();
