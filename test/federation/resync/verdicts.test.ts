// Events that were judged on a state without its members, and what becomes of them once it is whole.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId, UserId } from '../../../src/event/ids.js';
import type { JsonObject } from '../../../src/event/json.js';
import { parsePdu } from '../../../src/event/parse.js';
import { signEvent } from '../../../src/event/signing.js';
import { textOf } from '../../client/harness.js';
import { v3 } from '../membership/people.js';
import { keyOf } from '../stranger.js';
import { HANG, memberEvent, Scene } from './scene.js';

const test = suite('federation/resync verdicts');

const MALLORY = '@mallory:c.test' as UserId;
const DAVE = '@dave:c.test' as UserId;

interface Said {
  readonly type: string;
  readonly sender: UserId;
  readonly stateKey?: string;
  readonly content: JsonObject;
  readonly authEvents: readonly EventId[];
}

/** Somebody of c.test says something right after Alice's join, and both servers hear of it. */
async function said(scene: Scene, { type, sender, stateKey, content, authEvents }: Said): Promise<EventId> {
  const { engine, roomId, bob } = scene;
  const { engine: there } = bob.site.harness.home;
  const joinId = there.currentState(roomId).get('m.room.member', scene.alice.userId);
  const join = there.reader.event(String(joinId)).pdu;
  const { rules } = join;
  const powerLevels = there.currentState(roomId).get('m.room.power_levels', '');
  const event = signEvent(
    {
      room_id: roomId,
      type,
      sender,
      ...(stateKey === undefined ? {} : { state_key: stateKey }),
      content,
      prev_events: [join.eventId],
      auth_events: [String(powerLevels), ...authEvents],
      depth: join.depth + 1,
      origin_server_ts: scene.net.clock.now,
    },
    rules,
    'c.test',
    keyOf('c.test'),
  );
  await scene.site.federation.keyRing.fetchFor([event], rules);
  // What it cites is known here as it would be after it was asked for.
  for (const id of authEvents) {
    if (engine.graph.isKnown(id)) continue;
    await engine.receive(there.reader.event(id).pdu.json, { from: 'c.test', asOutlier: true });
  }
  for (const one of [engine, there]) await one.receive(event, { from: 'c.test' });
  return parsePdu(event, rules).eventId;
}

const verdictOf = (scene: Scene, id: EventId) => scene.engine.reader.event(id).verdict;

/** Mallory, a moderator, is banned; Dave is in the room; Alice joins and has not heard of either. */
async function joined(scene: Scene): Promise<{ readonly old: EventId; readonly dave: EventId }> {
  const { engine } = scene.bob.site.harness.home;
  const { roomId, bob, net } = scene;
  const join = async (userId: UserId): Promise<EventId> => {
    const { engine: theirs } = net.site('c.test').harness.home;
    return (await theirs.send(roomId, memberEvent(userId, 'join'))).eventId;
  };
  const [old, dave] = [await join(MALLORY), await join(DAVE)];
  await net.settle();
  const levels = engine.currentState(roomId).get('m.room.power_levels', '');
  const content = engine.reader.event(String(levels)).pdu.content;
  const users = { ...(content['users'] as JsonObject | undefined), [MALLORY]: 50 };
  await engine.send(roomId, {
    type: 'm.room.power_levels',
    sender: bob.userId,
    stateKey: '',
    content: { ...content, users },
  });
  await engine.send(roomId, memberEvent(MALLORY, 'ban', bob.userId));
  await net.settle();
  net.advance(1_000);
  scene.script.on(bob.site, 'state_ids', HANG).on('c.test', 'state_ids', HANG);
  await scene.join();
  await net.settle();
  assert.ok(scene.isPartial);
  return { old, dave };
}

test('what a banned user said is taken while the ban is not known, and rejected when it is', () =>
  Scene.play({}, async (scene) => {
    const { old } = await joined(scene);
    const text = { msgtype: 'm.text', body: 'spam' };
    const spam = await said(scene, {
      type: 'm.room.message',
      sender: MALLORY,
      content: text,
      authEvents: [old],
    });
    assert.is(verdictOf(scene, spam), 'accepted');
    scene.script.clear();
    await scene.until(() => !scene.isPartial, 60_000);
    scene.assertWhole();
    assert.is(verdictOf(scene, spam), 'rejected');
    assert.ok(scene.hasLogged(`"event":"${spam}","was":"accepted","is":"rejected"`));
    const timeline = JSON.stringify(
      (await scene.alice.sync())['rooms']?.['join']?.[scene.roomId]?.['timeline'],
    );
    assert.not(timeline.includes('spam'));
  }));

