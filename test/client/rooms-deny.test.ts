// Default deny: every endpoint about a room, tried by who has no business there.
//
// A stranger never was in the room; one was banned before coming in, one after; one left; one was invited only.
// What is said to them must not depend on what the room holds, but for those who were in it: they may read what
// was until they went, and no more.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Route } from '../../src/client/route.js';
import { contextRoutes } from '../../src/client/context.js';
import { eventRoutes } from '../../src/client/event.js';
import { memberRoutes } from '../../src/client/members.js';
import { membershipRoutes } from '../../src/client/membership.js';
import { messagesRoutes } from '../../src/client/messages.js';
import { redactRoutes } from '../../src/client/redact.js';
import { sendRoutes } from '../../src/client/send.js';
import { stateRoutes } from '../../src/client/state.js';
import { aliasRoutes } from '../../src/client/aliases.js';
import { directoryRoutes } from '../../src/client/directory.js';
import { Harness, type TestUser } from './harness.js';
import { Rooms, v3 } from './rooms.js';

const SECRET = 'nobody outside may read this';

interface World {
  readonly roomId: string;
  readonly eventId: string;
  readonly victim: string;
}

/** How an endpoint is tried, and what strangers, and those who left or were banned later, must be told. */
interface Trial {
  readonly method: Route['method'];
  readonly route: string;
  readonly path: (world: World) => string;
  readonly body?: (world: World) => object;
  readonly stranger: number;
  readonly departed: number;
}

const about = (world: World) => ({ user_id: world.victim });
const room = '/_matrix/client/v3/rooms/:roomId';

const TRIALS: readonly Trial[] = [
  {
    method: 'PUT',
    route: `${room}/send/:eventType/:txnId`,
    path: ({ roomId }) => v3`rooms/${roomId}/send/m.room.message/1`,
    body: () => ({ body: 'x' }),
    stranger: 403,
    departed: 403,
  },
  {
    method: 'PUT',
    route: `${room}/redact/:eventId/:txnId`,
    path: ({ roomId, eventId }) => v3`rooms/${roomId}/redact/${eventId}/1`,
    stranger: 403,
    departed: 403,
  },
  {
    method: 'PUT',
    route: `${room}/state/:eventType`,
    path: ({ roomId }) => v3`rooms/${roomId}/state/m.room.name`,
    body: () => ({ name: 'x' }),
    stranger: 403,
    departed: 403,
  },
  {
    method: 'PUT',
    route: `${room}/state/:eventType/`,
    path: ({ roomId }) => v3`rooms/${roomId}/state/m.room.power_levels/`,
    stranger: 403,
    departed: 403,
  },
  {
    method: 'PUT',
    route: `${room}/state/:eventType/:stateKey`,
    path: ({ roomId, victim }) => v3`rooms/${roomId}/state/m.room.member/${victim}`,
    body: () => ({ membership: 'leave' }),
    stranger: 403,
    departed: 403,
  },
  {
    method: 'GET',
    route: `${room}/state`,
    path: ({ roomId }) => v3`rooms/${roomId}/state`,
    stranger: 403,
    departed: 200,
  },
  {
    method: 'GET',
    route: `${room}/state/:eventType`,
    path: ({ roomId }) => v3`rooms/${roomId}/state/m.room.name`,
    stranger: 403,
    departed: 200,
  },
  {
    method: 'GET',
    route: `${room}/state/:eventType/`,
    path: ({ roomId }) => v3`rooms/${roomId}/state/m.room.name/`,
    stranger: 403,
    departed: 200,
  },
  {
    method: 'GET',
    route: `${room}/state/:eventType/:stateKey`,
    path: ({ roomId, victim }) => v3`rooms/${roomId}/state/m.room.member/${victim}`,
    stranger: 403,
    departed: 200,
  },
  {
    method: 'GET',
    route: `${room}/members`,
    path: ({ roomId }) => v3`rooms/${roomId}/members`,
    stranger: 403,
    departed: 200,
  },
  {
    method: 'GET',
    route: `${room}/joined_members`,
    path: ({ roomId }) => v3`rooms/${roomId}/joined_members`,
    stranger: 403,
    departed: 403,
  },
  {
    method: 'GET',
    route: `${room}/messages`,
    path: ({ roomId }) => `${v3`rooms/${roomId}/messages`}?dir=b&limit=100`,
    stranger: 403,
    departed: 200,
  },
  {
    method: 'GET',
    route: `${room}/context/:eventId`,
    path: ({ roomId, eventId }) => v3`rooms/${roomId}/context/${eventId}`,
    stranger: 403,
    departed: 404,
  },
  {
    method: 'GET',
    route: `${room}/event/:eventId`,
    path: ({ roomId, eventId }) => v3`rooms/${roomId}/event/${eventId}`,
    stranger: 404,
    departed: 404,
  },
  {
    method: 'GET',
    route: '/_matrix/client/v1/rooms/:roomId/timestamp_to_event',
    path: ({ roomId }) => v3`rooms/${roomId}/timestamp_to_event?ts=0&dir=f`.replace('/v3/', '/v1/'),
    stranger: 403,
    departed: 200,
  },
  {
    method: 'GET',
    route: `${room}/aliases`,
    path: ({ roomId }) => v3`rooms/${roomId}/aliases`,
    stranger: 403,
    departed: 403,
  },
  {
    method: 'POST',
    route: '/_matrix/client/v3/join/:roomIdOrAlias',
    path: ({ roomId }) => v3`join/${roomId}`,
    stranger: 403,
    departed: 403,
  },
  {
    method: 'POST',
    route: `${room}/join`,
    path: ({ roomId }) => v3`rooms/${roomId}/join`,
    stranger: 403,
    departed: 403,
  },
  {
    method: 'POST',
    route: '/_matrix/client/v3/knock/:roomIdOrAlias',
    path: ({ roomId }) => v3`knock/${roomId}`,
    stranger: 403,
    departed: 403,
  },
  ...['invite', 'kick', 'ban', 'unban'].map(
    (verb): Trial => ({
      method: 'POST',
      route: `${room}/${verb}`,
      path: ({ roomId }) => `${v3`rooms/${roomId}`}/${verb}`,
      body: about,
      stranger: 403,
      departed: 403,
    }),
  ),
  {
    method: 'PUT',
    route: '/_matrix/client/v3/directory/room/:roomAlias',
    path: () => v3`directory/room/${'#mine:example.org'}`,
    body: ({ roomId }) => ({ room_id: roomId }),
    stranger: 403,
    departed: 403,
  },
  {
    method: 'DELETE',
    route: '/_matrix/client/v3/directory/room/:roomAlias',
    path: () => v3`directory/room/${'#theirs:example.org'}`,
    stranger: 403,
    departed: 403,
  },
  {
    method: 'PUT',
    route: '/_matrix/client/v3/directory/list/room/:roomId',
    path: ({ roomId }) => v3`directory/list/room/${roomId}`,
    stranger: 403,
    departed: 403,
  },
];

