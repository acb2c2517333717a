// Memberships by way of other servers, between whole homeservers: what their users see of it.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { itemsOf, textOf } from '../../client/harness.js';
import { Person, play, PUBLIC, v3 } from './people.js';

const test = suite('federation/membership');

for (const version of ['1', '3', '6', '9', '10', '11', '12']) {
  test(`a room of version ${version} on another server is joined, and both servers have one state`, () =>
    play(2, async (net) => {
      const alice = await Person.at(net, 0, 'alice');
      const bob = await Person.at(net, 1, 'bob');
      const roomId = await bob.createRoom({ ...PUBLIC, room_version: version });
      await alice.ask('POST', `${v3`/v3/join/${roomId}`}?server_name=${bob.site.name}`);
      await net.settle();
      assert.is(bob.membershipOf(roomId, alice), 'join');
      const [here, there] = [alice, bob].map(
        ({ site }) => site.harness.home.engine.currentState(roomId).root,
      );
      assert.is(here, there);
      const room = (await alice.sync())['rooms']?.['join']?.[roomId];
      const state = [...itemsOf(room?.['state']?.['events']), ...itemsOf(room?.['timeline']?.['events'])];
      assert.ok(state.some((event) => textOf(event['content']?.['name']) === 'Theirs'));
    }));
}

test('what is said on either side after a join reaches the other', () =>
  play(2, async (net) => {
    const alice = await Person.at(net, 0, 'alice');
    const bob = await Person.at(net, 1, 'bob');
    const roomId = await bob.createRoom(PUBLIC);
    await alice.ask('POST', `${v3`/v3/join/${roomId}`}?via=${bob.site.name}`);
    await alice.ask('PUT', v3`/v3/rooms/${roomId}/send/m.room.message/1`, {
      msgtype: 'm.text',
      body: 'from alice',
    });
    await bob.ask('PUT', v3`/v3/rooms/${roomId}/send/m.room.message/1`, {
      msgtype: 'm.text',
      body: 'from bob',
    });
    await net.settle();
    for (const person of [alice, bob]) {
      const room = (await person.sync())['rooms']?.['join']?.[roomId];
      const said = itemsOf(room?.['timeline']?.['events']).flatMap(
        (event) => event['content']?.['body'] ?? [],
      );
      assert.equal(said.map(textOf).sort(), ['from alice', 'from bob']);
    }
  }));

test('an alias of another server is asked for there', () =>
  play(2, async (net) => {
    const alice = await Person.at(net, 0, 'alice');
    const bob = await Person.at(net, 1, 'bob');
    const roomId = await bob.createRoom({ ...PUBLIC, room_alias_name: 'pub' });
    const alias = `#pub:${bob.site.name}`;
    const found = await alice.ask('GET', v3`/v3/directory/room/${alias}`);
    assert.is(textOf(found['room_id']), roomId);
    await alice.ask('POST', v3`/v3/join/${alias}`);
    assert.is(alice.membershipOf(roomId, alice), 'join');
  }));

test('when one server does not answer the next is asked; when none lets in, its refusal is told', () =>
  play(3, async (net) => {
    const alice = await Person.at(net, 0, 'alice');
    const bob = await Person.at(net, 1, 'bob');
    const roomId = await bob.createRoom(PUBLIC);
    const path = `${v3`/v3/join/${roomId}`}?via=${bob.site.name}`;
    net.cut(alice.site, bob.site);
    assert.is((await alice.answer('POST', path)).status, 502);
    net.heal();
    net.advance(60_000);
    const harness = alice.site.harness;
    const query = { via: [net.site(2).name, bob.site.name] };
    const joined = await harness.call(alice.user, 'POST', v3`/v3/join/${roomId}`, {}, { query });
    assert.is(joined.status, 200);

    const secret = await bob.createRoom({ preset: 'private_chat' });
    const refused = await alice.answer('POST', `${v3`/v3/join/${secret}`}?via=${bob.site.name}`);
    assert.is(refused.status, 403);
    assert.is(textOf(refused.body['errcode']), 'M_FORBIDDEN');
    assert.is(alice.site.harness.home.engine.store.room(secret as never), undefined);
  }));