test('who was thrown out by somebody who had no right to is heard after all', () =>
  Scene.play({}, async (scene) => {
    const { old, dave } = await joined(scene);
    const kick = await said(scene, { ...memberEvent(DAVE, 'leave', MALLORY), authEvents: [old, dave] });
    assert.is(verdictOf(scene, kick), 'accepted');
    assert.is(scene.engine.currentState(scene.roomId).membership(DAVE), 'leave');
    const { engine } = scene;
    // Dave knows nothing of it, but what he says comes after it.
    const content = { msgtype: 'm.text', body: 'still here' };
    const levels = String(engine.currentState(scene.roomId).get('m.room.power_levels', ''));
    const kicked = engine.reader.event(kick).pdu;
    const message = signEvent(
      {
        room_id: scene.roomId,
        type: 'm.room.message',
        sender: DAVE,
        content,
        prev_events: [kick],
        auth_events: [levels, dave],
        depth: kicked.depth + 1,
        origin_server_ts: scene.net.clock.now,
      },
      kicked.rules,
      'c.test',
      keyOf('c.test'),
    );
    for (const one of [engine, scene.bob.site.harness.home.engine])
      await one.receive(message, { from: 'c.test' });
    const heard = parsePdu(message, kicked.rules).eventId;
    assert.is(verdictOf(scene, heard), 'rejected');
    const since = textOf((await scene.alice.sync())['next_batch']);
    scene.script.clear();
    await scene.until(() => !scene.isPartial, 60_000);
    scene.assertWhole();
    assert.is(verdictOf(scene, kick), 'rejected');
    assert.is(verdictOf(scene, heard), 'accepted');
    // Clients find it at the end of the timeline, after all that they were told.
    const { timelineOrder = 0, seq } = engine.reader.event(heard);
    assert.ok(timelineOrder > seq);
    const sync = await scene.alice.sync(since);
    const shown = JSON.stringify(sync['rooms']?.['join']?.[scene.roomId]?.['timeline']);
    assert.ok(shown?.includes('still here'), shown);
  }));

test('a kick by somebody who was banned does not end the completing of the room', () =>
  Scene.play({}, async (scene) => {
    const { old } = await joined(scene);
    const { alice, roomId, engine } = scene;
    const own = engine.currentState(roomId).get('m.room.member', alice.userId);
    assert.ok(own);
    const kick = await said(scene, {
      ...memberEvent(alice.userId, 'leave', MALLORY),
      authEvents: [old, own],
    });
    assert.is(alice.membershipOf(roomId, alice), 'leave');
    scene.script.clear();
    await scene.until(() => scene.resyncs.stats.rooms === 0, 60_000);
    assert.is(verdictOf(scene, kick), 'rejected');
    assert.is(alice.membershipOf(roomId, alice), 'join');
    scene.assertWhole();
  }));

test('a join that a merge takes back while a ban is not known does not end the completing of the room', () =>
  Scene.play({}, async (scene) => {
    const { old } = await joined(scene);
    const { alice, bob, roomId, engine } = scene;
    const { engine: there } = bob.site.harness.home;
    // Mallory, of whose ban nobody has heard at Alice's server, closed the room beside the ban and the join.
    const levels = there.reader.event(String(there.currentState(roomId).get('m.room.power_levels', ''))).pdu;
    const before = there.stateAt(levels.eventId);
    const { rules } = levels;
    const closed = signEvent(
      {
        room_id: roomId,
        type: 'm.room.join_rules',
        sender: MALLORY,
        state_key: '',
        content: { join_rule: 'invite' },
        prev_events: [levels.eventId],
        auth_events: [levels.eventId, old],
        depth: levels.depth + 1,
        origin_server_ts: scene.net.clock.now,
      },
      rules,
      'c.test',
      keyOf('c.test'),
    );
    const { keyRing } = scene.site.federation;
    const givenState = before.sorted().map(({ eventId }) => eventId);
    for (const id of givenState) {
      if (engine.graph.isKnown(id)) continue;
      const { json } = there.reader.event(id).pdu;
      await keyRing.fetchFor([json], rules);
      await engine.receive(json, { from: 'c.test', asOutlier: true });
    }
    await keyRing.fetchFor([closed], rules);
    await engine.receive(closed, { from: 'c.test', givenState });
    await there.receive(closed, { from: 'c.test' });
    assert.is(alice.membershipOf(roomId, alice), undefined);
    await scene.net.settle();
    assert.ok(scene.isPartial);
    scene.script.clear();
    await scene.until(() => scene.resyncs.stats.rooms === 0, 60_000);
    assert.is(alice.membershipOf(roomId, alice), 'join');
    scene.assertWhole();
  }));

test('what is said here meanwhile stays, on the whole state', () =>
  Scene.play({}, async (scene) => {
    await joined(scene);
    const { alice, roomId } = scene;
    const sent = await alice.ask('PUT', v3`/v3/rooms/${roomId}/send/m.room.message/1`, { body: 'hello' });
    scene.script.clear();
    await scene.until(() => !scene.isPartial, 60_000);
    const { verdict } = scene.engine.reader.event(textOf(sent['event_id']));
    assert.is(verdict, 'accepted');
    const right = scene.bob.site.harness.home.engine.currentState(roomId).root;
    assert.is(scene.engine.currentState(roomId).root, right);
  }));

test.run();
