import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ServerName } from '../../../src/event/ids.js';
import { UnreachableError } from '../../../src/federation/errors.js';
import { Discovery } from '../../../src/federation/transport/discovery.js';
import type { ServiceRecord } from '../../../src/federation/transport/dns.js';
import type { HttpAnswer, HttpRequest } from '../../../src/federation/transport/https-client.js';
import { type HostAndPort, parseHostAndPort, type Target } from '../../../src/federation/transport/target.js';
import { WellKnown } from '../../../src/federation/transport/well-known.js';
import { utf8 } from '../../../src/lib/bytes.js';

const test = suite('federation/discovery');

const HOUR_MS = 3_600_000;

interface Page {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** A web and a DNS made of tables. */
class FakeNetwork {
  readonly pages = new Map<string, Page>();
  readonly services = new Map<string, readonly ServiceRecord[] | 'broken'>();
  readonly asked: string[] = [];
  readonly resolve = new Map<string, HostAndPort>();
  now = 0;

  readonly wellKnown = new WellKnown(
    { request: (target, request) => this.#page(target, request) },
    () => this.now,
  );
  readonly discovery = new Discovery({
    dns: { services: (name) => this.#services(name) },
    wellKnown: this.wellKnown,
    resolve: this.resolve,
    now: () => this.now,
    random: () => 0.5,
  });

  async #page({ hostHeader }: Target, { path }: HttpRequest): Promise<HttpAnswer> {
    const url = `https://${hostHeader}${path}`;
    this.asked.push(url);
    const page = this.pages.get(url);
    if (page === undefined) throw new UnreachableError('nobody there');
    const { status = 200, headers = {}, body = '' } = page;
    return { status, headers: new Map(Object.entries(headers)), bytes: utf8(body) };
  }

  async #services(name: string): Promise<readonly ServiceRecord[]> {
    this.asked.push(name);
    const records = this.services.get(name) ?? [];
    if (records === 'broken') throw new Error('SERVFAIL');
    return records;
  }

  delegate(host: string, server: string, headers: Record<string, string> = {}): void {
    this.pages.set(`https://${host}/.well-known/matrix/server`, {
      body: JSON.stringify({ 'm.server': server }),
      headers,
    });
  }