test('a room that nobody says how to reach is not found', () =>
  play(1, async (net) => {
    const alice = await Person.at(net, 0, 'alice');
    const answer = await alice.answer('POST', v3`/v3/join/${`!${'x'.repeat(43)}`}`);
    assert.is(answer.status, 404);
  }));

test('an invitation to another server is seen there and accepted', () =>
  play(2, async (net) => {
    const alice = await Person.at(net, 0, 'alice');
    const bob = await Person.at(net, 1, 'bob');
    const roomId = await bob.createRoom({ name: 'Private', invite: [alice.userId] });
    const sync = await alice.sync();
    const stripped = itemsOf(sync['rooms']?.['invite']?.[roomId]?.['invite_state']?.['events']);
    const types = stripped.map((event) => textOf(event['type']));
    for (const type of ['m.room.create', 'm.room.name', 'm.room.member'])
      assert.ok(types.includes(type), type);
    await alice.ask('POST', v3`/v3/rooms/${roomId}/join`);
    await net.settle();
    assert.is(bob.membershipOf(roomId, alice), 'join');
    const next = await alice.sync(textOf(sync['next_batch']));
    assert.ok(next['rooms']?.['join']?.[roomId]);
    assert.is(next['rooms']?.['invite'], undefined);
  }));

test('an invitation is turned down, and who invited learns it; with nobody to tell it is gone all the same', () =>
  play(2, async (net) => {
    const alice = await Person.at(net, 0, 'alice');
    const bob = await Person.at(net, 1, 'bob');
    const first = await bob.createRoom({ invite: [alice.userId] });
    const since = textOf((await alice.sync())['next_batch']);
    await alice.ask('POST', v3`/v3/rooms/${first}/leave`);
    await net.settle();
    assert.is(bob.membershipOf(first, alice), 'leave');
    const sync = await alice.sync(since);
    assert.ok(sync['rooms']?.['leave']?.[first]);

    const second = await bob.createRoom({ invite: [alice.userId] });
    net.cut(alice.site, bob.site);
    await alice.ask('POST', v3`/v3/rooms/${second}/leave`);
    assert.is((await alice.sync())['rooms']?.['invite'], undefined);
    assert.is(bob.membershipOf(second, alice), 'invite');
  }));

test('an invitation that is withdrawn is no more', () =>
  play(2, async (net) => {
    const alice = await Person.at(net, 0, 'alice');
    const bob = await Person.at(net, 1, 'bob');
    const roomId = await bob.createRoom({ invite: [alice.userId] });
    await bob.ask('POST', v3`/v3/rooms/${roomId}/kick`, { user_id: alice.userId });
    await net.settle();
    assert.is((await alice.sync())['rooms']?.['invite'], undefined);
  }));

test('a knock elsewhere is seen there, and answered with an invitation', () =>
  play(2, async (net) => {
    const alice = await Person.at(net, 0, 'alice');
    const bob = await Person.at(net, 1, 'bob');
    const roomId = await bob.createRoom({
      name: 'Knock',
      initial_state: [{ type: 'm.room.join_rules', state_key: '', content: { join_rule: 'knock' } }],
    });
    await alice.ask('POST', `${v3`/v3/knock/${roomId}`}?via=${bob.site.name}`, { reason: 'please' });
    assert.is(bob.membershipOf(roomId, alice), 'knock');
    const knocked = (await alice.sync())['rooms']?.['knock']?.[roomId];
    const names = itemsOf(knocked?.['knock_state']?.['events']).flatMap(
      (event) => event['content']?.['name'] ?? [],
    );
    assert.equal(names.map(textOf), ['Knock']);
    await bob.ask('POST', v3`/v3/rooms/${roomId}/invite`, { user_id: alice.userId });
    assert.ok((await alice.sync())['rooms']?.['invite']?.[roomId]);
    await alice.ask('POST', v3`/v3/join/${roomId}`);
    assert.is(alice.membershipOf(roomId, alice), 'join');
  }));

