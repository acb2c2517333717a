// What may come between the steps of a membership by way of other servers: servers that hang, answers that are
// lost, and somebody else of the same server who is quicker.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { RoomId, ServerName, UserId } from '../../../src/event/ids.js';
import type { JsonObject } from '../../../src/event/json.js';
import { candidateServers } from '../../../src/federation/membership/candidates.js';
import { textOf } from '../../client/harness.js';
import type { Network } from '../network.js';
import { Person, play, PUBLIC, v3 } from './people.js';

const test = suite('federation/membership hazards');

const ROOM = '!room:far.test';

/** The work, while time passes in steps of a second. @returns after how many */
async function secondsOf(net: Network, work: Promise<unknown>): Promise<number> {
  const open = new Set([work]);
  const ending = Promise.allSettled([work]).then(() => open.clear());
  let seconds = 0;
  for (await net.settle(5); open.size > 0; await net.settle(5)) {
    if (++seconds > 1_000) throw new Error('it takes for ever');
    net.advance(1_000);
  }
  await ending;
  return seconds;
}

/** What the sync of a person says of a room. */
async function placeOf(person: Person, roomId: string): Promise<string | undefined> {
  const rooms = (await person.sync())['rooms'] ?? {};
  return ['join', 'invite', 'knock', 'leave'].find((kind) => rooms[kind]?.[roomId] !== undefined);
}

test('a server that hangs is passed over in seconds, not minutes', () =>
  play(2, async (net) => {
    const alice = await Person.at(net, 0, 'alice');
    const bob = await Person.at(net, 1, 'bob');
    const roomId = await bob.createRoom(PUBLIC);
    net.stranger('slow.test');
    net.faults = ({ to }) => (to === 'slow.test' ? { kind: 'hang' } : undefined);
    const query = { via: ['slow.test', bob.site.name] };
    const joining = alice.site.harness.call(alice.user, 'POST', v3`/v3/join/${roomId}`, {}, { query });
    assert.ok((await secondsOf(net, joining)) <= 16);
    assert.is((await joining).status, 200);
  }));

test('many servers that hang hold nobody for longer than two minutes and a bit', () =>
  play(1, async (net) => {
    const alice = await Person.at(net, 0, 'alice');
    const via = Array.from({ length: 30 }, (_, i) => `slow${i}.test`);
    for (const name of via) net.stranger(name);
    net.faults = () => ({ kind: 'hang' });
    const joining = alice.site.harness.call(alice.user, 'POST', v3`/v3/join/${ROOM}`, {}, { query: { via } });
    const seconds = await secondsOf(net, joining);
    assert.ok(seconds > 100 && seconds <= 136, `${seconds}`);
    assert.is((await joining).status, 502);
  }));

test('a join whose answer was lost is tried again, and there is one room in the end', () =>
  play(2, async (net) => {
    const alice = await Person.at(net, 0, 'alice');
    const bob = await Person.at(net, 1, 'bob');
    const roomId = await bob.createRoom(PUBLIC);
    const path = `${v3`/v3/join/${roomId}`}?via=${bob.site.name}`;
    net.faults = ({ request }) => (request.uri.includes('send_join') ? { kind: 'drop-answer' } : undefined);
    const first = alice.answer('POST', path);
    await secondsOf(net, first);
    assert.is((await first).status, 502);
    assert.is(bob.membershipOf(roomId, alice), 'join', 'the other server has taken it');
    assert.is(await placeOf(alice, roomId), undefined);
    net.faults = undefined;
    net.advance(60_000);
    await alice.ask('POST', path);
    await net.settle();
    const [here, there] = [alice, bob].map(({ site }) => site.harness.home.engine.currentState(roomId).root);
    assert.is(here, there);
    assert.is(await placeOf(alice, roomId), 'join');
    await bob.ask('PUT', v3`/v3/rooms/${roomId}/send/m.room.message/1`, { msgtype: 'm.text', body: 'hi' });
    await net.settle();
    const timeline = JSON.stringify((await alice.sync())['rooms']?.['join']?.[roomId]?.['timeline']);
    assert.ok(timeline.includes('"hi"'));
  }));

test('somebody else of the server joins: an invitation from before is what the room says of it', () =>
  play(2, async (net) => {
    const alice = await Person.at(net, 0, 'alice');
    const amy = await Person.at(net, 0, 'amy');
    const bob = await Person.at(net, 1, 'bob');
    const roomId = await bob.createRoom({ ...PUBLIC, invite: [alice.userId] });
    assert.ok(alice.site.harness.home.accounts.outside.get(alice.userId, roomId));
    await amy.ask('POST', `${v3`/v3/join/${roomId}`}?via=${bob.site.name}`);
    await net.settle();
    assert.is(alice.site.harness.home.accounts.outside.get(alice.userId, roomId), undefined);
    assert.is(await placeOf(alice, roomId), 'invite');
    await alice.ask('POST', v3`/v3/rooms/${roomId}/leave`);
    await net.settle();
    assert.is(bob.membershipOf(roomId, alice), 'leave');
    assert.is(amy.membershipOf(roomId, alice), 'leave');
  }));

