// Joins without members: what is asked for, what is taken, and what makes it a full join after all.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId } from '../../../src/event/ids.js';
import { textOf } from '../../client/harness.js';
import { v3 } from '../membership/people.js';
import { alter, HANG, Scene } from './scene.js';

const test = suite('federation/resync joins');

/** The query of each send_join. */
function queries({ net }: Scene): string[] {
  return net.asked.flatMap(({ from, uri }) =>
    from === 'a.test' && uri.includes('send_join') ? [new URL(uri, 'https://x.test').search] : [],
  );
}

test('a room is there before its members are, and whole once they came', () =>
  Scene.play({}, async (scene) => {
    scene.script.on(scene.bob.site, 'state_ids', HANG);
    await scene.join();
    await scene.net.settle();
    assert.equal(queries(scene), ['?omit_members=true&org.stateroom.members=needed']);
    assert.ok(scene.isPartial);
    assert.is(scene.alice.membershipOf(scene.roomId, scene.alice), 'join');
    assert.is(scene.engine.currentState(scene.roomId).membership('@m1:b.test'), undefined);
    const name = await scene.alice.ask('GET', v3`/v3/rooms/${scene.roomId}/state/m.room.name/`);
    assert.is(textOf(name['name']), 'Theirs');
    const progress = scene.progress;
    assert.is(progress?.state, 'asking');
    assert.is(progress?.server, 'b.test');
    assert.is(progress?.attempts, 1);
    scene.script.clear();
    await scene.until(() => !scene.isPartial, 60_000);
    scene.assertWhole();
    assert.is(scene.progress, undefined);
  }));

test('where joins without members are switched off nothing is left out', () =>
  Scene.play({ options: { partialJoins: false } }, async (scene) => {
    scene.script.on(scene.bob.site, 'state_ids', HANG);
    await scene.join();
    await scene.net.settle();
    assert.equal(queries(scene), ['']);
    scene.assertWhole();
    assert.is(scene.engine.partial.joinOf(scene.roomId), undefined);
  }));

test('a resident that leaves nothing out is taken at its word', () =>
  Scene.play({}, async (scene) => {
    const { engine } = scene.bob.site.harness.home;
    const members = alter((answer) => {
      const state = [...engine.currentState(scene.roomId).entries()].map(({ eventId }) =>
        engine.reader.event(eventId),
      );
      const before = state
        .filter(({ pdu }) => pdu.stateKey !== scene.alice.userId)
        .map(({ pdu }) => pdu.json);
      return { ...answer, members_omitted: false, state: before };
    });
    scene.script.on(scene.bob.site, 'send_join', members);
    await scene.join();
    scene.assertWhole();
    assert.is(scene.asked('state_ids'), 0);
  }));

for (const [what, change] of [
  ['does not say which servers are in the room', { servers_in_room: undefined }],
  ['names nothing that is a server', { servers_in_room: ['a.test', 'not a name', 7] }],
  ['leaves out the room itself', { state: [], auth_chain: [] }],
] as const) {
  test(`an answer without members that ${what} is asked for in full`, () =>
    Scene.play({}, async (scene) => {
      const partial = alter((answer) => {
        if (answer['members_omitted'] !== true) return answer;
        const changed = { ...answer, ...change };
        return Object.fromEntries(Object.entries(changed).filter(([, value]) => value !== undefined));
      });
      scene.script.on(scene.bob.site, 'send_join', partial);
      await scene.join();
      await scene.net.settle();
      assert.equal(queries(scene), ['?omit_members=true&org.stateroom.members=needed', '']);
      scene.assertWhole();
      assert.is(scene.engine.partial.joinOf(scene.roomId), undefined);
    }));
}

test('the servers of a room that are kept are names, each once, never ourselves', () =>
  Scene.play({}, async (scene) => {
    const servers = ['b.test', 'b.test', 'a.test', 'with space', 'c.test', '', 'x'.repeat(300), 5];
    scene.script.on(
      scene.bob.site,
      'send_join',
      alter((answer) => ({ ...answer, servers_in_room: servers })),
    );
    scene.script.on(scene.bob.site, 'state_ids', HANG);
    await scene.join();
    assert.equal(scene.engine.partial.joinOf(scene.roomId)?.servers, ['b.test', 'c.test']);
    assert.is(scene.engine.partial.joinOf(scene.roomId)?.from, 'b.test');
  }));

test('of very many servers of a room no more are kept than are of use', () =>
  Scene.play({ servers: 2 }, async (scene) => {
    const servers = [
      'b.test',
      ...Array.from({ length: 30_000 }, (_, i) => `server-number-${i}.of.many.test`),
    ];
    scene.script.on(
      scene.bob.site,
      'send_join',
      alter((answer) => ({ ...answer, servers_in_room: servers })),
    );
    scene.script.on(scene.bob.site, 'state_ids', HANG);
    await scene.join();
    const kept = scene.engine.partial.joinOf(scene.roomId)?.servers ?? [];
    assert.ok(kept.length > 10_000 && kept.length <= 20_000, `${kept.length}`);
    assert.ok(kept.reduce((sum, name) => sum + name.length, 0) <= 512 * 1024);
  }));

test('what is said in the room while it is being joined is there afterwards', () =>
  Scene.play({}, async (scene) => {
    scene.script.on(scene.bob.site, 'send_join', { kind: 'delay', ms: 5_000 });
    const joining = scene.join();
    await scene.net.settle();
    assert.ok(scene.site.federation.membership.isJoining(scene.roomId));
    await scene.bob.ask('PUT', v3`/v3/rooms/${scene.roomId}/send/m.room.message/1`, { body: 'before' });
    scene.net.advance(5_000);
    await joining;
    const path = v3`/v3/rooms/${scene.roomId}/send/m.room.message/2`;
    const { event_id: after } = await scene.bob.ask('PUT', path, { body: 'after' });
    const isThere = (): boolean => scene.engine.graph.isPlaced(textOf(after) as EventId);
    await scene.until(() => !scene.isPartial && isThere(), 1_000);
    scene.assertWhole();
    const timeline = JSON.stringify(
      (await scene.alice.sync())['rooms']?.['join']?.[scene.roomId]?.['timeline'],
    );
    for (const said of ['"before"', '"after"']) assert.ok(timeline.includes(said), timeline);
  }));

test.run();
