// Syncs of a room that was joined with most of its members left out, before they are there and after.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { itemsOf, textOf } from '../harness.js';
import { bodies, leaf, v3 } from '../rooms.js';
import { eventsOf, joinedIn, leftIn, membersOf, nextOf, shorts } from '../sync/support.js';
import { ALICE, BOB, CAROL, GINA, LAZY, message, PartialScene, SILENT, state } from './support.js';

const test = suite('client/partial: sync');

const counts = (room: ReturnType<typeof joinedIn>): (string | undefined)[] =>
  ['m.joined_member_count', 'm.invited_member_count'].map((name) => {
    const count = room?.['summary']?.[name];
    return count === undefined ? undefined : textOf(count);
  });

test('a lazy client has the room at once: all state that is no member, its own member, and who speaks', async () => {
  await PartialScene.act(async (scene) => {
    const before = await scene.harness.user('early');
    const token = nextOf(await scene.lazily(before));
    const gina = await scene.enter();
    await scene.send(scene.beta, message(BOB, 'welcome'));
    await scene.rooms.say(gina, scene.roomId, 'hello');
    const room = joinedIn(await scene.lazily(gina), scene.roomId);
    assert.equal(shorts(room, 'timeline'), [`member|${GINA}`, 'welcome', 'hello']);
    assert.equal(membersOf(room, 'state'), [BOB]);
    const others = shorts(room, 'state').filter((short) => !short.startsWith('member'));
    assert.equal(others.sort(), ['create|', 'join_rules|', 'power_levels|', 'topic|']);
    assert.is(room?.['summary'], undefined, 'nobody knows how many there are');
    assert.is(joinedIn(await scene.lazily(before, token), scene.roomId), undefined);
  });
});

test('a lazy client goes on while the state is incomplete: senders once, and no member twice', async () => {
  await PartialScene.act(async (scene) => {
    const gina = await scene.enter();
    const first = await scene.lazily(gina);
    await scene.send(scene.beta, message(BOB, 'one'));
    await scene.send(scene.delta, message(CAROL, 'two'));
    const second = await scene.lazily(gina, nextOf(first));
    const room = joinedIn(second, scene.roomId);
    assert.equal(shorts(room, 'timeline'), ['one', 'two']);
    assert.equal(membersOf(room, 'state'), [BOB, CAROL]);
    assert.is(room?.['summary'], undefined);
    await scene.send(scene.beta, message(BOB, 'three'));
    await scene.send(scene.alpha, message(ALICE, 'four'));
    const third = joinedIn(await scene.lazily(gina, nextOf(second)), scene.roomId);
    assert.equal(shorts(third, 'timeline'), ['three', 'four']);
    assert.equal(membersOf(third, 'state'), [ALICE]);
  });
});

test('with state_after the senders of an incomplete room are there as well', async () => {
  await PartialScene.act(async (scene) => {
    const gina = await scene.enter();
    await scene.send(scene.beta, message(BOB, 'one'));
    const room = joinedIn(await scene.lazily(gina, undefined, { use_state_after: 'true' }), scene.roomId);
    assert.equal(membersOf(room, 'state_after'), [BOB, GINA]);
    assert.is(room?.['state'], undefined);
  });
});

test('a room without a name is named after those of its members who came with the answer', async () => {
  await PartialScene.act(async (scene) => {
    const alice = scene.alpha.current('m.room.member', ALICE);
    const gina = await scene.enter({ given: alice === undefined ? [] : [alice.eventId] });
    const first = await scene.lazily(gina);
    const room = joinedIn(first, scene.roomId);
    assert.equal(room?.['summary'], { 'm.heroes': [ALICE] });
    assert.ok(membersOf(room, 'state').includes(ALICE));
    await scene.complete();
    const whole = joinedIn(await scene.lazily(gina, nextOf(first)), scene.roomId);
    assert.equal(counts(whole), ['5', '1']);
    const heroes = itemsOf(whole?.['summary']?.['m.heroes']).map((hero) => textOf(hero));
    assert.equal(heroes.sort(), [ALICE, '@asked:alpha.test', BOB, CAROL, SILENT]);
  });
});

