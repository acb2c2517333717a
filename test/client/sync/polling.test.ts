import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Listener } from '../../../src/client/sync/notifier.js';
import { Harness, type Json, type TestUser, textOf } from '../harness.js';
import { v3 } from '../rooms.js';
import { eventsOf, joinedIn, leftIn, nextOf, Scene, shorts } from './support.js';

const test = suite('sync: tokens and long polls');

const POLL = { timeout: '30000', set_presence: 'offline' };

async function pair(scene: Scene) {
  const [alice, bob] = [await scene.harness.user('alice'), await scene.harness.user('bob')];
  const roomId = await scene.rooms.create(alice, { preset: 'public_chat' });
  await scene.rooms.join(bob, roomId);
  return { alice, bob, roomId };
}

/** Begins a long poll and waits until it listens. */
async function poll(
  scene: Scene,
  user: TestUser,
  since: string,
): Promise<{ readonly answer: Promise<Json> }> {
  const before = scene.harness.home.notifier.listeners;
  const answer = scene.sync(user, { ...POLL, since });
  while (scene.harness.home.notifier.listeners === before) await new Promise(setImmediate);
  return { answer };
}

const quiet = { set_presence: 'offline' };

test('a long poll is answered by what happens in a room, to the user, and beside rooms', () =>
  Scene.play(async (scene) => {
    const { alice, bob, roomId } = await pair(scene);
    let since = nextOf(await scene.sync(bob, quiet));
    const next = async (happen: () => Promise<unknown>): Promise<Json> => {
      const { answer } = await poll(scene, bob, since);
      await happen();
      const sync = await answer;
      since = nextOf(sync);
      return sync;
    };
    const said = await next(() => scene.rooms.say(alice, roomId, 'wake up'));
    assert.equal(shorts(joinedIn(said, roomId), 'timeline'), ['wake up']);
    const typed = await next(() =>
      scene.rooms.ask(alice, 'PUT', v3`rooms/${roomId}/typing/${alice.userId}`, { typing: true }),
    );
    assert.ok(shorts(joinedIn(typed, roomId), 'ephemeral').includes('m.typing'));
    since = nextOf(await scene.sync(bob, { ...quiet, since }));
    const data = await next(() =>
      scene.rooms.ask(bob, 'PUT', v3`user/${bob.userId}/account_data/org.example`, {}),
    );
    assert.equal(eventsOf(data, 'account_data').length, 1);
    const eventId = await scene.rooms.say(bob, roomId, 'mine');
    since = nextOf(await scene.sync(bob, { ...quiet, since }));
    const read = await next(() =>
      scene.rooms.ask(alice, 'POST', v3`rooms/${roomId}/receipt/m.read/${eventId}`),
    );
    assert.equal(shorts(joinedIn(read, roomId), 'ephemeral'), ['m.receipt']);
    const elsewhere = await scene.rooms.create(alice);
    const invited = await next(() => scene.rooms.invite(alice, elsewhere, bob));
    assert.ok(invited['rooms']?.['invite']?.[elsewhere] !== undefined);
    const banned = await next(() => scene.rooms.ban(alice, roomId, bob));
    assert.ok(leftIn(banned, roomId) !== undefined);
  }));

/** Was the listener woken since it was asked last? */
function waited(listener: Listener): Promise<boolean> {
  return new Promise((resolve) => listener.wait(0, new AbortController().signal, resolve));
}

test('a long poll is not woken by what does not concern its user', () =>
  Scene.play(async (scene) => {
    const { alice, bob, roomId } = await pair(scene);
    const { notifier } = scene.harness.home;
    const listener = notifier.listen(bob.userId);
    const isWoken = async (): Promise<boolean> => {
      await notifier.reached(scene.harness.home.engine.core.release.watermark);
      return waited(listener);
    };
    await isWoken();
    const elsewhere = await scene.rooms.create(alice);
    await scene.rooms.say(alice, elsewhere, 'not for bob');
    await scene.rooms.ask(alice, 'PUT', v3`user/${alice.userId}/account_data/org.example`, {});
    assert.is(await isWoken(), false);
    await scene.rooms.say(alice, roomId, 'for bob');
    assert.is(await isWoken(), true);
    listener.close();
    assert.is(notifier.listeners, 0);
  }));

test('a private receipt wakes nobody else', () =>
  Scene.play(async (scene) => {
    const { alice, bob, roomId } = await pair(scene);
    const eventId = await scene.rooms.say(bob, roomId, 'hello');
    const { notifier, ephemeral } = scene.harness.home;
    ephemeral.active(alice.userId);
    await notifier.reached(scene.harness.home.engine.core.release.watermark);
    await new Promise(setImmediate);
    const listener = notifier.listen(bob.userId);
    const path = v3`rooms/${roomId}/receipt/m.read.private/${eventId}`;
    await scene.rooms.ask(alice, 'POST', path);
    await notifier.reached(scene.harness.home.engine.core.release.watermark);
    assert.is(await waited(listener), false);
    listener.close();
  }));

