import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId, UserId } from '../../../src/event/ids.js';
import type { FederationOptions } from '../../../src/federation/options.js';
import { JsonText } from '../../../src/federation/route.js';
import { serveRoutes } from '../../../src/federation/serve/routes.js';
import {
  ALICE,
  BOB,
  CAROL,
  itemsOf,
  type Json,
  leaf,
  MEMBER,
  RESIDENT,
  Resident,
  STRANGER,
  v1,
  v2,
} from './resident.js';

const test = suite('federation serve faster joins');

const OMIT = '?omit_members=true';
const NEEDED = `${OMIT}&org.stateroom.members=needed`;
const DORA = '@dora:delta.test' as UserId;

/** A server that has no small rooms: what is left out of the answers for large ones shows in rooms of a few. */
function open(version = '12', options: Partial<FederationOptions> = {}): Promise<Resident> {
  return Resident.open(version, RESIDENT, { options: { smallRoomMembersMax: 0, ...options } });
}

/** Whose memberships an answer tells, sorted. */
function membersIn(answer: Json): string[] {
  const members = itemsOf(answer['state']).filter(({ type }) => leaf(type) === 'm.room.member');
  return members.map((event) => leaf(event['state_key'])).sort();
}

const textsIn = (answer: Json, key: string): string[] => itemsOf(answer[key]).map(leaf).sort();

/** Is every event there that the state told and the join rest on, and none twice? */
function assertComplete(at: Resident, answer: Json): void {
  const [inState, inChain] = [at.idsOf(answer['state']), at.idsOf(answer['auth_chain'])];
  const needed = at.chainOf([...inState, at.pduOf(answer['event']).eventId]);
  const told = new Set([...inState, ...inChain]);
  assert.equal(
    needed.filter((id) => !told.has(id)),
    [],
    'the auth chain is whole',
  );
  assert.is(told.size, inState.length + inChain.length, 'nothing is told twice');
  const isNeeded = new Set([...needed, ...inState]);
  assert.equal(
    [...told].filter((id) => !isNeeded.has(id)),
    [],
    'nothing is told that is not needed',
  );
}

/** The events of a state that are no memberships. */
function othersThan(at: Resident, event: EventId): EventId[] {
  const others = [...at.engine.stateAt(event, 'before').entries()].filter(
    ({ type }) => type !== 'm.room.member',
  );
  return others.map(({ eventId }) => eventId).sort();
}

for (const version of ['1', '10', '12']) {
  test(`version ${version}: members are left out when that is asked for: all but the joining user, and the servers in the room are named`, async () => {
    const at = await open(version);
    await at.room([['m.room.name', { name: 'The room' }]]);
    await at.member(ALICE, CAROL, 'invite');
    const answer = await at.handshake(CAROL, OMIT);
    assert.is(answer['members_omitted'], true);
    assert.equal(textsIn(answer, 'servers_in_room'), [RESIDENT, MEMBER]);
    assert.equal(membersIn(answer), [CAROL]);
    const others = itemsOf(answer['state']).filter(({ type }) => leaf(type) !== 'm.room.member');
    const { eventId } = at.pduOf(answer['event']);
    assert.equal(others.map((event) => at.pduOf(event).eventId).sort(), othersThan(at, eventId));
    assertComplete(at, answer);
    await at.close();
  });
}

test('the servers named are those in the room before the join: the joining one only where it was there', async () => {
  const at = await open();
  await at.room();
  assert.equal(textsIn(await at.handshake(CAROL, OMIT), 'servers_in_room'), [RESIDENT, MEMBER]);
  const second = await at.handshake('@carl:gamma.test' as UserId, OMIT);
  assert.equal(textsIn(second, 'servers_in_room'), [RESIDENT, MEMBER, STRANGER]);
  await at.member(BOB, BOB, 'leave');
  assert.equal(textsIn(await at.handshake(DORA, OMIT), 'servers_in_room'), [RESIDENT, STRANGER]);
  await at.close();
});

test('who is joined already joins again as ever, and is told the membership that was', async () => {
  const at = await open();
  await at.room([['m.room.name', { name: 'The room' }]]);
  const first = at.pduOf((await at.handshake(CAROL, OMIT))['event']);
  const answer = await at.handshake(CAROL, OMIT);
  assert.equal(membersIn(answer), [CAROL]);
  assert.ok(at.idsOf(answer['state']).includes(first.eventId));
  assert.equal(textsIn(answer, 'servers_in_room'), [RESIDENT, MEMBER, STRANGER]);
  assertComplete(at, answer);
  await at.close();
});