test('when the state is whole a lazy client is told how many there are, and then nothing more', async () => {
  await PartialScene.act(async (scene) => {
    const gina = await scene.enter();
    await scene.send(scene.beta, message(BOB, 'one'));
    const first = await scene.lazily(gina);
    await scene.complete();
    const second = await scene.lazily(gina, nextOf(first));
    const room = joinedIn(second, scene.roomId);
    assert.equal(counts(room), ['5', '1']);
    assert.equal(shorts(room, 'timeline'), []);
    assert.is(textOf(room?.['timeline']?.['limited']), 'false');
    // The heroes of now; who was wrong none was.
    assert.equal(membersOf(room, 'state'), ['@asked:alpha.test', ALICE, CAROL, SILENT].sort());
    assert.is(joinedIn(await scene.lazily(gina, nextOf(second)), scene.roomId), undefined);
  });
});

test('a lazy client that was away over the whole time gets the room as any that is newly joined', async () => {
  await PartialScene.act(async (scene) => {
    const gina = await scene.harness.user('early');
    const token = nextOf(await scene.lazily(gina));
    const [userId, deviceId] = [GINA, 'X'];
    await scene.enter();
    const device = await scene.harness.device(userId as typeof gina.userId, deviceId);
    await scene.send(scene.beta, message(BOB, 'one'));
    await scene.complete();
    const room = joinedIn(await scene.lazily({ ...device, password: '' }, token), scene.roomId);
    assert.equal(shorts(room, 'timeline'), [`member|${GINA}`, 'one']);
    assert.equal(counts(room), ['5', '1']);
    assert.ok(shorts(room, 'state').includes('create|'));
  });
});

test('a long poll of a lazy client ends when the state is whole', async () => {
  await PartialScene.act(async (scene) => {
    const gina = await scene.enter();
    const since = nextOf(await scene.lazily(gina));
    const polling = scene.lazily(gina, since, { timeout: '30000' });
    await scene.complete();
    assert.equal(counts(joinedIn(await polling, scene.roomId)), ['5', '1']);
  });
});

test('from an eager client the room is hidden until it is whole, then it is newly joined', async () => {
  await PartialScene.act(async (scene) => {
    const gina = await scene.enter();
    const first = await scene.eagerly(gina);
    assert.is(joinedIn(first, scene.roomId), undefined);
    await scene.send(scene.beta, message(BOB, 'one'));
    await scene.rooms.ask(gina, 'PUT', v3`user/${GINA}/rooms/${scene.roomId}/account_data/x`, { a: 1 });
    const second = await scene.eagerly(gina, nextOf(first));
    assert.is(joinedIn(second, scene.roomId), undefined);
    assert.is(
      joinedIn(await scene.eagerly(gina, nextOf(second), { full_state: 'true' }), scene.roomId),
      undefined,
    );
    await scene.complete();
    for (const since of [nextOf(first), nextOf(second), undefined]) {
      const room = joinedIn(await scene.eagerly(gina, since), scene.roomId);
      assert.equal(shorts(room, 'timeline'), [`member|${GINA}`, 'one']);
      assert.equal(membersOf(room, 'state'), ['@asked:alpha.test', ALICE, BOB, CAROL, SILENT].sort());
      assert.ok(shorts(room, 'state').includes('topic|'));
      assert.equal(counts(room), ['5', '1']);
      assert.equal(
        eventsOf(room, 'account_data').map(({ type }) => leaf(type)),
        ['x'],
      );
    }
    const since = nextOf(await scene.eagerly(gina, nextOf(second)));
    await scene.send(scene.beta, message(BOB, 'two'));
    const after = joinedIn(await scene.eagerly(gina, since), scene.roomId);
    assert.equal(shorts(after, 'timeline'), ['two'], 'once, and then as ever');
    assert.equal(shorts(after, 'state'), []);
  });
});

test('a long poll of an eager client sleeps over what happens in a hidden room, and wakes when it is whole', async () => {
  await PartialScene.act(async (scene) => {
    const gina = await scene.enter();
    const since = nextOf(await scene.eagerly(gina));
    let isAnswered = false;
    const polling = scene.eagerly(gina, since, { timeout: '30000' }).finally(() => (isAnswered = true));
    await scene.send(scene.beta, message(BOB, 'one'));
    await scene.engine.core.idle();
    await scene.harness.home.notifier.reached(scene.engine.watermark);
    assert.is(isAnswered, false);
    await scene.complete();
    assert.equal(shorts(joinedIn(await polling, scene.roomId), 'timeline'), [`member|${GINA}`, 'one']);
  });
});

