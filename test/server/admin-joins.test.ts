// What an operator does about rooms of other servers: joins, and a look at what is still missing of them.

import { Registry } from 'prom-client';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { StateroomError } from '../../src/lib/errors.js';
import type { Joined, ResyncReport } from '../../src/server/admin/join-methods.js';
import { ADMIN_METHODS } from '../../src/server/admin/methods.js';
import { addFederationMetrics } from '../../src/server/operations/federation-metrics.js';
import { refuse, Scene } from '../federation/resync/scene.js';

const test = suite('server/admin joins');

async function asked<Result>({ site }: Scene, method: string, params: object): Promise<Result> {
  const known = ADMIN_METHODS.get(method);
  assert.ok(known);
  return (await known.run(site.harness.home, { ...params })) as Result;
}

test('a user is taken into a room by an alias, and how far its completion is can be seen', () =>
  Scene.play({ servers: 2, room: { room_alias_name: 'room' } }, async (scene) => {
    const { alice, bob, roomId, script, net } = scene;
    script.on(bob.site, 'state_ids', refuse(403, 'M_FORBIDDEN'));
    const joined = await asked<Joined>(scene, 'room.join', { room: '#room:b.test', user_id: 'alice' });
    assert.equal(joined, { room_id: roomId, user_id: alice.userId, partial: true });
    await net.settle();
    const report = await asked<ResyncReport>(scene, 'room.progress', { room_id: roomId });
    assert.is(report.state, 'waiting');
    assert.is(report.server, 'b.test');
    assert.is(report.attempts, 1);
    assert.ok(report.last_error?.includes('403'));
    assert.ok(Number(report.next_try_ts) > net.clock.now);
    assert.equal(await asked(scene, 'room.partial', {}), [report]);
    const registry = new Registry();
    addFederationMetrics(registry, scene.site.federation);
    net.advance(2_000);
    const text = await registry.metrics();
    for (const line of [
      'partial_rooms 1',
      'resyncs_running 0',
      'partial_seconds_max 2',
      'resyncs_total 0',
      'resync_rounds_failed_total 1',
      'resync_events_total 0',
    ])
      assert.ok(text.includes(`stateroom_federation_${line}`), `${line}\n${text}`);
    script.clear();
    await asked(scene, 'room.resync', { room_id: roomId });
    await net.settle();
    scene.assertWhole();
    assert.is(await asked(scene, 'room.progress', { room_id: roomId }), null);
    assert.ok((await registry.metrics()).includes('stateroom_federation_resyncs_total 1'));
  }));

test('a user of elsewhere joins nothing here, and of a whole room nothing is asked for again', () =>
  Scene.play({ servers: 2 }, async (scene) => {
    const { roomId } = scene;
    for (const [method, params] of [
      ['room.join', { room: roomId, user_id: '@bob:b.test', via: ['b.test'] }],
      ['room.join', { room: roomId }],
      ['room.resync', { room_id: roomId }],
    ] as const) {
      const fault = await asked(scene, method, params).catch((error: unknown) => error);
      assert.ok(fault instanceof StateroomError && fault.code === 'SERVER_ADMIN_REQUEST', String(fault));
    }
    const joined = await asked<Joined>(scene, 'room.join', {
      room: roomId,
      user_id: 'alice',
      via: ['b.test'],
    });
    assert.is(joined.room_id, roomId);
  }));

test.run();
