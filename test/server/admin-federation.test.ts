// What an operator is told of other servers and of rooms, and what they can do about it.

import { Registry } from 'prom-client';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ADMIN_METHODS } from '../../src/server/admin/methods.js';
import type { DestinationSummary } from '../../src/server/admin/federation-methods.js';
import type { AdminRoom } from '../../src/server/admin/room-methods.js';
import { addFederationMetrics } from '../../src/server/operations/federation-metrics.js';
import { StateroomError } from '../../src/lib/errors.js';
import { Alpha } from '../federation/outbound/alpha.js';

const test = suite('server/admin federation');

async function asked<Result>({ harness }: Alpha, method: string, params: object = {}): Promise<Result> {
  const known = ADMIN_METHODS.get(method);
  assert.ok(known);
  return (await known.run(harness.home, { ...params })) as Result;
}

test('a server that fails is shown with what waits for it, and tried again when somebody wants it', async () => {
  const at = await Alpha.open();
  const [beta] = [await at.other(), await at.other('gamma.test')];
  assert.equal(await asked(at, 'federation.list'), []);
  beta.mood = 'down';
  const since = at.net.clock.now;
  for (const body of ['one', 'two', 'three']) {
    await at.say(body);
    await at.settle();
  }
  const [failing, ...others] = await asked<DestinationSummary[]>(at, 'federation.list');
  assert.equal(others, []);
  assert.ok(failing);
  assert.is(failing.server, beta.name);
  assert.is(failing.failing_since, since);
  assert.ok(Number(failing.next_try) > since);
  assert.is(failing.failures, 1);
  assert.is(failing.queued, 3);
  assert.ok(String(failing.last_error).length > 0);
  beta.mood = 'up';
  assert.equal(await asked(at, 'federation.retry', { server: beta.name }), { server: beta.name });
  await at.settle();
  assert.equal(beta.messages, ['one', 'two', 'three']);
  assert.equal(await asked(at, 'federation.list'), []);
  await at.close();
});

test('what cannot be tried again is said to be so', async () => {
  const at = await Alpha.open();
  for (const server of [undefined, 7, '', 'not a name', 'fine.test']) {
    const fault = await asked(at, 'federation.retry', { server }).catch((error: unknown) => error);
    assert.ok(fault instanceof StateroomError && fault.code === 'SERVER_ADMIN_REQUEST', String(server));
  }
  await at.close();
});

test('rooms are shown with who is in them', async () => {
  const at = await Alpha.open();
  await at.other();
  await at.set('m.room.name', '', { name: 'The room' });
  const [room, ...others] = await asked<AdminRoom[]>(at, 'room.list');
  assert.equal(others, []);
  assert.ok(room);
  assert.equal(
    [room.room_id, room.name, room.room_version, room.joined, room.joined_here, room.servers],
    [at.roomId, 'The room', '12', 2, 1, 1],
  );
  await at.close();
});

test('the same is told to whoever watches', async () => {
  const at = await Alpha.open();
  const beta = await at.other();
  const registry = new Registry();
  addFederationMetrics(registry, at.federation);
  beta.mood = 'down';
  await at.say('one');
  await at.settle();
  const text = await registry.metrics();
  for (const line of [
    'stateroom_federation_destinations_failing 1',
    'stateroom_federation_destinations_in_backoff 1',
    'stateroom_federation_destinations_waited_for 1',
    'stateroom_federation_transactions{outcome="failed"} 1',
    'stateroom_federation_queue_length{queue="input_events"} 0',
    'stateroom_federation_gap_rooms 0',
  ])
    assert.ok(text.includes(line), `${line}\n${text}`);
  await at.close();
});

test.run();