test('with state_after an eager client gets the whole state as it is now', async () => {
  await PartialScene.act(async (scene) => {
    const gina = await scene.enter();
    const since = nextOf(await scene.eagerly(gina));
    await scene.complete();
    const room = joinedIn(await scene.eagerly(gina, since, { use_state_after: 'true' }), scene.roomId);
    assert.equal(
      membersOf(room, 'state_after'),
      ['@asked:alpha.test', ALICE, BOB, CAROL, GINA, SILENT].sort(),
    );
  });
});

test('a client that turns from lazy to eager with the same token gets the room whole once it is', async () => {
  await PartialScene.act(async (scene) => {
    const gina = await scene.enter();
    const since = nextOf(await scene.lazily(gina));
    await scene.send(scene.beta, message(BOB, 'one'));
    assert.is(joinedIn(await scene.eagerly(gina, since), scene.roomId), undefined);
    await scene.complete();
    const room = joinedIn(await scene.eagerly(gina, since), scene.roomId);
    assert.equal(membersOf(room, 'state'), ['@asked:alpha.test', ALICE, BOB, CAROL, SILENT].sort());
  });
});

test('what a long absence held back is limited, and its state is that of the whole room', async () => {
  await PartialScene.act(async (scene) => {
    const gina = await scene.enter();
    const since = nextOf(await scene.lazily(gina));
    await scene.send(scene.alpha, state(ALICE, 'm.room.topic', { topic: 'new' }));
    for (let i = 0; i < 4; i++) await scene.send(scene.beta, message(BOB, `${i}`));
    await scene.complete();
    const filter = { room: { ...LAZY.room, timeline: { limit: 2 } } };
    const room = joinedIn(await scene.sync(gina, { since }, filter), scene.roomId);
    assert.equal(shorts(room, 'timeline'), ['2', '3']);
    assert.is(textOf(room?.['timeline']?.['limited']), 'true');
    assert.ok(shorts(room, 'state').includes('topic|'));
    const back = `${v3`rooms/${scene.roomId}/messages`}?dir=b&from=${textOf(room?.['timeline']?.['prev_batch'])}`;
    const page = await scene.rooms.ask(gina, 'GET', `${back}&limit=2`);
    assert.equal(bodies(page['chunk']), ['1', '0']);
    const whole = joinedIn(await scene.lazily(gina, since, { full_state: 'true' }), scene.roomId);
    assert.ok(shorts(whole, 'state').includes('create|'));
    assert.equal(shorts(whole, 'timeline').length, 5);
  });
});

test('what was unread stays so, counted as of a room of many', async () => {
  await PartialScene.act(async (scene) => {
    const bob = scene.beta.current('m.room.member', BOB);
    // Two are known of, but three other servers are in it: no talk between two.
    const gina = await scene.enter({ given: bob === undefined ? [] : [bob.eventId] });
    const ofTwo = { conditions: [{ kind: 'room_member_count', is: '2' }], actions: [] };
    await scene.rooms.ask(gina, 'PUT', '/v3/pushrules/global/override/two', ofTwo);
    const seen = await scene.send(scene.beta, message(BOB, 'one'));
    await scene.send(scene.beta, message(BOB, 'two'));
    const unread = async (): Promise<string> => {
      const room = joinedIn(await scene.lazily(gina), scene.roomId);
      return textOf(room?.['unread_notifications']?.['notification_count']);
    };
    assert.is(await unread(), '2');
    await scene.rooms.ask(gina, 'POST', v3`rooms/${scene.roomId}/receipt/m.read/${seen.eventId}`);
    assert.is(await unread(), '1');
    await scene.complete();
    assert.is(await unread(), '1');
  });
});

test('each event says whether its reader was in the room, before and after the state is whole', async () => {
  await PartialScene.act(async (scene) => {
    const gina = await scene.enter();
    await scene.send(scene.beta, message(BOB, 'one'));
    for (const isWhole of [false, true]) {
      if (isWhole) await scene.complete();
      const room = joinedIn(await scene.lazily(gina), scene.roomId);
      const memberships = eventsOf(room, 'timeline').map((event) => leaf(event['unsigned']?.['membership']));
      assert.equal(memberships, ['join', 'join']);
    }
  });
});

