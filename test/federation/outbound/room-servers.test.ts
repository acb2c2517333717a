import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { UserId } from '../../../src/event/ids.js';
import { Alpha, ALPHA, member } from './alpha.js';

const test = suite('federation outbound room servers');

test('a server is in a room from its first join to its last leave, and listeners are told', async () => {
  const at = await Alpha.open();
  const { roomServers } = at.federation;
  await roomServers.caughtUp();
  const told: string[] = [];
  roomServers.subscribe({
    entered: (_, server) => told.push(`+${server}`),
    left: (_, server) => told.push(`-${server}`),
    memberLeft: (_, userId) => told.push(`-${userId}`),
  });
  const beta = await at.other();
  const second = '@second:beta.test' as UserId;
  await at.join(beta, second);
  await roomServers.caughtUp();
  assert.equal(roomServers.serversOf(at.roomId), ['beta.test']);
  assert.equal([...roomServers.roomsOf(beta.name)], [at.roomId]);
  assert.ok(roomServers.sharesRoom(second));
  await at.leave(beta, second);
  await roomServers.caughtUp();
  assert.ok(roomServers.isIn(beta.name, at.roomId));
  assert.not(roomServers.sharesRoom(second));
  await at.leave(beta);
  await roomServers.caughtUp();
  assert.equal(roomServers.serversOf(at.roomId), []);
  assert.is(roomServers.roomsOf(beta.name).size, 0);
  assert.equal(told, ['+beta.test', '-@second:beta.test', '-beta.test', '-@bob:beta.test']);
  await at.close();
});

test('the servers of an older state are found from the newer one', async () => {
  const at = await Alpha.open();
  const beta = await at.other();
  const before = at.harness.home.engine.currentState(at.roomId);
  await at.other('gamma.test');
  await at.leave(beta);
  const { roomServers } = at.federation;
  await roomServers.caughtUp();
  assert.equal([...roomServers.serversAt(before)], ['beta.test']);
  assert.equal([...roomServers.serversAt(at.harness.home.engine.currentState(at.roomId))], ['gamma.test']);
  await at.close();
});

test('an invitation makes no server a member, and a room that we left is not shared', async () => {
  const at = await Alpha.open();
  const beta = await at.other();
  await at.set('m.room.member', '@carol:gamma.test', { membership: 'invite' });
  const { roomServers } = at.federation;
  await roomServers.caughtUp();
  assert.equal(roomServers.serversOf(at.roomId), ['beta.test']);
  await at.harness.home.engine.send(at.roomId, member(at.alice.userId, 'leave'));
  await roomServers.caughtUp();
  assert.not(roomServers.sharesRoom(beta.user));
  assert.not(roomServers.isIn(ALPHA, at.roomId));
  await at.close();
});

test.run();
