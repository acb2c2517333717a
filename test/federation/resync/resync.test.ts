// Whole states after joins without members: whoever of the residents fails, lacks something or lies.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId } from '../../../src/event/ids.js';
import { isArray, isObject, type JsonObject, own } from '../../../src/event/json.js';
import { textOf } from '../../client/harness.js';
import { v3 } from '../membership/people.js';
import { alter, DROP, HANG, idsAt, memberEvent, refuse, Scene } from './scene.js';

const test = suite('federation/resync');

/** Ids of a state that are put in or left out. */
function otherIds(change: (ids: readonly string[]) => readonly string[]) {
  return alter((answer) => ({ ...answer, pdu_ids: change(idsAt(answer, 'pdu_ids')) }));
}

/** The id of the current event for a key at Bob's. */
function idOf({ bob, roomId }: Scene, type: string, stateKey = ''): EventId {
  const id = bob.site.harness.home.engine.currentState(roomId).get(type, stateKey);
  assert.ok(id);
  return id;
}

for (const members of [1, 30]) {
  test(`of a state only what is not known is fetched: ${members === 1 ? 'singly' : 'whole where that is most of it'}`, () =>
    Scene.play({ members }, async (scene) => {
      await scene.join();
      await scene.net.settle();
      scene.assertWhole();
      assert.is(scene.asked('state_ids'), 1);
      assert.is(scene.asked('state'), members === 1 ? 0 : 1);
      if (members > 1) assert.is(scene.asked('event'), 0);
      assert.ok(scene.hasLogged('the state of a room is whole'));
      const { eventsFetched, completed, rooms, running, roundsFailed } = scene.resyncs.stats;
      assert.equal(
        { completed, rooms, running, roundsFailed },
        { completed: 1, rooms: 0, running: 0, roundsFailed: 0 },
      );
      assert.ok(eventsFetched >= members + 1, `${eventsFetched}`);
      if (members === 1) assert.is(eventsFetched, scene.asked('event'), 'each is counted once');
    }));
}

test('when the resident that let us in dies, another one of its list gives the rest', () =>
  Scene.play({}, async (scene) => {
    scene.script.onAsk = (_, step) => {
      if (step === 'send_join') scene.script.on(scene.bob.site, 'state_ids', DROP);
    };
    await scene.join();
    await scene.net.settle();
    scene.assertWhole();
    assert.is(scene.asked('state_ids', scene.others[0]?.site), 1);
  }));

for (const [what, step, fault] of [
  ['hangs when asked which events it is', 'state_ids', HANG],
  ['hangs in the middle of the state', 'state', HANG],
  ['ends its answer early', 'state', { kind: 'truncate', bytes: 1_000 }],
  ['answers nonsense', 'state_ids', { kind: 'garbage' }],
  ['has a fault of its own', 'state', { kind: 'garbage', status: 500 }],
  [
    'does not know all of the room itself',
    'state_ids',
    refuse(403, 'ORG.MATRIX.MSC3895_UNABLE_DUE_TO_PARTIAL_STATE'),
  ],
  ['says that we are not in the room', 'state_ids', refuse(403, 'M_FORBIDDEN')],
] as const) {
  test(`when a resident ${what}, the next is asked`, () =>
    Scene.play({ members: 20 }, async (scene) => {
      scene.script.on(scene.bob.site, step, fault);
      await scene.join();
      await scene.until(() => !scene.isPartial, 60_000, 30);
      scene.assertWhole();
      assert.ok(scene.asked('state_ids', scene.others[0]?.site) > 0);
    }));
}

test('every server fails for a day: it is tried again and told of, and done when they are back', () =>
  Scene.play({}, async (scene) => {
    const { net, script, bob, others } = scene;
    script.onAsk = (_, step) => {
      if (step !== 'send_join') return;
      for (const { site } of [bob, ...others]) script.on(site, 'state_ids', DROP);
    };
    await scene.join();
    await net.settle();
    script.onAsk = () => undefined;
    const startedAt = net.clock.now;
    while (net.clock.now < startedAt + 86_400_000) {
      net.advance(600_000);
      await net.settle(3);
    }
    assert.ok(scene.isPartial);
    const progress = scene.progress;
    assert.ok(progress);
    assert.is(progress.state, 'waiting');
    assert.ok(progress.attempts > 24 && progress.attempts < 60, `${progress.attempts}`);
    assert.ok(progress.lastError !== undefined);
    assert.ok(
      (progress.nextTryAt ?? 0) > net.clock.now && (progress.nextTryAt ?? 0) < net.clock.now + 4_500_000,
    );
    assert.ok(scene.resyncs.stats.roundsFailed >= progress.attempts);
    assert.is(scene.resyncs.stats.oldestSinceTs, progress.sinceTs);
    const warnings = scene.site.logged.filter((line) => line.includes('could not be completed'));
    assert.is(warnings.length, progress.attempts);
    script.clear();
    // They are left alone for hours by now, but not for ever.
    await scene.until(() => !scene.isPartial, 600_000, 120);
    scene.assertWhole();
  }));

test('who asks for it gets the next round at once', () =>
  Scene.play({}, async (scene) => {
    for (const { site } of [scene.bob, ...scene.others])
      scene.script.on(site, 'state_ids', refuse(403, 'M_FORBIDDEN'));
    await scene.join();
    await scene.net.settle();
    assert.ok(scene.isPartial);
    scene.script.clear();
    assert.ok(scene.resyncs.retryNow(scene.roomId));
    await scene.net.settle();
    scene.assertWhole();
    assert.not(scene.resyncs.retryNow(scene.roomId));
  }));