test('another user of this server joins meanwhile: the lazy see the room, the eager once it is whole', async () => {
  await PartialScene.act(async (scene) => {
    const gina = await scene.enter();
    const hugo = await scene.harness.user('hugo');
    const [lazy, eager] = [nextOf(await scene.lazily(hugo)), nextOf(await scene.eagerly(hugo))];
    await scene.rooms.join(hugo, scene.roomId);
    const room = joinedIn(await scene.lazily(hugo, lazy), scene.roomId);
    assert.equal(shorts(room, 'timeline'), [`member|${GINA}`, `member|${hugo.userId}`]);
    assert.ok(shorts(room, 'state').includes('create|'));
    assert.is(joinedIn(await scene.eagerly(hugo, eager), scene.roomId), undefined);
    assert.is(joinedIn(await scene.eagerly(gina), scene.roomId), undefined);
    await scene.complete();
    const whole = joinedIn(await scene.eagerly(hugo, eager), scene.roomId);
    assert.equal(membersOf(whole, 'state'), ['@asked:alpha.test', ALICE, BOB, CAROL, SILENT].sort());
    assert.equal(counts(whole), ['6', '1']);
  });
});

test('whoever leaves meanwhile finds the room among those left, and no more when the state is whole', async () => {
  await PartialScene.act(async (scene) => {
    const gina = await scene.enter();
    const hugo = await scene.harness.user('hugo');
    await scene.rooms.join(hugo, scene.roomId);
    const [lazy, eager] = [nextOf(await scene.lazily(hugo)), nextOf(await scene.eagerly(hugo))];
    await scene.rooms.leave(hugo, scene.roomId);
    const lazily = await scene.lazily(hugo, lazy);
    assert.equal(shorts(leftIn(lazily, scene.roomId), 'timeline'), [`member|${hugo.userId}`]);
    const eagerly = await scene.eagerly(hugo, eager);
    assert.ok(shorts(leftIn(eagerly, scene.roomId), 'timeline').includes(`member|${hugo.userId}`));
    assert.ok(
      shorts(leftIn(eagerly, scene.roomId), 'state').includes('create|'),
      'it was never shown the room',
    );
    await scene.complete();
    for (const sync of [
      await scene.lazily(hugo, nextOf(lazily)),
      await scene.eagerly(hugo, nextOf(eagerly)),
    ]) {
      assert.is(sync['rooms'], undefined);
    }
    assert.ok(joinedIn(await scene.eagerly(gina), scene.roomId));
  });
});

test('a client that slept over leaving and coming back gets the room as newly joined', async () => {
  await PartialScene.act(async (scene) => {
    const gina = await scene.enter();
    const [lazy, eager] = [nextOf(await scene.lazily(gina)), nextOf(await scene.eagerly(gina))];
    await scene.rooms.leave(gina, scene.roomId);
    await scene.reenter();
    assert.is(joinedIn(await scene.eagerly(gina, eager), scene.roomId), undefined);
    for (const isWhole of [false, true]) {
      if (isWhole) await scene.complete();
      const room = joinedIn(await scene.lazily(gina, lazy), scene.roomId);
      assert.ok(shorts(room, 'state').includes('create|'));
      assert.equal(counts(room), isWhole ? ['5', '1'] : [undefined, undefined]);
    }
    const room = joinedIn(await scene.eagerly(gina, eager), scene.roomId);
    assert.ok(shorts(room, 'state').includes('create|'));
    assert.ok(membersOf(room, 'state').includes(SILENT));
  });
});

test('after a restart too a client is told what is owed: nothing while the room is hidden, and then all of it', async () => {
  await inFolder(async (path) => {
    await PartialScene.act(
      async (scene) => {
        const gina = await scene.enter();
        const [lazy, eager] = [nextOf(await scene.lazily(gina)), nextOf(await scene.eagerly(gina))];
        await scene.restart(async (again) => {
          assert.is(joinedIn(await again.eagerly(gina, eager), scene.roomId), undefined);
          await again.complete();
          await again.restart(async (after) => {
            assert.equal(counts(joinedIn(await after.lazily(gina, lazy), scene.roomId)), ['5', '1']);
            assert.equal(counts(joinedIn(await after.eagerly(gina, eager), scene.roomId)), ['5', '1']);
          });
        });
      },
      { path },
    );
  });
});

async function inFolder(play: (path: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'stateroom-partial-'));
  try {
    await play(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test.run();