test('a restricted room lets in who is in the other room, by the server that can say so', () =>
  play(3, async (net) => {
    const alice = await Person.at(net, 0, 'alice');
    const amy = await Person.at(net, 0, 'amy');
    const bob = await Person.at(net, 1, 'bob');
    const lobby = await bob.createRoom(PUBLIC);
    const allow = [{ type: 'm.room_membership', room_id: lobby }];
    const roomId = await bob.createRoom({
      name: 'Restricted',
      initial_state: [
        { type: 'm.room.join_rules', state_key: '', content: { join_rule: 'restricted', allow } },
      ],
    });
    const via = `via=${bob.site.name}`;
    assert.is((await alice.answer('POST', `${v3`/v3/join/${roomId}`}?${via}`)).status, 403);
    for (const user of [alice, amy]) await user.ask('POST', `${v3`/v3/join/${lobby}`}?${via}`);
    await net.settle();
    await alice.ask('POST', `${v3`/v3/join/${roomId}`}?${via}`);
    await net.settle();
    assert.is(bob.membershipOf(roomId, alice), 'join');
    // Nobody here may invite, so that the second join, too, has to be granted by the other server.
    await amy.ask('POST', v3`/v3/join/${roomId}`);
    await net.settle();
    for (const person of [alice, bob]) assert.is(person.membershipOf(roomId, amy), 'join');
    const [here, there] = [alice, bob].map(({ site }) => site.harness.home.engine.currentState(roomId).root);
    assert.is(here, there);
  }));

test('who comes back after all of a server had left has the room as it is now', () =>
  play(2, async (net) => {
    const alice = await Person.at(net, 0, 'alice');
    const bob = await Person.at(net, 1, 'bob');
    const roomId = await bob.createRoom(PUBLIC);
    const path = `${v3`/v3/join/${roomId}`}?via=${bob.site.name}`;
    await alice.ask('POST', path);
    await net.settle();
    await alice.ask('POST', v3`/v3/rooms/${roomId}/leave`);
    await net.settle();
    await bob.ask('PUT', v3`/v3/rooms/${roomId}/state/m.room.name/`, { name: 'Renamed' });
    await alice.ask('POST', path);
    await net.settle();
    const [here, there] = [alice, bob].map(({ site }) => site.harness.home.engine.currentState(roomId).root);
    assert.is(here, there);
    const name = await alice.ask('GET', v3`/v3/rooms/${roomId}/state/m.room.name/`);
    assert.is(textOf(name['name']), 'Renamed');
  }));

test('two users of one server who join at once are both in, over one handshake', () =>
  play(2, async (net) => {
    const alice = await Person.at(net, 0, 'alice');
    const amy = await Person.at(net, 0, 'amy');
    const bob = await Person.at(net, 1, 'bob');
    const roomId = await bob.createRoom(PUBLIC);
    const path = `${v3`/v3/join/${roomId}`}?via=${bob.site.name}`;
    await Promise.all([alice, amy].map((user) => user.ask('POST', path)));
    await net.settle();
    for (const user of [alice, amy]) assert.is(bob.membershipOf(roomId, user), 'join');
    assert.is(net.asked.filter(({ uri }) => uri.includes('send_join')).length, 1);
  }));

test('a template that is one for something else is not signed', () =>
  play(1, async (net) => {
    const alice = await Person.at(net, 0, 'alice');
    const roomId = '!room:evil.test';
    const good = {
      type: 'm.room.member',
      room_id: roomId,
      sender: alice.userId,
      state_key: alice.userId,
      content: { membership: 'join' },
      prev_events: [],
      auth_events: [],
      depth: 3,
    };
    const evil = net.stranger('evil.test');
    const wrong = [
      { type: 'm.room.power_levels' },
      { room_id: '!other:evil.test' },
      { sender: '@bob:evil.test' },
      { state_key: '@bob:evil.test' },
      { content: { membership: 'ban' } },
    ];
    for (const difference of wrong) {
      evil.answers = ({ uri }) =>
        uri.includes('make_join')
          ? { body: { room_version: '11', event: { ...good, ...difference } } }
          : undefined;
      const answer = await alice.answer('POST', v3`/v3/join/${roomId}`);
      assert.is(answer.status, 502, JSON.stringify(difference));
    }
    assert.not(net.asked.some(({ uri }) => uri.includes('send_join')));
  }));

test.run();