test('a wish that is told twice is refused before the join is taken in', async () => {
  const at = await open();
  const roomId = await at.room();
  const { root } = at.engine.currentState(roomId);
  const join = { type: 'm.room.member', sender: CAROL, stateKey: CAROL, content: { membership: 'join' } };
  const { eventId, json } = at.build(join);
  for (const query of [`${OMIT}&omit_members=false`, `${NEEDED}&org.stateroom.members=needed`]) {
    const path = `${v2`send_join/${roomId}/${eventId}`}${query}`;
    await at.refused([400, 'M_INVALID_PARAM'], STRANGER, 'PUT', path, json);
  }
  assert.is(at.engine.currentState(roomId).root, root);
  await at.close();
});

test('a room with neither name nor alias is told with those whom it is named after', async () => {
  const at = await open();
  await at.room();
  const answer = await at.handshake(CAROL, OMIT);
  assert.equal(membersIn(answer), [ALICE, BOB]);
  assertComplete(at, answer);
  await at.close();
});

test('an alias names a room as well as a name does', async () => {
  const at = await open();
  await at.room([['m.room.canonical_alias', { alias: '#room:alpha.test' }]]);
  assert.equal(membersIn(await at.handshake(CAROL, OMIT)), []);
  await at.close();
});

test('heroes are the first five others who are joined or invited, in the order in which their memberships came', async () => {
  const at = await open();
  await at.room();
  const users = Array.from({ length: 10 }, (_, i) => `@user${i}:delta.test`);
  for (const user of users) await at.join(user);
  await at.member(ALICE, '@guest:delta.test', 'invite');
  for (const user of users.slice(0, 7)) await at.member(user, user, 'leave');
  // Carol came third, and is never her own hero.
  const answer = await at.handshake(CAROL, OMIT);
  assert.equal(membersIn(answer), [
    ALICE,
    BOB,
    '@user7:delta.test',
    '@user8:delta.test',
    '@user9:delta.test',
  ]);
  await at.member(BOB, BOB, 'leave');
  const next = await at.handshake('@carl:gamma.test' as UserId, OMIT);
  assert.equal(membersIn(next), [
    ALICE,
    '@guest:delta.test',
    '@user7:delta.test',
    '@user8:delta.test',
    '@user9:delta.test',
  ]);
  await at.close();
});

test('where nobody else was there before the join, heroes are those who left or were banned', async () => {
  const at = await open('10');
  await at.room();
  await at.member(ALICE, BOB, 'ban');
  await at.member(ALICE, ALICE, 'leave');
  const join = { type: 'm.room.member', sender: CAROL, stateKey: CAROL, content: { membership: 'join' } };
  const pdu = at.build(join);
  await at.join(ALICE);
  assert.equal(membersIn(await at.sendJoin(pdu, OMIT)), [ALICE, BOB]);
  await at.close();
});

test('a small room is told in full, and nothing of it twice', async () => {
  const at = await open('10', { smallRoomMembersMax: 3 });
  await at.room([['m.room.name', { name: 'The room' }]]);
  await at.member(ALICE, DORA, 'invite');
  const small = await at.handshake(CAROL, OMIT);
  assert.is(small['members_omitted'], false);
  assert.equal(membersIn(small), [ALICE, BOB, DORA]);
  assertComplete(at, small);
  const larger = await at.handshake('@carl:gamma.test' as UserId, OMIT);
  assert.is(larger['members_omitted'], true);
  assert.equal(membersIn(larger), []);
  await at.close();
});

test('who does not ask to be spared the members gets all of the state and all of its auth chain', async () => {
  const at = await open();
  await at.room();
  for (const query of ['', '?omit_members=false', '?org.stateroom.members=needed']) {
    const user = `@carol${query.length}:gamma.test` as UserId;
    const before = [...at.engine.currentState(at.roomId).entries()].map(({ eventId }) => eventId);
    const answer = await at.handshake(user, query);
    assert.is(answer['members_omitted'], false);
    assert.is(answer['org.stateroom.members'], undefined);
    assert.equal(at.idsOf(answer['state']).sort(), before.sort());
    const { eventId } = at.pduOf(answer['event']);
    assert.equal(at.idsOf(answer['auth_chain']).sort(), at.chainOf([...before, eventId]));
  }
  await at.close();
});

