import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { RoomId, ServerName, UserId } from '../../../src/event/ids.js';
import type { JsonObject } from '../../../src/event/json.js';
import { ROOM_VERSIONS } from '../../../src/event/rules.js';
import { signEvent } from '../../../src/event/signing.js';
import { verifyEventSignatures } from '../../../src/event/verify.js';
import { castKeys, keyOf } from '../../simulator/cast.js';
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

const test = suite('federation serve joins');

const ALL_VERSIONS = ROOM_VERSIONS.map(({ version }) => `ver=${version}`).join('&');

const makeJoin = (roomId: RoomId, userId: UserId = CAROL): string =>
  `${v1`make_join/${roomId}/${userId}`}?${ALL_VERSIONS}`;

for (const { version } of ROOM_VERSIONS) {
  test(`version ${version}: a user of another server joins, and its server gets the room as it was before`, async () => {
    const at = await Resident.open(version);
    const roomId = await at.room([['m.room.name', { name: 'The room' }]]);
    const before = [...at.engine.currentState(roomId).entries()].map(({ eventId }) => eventId);
    const made = await at.answer(STRANGER, 'GET', makeJoin(roomId));
    assert.is(leaf(made['room_version']), version);
    const template = made['event'] ?? {};
    assert.is(leaf(template['room_id']), roomId);
    assert.is(leaf(template['sender']), CAROL);
    assert.is(leaf(template['state_key']), CAROL);
    assert.is(leaf(template['type']), 'm.room.member');
    assert.is(leaf(template['content']?.['membership']), 'join');
    const pdu = at.complete(template, STRANGER);
    const path = v2`send_join/${roomId}/${pdu.eventId}`;
    const joined = await at.answer(STRANGER, 'PUT', path, pdu.json);
    assert.is(at.engine.currentState(roomId).membership(CAROL), 'join');
    assert.is(leaf(joined['origin']), RESIDENT);
    assert.is(joined['members_omitted'], false);
    assert.equal(at.idsOf(joined['state']).sort(), before.sort());
    assert.equal(at.idsOf(joined['auth_chain']).sort(), at.chainOf([...before, pdu.eventId]));
    assert.is(at.pduOf(joined['event']).eventId, pdu.eventId);
    const events = [...itemsOf(joined['state']), ...itemsOf(joined['auth_chain']), joined['event']];
    for (const event of events) {
      const { json } = at.pduOf(event);
      assert.ok(verifyEventSignatures(json, at.rules, castKeys).ok, 'all is signed as it must be');
    }
    await at.answer(STRANGER, 'PUT', path, pdu.json);
    await at.close();
  });
}

for (const version of ['1', '6', '11', '12']) {
  test(`version ${version}: what a joining server gets is all that it needs to hold the same state`, async () => {
    const at = await Resident.open(version);
    const roomId = await at.room([['m.room.name', { name: 'one' }]]);
    await at.state('m.room.name', { name: 'two' });
    await at.member(ALICE, '@dora:delta.test', 'invite');
    const there = await Resident.open(version, STRANGER);
    await there.takeJoin(await at.handshake(), false);
    assert.is(there.engine.currentState(roomId).root, at.engine.currentState(roomId).root);
    await there.close();
    await at.close();
  });
}

test('a join is passed on to the other servers of the room, once, and not to the one that sent it', async () => {
  const at = await Resident.open('10');
  const roomId = await at.room();
  const pdu = at.build({
    type: 'm.room.member',
    sender: CAROL,
    stateKey: CAROL,
    content: { membership: 'join' },
  });
  const path = v2`send_join/${roomId}/${pdu.eventId}`;
  await at.answer(STRANGER, 'PUT', path, pdu.json);
  await at.answer(STRANGER, 'PUT', path, pdu.json);
  assert.equal(await at.told(pdu, 1), [MEMBER]);
  await at.close();
});

test('a server that does not list the version of the room is told which it is', async () => {
  const at = await Resident.open('10');
  const roomId = await at.room();
  const path = v1`make_join/${roomId}/${CAROL}`;
  for (const query of ['?ver=1&ver=9', '', '?ver=11']) {
    const told = await at.refused([400, 'M_INCOMPATIBLE_ROOM_VERSION'], STRANGER, 'GET', path + query);
    assert.is(leaf(told['room_version']), '10');
  }
  await at.close();
});

test('no template is made for what the rules do not allow', async () => {
  const at = await Resident.open();
  const roomId = await at.room();
  await at.member(ALICE, BOB, 'ban');
  await at.refused([403, 'M_FORBIDDEN'], MEMBER, 'GET', makeJoin(roomId, BOB));
  await at.state('m.room.join_rules', { join_rule: 'invite' });
  await at.refused([403, 'M_FORBIDDEN'], STRANGER, 'GET', makeJoin(roomId));
  await at.refused([403, 'M_FORBIDDEN'], STRANGER, 'GET', v1`make_leave/${roomId}/${CAROL}`);
  await at.close();
});