  /** `host:port Host-header certificate-name` of each target. */
  async find(server: string): Promise<string[]> {
    const targets = await this.discovery.targetsOf(server as ServerName);
    return targets.map(
      ({ host, port, hostHeader, certificateName }) => `${host} ${port} ${hostHeader} ${certificateName}`,
    );
  }
}

const srv = (name: string, port: number, priority = 10, weight = 5): ServiceRecord => ({
  name,
  port,
  priority,
  weight,
});

test('addresses and explicit ports are taken as they are, and nobody is asked', async () => {
  const net = new FakeNetwork();
  assert.equal(await net.find('1.2.3.4'), ['1.2.3.4 8448 1.2.3.4 1.2.3.4']);
  assert.equal(await net.find('1.2.3.4:80'), ['1.2.3.4 80 1.2.3.4:80 1.2.3.4']);
  assert.equal(await net.find('[2001:db8::1]'), ['2001:db8::1 8448 [2001:db8::1] 2001:db8::1']);
  assert.equal(await net.find('[::1]:5000'), ['::1 5000 [::1]:5000 ::1']);
  assert.equal(await net.find('a.org:443'), ['a.org 443 a.org:443 a.org']);
  assert.equal(net.asked, []);
});

test('a delegated server is reached, named and proved as the delegate', async () => {
  const table: ReadonlyArray<readonly [delegate: string, target: string]> = [
    ['5.6.7.8', '5.6.7.8 8448 5.6.7.8 5.6.7.8'],
    ['5.6.7.8:99', '5.6.7.8 99 5.6.7.8:99 5.6.7.8'],
    ['[::2]:99', '::2 99 [::2]:99 ::2'],
    ['m.b.org:443', 'm.b.org 443 m.b.org:443 m.b.org'],
    ['srv.org', 'real.srv.org 4000 srv.org srv.org'],
    ['old.org', 'real.old.org 4001 old.org old.org'],
    ['plain.org', 'plain.org 8448 plain.org plain.org'],
  ];
  for (const [delegate, target] of table) {
    const net = new FakeNetwork();
    net.services.set('_matrix-fed._tcp.srv.org', [srv('real.srv.org', 4000)]);
    net.services.set('_matrix._tcp.srv.org', [srv('wrong.org', 1)]);
    net.services.set('_matrix._tcp.old.org', [srv('real.old.org', 4001)]);
    net.delegate('a.org', delegate);
    assert.equal(await net.find('a.org'), [target], delegate);
  }
});

test('without delegation service records lead on, proved by the server name itself', async () => {
  const net = new FakeNetwork();
  net.services.set('_matrix-fed._tcp.a.org', [srv('two.', 2, 20), srv('one', 1, 10), srv('.', 0, 5)]);
  net.services.set('_matrix._tcp.b.org', [srv('old', 3)]);
  net.services.set('_matrix-fed._tcp.c.org', 'broken');
  assert.equal(await net.find('a.org'), ['one 1 a.org a.org', 'two 2 a.org a.org']);
  assert.equal(await net.find('b.org'), ['old 3 b.org b.org']);
  assert.equal(await net.find('c.org'), ['c.org 8448 c.org c.org']);
  assert.equal(await net.find('d.org'), ['d.org 8448 d.org d.org']);
});

test('a server that says that it offers no service is not reached', async () => {
  const net = new FakeNetwork();
  net.services.set('_matrix-fed._tcp.a.org', [srv('.', 0)]);
  const fault = await net.find('a.org').catch((error: unknown) => error);
  assert.match(String(fault), 'offers no federation');
});

test('a place of the configuration counts before everything, and the name is still proved', async () => {
  const net = new FakeNetwork();
  net.delegate('a.org', 'b.org:1');
  net.resolve.set('a.org', { host: '127.0.0.1', port: 8, isAddress: true });
  assert.equal(await net.find('a.org'), ['127.0.0.1 8 a.org a.org']);
  assert.equal(net.asked, []);
});

test('delegation that is malformed counts as none', async () => {
  const pages: readonly Page[] = [
    { body: 'no json' },
    { body: '[]' },
    { body: '{}' },
    { body: '{"m.server": 5}' },
    { body: '{"m.server": ""}' },
    { body: '{"m.server": "https://b.org"}' },
    { body: '{"m.server": "b.org:99999"}' },
    { body: '{"m.server": "b.org/path"}' },
    { body: `{"m.server": "${'b'.repeat(300)}"}` },
    { body: '{"m.server": "b.org:1"}', status: 404 },
    { status: 301, headers: { location: 'http://b.org/' } },
    { status: 301, headers: { location: 'https://u:p@b.org/' } },
    { status: 301, headers: {} },
  ];
  for (const page of pages) {
    const net = new FakeNetwork();
    net.pages.set('https://a.org/.well-known/matrix/server', page);
    assert.equal(await net.find('a.org'), ['a.org 8448 a.org a.org'], JSON.stringify(page).slice(0, 80));
  }
});

test('redirections are followed, and loops are not for ever', async () => {
  const net = new FakeNetwork();
  const start = 'https://a.org/.well-known/matrix/server';
  net.pages.set(start, { status: 302, headers: { location: '/there?x=1' } });
  net.pages.set('https://a.org/there?x=1', { status: 308, headers: { location: 'https://b.org:444/s' } });
  net.pages.set('https://b.org:444/s', { body: '{"m.server": "c.org:1"}' });
  assert.equal(await net.find('a.org'), ['c.org 1 c.org:1 c.org']);
  net.pages.set('https://l.org/.well-known/matrix/server', { status: 302, headers: { location: '?' } });
  net.pages.set('https://l.org/.well-known/matrix/server?', { status: 302, headers: { location: '?' } });
  assert.equal(await net.find('l.org'), ['l.org 8448 l.org l.org']);
  assert.ok(net.asked.filter((url) => url.startsWith('https://l.org')).length <= 6);
});

test('delegation is kept as its headers say, within bounds', async () => {
  const table: ReadonlyArray<readonly [headers: Record<string, string>, keptMs: number]> = [
    [{}, 24 * HOUR_MS],
    [{ 'cache-control': 'public, max-age=7200' }, 2 * HOUR_MS],
    [{ 'cache-control': 'max-age=99999999' }, 48 * HOUR_MS],
    [{ 'cache-control': 'no-store' }, HOUR_MS / 12],
    [{ 'cache-control': 'max-age=0' }, HOUR_MS / 12],
    [{ expires: new Date(3 * HOUR_MS).toUTCString() }, 3 * HOUR_MS],
    [{ expires: '0' }, HOUR_MS / 12],
  ];
  for (const [headers, keptMs] of table) {
    const net = new FakeNetwork();
    net.delegate('a.org', 'b.org:1', headers);
    await net.find('a.org');
    net.now = keptMs - 1;
    await net.find('a.org');
    assert.is(net.asked.length, 1, JSON.stringify(headers));
    net.now = keptMs;
    await net.find('a.org');
    assert.is(net.asked.length, 2, JSON.stringify(headers));
  }
});

test('failures are kept too, twice as long each time, up to an hour', async () => {
  const net = new FakeNetwork();
  const waits: number[] = [];
  for (let i = 0; i < 8; i++) {
    await net.wellKnown.delegateOf('a.org');
    const asked = net.asked.length;
    const from = net.now;
    while (net.asked.length === asked) {
      net.now += 60_000;
      if (net.now - from > 2 * HOUR_MS) throw new Error('never asked again');
      await net.wellKnown.delegateOf('a.org');
    }
    waits.push((net.now - from) / 60_000);
  }
  assert.equal(waits.slice(0, 3), [2, 4, 8]);
  assert.is(Math.max(...waits), 60);
});

test('who looks for one name at the same time waits for one answer', async () => {
  const net = new FakeNetwork();
  net.delegate('a.org', 'b.org:1');
  await Promise.all([net.find('a.org'), net.find('a.org'), net.find('a.org')]);
  assert.is(net.asked.length, 1);
});

test('a host and a port are read, and nothing else is', () => {
  for (const text of [
    '',
    ':1',
    'a:0',
    'a:65536',
    'a:b',
    'a:1:2',
    '[a]:1',
    '[1.2.3.4]',
    '1.2.3',
    '0x7f.1',
    '[::1',
    'a]b',
  ]) {
    assert.is(parseHostAndPort(text), undefined, text);
  }
  assert.equal(parseHostAndPort('a.org:1'), { host: 'a.org', port: 1, isAddress: false });
});

test.run();
