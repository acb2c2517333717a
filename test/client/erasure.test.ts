// What users said who asked to be forgotten: who shared it with them still has it, who comes later does not.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Harness, itemsOf, type Json, type TestUser, textOf } from './harness.js';
import { bodies, Rooms, v3 } from './rooms.js';

interface Context {
  harness: Harness;
  rooms: Rooms;
  alice: TestUser;
  /** The user who is erased. */
  mallory: TestUser;
  roomId: string;
}

const test = suite<Context>('erasure');

test.before.each(async (context) => {
  context.harness = await Harness.open();
  context.rooms = new Rooms(context.harness);
  context.alice = await context.harness.user('alice');
  context.mallory = await context.harness.user('mallory');
  const { rooms, alice, mallory } = context;
  context.roomId = await rooms.create(alice, { preset: 'public_chat' });
  const { roomId } = context;
  await rooms.ask(mallory, 'PUT', v3`profile/${mallory.userId}/displayname`, { displayname: 'Mal' });
  await rooms.join(mallory, roomId);
});
test.after.each(({ harness }) => harness.close());

async function deactivate({ harness }: Context, user: TestUser, erase: boolean): Promise<void> {
  const auth = {
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user: user.userId },
    password: user.password,
  };
  const { status } = await harness.call(user, 'POST', '/v3/account/deactivate', { erase, auth });
  assert.is(status, 200);
}

const contentOf = (event: Json | undefined): unknown => event?.['content'];

test('who was there, or came before the erasure, is shown what was said; who comes later is not', async (context) => {
  const { harness, rooms, alice, mallory, roomId } = context;
  const early = await harness.user('early');
  const late = await harness.user('late');
  const said = await rooms.say(mallory, roomId, 'my secret');
  await rooms.say(alice, roomId, 'hello');
  await rooms.join(early, roomId);
  await deactivate(context, mallory, true);
  await rooms.join(late, roomId);

  assert.equal(await rooms.heard(alice, roomId), ['my secret', 'hello']);
  assert.equal(await rooms.heard(early, roomId), ['my secret', 'hello']);
  const path = v3`rooms/${roomId}/event/${said}`;
  assert.equal(contentOf(await rooms.ask(late, 'GET', path)), {});
  const page = await rooms.ask(late, 'GET', `${v3`rooms/${roomId}/messages`}?dir=b&limit=100`);
  assert.not.match(JSON.stringify(page), 'my secret');
  assert.not.match(JSON.stringify(page), 'Mal');
  assert.match(JSON.stringify(page), 'hello');
  const sync = await rooms.ask(late, 'GET', '/v3/sync');
  const joined = sync['rooms']?.['join']?.[roomId];
  assert.not.match(JSON.stringify(joined), /my secret|Mal"/);
  assert.ok(bodies(joined?.['timeline']?.['events']).includes('hello'));
  const context_ = await rooms.ask(late, 'GET', v3`rooms/${roomId}/context/${said}`);
  assert.equal(contentOf(context_['event']), {});

  // Who leaves and comes back comes later too, but was there when it was said.
  await rooms.leave(alice, roomId);
  await rooms.join(alice, roomId);
  assert.equal(await rooms.heard(alice, roomId), ['my secret', 'hello']);
  assert.match(JSON.stringify(await rooms.ask(alice, 'GET', path)), 'my secret');
});

test("a profile in a member event goes; what was said of the room stays the room's", async (context) => {
  const { harness, rooms, alice, mallory, roomId } = context;
  const late = await harness.user('late');
  await rooms.set(alice, roomId, 'm.room.power_levels', {
    users: { [mallory.userId]: 100 },
  });
  await rooms.set(mallory, roomId, 'm.room.name', { name: 'Our room' });
  const bob = await harness.user('bob');
  await rooms.invite(mallory, roomId, bob);
  await deactivate(context, mallory, true);
  await rooms.join(late, roomId);
  assert.equal(await rooms.ask(late, 'GET', v3`rooms/${roomId}/state/m.room.name/`), { name: 'Our room' });
  const members = await rooms.ask(late, 'GET', v3`rooms/${roomId}/members`);
  const of = (user: TestUser): unknown =>
    contentOf(itemsOf(members['chunk']).find((event) => textOf(event['state_key']) === user.userId));
  assert.equal(of(mallory), { membership: 'leave' });
  assert.equal(of(bob), { membership: 'invite' });
  const own = await rooms.ask(late, 'GET', v3`rooms/${roomId}/state/m.room.member/${mallory.userId}`);
  assert.equal(own, { membership: 'leave' });
});

test('who leaves without asking for it is not forgotten', async (context) => {
  const { harness, rooms, mallory, roomId } = context;
  const late = await harness.user('late');
  await rooms.say(mallory, roomId, 'remember me');
  await deactivate(context, mallory, false);
  await rooms.join(late, roomId);
  assert.equal(await rooms.heard(late, roomId), ['remember me']);
});

test.run();