test('a template is made for users of the asking server only', async () => {
  const at = await Resident.open();
  const roomId = await at.room();
  await at.refused([403, 'M_FORBIDDEN'], STRANGER, 'GET', makeJoin(roomId, BOB));
  await at.refused([403, 'M_FORBIDDEN'], STRANGER, 'GET', makeJoin(roomId, ALICE));
  await at.refused([400, 'M_INVALID_PARAM'], STRANGER, 'GET', makeJoin(roomId, 'carol' as UserId));
  await at.close();
});

test('a room that is not known, or that nobody of this server is in, is 404', async () => {
  const at = await Resident.open();
  const roomId = await at.room();
  await at.refused([404, 'M_NOT_FOUND'], STRANGER, 'GET', makeJoin('!nowhere:alpha.test' as RoomId));
  await at.refused([404, 'M_NOT_FOUND'], STRANGER, 'GET', makeJoin('!users' as RoomId));
  await at.member(ALICE, ALICE, 'leave');
  await at.refused([404, 'M_NOT_FOUND'], STRANGER, 'GET', makeJoin(roomId));
  await at.close();
});

test('a server that the access list denies neither makes nor sends a join, a leave, a knock', async () => {
  const at = await Resident.open();
  const roomId = await at.room();
  await at.state('m.room.server_acl', { allow: ['*'], deny: ['*.test'] });
  const event = at.build({
    type: 'm.room.member',
    sender: CAROL,
    stateKey: CAROL,
    content: { membership: 'join' },
  });
  for (const path of ['make_join', 'make_leave', 'make_knock']) {
    const query = `?${ALL_VERSIONS}`;
    await at.refused(
      [403, 'M_FORBIDDEN'],
      STRANGER,
      'GET',
      `/v1/${path}/${encodeURIComponent(roomId)}/${CAROL}${query}`,
    );
  }
  for (const path of ['/v2/send_join', '/v2/send_leave', '/v1/send_knock']) {
    const asked = `${path}/${encodeURIComponent(roomId)}/${encodeURIComponent(event.eventId)}`;
    await at.refused([403, 'M_FORBIDDEN'], STRANGER, 'PUT', asked, event.json);
  }
  await at.close();
});

test('what is sent must be the join that it says to be: of the origin, signed by it, of this room, with its id', async () => {
  const at = await Resident.open();
  const roomId = await at.room();
  const root = at.engine.currentState(roomId).root;
  const member = (changes: JsonObject, server: ServerName = STRANGER): JsonObject => {
    const built = at.build({
      type: 'm.room.member',
      sender: CAROL,
      stateKey: CAROL,
      content: { membership: 'join' },
    });
    const { signatures: _, hashes: __, ...json } = built.json;
    return signEvent({ ...json, ...changes }, at.rules, server, keyOf(server));
  };
  const send = async (json: JsonObject, id?: string): Promise<void> => {
    const eventId = id ?? at.pduOf(json as unknown as Json).eventId;
    await at.refused([400, 'M_INVALID_PARAM'], STRANGER, 'PUT', v2`send_join/${roomId}/${eventId}`, json);
  };
  await send(member({ type: 'm.room.name' }));
  await send(member({ content: { membership: 'leave' } }));
  await send(member({ content: {} }));
  await send(member({ state_key: BOB }));
  await send(member({ sender: BOB, state_key: BOB }));
  await send(member({}, MEMBER));
  await send(member({ room_id: `!${'a'.repeat(43)}` }));
  await send(member({}), '$another');
  await send({ ...member({}), content: { membership: 'join', forged: true } });
  await send({}, '$x');
  await send({ ...member({}), signatures: {} });
  await send(member({ depth: 'deep' }), '$x');
  await send(member({ prev_events: ['$'.padEnd(44, 'A')] }));
  assert.is(at.engine.currentState(roomId).root, root, 'nothing of it had an effect');
  await at.close();
});

test('a join that the rules do not allow is refused with 403', async () => {
  const at = await Resident.open();
  const roomId = await at.room();
  const pdu = at.build({
    type: 'm.room.member',
    sender: CAROL,
    stateKey: CAROL,
    content: { membership: 'join' },
  });
  await at.member(ALICE, CAROL, 'ban');
  await at.refused([403, 'M_FORBIDDEN'], STRANGER, 'PUT', v2`send_join/${roomId}/${pdu.eventId}`, pdu.json);
  await at.close();
});