/** Endpoints that anybody may ask, or whose subject is the asker alone. */
const NO_TRIAL = [
  'POST /_matrix/client/v3/rooms/:roomId/leave',
  'POST /_matrix/client/v3/rooms/:roomId/forget',
  'GET /_matrix/client/v3/directory/room/:roomAlias',
  'GET /_matrix/client/v3/directory/list/room/:roomId',
  'GET /_matrix/client/v3/publicRooms',
  'POST /_matrix/client/v3/publicRooms',
];

const test = suite<{ harness: Harness; world: World; users: Map<string, TestUser> }>('default deny');

test.before(async (context) => {
  const harness = await Harness.open();
  const rooms = new Rooms(harness);
  const names = ['alice', 'victim', 'stranger', 'banned-stranger', 'left', 'banned', 'invited', 'rejected'];
  const users = new Map<string, TestUser>();
  for (const name of names) users.set(name, await harness.user(name));
  const user = (name: string): TestUser => {
    const found = users.get(name);
    if (found === undefined) throw new Error(`there is no ${name}`);
    return found;
  };
  const alice = user('alice');
  const roomId = await rooms.create(alice, { name: 'n', room_alias_name: 'theirs' });
  for (const name of ['victim', 'left', 'banned', 'invited', 'rejected'])
    await rooms.invite(alice, roomId, user(name));
  for (const name of ['victim', 'left', 'banned']) await rooms.join(user(name), roomId);
  await rooms.leave(user('left'), roomId);
  await rooms.leave(user('rejected'), roomId);
  await rooms.ban(alice, roomId, user('banned'));
  await rooms.ban(alice, roomId, user('banned-stranger'));
  const eventId = await rooms.say(alice, roomId, SECRET);
  context.harness = harness;
  context.users = users;
  context.world = { roomId, eventId, victim: user('victim').userId };
});
test.after(({ harness }) => harness.close());

const ALL_ROUTES: readonly Route[] = [
  ...contextRoutes,
  ...eventRoutes,
  ...memberRoutes,
  ...membershipRoutes,
  ...messagesRoutes,
  ...redactRoutes,
  ...sendRoutes,
  ...stateRoutes,
  ...aliasRoutes,
  ...directoryRoutes,
];

test('every endpoint about rooms is tried', () => {
  const tried = [...TRIALS.map(({ method, route }) => `${method} ${route}`), ...NO_TRIAL].sort();
  assert.equal(tried, ALL_ROUTES.map(({ method, path }) => `${method} ${path}`).sort());
});

for (const trial of TRIALS) {
  for (const [name, expected] of [
    ['stranger', trial.stranger],
    ['banned-stranger', trial.stranger],
    ['invited', trial.stranger],
    ['rejected', trial.stranger],
    ['left', trial.departed],
    ['banned', trial.departed],
  ] as const) {
    // An invitation is there to be accepted.
    if (name === 'invited' && /\/join$|\/join\//.test(trial.route)) continue;
    test(`${trial.method} ${trial.route} answers ${expected} to the ${name}`, async ({
      harness,
      world,
      users,
    }) => {
      const body = trial.body?.(world) ?? {};
      const answer = await harness.call(users.get(name), trial.method, trial.path(world), body);
      assert.is(answer.status, expected, JSON.stringify(answer.body));
      assert.not.match(JSON.stringify(answer.body), SECRET);
    });
  }

  test(`${trial.method} ${trial.route} answers 401 without a token`, async ({ harness, world }) => {
    assert.is((await harness.call(undefined, trial.method, trial.path(world), {})).status, 401);
  });
}

test('strangers cannot leave or forget what they were never in', async ({ harness, world, users }) => {
  for (const verb of ['leave', 'forget']) {
    const path = `${v3`rooms/${world.roomId}`}/${verb}`;
    assert.is((await harness.call(users.get('stranger'), 'POST', path)).status, 403);
  }
});

test('what was tried changed nothing', async ({ harness, world, users }) => {
  const rooms = new Rooms(harness);
  const alice = users.get('alice');
  if (alice === undefined) throw new Error('there is no alice');
  assert.equal(await rooms.heard(alice, world.roomId), [SECRET]);
  assert.equal(await rooms.ask(alice, 'GET', v3`rooms/${world.roomId}/state/m.room.name`), { name: 'n' });
});

test.run();
