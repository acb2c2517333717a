import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as fc from 'fast-check';
import { NotedMembersOfRooms } from '../../../src/federation/serve/noted-members.js';
import type { StateView } from '../../../src/reader/state-view.js';
import { ALICE, Resident } from './resident.js';

const test = suite('federation serve noted members');

const USERS = ['b', 'c', 'd', 'e', 'f', 'g'].map((user) => `@${user}:beta.test`);

interface Expected {
  readonly banned: string[];
  readonly invited: string[];
  readonly putOut: string[];
}

/** The same the slow way. */
function notedIn(at: Resident, view: StateView): Expected {
  const idsOf = (membership: 'ban' | 'invite' | 'leave'): string[] =>
    [...view.members({ membership })].map(({ eventId }) => eventId).sort();
  const isByAnother = (id: string): boolean => {
    const pdu = at.engine.reader.event(id).pdu;
    return pdu.sender !== pdu.stateKey;
  };
  return { banned: idsOf('ban'), invited: idsOf('invite'), putOut: idsOf('leave').filter(isByAnother) };
}

/** Takes users through memberships of all kinds. @returns the state after each step */
async function history(at: Resident, steps: number): Promise<StateView[]> {
  const views = [at.engine.currentState(at.roomId)];
  for (let i = 0; i < steps; i++) {
    const user = USERS[(i * 5) % USERS.length] ?? '';
    const membership = at.engine.currentState(at.roomId).membership(user);
    const next = ['join', 'leave', 'ban'][i % 3] ?? '';
    if (membership === undefined || membership === 'leave') await at.member(ALICE, user, 'invite');
    else if (membership === 'ban') await at.member(ALICE, user, 'leave');
    else if (next === 'leave' && i % 2 === 0) await at.member(user, user, 'leave');
    else if (next === 'join' && membership === 'invite') await at.join(user);
    else await at.member(ALICE, user, next === 'join' ? 'leave' : next);
    views.push(at.engine.currentState(at.roomId));
  }
  return views;
}

test('whatever states of a room are asked in whatever order, those noted are those of the state asked', async () => {
  const at = await Resident.open('10');
  await at.room();
  const views = await history(at, 60);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...views), { minLength: 1 }), async (asked) => {
      const noted = new NotedMembersOfRooms(at.engine.store);
      // All at once: each gets what its own state says.
      const answers = await Promise.all(asked.map((view) => noted.of(view, 100)));
      for (const [i, view] of asked.entries()) {
        const { banned = [], invited = [], putOut = [] } = answers[i] ?? {};
        const found = {
          banned: [...banned].sort(),
          invited: [...invited].sort(),
          putOut: [...putOut].sort(),
        };
        assert.equal(found, notedIn(at, view));
      }
    }),
    { numRuns: 15 },
  );
  await at.close();
});

test('a kind of which there are more than were asked for is not told, the others are', async () => {
  const at = await Resident.open('10');
  await at.room();
  for (const user of USERS) await at.member(ALICE, user, 'ban');
  await at.member(ALICE, '@guest:beta.test', 'invite');
  const noted = await new NotedMembersOfRooms(at.engine.store).of(at.engine.currentState(at.roomId), 5);
  assert.is(noted.banned, undefined);
  assert.is(noted.invited?.length, 1);
  assert.equal(noted.putOut, []);
  await at.close();
});

test('of a room with more leaves than are read it is not told who was put out, neither then nor later', async () => {
  const at = await Resident.open('10');
  await at.room();
  for (const user of USERS) {
    await at.join(user);
    await at.member(ALICE, user, 'leave');
  }
  const noted = new NotedMembersOfRooms(at.engine.store, USERS.length - 1);
  assert.is((await noted.of(at.engine.currentState(at.roomId), 100)).putOut, undefined);
  for (const user of USERS) await at.join(user);
  await at.member(ALICE, USERS[0] ?? '', 'leave');
  assert.is((await noted.of(at.engine.currentState(at.roomId), 100)).putOut, undefined);
  const anew = new NotedMembersOfRooms(at.engine.store, USERS.length - 1);
  assert.is((await anew.of(at.engine.currentState(at.roomId), 100)).putOut?.length, 1);
  await at.close();
});

test.run();
