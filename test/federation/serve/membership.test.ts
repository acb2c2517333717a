import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { JsonObject } from '../../../src/event/json.js';
import { ROOM_VERSIONS, rulesOf } from '../../../src/event/rules.js';
import { createIdOfRoom, type EventId, type RoomId, type UserId } from '../../../src/event/ids.js';
import { buildEvent } from '../../../src/event/build.js';
import { verifyEventSignatures } from '../../../src/event/verify.js';
import type { Pdu } from '../../../src/event/pdu.js';
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

const test = suite('federation serve memberships');

const VERSIONS = ROOM_VERSIONS.map(({ version }) => `ver=${version}`).join('&');
const DAVE = '@dave:alpha.test' as UserId;

for (const { version } of ROOM_VERSIONS) {
  test(`version ${version}: a user of another server turns an invitation down`, async () => {
    const at = await Resident.open(version);
    const roomId = await at.room();
    await at.member(ALICE, CAROL, 'invite');
    const made = await at.answer(STRANGER, 'GET', v1`make_leave/${roomId}/${CAROL}`);
    assert.is(leaf(made['room_version']), version);
    const pdu = at.complete(made['event'] ?? {}, STRANGER);
    const answer = await at.answer(STRANGER, 'PUT', v2`send_leave/${roomId}/${pdu.eventId}`, pdu.json);
    assert.equal(answer, {});
    assert.is(at.engine.currentState(roomId).membership(CAROL), 'leave');
    await at.close();
  });
}

for (const { version, authorisation } of ROOM_VERSIONS) {
  test(`version ${version}: ${authorisation.allowsKnock ? 'a knock is taken, and answered with whole events of the room' : 'there is no knocking'}`, async () => {
    const at = await Resident.open(version);
    const roomId = await at
      .room([
        ['m.room.name', { name: 'The room' }],
        ['m.room.join_rules', { join_rule: 'invite' }],
      ])
      .catch(() => at.roomId);
    await at.state('m.room.join_rules', { join_rule: 'knock' });
    const path = `${v1`make_knock/${roomId}/${CAROL}`}?${VERSIONS}`;
    if (!authorisation.allowsKnock) {
      await at.refused([403, 'M_FORBIDDEN'], STRANGER, 'GET', path);
      await at.close();
      return;
    }
    const made = await at.answer(STRANGER, 'GET', path);
    const pdu = at.complete(made['event'] ?? {}, STRANGER);
    const answer = await at.answer(STRANGER, 'PUT', v1`send_knock/${roomId}/${pdu.eventId}`, pdu.json);
    assert.is(at.engine.currentState(roomId).membership(CAROL), 'knock');
    const shown = itemsOf(answer['knock_room_state']).map((event) => at.pduOf(event).type);
    for (const type of ['m.room.create', 'm.room.join_rules', 'm.room.name'])
      assert.ok(shown.includes(type), type);
    await at.close();
  });
}

test('a knock at a room that takes none is refused with 403', async () => {
  const at = await Resident.open();
  const roomId = await at.room();
  await at.refused([403, 'M_FORBIDDEN'], STRANGER, 'GET', `${v1`make_knock/${roomId}/${CAROL}`}?${VERSIONS}`);
  await at.close();
});

test('a leave is a leave of its sender: a kick is not sent this way', async () => {
  const at = await Resident.open();
  const roomId = await at.room();
  await at.join(CAROL);
  const kick = at.build({
    type: 'm.room.member',
    sender: CAROL,
    stateKey: BOB,
    content: { membership: 'leave' },
  });
  await at.refused(
    [400, 'M_INVALID_PARAM'],
    STRANGER,
    'PUT',
    v2`send_leave/${roomId}/${kick.eventId}`,
    kick.json,
  );
  const join = at.build({
    type: 'm.room.member',
    sender: CAROL,
    stateKey: CAROL,
    content: { membership: 'join' },
  });
  await at.refused(
    [400, 'M_INVALID_PARAM'],
    STRANGER,
    'PUT',
    v2`send_leave/${roomId}/${join.eventId}`,
    join.json,
  );
  await at.close();
});

/** A room of Bob's elsewhere, and his invitation of Dave. */
interface Elsewhere {
  readonly create: Pdu;
  readonly invite: Pdu;
}