test('an event that nobody gives keeps the room incomplete until somebody does', () =>
  Scene.play({ members: 20 }, async (scene) => {
    const lacking = idOf(scene, 'm.room.member', '@m1:b.test');
    const lacks = alter((answer) => {
      const pdus = own(answer, 'pdus');
      const rest = isArray(pdus)
        ? pdus.filter((pdu) => isObject(pdu) && pdu['state_key'] !== '@m1:b.test')
        : [];
      return { ...answer, pdus: rest };
    });
    for (const { site } of [scene.bob, ...scene.others]) {
      scene.script.on(site, 'state', lacks).on(site, 'event', lacks);
    }
    await scene.join();
    await scene.net.settle();
    assert.ok(scene.isPartial);
    const { needed = 0, known = 0, lastError } = scene.progress ?? {};
    assert.is(needed - known, 1);
    assert.ok(lastError !== undefined);
    assert.not(scene.engine.graph.isKnown(lacking));
    scene.script.clear();
    const before = scene.asked('state');
    await scene.until(() => !scene.isPartial, 10_000, 10);
    scene.assertWhole();
    assert.is(scene.asked('state'), before, 'what came before is not fetched again');
  }));

test('a state that would not let us in is refused, and the next server asked', () =>
  Scene.play({}, async (scene) => {
    const rules = idOf(scene, 'm.room.join_rules');
    scene.script.on(
      scene.bob.site,
      'state_ids',
      otherIds((ids) => ids.filter((id) => id !== rules)),
    );
    await scene.join();
    await scene.net.settle();
    scene.assertWhole();
    assert.ok(scene.hasLogged('CORE_STATE_REFUSED'));
  }));

test('a state that holds a key twice is none', () =>
  Scene.play({}, async (scene) => {
    const { engine } = scene.bob.site.harness.home;
    const old = idOf(scene, 'm.room.member', '@m1:b.test');
    await engine.send(scene.roomId, memberEvent('@m1:b.test' as never, 'leave'));
    await scene.net.settle();
    scene.script.on(
      scene.bob.site,
      'state_ids',
      otherIds((ids) => [...ids, old]),
    );
    await scene.join();
    await scene.net.settle();
    scene.assertWhole();
    assert.is(scene.asked('state_ids'), 2);
  }));

test('a state with an event of another room, or with one that is no state, is none', () =>
  Scene.play({}, async (scene) => {
    const other = await scene.bob.createRoom({ name: 'Other' });
    const { engine } = scene.bob.site.harness.home;
    const foreign = engine.currentState(other).get('m.room.name', '');
    const said = await scene.bob.ask('PUT', v3`/v3/rooms/${scene.roomId}/send/m.room.message/1`, {
      body: 'x',
    });
    await scene.net.settle();
    let asked = 0;
    const extra = [String(foreign), textOf(said['event_id'])];
    const lie = otherIds((ids) => [...ids, extra[asked++] ?? '']);
    for (const { site } of [scene.bob, ...scene.others]) scene.script.on(site, 'state_ids', lie);
    await scene.join();
    await scene.net.settle();
    assert.ok(scene.isPartial);
    assert.is(asked, 2);
    scene.script.clear();
    await scene.until(() => !scene.isPartial);
    scene.assertWhole();
  }));

test('events whose signature is bad are left out, as a full join leaves them out', () =>
  Scene.play({ members: 20 }, async (scene) => {
    const forged = alter((answer) => {
      const pdus = own(answer, 'pdus');
      if (!isArray(pdus)) return answer;
      return {
        ...answer,
        pdus: pdus.map((pdu) => (isObject(pdu) ? withBadSignature(pdu, '@m1:b.test') : pdu)),
      };
    });
    scene.script.on(scene.bob.site, 'state', forged);
    await scene.join();
    await scene.net.settle();
    assert.not(scene.isPartial);
    const view = scene.engine.currentState(scene.roomId);
    assert.is(view.membership('@m1:b.test'), undefined);
    assert.is(view.membership('@m2:b.test'), 'join');
    assert.ok(scene.hasLogged('an event of a state was refused'));
  }));

function withBadSignature(pdu: JsonObject, stateKey: string): JsonObject {
  if (pdu['state_key'] !== stateKey) return pdu;
  return { ...pdu, signatures: { 'b.test': { 'ed25519:t': 'A'.repeat(86) } } };
}

test('rooms are completed a few at once, the one that waits longest first', async () => {
  const scene = await Scene.open({ tuning: { resync: { roomsAtOnce: 2 } } });
  const { net, alice, bob, script } = scene;
  try {
    const rooms: string[] = [scene.roomId];
    for (let i = 0; i < 4; i++) rooms.push(await bob.createRoom({ preset: 'public_chat', name: `${i}` }));
    script.on(bob.site, 'state_ids', { kind: 'delay', ms: 1_000 });
    const order: string[] = [];
    let most = 0;
    script.onAsk = (_, step, uri) => {
      if (step !== 'state_ids') return;
      most = Math.max(most, scene.resyncs.stats.running);
      order.push(decodeURIComponent(/state_ids\/([^?]+)/.exec(uri)?.[1] ?? ''));
    };
    for (const room of rooms) await alice.ask('POST', `${v3`/v3/join/${room}`}?via=${bob.site.name}`);
    await net.settle();
    assert.is(scene.resyncs.stats.running, 2);
    assert.is(scene.resyncs.stats.rooms, 5);
    await scene.until(() => scene.resyncs.stats.rooms === 0, 1_000, 20);
    assert.equal(order, rooms);
    assert.is(most, 2);
    scene.assertWhole();
  } finally {
    await scene.close();
  }
});

test.run();
