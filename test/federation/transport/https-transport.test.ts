// The real transport on loopback: certificates of an authority of our own, names that lead where a test wants.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ServerName } from '../../../src/event/ids.js';
import { createSigningKey } from '../../../src/event/signing.js';
import { parseXMatrix } from '../../../src/federation/identity/x-matrix.js';
import {
  HttpsTransport,
  type HttpsTransportOptions,
} from '../../../src/federation/transport/https-transport.js';
import type { OutgoingRequest } from '../../../src/federation/transport.js';
import { StateroomError } from '../../../src/lib/errors.js';
import { Authority, type Certificate } from '../../../tools/peers/authority.js';

const test = suite('federation/https-transport');

const authority = new Authority();
const KEY = createSigningKey('ed25519:1', new Uint8Array(32).fill(5));
type Answer = (request: IncomingMessage, response: ServerResponse) => void;

interface Remote {
  readonly port: number;
  readonly seen: Array<{
    host: string | undefined;
    url: string | undefined;
    sni: string | false | undefined;
    authorization: string | undefined;
  }>;
  readonly close: () => Promise<void>;
}

const OK: Answer = (_, response) => void response.end('{"ok":true}');

async function remote(certificate: Certificate, answer: Answer = OK): Promise<Remote> {
  const seen: Remote['seen'] = [];
  const server = createServer(certificate, (request, response) => {
    const { host, authorization } = request.headers;
    const sni = 'servername' in request.socket ? (request.socket.servername as string | false) : undefined;
    seen.push({ host, url: request.url, sni, authorization });
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

function transport(options: Partial<HttpsTransportOptions> = {}): HttpsTransport {
  return new HttpsTransport({
    serverName: 'us.test' as ServerName,
    signingKey: KEY,
    userAgent: 'test',
    resolve: new Map(),
    allowedNetworks: ['127.0.0.0/8'],
    ca: authority.cert,
    now: Date.now,
    random: Math.random,
    dns: { addresses: async () => ['127.0.0.1'], services: async () => [] },
    ...options,
  });
}

function request(destination: string, more: Partial<OutgoingRequest> = {}): OutgoingRequest {
  return {
    destination: destination as ServerName,
    method: 'GET',
    uri: '/_matrix/x?a=%2F',
    isSigned: true,
    timeoutMs: 10_000,
    bytesMax: 10_000,
    ...more,
  };
}

async function faultOf(work: Promise<unknown>): Promise<StateroomError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof StateroomError) return error;
    throw error;
  }
  throw new Error('nothing failed');
}

test('a server proves its name, is asked by it, and gets a signed request', async () => {
  const server = await remote(authority.issue('b.test'));
  const ours = transport();
  const body = { a: 1 };
  const answer = await ours.send(request(`b.test:${server.port}`, { method: 'PUT', body }));
  assert.is(answer.status, 200);
  assert.is(Buffer.from(answer.bytes).toString(), '{"ok":true}');
  const [seen] = server.seen;
  assert.is(seen?.host, `b.test:${server.port}`);
  assert.is(seen?.url, '/_matrix/x?a=%2F');
  assert.is(seen?.sni, 'b.test');
  assert.is(parseXMatrix(seen?.authorization ?? '')?.destination, `b.test:${server.port}`);
  await ours.close();
  await server.close();
});

test('an address is proved by a certificate for the address, and asks for no name', async () => {
  const server = await remote(authority.issue('127.0.0.1'));
  const ours = transport();
  assert.is((await ours.send(request(`127.0.0.1:${server.port}`))).status, 200);
  assert.is(server.seen[0]?.sni, false);
  await ours.close();
  await server.close();
});

test('a certificate for another name, or of an authority that is not known, is refused before anything is said', async () => {
  const certificates = [
    authority.issue('other.test'),
    new Authority().issue('b.test'),
    authority.issue('127.0.0.1'),
  ];
  for (const certificate of certificates) {
    const server = await remote(certificate);
    const ours = transport();
    assert.is((await faultOf(ours.send(request(`b.test:${server.port}`)))).code, 'FEDERATION_UNREACHABLE');
    assert.is(server.seen.length, 0);
    await ours.close();
    await server.close();
  }
});

test('a place of the configuration is where the server is, but the certificate is still for its name', async () => {
  const [right, wrong] = [
    await remote(authority.issue('b.test')),
    await remote(authority.issue('localhost')),
  ];
  const at = (port: number) => new Map([['b.test', { host: 'localhost', port, isAddress: false }]]);
  const [toRight, toWrong] = [transport({ resolve: at(right.port) }), transport({ resolve: at(wrong.port) })];
  assert.is((await toRight.send(request('b.test'))).status, 200);
  assert.is(right.seen[0]?.host, 'b.test');
  assert.is((await faultOf(toWrong.send(request('b.test')))).code, 'FEDERATION_UNREACHABLE');
  await Promise.all([toRight.close(), toWrong.close(), right.close(), wrong.close()]);
});