/** A named room of Alice's with people of all kinds in it. */
async function crowd(at: Resident): Promise<void> {
  await at.room([['m.room.name', { name: 'The room' }]]);
  const users = ['banned', 'kicked', 'gone', 'unbanned', 'first', 'second', 'third'];
  for (const user of users) await at.join(`@${user}:delta.test`);
  await at.member(ALICE, '@banned:delta.test', 'ban');
  await at.member(ALICE, '@kicked:delta.test', 'leave');
  await at.member('@gone:delta.test', '@gone:delta.test', 'leave');
  await at.member(ALICE, '@unbanned:delta.test', 'ban');
  await at.member(ALICE, '@unbanned:delta.test', 'leave');
  await at.member(ALICE, '@guest:delta.test', 'invite');
  await at.member(ALICE, '@unwanted:delta.test', 'invite');
  await at.member(ALICE, '@unwanted:delta.test', 'leave');
}

const KINDS = ['auth', 'bans', 'invites', 'kicks', 'power', 'servers'];

for (const version of ['6', '10', '12']) {
  test(`version ${version}: a server that asks gets the members that count: banned, put out, invited, powerful, one of each server`, async () => {
    const at = await open(version);
    await crowd(at);
    const admin = version === '12' ? {} : { [ALICE]: 100 };
    await at.state('m.room.power_levels', {
      users: { ...admin, '@second:delta.test': 50, '@x:nowhere.test': 1 },
    });
    const answer = await at.handshake(CAROL, NEEDED);
    assert.is(answer['members_omitted'], true);
    assert.equal(textsIn(answer, 'org.stateroom.members'), KINDS);
    assert.equal(
      membersIn(answer),
      [
        ALICE,
        '@banned:delta.test',
        BOB,
        '@guest:delta.test',
        '@kicked:delta.test',
        '@second:delta.test',
        '@unbanned:delta.test',
        '@unwanted:delta.test',
      ].sort(),
    );
    assert.equal(textsIn(answer, 'servers_in_room'), [RESIDENT, MEMBER, 'delta.test']);
    assertComplete(at, answer);
    await at.close();
  });
}

test('whose membership the auth chain of the state rests on, their current one is told, where that is asked for', async () => {
  const at = await open('10');
  await at.room([['m.room.name', { name: 'The room' }]]);
  await at.join('@second:beta.test');
  await at.state('m.room.power_levels', { users: { [ALICE]: 100, '@second:beta.test': 50 } });
  await at.send({
    type: 'm.room.topic',
    sender: '@second:beta.test',
    stateKey: '',
    content: { topic: 'this' },
  });
  await at.state('m.room.power_levels', { users: { [ALICE]: 100 } });
  const content = { membership: 'join', displayname: 'Second' };
  const renamed = await at.send({
    type: 'm.room.member',
    sender: '@second:beta.test',
    stateKey: '@second:beta.test',
    content,
  });
  const answer = await at.handshake(CAROL, NEEDED);
  assert.equal(membersIn(answer), [ALICE, '@second:beta.test'], 'and nobody else of that server is needed');
  assert.ok(at.idsOf(answer['state']).includes(renamed.eventId));
  assertComplete(at, answer);
  await at.close();
});

test('a kind of members of which a room has too many is left out, and the answer does not name it', async () => {
  const at = await open('10');
  await crowd(at);
  const users = Array.from({ length: 1_001 }, (_, i) => [`@power${i}:delta.test`, 1] as const);
  await at.state('m.room.power_levels', { users: { [ALICE]: 100, ...Object.fromEntries(users) } });
  const answer = await at.handshake(CAROL, NEEDED);
  assert.equal(
    textsIn(answer, 'org.stateroom.members'),
    KINDS.filter((kind) => kind !== 'power'),
  );
  await at.close();
});

test('a joining server holds the room with the members that count, and comes to the same servers', async () => {
  const at = await open('10');
  await crowd(at);
  const there = await Resident.open('10', STRANGER);
  await there.takeJoin(await at.handshake(CAROL, NEEDED), true);
  const view = there.engine.currentState(there.roomId);
  assert.is(view.membership('@banned:delta.test'), 'ban');
  assert.is(view.membership('@kicked:delta.test'), 'leave');
  assert.is(view.membership('@guest:delta.test'), 'invite');
  const servers = new Set(
    [...view.members({ membership: 'join' })].map(({ userId }) => userId.split(':')[1]),
  );
  assert.equal([...servers].sort(), [RESIDENT, MEMBER, 'delta.test', STRANGER].sort());
  await there.close();
  await at.close();
});

test('the members that count are told nobody where that is switched off', async () => {
  const at = await open('10', { tellsNeededMembers: false });
  await crowd(at);
  const answer = await at.handshake(CAROL, NEEDED);
  assert.equal(membersIn(answer), []);
  assert.is(answer['org.stateroom.members'], undefined);
  await at.close();
});

