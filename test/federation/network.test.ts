import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { StateroomError } from '../../src/lib/errors.js';
import { network } from './network.js';

const test = suite('federation/network');

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof StateroomError) return error.code;
    throw error;
  }
  return 'none';
}

test('servers give each other their keys', async () => {
  const net = await network({ servers: 2 });
  const [a, b] = [net.site(0), net.site(1)];
  await a.federation.keyRing.fetch([{ server: b.name, keyId: b.key.keyId }]);
  assert.equal(a.federation.keyRing.lookup(b.name, b.key.keyId), b.key.publicKey);
  assert.is(net.asked.length, 1);
  await net.close();
});

test('a request to a server that is cut off fails, and those after it at once until time has passed', async () => {
  const net = await network({ servers: 2 });
  const [a, b] = [net.site(0), net.site(1)];
  net.cut(a, b);
  const { remote } = a.federation;
  assert.is(await codeOf(remote.serverKeys(b.name)), 'FEDERATION_UNREACHABLE');
  assert.is(await codeOf(remote.serverKeys(b.name)), 'FEDERATION_BACKING_OFF');
  assert.is(net.asked.length, 1);
  net.heal();
  assert.is(await codeOf(remote.serverKeys(b.name, { evenBackingOff: true })), 'none');
  assert.is(a.federation.destinations.failing(b.name), undefined);
  await net.close();
});

test('a server that hangs is given up when its time is over', async () => {
  const net = await network({ servers: 2, faults: () => ({ kind: 'hang' }) });
  const [a, b] = [net.site(0), net.site(1)];
  const asking = codeOf(a.federation.remote.serverKeys(b.name, { timeoutMs: 5_000 }));
  await net.settle();
  assert.is(net.asked[0]?.status, undefined);
  net.advance(5_000);
  assert.is(await asking, 'FEDERATION_UNREACHABLE');
  await net.close();
});

test('a stranger answers as told, and its signed requests are taken', async () => {
  const net = await network({ servers: 1 });
  const [a] = net.sites;
  assert.ok(a);
  const stranger = net.stranger('evil.test', ({ uri }) =>
    uri.includes('query') ? { body: '[[[' } : undefined,
  );
  const answered = await stranger.ask(a.name, 'GET', '/_matrix/federation/v1/nothing/here/at/all');
  assert.is(answered.status, 404);
  assert.is(await codeOf(a.federation.remote.notaryQuery(stranger.name, {})), 'FEDERATION_BAD_ANSWER');
  await net.close();
});

test.run();