function elsewhere(version: string, target: string = DAVE, content: JsonObject = {}): Elsewhere {
  const rules = rulesOf(version);
  assert.ok(rules);
  const common = { server: MEMBER, key: keyOf(MEMBER), rules };
  const id = (name: string): { readonly eventId?: EventId } =>
    rules.eventIdFormat === 'field' ? { eventId: `$${name}:${MEMBER}` as EventId } : {};
  const roomId = `!elsewhere:${MEMBER}` as RoomId;
  const create = buildEvent(
    {
      type: 'm.room.create',
      sender: BOB,
      stateKey: '',
      content: { room_version: version, creator: BOB },
      ...(rules.roomIdIsCreateHash ? {} : { roomId }),
      ...id('create'),
      prevEvents: [],
      authEvents: [],
      depth: 1,
      originServerTs: 1,
    },
    common,
  );
  const invite = buildEvent(
    {
      type: 'm.room.member',
      sender: BOB,
      stateKey: target,
      content: { membership: 'invite', ...content },
      roomId: create.roomId,
      ...id('invite'),
      prevEvents: [create.eventId],
      authEvents: rules.authorisation.createIsImplied ? [] : [create.eventId],
      depth: 2,
      originServerTs: 2,
    },
    common,
  );
  return { create, invite };
}

for (const { version } of ROOM_VERSIONS) {
  test(`version ${version}: an invitation to a room elsewhere is signed, and kept for the invited user`, async () => {
    const at = await Resident.open(version);
    await at.accounts.register({ username: 'dave' });
    const { create, invite } = elsewhere(version);
    const body = { room_version: version, event: invite.json, invite_room_state: [create.json] };
    const answer = await at.answer(MEMBER, 'PUT', v2`invite/${invite.roomId}/${invite.eventId}`, body);
    const { json, eventId } = at.pduOf(answer['event']);
    assert.is(eventId, invite.eventId, 'nothing but a signature was added');
    assert.equal(Object.keys(json['signatures'] as JsonObject).sort(), [RESIDENT, MEMBER]);
    assert.ok(verifyEventSignatures(json, at.rules, castKeys).ok);
    const kept = at.accounts.outside.get(DAVE, invite.roomId);
    assert.is(kept?.membership, 'invite');
    assert.equal(
      kept?.state.map(({ type }) => type),
      ['m.room.create'],
    );
    await at.close();
  });
}

test('the old endpoint answers with an array, for rooms of the first versions', async () => {
  const at = await Resident.open('1');
  await at.accounts.register({ username: 'dave' });
  const { create, invite } = elsewhere('1');
  const { json } = invite;
  const stripped = { type: 'm.room.create', state_key: '', sender: BOB, content: create.content };
  const body = { ...json, unsigned: { invite_room_state: [stripped] } };
  const answer = await at.answer(MEMBER, 'PUT', v1`invite/${invite.roomId}/${invite.eventId}`, body);
  const [status, signed] = itemsOf(answer);
  assert.is(status, 200);
  assert.is(at.pduOf(signed?.['event']).eventId, invite.eventId);
  assert.is(at.accounts.outside.get(DAVE, invite.roomId)?.state.length, 1);
  await at.close();
});

test('an invitation to a room that this server is in is signed and not kept: it comes in a transaction too', async () => {
  const at = await Resident.open();
  const roomId = await at.room();
  await at.accounts.register({ username: 'dave' });
  const pdu = at.build({
    type: 'm.room.member',
    sender: BOB,
    stateKey: DAVE,
    content: { membership: 'invite' },
  });
  const create = at.engine.reader.event(createIdOfRoom(roomId)).pdu;
  const body = { room_version: '12', event: pdu.json, invite_room_state: [create.json] };
  await at.answer(MEMBER, 'PUT', v2`invite/${roomId}/${pdu.eventId}`, body);
  assert.is(at.accounts.outside.get(DAVE, roomId), undefined);
  await at.close();
});

