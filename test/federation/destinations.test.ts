import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ServerName } from '../../src/event/ids.js';
import { Destinations } from '../../src/federation/destinations.js';
import { FEDERATION_OPTIONS } from '../../src/federation/options.js';
import { StateroomError } from '../../src/lib/errors.js';
import { Harness } from '../client/harness.js';

const test = suite('federation/destinations');
const GONE = 'gone.test' as ServerName;

async function opened(random = 0.5) {
  const harness = await Harness.open();
  const { engine, now } = harness.home;
  const log = { info: () => {}, warn: () => {}, debug: () => {} };
  const open = () =>
    new Destinations({ engine, now, random: () => random, log, options: FEDERATION_OPTIONS });
  return { harness, open, destinations: open(), now };
}

test('each failure keeps a server away twice as long, give or take, up to eighteen hours', async () => {
  for (const random of [0, 0.999_999]) {
    const { harness, destinations, now } = await opened(random);
    let last = 0;
    for (let failures = 1; failures <= 20; failures++) {
      destinations.failed(GONE, 'no answer');
      const waitMs = (destinations.failing(GONE)?.retryAt ?? 0) - now();
      const wholeMs = 1_000 * 2 ** Math.min(failures - 1, 16);
      assert.ok(waitMs >= 0.8 * wholeMs && waitMs <= 1.4 * wholeMs, `${failures}: ${waitMs}`);
      assert.ok(destinations.isBackingOff(GONE));
      last = waitMs;
      harness.advance(waitMs);
      assert.is(destinations.isBackingOff(GONE), false);
    }
    assert.ok(last <= 1.4 * 65_536_000);
    await harness.close();
  }
});

test('requests that fail together are one failure', async () => {
  const { harness, destinations } = await opened();
  for (let i = 0; i < 10; i++) destinations.failed(GONE, 'no answer');
  assert.is(destinations.failing(GONE)?.failures, 1);
  await harness.close();
});

test('a server that is heard is asked again at once, and who waits for it is told once', async () => {
  const { harness, destinations } = await opened();
  const heard: string[] = [];
  const stop = destinations.onRecovered((server) => heard.push(server));
  destinations.failed(GONE, 'no answer');
  destinations.heard(GONE);
  destinations.heard(GONE);
  assert.equal(heard, [GONE]);
  assert.is(destinations.isBackingOff(GONE), false);
  stop();
  destinations.failed(GONE, 'no answer');
  destinations.heard(GONE);
  assert.is(heard.length, 1);
  await harness.close();
});

test('what is known survives a restart', async () => {
  const { harness, open, destinations } = await opened();
  destinations.failed(GONE, 'no answer');
  destinations.failed('back.test' as ServerName, 'no answer');
  destinations.heard('back.test' as ServerName);
  await harness.home.engine.internal.write([]);
  const again = open();
  assert.equal(again.failing(GONE), destinations.failing(GONE));
  assert.is(again.failing('back.test' as ServerName), undefined);
  assert.is(again.backingOffCount, 1);
  await harness.close();
});

test('a server may ask for a longer wait, but not for ever, and who asks it then is told when', async () => {
  const { harness, destinations, now } = await opened();
  destinations.failed(GONE, 'slow down', 60_000);
  assert.is((destinations.failing(GONE)?.retryAt ?? 0) - now(), 60_000);
  destinations.failed('x.test' as ServerName, 'slow down', 1e15);
  assert.is((destinations.failing('x.test' as ServerName)?.retryAt ?? 0) - now(), 65_536_000);
  try {
    destinations.assertMayAsk(GONE);
    assert.unreachable();
  } catch (error) {
    assert.ok(error instanceof StateroomError && error.code === 'FEDERATION_BACKING_OFF');
    assert.is(error.fields['retry_at'], now() + 60_000);
  }
  await harness.close();
});

test.run();
