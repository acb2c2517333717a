import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { RoomId, UserId } from '../../src/event/ids.js';
import { openAccounts, type TestAccounts } from './support.js';

const test = suite<TestAccounts>('memberships');

test.before.each(async (context) => {
  Object.assign(context, await openAccounts());
});
test.after.each(async (context) => context.close());

const ALICE = '@alice:example.org' as UserId;
const BOB = '@bob:example.org' as UserId;

type Membership = 'join' | 'invite' | 'leave' | 'ban';

/** Sets a membership and gives the member event's id. */
async function put(
  { engine }: TestAccounts,
  roomId: RoomId,
  sender: UserId,
  stateKey: UserId,
  membership: Membership,
): Promise<string> {
  const type = 'm.room.member';
  return (await engine.send(roomId, { type, sender, stateKey, content: { membership } })).eventId;
}

async function room(context: TestAccounts): Promise<RoomId> {
  // Two rooms made alike in one millisecond would have one id.
  context.clock.now++;
  const { roomId } = await context.engine.createRoom(ALICE);
  await put(context, roomId, ALICE, ALICE, 'join');
  return roomId;
}

test('the index knows what was committed as soon as it is asked', async (context) => {
  const { memberships } = context.accounts;
  const one = await room(context);
  const two = await room(context);
  await put(context, one, ALICE, BOB, 'invite');
  assert.equal((await memberships.rooms(ALICE, 'join')).sort(), [one, two].sort());
  assert.equal(await memberships.rooms(BOB, 'invite'), [one]);
  const joined = await put(context, one, BOB, BOB, 'join');
  assert.equal(await memberships.rooms(BOB, 'invite'), []);
  assert.equal([...(await memberships.ofUser(BOB))], [[one, { membership: 'join', eventId: joined }]]);
  assert.equal([...memberships.ofRoom(one).keys()].sort(), [ALICE, BOB]);
  assert.equal([...memberships.ofRoom(two).keys()], [ALICE]);
});

test('leaving and being banned are seen, by who is out as well', async (context) => {
  const { memberships } = context.accounts;
  const roomId = await room(context);
  await put(context, roomId, ALICE, BOB, 'invite');
  await put(context, roomId, BOB, BOB, 'leave');
  assert.equal(await memberships.rooms(BOB, 'leave'), [roomId]);
  await put(context, roomId, ALICE, BOB, 'ban');
  assert.is((await memberships.ofUser(BOB)).get(roomId)?.membership, 'ban');
});

test('an index built anew says the same as one that was kept up', async (context) => {
  const roomId = await room(context);
  await put(context, roomId, ALICE, BOB, 'invite');
  await put(context, roomId, BOB, BOB, 'join');
  await room(context);
  const fresh = (await context.reopen()).memberships;
  for (const user of [ALICE, BOB]) {
    const kept = [...(await context.accounts.memberships.ofUser(user))].sort();
    assert.equal([...(await fresh.ofUser(user))].sort(), kept);
  }
});

test('users of other servers are not in the index', async (context) => {
  const { memberships } = context.accounts;
  const roomId = await room(context);
  const remote = '@carol:example.org:8448' as UserId;
  await put(context, roomId, ALICE, remote, 'invite');
  await put(context, roomId, ALICE, '@dave:notexample.org' as UserId, 'invite');
  await memberships.caughtUp();
  assert.equal([...memberships.ofRoom(roomId).keys()], [ALICE]);
  assert.is(context.engine.currentState(roomId).membership(remote), 'invite', 'but the room itself tells');
});

test('a room is forgotten until something happens to the membership', async (context) => {
  const { memberships } = context.accounts;
  const roomId = await room(context);
  await put(context, roomId, ALICE, BOB, 'invite');
  await put(context, roomId, BOB, BOB, 'leave');
  assert.is(memberships.isForgotten(BOB, roomId), false);
  await memberships.forget(BOB, roomId);
  assert.is(memberships.isForgotten(BOB, roomId), true);
  assert.is((await context.reopen()).memberships.isForgotten(BOB, roomId), true);
  assert.is(memberships.isForgotten(ALICE, roomId), false);
  await put(context, roomId, ALICE, BOB, 'invite');
  assert.is(memberships.isForgotten(BOB, roomId), false);
});

test('who waits while the engine closes is not left waiting', async (context) => {
  const { memberships } = context.accounts;
  await room(context);
  const waiting = memberships.caughtUp();
  await context.accounts.close();
  await waiting;
});

test.run();