test('an invitation is turned down while somebody else of the server joins: nothing stale is left', () =>
  play(2, async (net) => {
    const alice = await Person.at(net, 0, 'alice');
    const amy = await Person.at(net, 0, 'amy');
    const bob = await Person.at(net, 1, 'bob');
    const roomId = await bob.createRoom({ ...PUBLIC, invite: [alice.userId] });
    // Of two events at one time chance decides which counts as the later.
    net.advance(1_000);
    await Promise.all([
      alice.ask('POST', v3`/v3/rooms/${roomId}/leave`),
      amy.ask('POST', `${v3`/v3/join/${roomId}`}?via=${bob.site.name}`),
    ]);
    await net.settle();
    for (const person of [amy, bob]) assert.is(person.membershipOf(roomId, alice), 'leave');
    const { outside } = alice.site.harness.home.accounts;
    assert.equal(
      [...outside.usersOf(roomId as RoomId)].filter((user) => outside.get(user, roomId)),
      [],
    );
    net.advance(1_000);
    // The invitation comes again, and this time the room itself tells of it.
    await bob.ask('POST', v3`/v3/rooms/${roomId}/invite`, { user_id: alice.userId });
    await net.settle();
    // It follows the first leave, too, which is fetched when it has not come after a moment.
    net.advance(1_000);
    await net.settle();
    assert.is(await placeOf(alice, roomId), 'invite');
  }));

test('an invitation that comes while somebody else of the server joins is not kept beside the room', () =>
  play(2, async (net) => {
    const alice = await Person.at(net, 0, 'alice');
    const amy = await Person.at(net, 0, 'amy');
    const bob = await Person.at(net, 1, 'bob');
    const roomId = await bob.createRoom(PUBLIC);
    net.advance(1_000);
    await Promise.all([
      bob.ask('POST', v3`/v3/rooms/${roomId}/invite`, { user_id: alice.userId }),
      amy.ask('POST', `${v3`/v3/join/${roomId}`}?via=${bob.site.name}`),
    ]);
    for (let round = 0; round < 5; round++) {
      await net.settle();
      net.advance(1_000);
    }
    assert.is(alice.site.harness.home.accounts.outside.get(alice.userId, roomId), undefined);
    assert.is(amy.membershipOf(roomId, alice), 'invite');
    assert.is(await placeOf(alice, roomId), 'invite');
  }));

test('what was left open when a server ended in the middle of a join is put right at its next start', () =>
  play(2, async (net) => {
    const alice = await Person.at(net, 0, 'alice');
    const anna = await Person.at(net, 0, 'anna');
    const amy = await Person.at(net, 0, 'amy');
    const bob = await Person.at(net, 1, 'bob');
    const roomId = await bob.createRoom({ ...PUBLIC, invite: [alice.userId, anna.userId] });
    const { outside } = alice.site.harness.home.accounts;
    const places = [alice, anna].map(({ userId }) => outside.get(userId, roomId));
    net.advance(1_000);
    await amy.ask('POST', `${v3`/v3/join/${roomId}`}?via=${bob.site.name}`);
    // As if it had ended after the commit of the join; anna had turned the invitation down before.
    const [invited, declined] = places;
    assert.ok(invited && declined);
    await outside.set(alice.userId, invited);
    await outside.set(anna.userId, { ...declined, membership: 'leave' });
    net.advance(1_000);
    await alice.site.federation.membership.recover();
    await net.settle();
    assert.equal(outside.rooms(), []);
    for (const person of [amy, bob]) {
      assert.is(person.membershipOf(roomId, alice), 'invite');
      assert.is(person.membershipOf(roomId, anna), 'leave');
    }
  }));

test('who is in the room already is not invited', () =>
  play(2, async (net) => {
    const alice = await Person.at(net, 0, 'alice');
    const bob = await Person.at(net, 1, 'bob');
    const roomId = await bob.createRoom(PUBLIC);
    await alice.ask('POST', `${v3`/v3/join/${roomId}`}?via=${bob.site.name}`);
    const before = net.asked.length;
    const answer = await bob.answer('POST', v3`/v3/rooms/${roomId}/invite`, { user_id: alice.userId });
    assert.is(answer.status, 403);
    assert.not(net.asked.slice(before).some(({ uri }) => uri.includes('/invite/')));
    assert.is(bob.membershipOf(roomId, alice), 'join');
  }));

