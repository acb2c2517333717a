import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { heroEvents } from '../../../src/federation/serve/membership/heroes.js';
import { ALICE, BOB, CAROL, Resident, STRANGER } from './resident.js';

const test = suite('federation serve heroes');

/** So small that a room of a few members counts as large. */
const LARGE = { membersMax: 3, beginningMax: 20 };

/** Whom the current state of the room is named after, for Carol. */
async function heroesIn({ engine, roomId }: Resident, limits = LARGE): Promise<(string | undefined)[]> {
  const ids = await heroEvents(engine, engine.currentState(roomId), CAROL, limits);
  return ids.map((id) => engine.reader.event(id).pdu.stateKey);
}

test('a large room is named after its first members', async () => {
  const at = await Resident.open('10');
  await at.room();
  await at.join(CAROL);
  for (let i = 0; i < 7; i++) await at.join(`@user${i}:delta.test`);
  await at.member('@user0:delta.test', '@user0:delta.test', 'leave');
  await at.member(ALICE, '@user1:delta.test', 'ban');
  const later = ['@user2:delta.test', '@user3:delta.test', '@user4:delta.test'];
  assert.equal(await heroesIn(at), [ALICE, BOB, ...later]);
  await at.close();
});

test('a large room whose beginning was not seen here is named after any who are there', async () => {
  const at = await Resident.open('10');
  await at.room();
  const users = Array.from({ length: 10 }, (_, i) => `@user${i}:delta.test`);
  for (const user of users) await at.join(user);
  const there = await Resident.open('10', STRANGER);
  await there.takeJoin(await at.handshake(CAROL), false);
  const view = there.engine.currentState(there.roomId);
  const heroes = await heroesIn(there);
  assert.ok(heroes.length >= 3, 'three were looked at, or one of each server');
  for (const hero of heroes) assert.is(view.membership(hero ?? ''), 'join');
  assert.is(heroes.includes(CAROL), false);
  await there.close();
  await at.close();
});

test('a large room that nearly all have left is named after those who have not', async () => {
  const at = await Resident.open('10');
  await at.room();
  const users = Array.from({ length: 12 }, (_, i) => `@user${i}:delta.test`);
  for (const user of users) await at.join(user);
  for (const user of users) await at.member(user, user, 'leave');
  // Bob's membership is one that came late.
  await at.member(BOB, BOB, 'leave');
  await at.join(BOB);
  assert.equal(await heroesIn(at), [ALICE, BOB]);
  assert.equal((await heroesIn(at, { membersMax: 3, beginningMax: 1 })).sort(), [ALICE, BOB]);
  await at.close();
});

test.run();