test('an address literal that the configuration leads elsewhere is connected to only there', async () => {
  const server = await remote(authority.issue('9.9.9.9'));
  const resolve = new Map([['9.9.9.9', { host: '127.0.0.1', port: server.port, isAddress: true }]]);
  const ours = transport({ resolve });
  assert.is((await ours.send(request('9.9.9.9'))).status, 200);
  await ours.close();
  await server.close();
});

test('names and addresses of private networks are not connected to', async () => {
  const server = await remote(authority.issue('b.test', '127.0.0.1'));
  const ours = transport({ allowedNetworks: [] });
  for (const name of [
    `b.test:${server.port}`,
    `127.0.0.1:${server.port}`,
    `[::ffff:127.0.0.1]:${server.port}`,
  ]) {
    assert.is((await faultOf(ours.send(request(name)))).code, 'FEDERATION_ADDRESS_FORBIDDEN', name);
  }
  assert.is(server.seen.length, 0);
  await ours.close();
  await server.close();
});

test('of several addresses those that are forbidden or dead are passed over', async () => {
  const server = await remote(authority.issue('b.test'));
  const ours = transport({
    dns: { addresses: async () => ['10.1.1.1', '127.0.0.2', '127.0.0.1'], services: async () => [] },
  });
  assert.is((await ours.send(request(`b.test:${server.port}`))).status, 200);
  await ours.close();
  await server.close();
});

test('a service record that leads nowhere is passed over for the next', async () => {
  const [server, gone] = [await remote(authority.issue('b.test')), await remote(authority.issue('b.test'))];
  await gone.close();
  const services = async (name: string) =>
    name.startsWith('_matrix-fed')
      ? [
          { name: 'x.test', port: gone.port, priority: 1, weight: 0 },
          { name: 'y.test', port: server.port, priority: 2, weight: 0 },
        ]
      : [];
  const ours = transport({ dns: { addresses: async () => ['127.0.0.1'], services } });
  // There is no HTTPS on port 443 here to delegate.
  assert.is((await ours.send(request('b.test'))).status, 200);
  assert.is(server.seen[0]?.host, 'b.test');
  assert.is(server.seen[0]?.sni, 'b.test');
  await ours.close();
  await server.close();
});

test('answers that are too large, too late, cut short or no HTTP are none', async () => {
  const hostile: ReadonlyArray<readonly [what: string, answer: Answer]> = [
    ['large', (_, response) => void response.end('x'.repeat(20_000))],
    [
      'endless',
      (_, response) => {
        const more = (): void => void (response.destroyed || response.write('x'.repeat(4_096), more));
        more();
      },
    ],
    ['silent', () => undefined],
    [
      'half',
      (_, response) => {
        response.writeHead(200, { 'content-length': '100' });
        response.write('half', () => response.destroy());
      },
    ],
    ['headers', (_, response) => void response.setHeader('x', 'y'.repeat(30_000)).end()],
    ['raw', ({ socket }) => void socket.end('this is no HTTP at all\r\n\r\n')],
  ];
  for (const [what, answer] of hostile) {
    const server = await remote(authority.issue('b.test'), answer);
    const ours = transport();
    const fault = await faultOf(ours.send(request(`b.test:${server.port}`, { timeoutMs: 1_000 })));
    assert.is(fault.code, 'FEDERATION_UNREACHABLE', what);
    await ours.close();
    await server.close();
  }
});

test('redirections are not followed, and Retry-After is told', async () => {
  const server = await remote(authority.issue('b.test'), (_, response) => {
    response.writeHead(302, { location: 'https://127.0.0.1/', 'retry-after': '7' }).end();
  });
  const ours = transport();
  const answer = await ours.send(request(`b.test:${server.port}`));
  assert.is(answer.status, 302);
  assert.is(answer.retryAfterMs, 7_000);
  assert.is(server.seen.length, 1);
  await ours.close();
  await server.close();
});

test('a request that nobody waits for any more is no proof against the server', async () => {
  const server = await remote(authority.issue('b.test'), () => undefined);
  const ours = transport();
  const controller = new AbortController();
  const asking = faultOf(ours.send(request(`b.test:${server.port}`, { signal: controller.signal })));
  controller.abort();
  assert.is((await asking).fields['aborted'], true);
  const closing = faultOf(ours.send(request(`b.test:${server.port}`)));
  await ours.close();
  assert.is((await closing).fields['aborted'], true);
  await server.close();
});

test.run();