test('an invitation takes the place of a knock, and is all that is left of it', () =>
  play(2, async (net) => {
    const alice = await Person.at(net, 0, 'alice');
    const bob = await Person.at(net, 1, 'bob');
    const join_rules = { type: 'm.room.join_rules', state_key: '', content: { join_rule: 'knock' } };
    const roomId = await bob.createRoom({ initial_state: [join_rules] });
    await alice.ask('POST', `${v3`/v3/knock/${roomId}`}?via=${bob.site.name}`);
    assert.is(await placeOf(alice, roomId), 'knock');
    await bob.ask('POST', v3`/v3/rooms/${roomId}/invite`, { user_id: alice.userId });
    await net.settle();
    const { rooms } = await alice.sync();
    assert.ok(rooms?.['invite']?.[roomId]);
    assert.is(rooms?.['knock']?.[roomId], undefined);
    await bob.ask('POST', v3`/v3/rooms/${roomId}/kick`, { user_id: alice.userId });
    await net.settle();
    assert.is(await placeOf(alice, roomId), undefined);
  }));

test('only who knows of an invitation can take it back', () =>
  play(3, async (net) => {
    const alice = await Person.at(net, 0, 'alice');
    const bob = await Person.at(net, 1, 'bob');
    const roomId = await bob.createRoom({ invite: [alice.userId] });
    const { federation, harness } = alice.site;
    const place = harness.home.accounts.outside.get(alice.userId, roomId);
    assert.ok(place);
    const { event, server } = place;
    const leave = (sender: string, depth: number, authEvents = event.authEvents) => ({
      ...event,
      sender: sender as UserId,
      content: { membership: 'leave' },
      depth,
      authEvents,
    });
    const evil = 'evil.test' as ServerName;
    const { membership } = federation;
    assert.not(await membership.withdrawn(leave('@x:evil.test', event.depth + 1), evil), 'a stranger');
    assert.not(await membership.withdrawn(leave(bob.userId, event.depth), server), 'an older one');
    assert.is(await placeOf(alice, roomId), 'invite');
    const citing = leave('@mod:other.test', 1, [...event.authEvents, event.eventId]);
    assert.ok(await membership.withdrawn(citing, 'other.test' as ServerName));
    assert.is(await placeOf(alice, roomId), undefined);
  }));

test('a room of a version that is not spoken here is refused as such, and nobody else is asked', () =>
  play(1, async (net) => {
    const alice = await Person.at(net, 0, 'alice');
    const body = { errcode: 'M_INCOMPATIBLE_ROOM_VERSION', error: 'too new', room_version: '99' };
    const names = ['one.test', 'two.test'];
    for (const name of names)
      net.stranger(name, ({ uri }) => (uri.includes('make_') ? { status: 400, body } : undefined));
    for (const what of ['join', 'knock']) {
      const path = `/v3/${what}/${encodeURIComponent(ROOM)}`;
      const query = { via: names };
      const answer = await alice.site.harness.call(alice.user, 'POST', path, {}, { query });
      assert.is(answer.status, 400);
      assert.is(textOf(answer.body['errcode']), 'M_INCOMPATIBLE_ROOM_VERSION');
      assert.is(textOf(answer.body['room_version']), '99');
    }
    assert.not(net.asked.some(({ to }) => to === 'two.test'));
  }));

test('of several refusals the one that says most is told', () =>
  play(1, async (net) => {
    const alice = await Person.at(net, 0, 'alice');
    const refusals: ReadonlyArray<readonly [name: string, status: number, body: JsonObject | string]> = [
      ['none.test', 404, { errcode: 'M_NOT_FOUND', error: 'not here' }],
      ['odd.test', 200, 'nonsense'],
      ['cannot.test', 400, { errcode: 'M_UNABLE_TO_GRANT_JOIN', error: 'nobody may' }],
      ['no.test', 403, { errcode: 'M_FORBIDDEN', error: 'you are banned' }],
    ];
    for (const [name, status, body] of refusals)
      net.stranger(name, ({ uri }) => (uri.includes('make_join') ? { status, body } : undefined));
    const query = { via: refusals.map(([name]) => name) };
    const answer = await alice.site.harness.call(alice.user, 'POST', v3`/v3/join/${ROOM}`, {}, { query });
    assert.is(answer.status, 403);
    assert.is(textOf(answer.body['error']), 'you are banned');
  }));

test('candidates are server names, each once, however they are written, and never ourselves', () => {
  const inviter = '@a:[::1]:8448' as UserId;
  const via = [
    'b.test:8448',
    'b.test:8448',
    'a.test',
    '',
    'a b',
    'x:port',
    '[::1',
    '1.2.3.4',
    '@a:b.test',
    'x'.repeat(300),
  ];
  const servers = candidateServers(
    { roomId: '!r:[2001:db8::1]:1' as RoomId, via, inviter },
    'a.test' as ServerName,
  );
  assert.equal(servers, ['b.test:8448', '1.2.3.4', '[::1]:8448', '[2001:db8::1]:1']);
  assert.equal(candidateServers({ roomId: '!hash' as RoomId, via: [] }, 'a.test' as ServerName), []);
});

test.run();