test('a long poll whose time is over, whose client is gone or whose server closes is answered empty', async () => {
  const harness = await Harness.open();
  const scene = new Scene(harness);
  const alice = await harness.user('alice');
  const since = nextOf(await scene.sync(alice, quiet));
  const over = await scene.sync(alice, { ...quiet, since, timeout: '1' });
  assert.equal(
    Object.keys(over).filter((key) => key === 'rooms'),
    [],
  );
  const gone = new AbortController();
  const query = { ...POLL, since };
  const left = harness.call(alice, 'GET', '/v3/sync', {}, { query, signal: gone.signal });
  gone.abort();
  assert.is((await left).status, 200);
  const { answer } = await poll(scene, alice, since);
  await harness.home.notifier.close();
  assert.is((await answer)['rooms'], undefined);
  assert.is(harness.home.notifier.listeners, 0, 'and nobody is left listening');
  await harness.close();
});

test('an initial sync, and one with full_state, never wait', () =>
  Scene.play(async (scene) => {
    const alice = await scene.harness.user('alice');
    const sync = await scene.sync(alice, POLL);
    await scene.sync(alice, { ...POLL, since: nextOf(sync), full_state: 'true' });
  }));

test('nothing is lost between syncs, however they fall among the events', () =>
  Scene.play(async (scene) => {
    const { alice, bob, roomId } = await pair(scene);
    let since = nextOf(await scene.sync(bob, quiet));
    const said = Array.from({ length: 40 }, (_, i) => `message ${i}`);
    const heard: string[] = [];
    const saying = (async () => {
      for (const text of said) await scene.rooms.say(alice, roomId, text);
    })();
    while (heard.length < said.length) {
      const sync = await scene.sync(bob, { ...POLL, since }, { room: { timeline: { limit: 100 } } });
      since = nextOf(sync);
      heard.push(...shorts(joinedIn(sync, roomId), 'timeline'));
    }
    await saying;
    assert.equal(heard, said);
  }));

test('with nothing new the same token comes back, and no event is read', () =>
  Scene.play(async (scene) => {
    const { alice } = await pair(scene);
    const since = nextOf(await scene.sync(alice, quiet));
    const { reader } = scene.harness.home.engine;
    const reads = reader.events.reads;
    const sync = await scene.sync(alice, { ...quiet, since });
    assert.is(nextOf(sync), since);
    assert.is(sync['rooms'], undefined);
    assert.is(reader.events.reads, reads);
  }));

test('an old token costs the changes, not the history', () =>
  Scene.play(async (scene) => {
    const { alice, roomId } = await pair(scene);
    const since = nextOf(await scene.sync(alice, quiet));
    const { engine } = scene.harness.home;
    const say = (body: string) =>
      engine.send(roomId, {
        type: 'm.room.message',
        sender: alice.userId,
        content: { msgtype: 'm.text', body },
      });
    for (let i = 0; i < 20; i++) await Promise.all(Array.from({ length: 100 }, (_, n) => say(`${i} ${n}`)));
    await scene.rooms.set(alice, roomId, 'm.room.topic', { topic: 'new' });
    for (let n = 0; n < 10; n++) await say(`last ${n}`);
    await scene.sync(alice, quiet);
    const reads = engine.reader.events.reads;
    const room = joinedIn(await scene.sync(alice, { ...quiet, since }), roomId);
    assert.equal(shorts(room, 'timeline').at(-1), 'last 9');
    assert.equal(shorts(room, 'state'), ['topic|']);
    assert.ok(engine.reader.events.reads - reads < 100);
  }));

test('a token from before a restart stays good; what lives in memory only is told anew', async () => {
  const path = await mkdtemp(join(tmpdir(), 'stateroom-sync-'));
  try {
    const before = await Harness.open({ path });
    const first = new Scene(before);
    const alice = await before.user('alice');
    const roomId = await first.rooms.create(alice);
    await first.rooms.ask(alice, 'PUT', v3`rooms/${roomId}/typing/${alice.userId}`, { typing: true });
    const since = nextOf(await first.sync(alice, quiet));
    await first.rooms.say(alice, roomId, 'before');
    await before.close();
    const after = await Harness.open({ path });
    const second = new Scene(after);
    await second.rooms.ask(alice, 'PUT', v3`rooms/${roomId}/typing/${alice.userId}`, { typing: true });
    const room = joinedIn(await second.sync(alice, { ...quiet, since }), roomId);
    assert.equal(shorts(room, 'timeline'), ['before']);
    assert.equal(eventsOf(room, 'ephemeral')[0]?.['content']?.['user_ids'], [alice.userId]);
    await after.close();
  } finally {
    await rm(path, { recursive: true, force: true });
  }
});

test('tokens that this server cannot have given out, and other nonsense, are refused', () =>
  Scene.play(async (scene) => {
    const alice = await scene.harness.user('alice');
    const since = nextOf(await scene.sync(alice));
    const nonsense = [
      'garbage',
      's1',
      't12',
      `${since}x`,
      's999999999_1.1.1.ab',
      's1_1.2.0.ab',
      's-1_1.0.0.ab',
      `s${'9'.repeat(400)}_1.0.0.ab`,
      '__proto__',
    ];
    for (const token of nonsense) {
      const answer = await scene.harness.call(alice, 'GET', '/v3/sync', {}, { query: { since: token } });
      assert.equal([answer.status, textOf(answer.body['errcode'])], [400, 'M_INVALID_PARAM'], token);
    }
    for (const query of [{ timeout: 'soon' }, { full_state: 'perhaps' }, { set_presence: 'asleep' }]) {
      assert.is((await scene.harness.call(alice, 'GET', '/v3/sync', {}, { query })).status, 400);
    }
  }));

test.run();
