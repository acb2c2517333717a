import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as fc from 'fast-check';
import { parseUserId, serverOf, type ServerName } from '../../../src/event/ids.js';
import { ServerMembers } from '../../../src/federation/serve/server-members.js';
import type { StateView } from '../../../src/reader/state-view.js';
import { ALICE, Resident } from './resident.js';

const test = suite('federation serve members by server');

const USERS = ['b', 'c', 'd'].flatMap((user) => [`@${user}:beta.test`, `@${user}:gamma.test`]);

/** The servers with joined members, the slow way. */
function joinedIn(view: StateView): string[] {
  const servers = [...view.members({ membership: 'join' })].flatMap(({ userId }) => {
    const parsed = parseUserId(userId);
    return parsed === undefined ? [] : [serverOf(parsed)];
  });
  return [...new Set(servers)].sort();
}

test('whatever states of a room are asked in whatever order, the servers are those of the state asked', async () => {
  const at = await Resident.open('10');
  const roomId = await at.room();
  const views = [at.engine.currentState(roomId)];
  for (let i = 0; i < 60; i++) {
    const user = USERS[(i * 7) % USERS.length] ?? '';
    const membership = at.engine.currentState(roomId).membership(user);
    if (membership === 'join' && i % 3 === 0) await at.member(ALICE, user, 'leave');
    else if (membership === 'join') await at.member(user, user, 'leave');
    else await at.join(user);
    views.push(at.engine.currentState(roomId));
  }
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...views), { minLength: 1 }), async (asked) => {
      const members = new ServerMembers();
      for (const view of asked) {
        await members.prepare(view);
        const servers = members.of(view);
        const expected = joinedIn(view);
        assert.equal([...servers.joined()].sort(), expected);
        assert.equal([...servers.joinedUsers()].map(([server]) => server).sort(), expected);
        for (const [server, user] of servers.joinedUsers()) {
          assert.is(serverOf(user), server);
          assert.is(view.membership(user), 'join', 'one who is joined stands for the server');
        }
        assert.is(servers.has('delta.test' as ServerName), false);
        for (const { userId } of view.members()) {
          const parsed = parseUserId(userId);
          assert.ok(parsed);
          assert.ok(servers.users(serverOf(parsed)).includes(parsed), 'members of any membership are known');
        }
      }
    }),
    { numRuns: 15 },
  );
  await at.close();
});

test('a large room is gone through in turns, with the same outcome', async () => {
  const at = await Resident.open('10');
  const roomId = await at.room();
  for (let i = 0; i < 520; i++) await at.join(`@u${i}:${i % 2 === 0 ? 'gamma' : 'delta'}.test`);
  const view = at.engine.currentState(roomId);
  const members = new ServerMembers();
  await Promise.all([members.prepare(view), members.prepare(view)]);
  assert.equal([...members.of(view).joined()].sort(), joinedIn(view));
  await at.close();
});

test('a room counts with the members that it has come to have', async () => {
  const at = await Resident.open('10');
  const roomId = await at.room();
  const members = new ServerMembers(5);
  const small = at.engine.currentState(roomId);
  assert.is(members.of(small), members.of(small), 'what is kept is given again');
  for (let i = 0; i < 5; i++) await at.join(`@u${i}:gamma.test`);
  const grown = at.engine.currentState(roomId);
  assert.equal([...members.of(grown).joined()].sort(), joinedIn(grown));
  assert.is.not(members.of(grown), members.of(grown), 'it has become too large to be kept');
  await at.close();
});

test.run();