test("what is signed is an invite, of this server's user, by a user of the asking server, to a version that is spoken", async () => {
  const at = await Resident.open();
  await at.accounts.register({ username: 'dave' });
  const good = elsewhere('12');
  const send = async (
    expected: readonly [number, string],
    { create, invite }: Elsewhere,
    changes: object = {},
    path = v2`invite/${invite.roomId}/${invite.eventId}`,
    origin = MEMBER,
  ): Promise<Json> => {
    const body = { room_version: '12', event: invite.json, invite_room_state: [create.json], ...changes };
    return at.refused(expected, origin, 'PUT', path, body);
  };
  const told = await send([400, 'M_INCOMPATIBLE_ROOM_VERSION'], good, { room_version: 'hydra' });
  assert.is(leaf(told['room_version']), 'hydra');
  await send([400, 'M_INCOMPATIBLE_ROOM_VERSION'], good, { room_version: 'stateroom.internal' });
  await send([400, 'M_MISSING_PARAM'], good, { room_version: undefined });
  await send([400, 'M_MISSING_PARAM'], good, { event: undefined });
  await send([400, 'M_MISSING_PARAM'], good, { invite_room_state: [] });
  await send([400, 'M_INVALID_PARAM'], good, { invite_room_state: [{ type: 'm.room.create' }] });
  await send([400, 'M_INVALID_PARAM'], good, {
    invite_room_state: [{ ...good.create.json, signatures: {} }],
  });
  const other = elsewhere('12', ALICE);
  const foreign = { ...other.create.json, origin_server_ts: 5 };
  await send([400, 'M_INVALID_PARAM'], good, { invite_room_state: [good.create.json, foreign] });
  await send([400, 'M_INVALID_PARAM'], elsewhere('12', CAROL));
  await send([400, 'M_INVALID_PARAM'], elsewhere('12', 'nobody'));
  await send([400, 'M_INVALID_PARAM'], elsewhere('12', DAVE, { membership: 'join' }));
  await send([403, 'M_FORBIDDEN'], elsewhere('12', '@nobody:alpha.test'));
  await send([400, 'M_INVALID_PARAM'], good, {}, v2`invite/${'!other:beta.test'}/${good.invite.eventId}`);
  await send([400, 'M_INVALID_PARAM'], good, {}, v2`invite/${good.invite.roomId}/${'$other'}`);
  await send([400, 'M_INVALID_PARAM'], good, {}, undefined, STRANGER);
  await send([400, 'M_INVALID_PARAM'], good, { event: { ...good.invite.json, signatures: {} } });
  await send([400, 'M_INVALID_PARAM'], good, { event: {} });
  assert.equal([...at.accounts.outside.ofUser(DAVE)], []);
  await at.close();
});

test('nobody invites a user who is gone, or who takes no invitations', async () => {
  const at = await Resident.open();
  await at.accounts.register({ username: 'dave' });
  const { create, invite } = elsewhere('12');
  const path = v2`invite/${invite.roomId}/${invite.eventId}`;
  const body = { room_version: '12', event: invite.json, invite_room_state: [create.json] };
  await at.accounts.accountData.set(DAVE, undefined, 'm.invite_permission_config', {
    default_action: 'block',
  });
  await at.refused([403, 'M_INVITE_BLOCKED'], MEMBER, 'PUT', path, body);
  await at.accounts.deactivate(DAVE, { erase: false });
  await at.refused([403, 'M_FORBIDDEN'], MEMBER, 'PUT', path, body);
  await at.close();
});

test('a third-party invite is exchanged for the server of the invited user only, and needs what its rules need', async () => {
  const at = await Resident.open();
  const roomId = await at.room();
  const event = {
    type: 'm.room.member',
    room_id: roomId,
    sender: ALICE,
    state_key: CAROL,
    content: {
      membership: 'invite',
      third_party_invite: {
        display_name: 'carol',
        signed: { mxid: CAROL, token: 'abc', signatures: { 'id.test': { 'ed25519:0': 'AAAA' } } },
      },
    },
  };
  const path = v1`exchange_third_party_invite/${roomId}`;
  await at.refused([403, 'M_FORBIDDEN'], MEMBER, 'PUT', path, event);
  await at.refused([400, 'M_INVALID_PARAM'], STRANGER, 'PUT', path, { ...event, room_id: '!x:alpha.test' });
  await at.refused([400, 'M_INVALID_PARAM'], STRANGER, 'PUT', path, { ...event, sender: BOB });
  await at.refused([400, 'M_INVALID_PARAM'], STRANGER, 'PUT', path, {
    ...event,
    content: { membership: 'invite' },
  });
  await at.refused([403, 'M_FORBIDDEN'], STRANGER, 'PUT', path, event);
  await at.close();
});

test('what an identity server says of unknown users is 404, and malformed invites are passed over', async () => {
  const at = await Resident.open();
  const roomId = await at.room();
  const path = '/v1/3pid/onbind';
  await at.refused([404, 'M_NOT_FOUND'], '', 'PUT', path, { mxid: '@nobody:alpha.test', invites: [] });
  await at.refused([400, 'M_INVALID_PARAM'], '', 'PUT', path, { mxid: BOB, invites: [] });
  const signed = { mxid: ALICE, token: 't', signatures: { x: 0.5 } };
  const invites = [
    null,
    'x',
    {},
    { room_id: roomId, sender: BOB, signed },
    { room_id: 7, sender: 'x', signed: {} },
  ];
  const served = await at.ask('', 'PUT', path, { mxid: ALICE, invites });
  assert.is(served.status, 200);
  await at.close();
});

test.run();