test('other values of the parameter, and the parameter without omit_members, change nothing', async () => {
  const at = await open('10');
  await crowd(at);
  const answer = await at.handshake(CAROL, `${OMIT}&org.stateroom.members=all`);
  assert.equal(membersIn(answer), []);
  assert.is(answer['org.stateroom.members'], undefined);
  await at.close();
});

/** A server that joined the room in full says something there that others do not know yet. */
async function forked(at: Resident, forks: number): Promise<void> {
  const { engine } = at;
  // All built on the room as it is before any is sent.
  const events = Array.from({ length: forks }, (_, i) =>
    at.build({ type: 'm.test', sender: BOB, stateKey: `fork ${i}`, content: {} }),
  );
  events.push(
    at.build({ type: 'm.room.member', sender: DORA, stateKey: DORA, content: { membership: 'join' } }),
  );
  for (const { json } of events) {
    const verdict = await engine.receive(Buffer.from(JSON.stringify(json)), { from: MEMBER });
    assert.is(verdict.verdict, 'accepted', verdict.reason);
  }
}

test('a template names at most 20 of many forward extremities, and the answer tells the state at those', async () => {
  const at = await open('10');
  await at.room([['m.room.name', { name: 'The room' }]]);
  await at.state('m.room.power_levels', { users: { [ALICE]: 100 }, state_default: 0 });
  await forked(at, 30);
  assert.is(at.engine.reader.room(at.roomId).forwardExtremities.length, 31);
  const made = await at.answer(STRANGER, 'GET', `${v1`make_join/${at.roomId}/${CAROL}`}?ver=10`);
  const pdu = at.complete(made['event'] ?? {}, STRANGER);
  assert.is(pdu.prevEvents.length, 20);
  const answer = await at.sendJoin(pdu, OMIT);
  const others = itemsOf(answer['state']).filter(({ type }) => leaf(type) !== 'm.room.member');
  assert.equal(others.map((event) => at.pduOf(event).eventId).sort(), othersThan(at, pdu.eventId));
  const forks = others.filter(({ type }) => leaf(type) === 'm.test');
  assert.ok(forks.length >= 19 && forks.length <= 20, 'what the join does not follow is not in its state');
  assertComplete(at, answer);
  await at.close();
});

for (const query of ['', OMIT, NEEDED]) {
  test(`what comes to the room between the halves of a handshake is not in the answer${query && `, with ${query}`}`, async () => {
    const at = await open('10');
    await at.room([['m.room.name', { name: 'before' }]]);
    await at.state('m.room.power_levels', { users: { [ALICE]: 100 }, state_default: 0 });
    await forked(at, 3);
    const made = await at.answer(STRANGER, 'GET', `${v1`make_join/${at.roomId}/${CAROL}`}?ver=10`);
    const before = [...at.engine.currentState(at.roomId).entries()].map(({ eventId }) => eventId).sort();
    await at.state('m.room.name', { name: 'after' });
    await at.join('@late:gamma.test');
    await at.member(BOB, BOB, 'leave');
    await at.member(ALICE, '@banned:delta.test', 'ban');
    const pdu = at.complete(made['event'] ?? {}, STRANGER);
    const answer = await at.sendJoin(pdu, query);
    const told = at.idsOf(answer['state']);
    const isBefore = new Set(before);
    assert.equal(
      told.filter((id) => !isBefore.has(id)),
      [],
    );
    if (query === '') assert.equal(told.sort(), before);
    else {
      assert.equal(textsIn(answer, 'servers_in_room'), [RESIDENT, MEMBER, 'delta.test']);
      assertComplete(at, answer);
    }
    await at.close();
  });
}

test('the answer comes in pieces, none of which holds more than a part of a large state', async () => {
  const at = await open('10');
  await at.room();
  for (let i = 0; i < 300; i++) await at.join(`@user${i}:delta.test`);
  const made = await at.answer(STRANGER, 'GET', `${v1`make_join/${at.roomId}/${CAROL}`}?ver=10`);
  const { json, eventId } = at.complete(made['event'] ?? {}, STRANGER);
  const route = serveRoutes.find(({ path }) => path.includes('/send_join/'));
  assert.ok(route);
  const answer = await route.handler(
    {
      origin: STRANGER,
      params: { roomId: at.roomId, eventId },
      query: {},
      body: json,
      signal: new AbortController().signal,
    },
    at.federation,
  );
  assert.instance(answer, JsonText);
  const sizes: number[] = [];
  for await (const piece of (answer as JsonText).pieces) sizes.push(piece.length);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  assert.ok(Math.max(...sizes) < total / 2, sizes.join(' '));
  await at.close();
});

test.run();