test('what stands in unsigned is not passed on', async () => {
  const at = await Resident.open();
  const roomId = await at.room();
  const pdu = at.build({
    type: 'm.room.member',
    sender: CAROL,
    stateKey: CAROL,
    content: { membership: 'join' },
  });
  const json = { ...pdu.json, unsigned: { prev_content: { membership: 'ban' } } };
  const joined = await at.answer(STRANGER, 'PUT', v2`send_join/${roomId}/${pdu.eventId}`, json);
  assert.is(joined['event']?.['unsigned'], undefined);
  await at.close();
});

/** A room of Alice's that members of another may join. */
async function restricted(at: Resident, allow: readonly JsonObject[]): Promise<void> {
  await at.room();
  await at.state('m.room.join_rules', { join_rule: 'restricted', allow: [...allow] });
}

const membershipOf = (roomId: string): JsonObject => ({ type: 'm.room_membership', room_id: roomId });

for (const version of ['8', '9', '10', '11', '12']) {
  test(`version ${version}: who is in a room that opens this one joins it, vouched for and co-signed by this server`, async () => {
    const at = await Resident.open(version);
    const lobby = await at.room();
    await at.join(CAROL);
    await restricted(at, [membershipOf(lobby)]);
    const made = await at.answer(STRANGER, 'GET', makeJoin(at.roomId));
    const authorising = made['event']?.['content']?.['join_authorised_via_users_server'];
    assert.is(leaf(authorising), ALICE);
    const pdu = at.complete(made['event'] ?? {}, STRANGER);
    const joined = await at.answer(STRANGER, 'PUT', v2`send_join/${at.roomId}/${pdu.eventId}`, pdu.json);
    const { json } = at.pduOf(joined['event']);
    assert.equal(Object.keys(json['signatures'] as JsonObject).sort(), [RESIDENT, STRANGER]);
    assert.ok(verifyEventSignatures(json, at.rules, castKeys).ok);
    assert.is(at.engine.currentState(at.roomId).membership(CAROL), 'join');
    await at.close();
  });
}

test('who is in none of the rooms that open this one is refused with 403, at both halves of the handshake', async () => {
  const at = await Resident.open('10');
  const lobby = await at.room();
  await restricted(at, [membershipOf(lobby)]);
  await at.refused([403, 'M_FORBIDDEN'], STRANGER, 'GET', makeJoin(at.roomId));
  const content = { membership: 'join', join_authorised_via_users_server: ALICE };
  const pdu = at.build({ type: 'm.room.member', sender: CAROL, stateKey: CAROL, content });
  await at.refused(
    [403, 'M_FORBIDDEN'],
    STRANGER,
    'PUT',
    v2`send_join/${at.roomId}/${pdu.eventId}`,
    pdu.json,
  );
  const plain = at.build({
    type: 'm.room.member',
    sender: CAROL,
    stateKey: CAROL,
    content: { membership: 'join' },
  });
  await at.refused(
    [403, 'M_FORBIDDEN'],
    STRANGER,
    'PUT',
    v2`send_join/${at.roomId}/${plain.eventId}`,
    plain.json,
  );
  await at.close();
});

test('conditions that cannot be told here are M_UNABLE_TO_AUTHORISE_JOIN; none at all, or malformed ones, are 403', async () => {
  const at = await Resident.open('10');
  const lobby = await at.room();
  await restricted(at, [membershipOf('!elsewhere:delta.test'), membershipOf(lobby)]);
  await at.refused([400, 'M_UNABLE_TO_AUTHORISE_JOIN'], STRANGER, 'GET', makeJoin(at.roomId));
  for (const allow of [
    [],
    ['x', 7, null],
    [{ type: 'm.other', room_id: lobby }, { type: 'm.room_membership' }],
    'all',
  ]) {
    await at.state('m.room.join_rules', { join_rule: 'restricted', allow });
    await at.refused([403, 'M_FORBIDDEN'], STRANGER, 'GET', makeJoin(at.roomId));
  }
  await at.close();
});

test('where nobody of this server may invite it cannot vouch: M_UNABLE_TO_GRANT_JOIN', async () => {
  const at = await Resident.open('10');
  const lobby = await at.room();
  await at.join(CAROL);
  await restricted(at, [membershipOf(lobby)]);
  await at.state('m.room.power_levels', { users: { [BOB]: 100, [ALICE]: 50 }, invite: 60 });
  await at.refused([400, 'M_UNABLE_TO_GRANT_JOIN'], STRANGER, 'GET', makeJoin(at.roomId));
  await at.close();
});

test('who is invited to a restricted room needs nobody to vouch', async () => {
  const at = await Resident.open('10');
  await restricted(at, []);
  await at.member(ALICE, CAROL, 'invite');
  const made = await at.answer(STRANGER, 'GET', makeJoin(at.roomId));
  assert.is(made['event']?.['content']?.['join_authorised_via_users_server'], undefined);
  await at.handshake();
  await at.close();
});

test.run();
