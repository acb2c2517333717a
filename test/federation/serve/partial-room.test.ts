import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId, ServerName, UserId } from '../../../src/event/ids.js';
import type { Pdu } from '../../../src/event/pdu.js';
import {
  ALICE,
  BOB,
  CAROL,
  itemsOf,
  leaf,
  MEMBER,
  RESIDENT,
  Resident,
  STRANGER,
  ours,
  v1,
  v2,
} from './resident.js';

const test = suite('federation serve a room that is known in part');

const PARTIAL = [403, 'ORG.MATRIX.MSC3895_UNABLE_DUE_TO_PARTIAL_STATE'] as const;
const FORBIDDEN = [403, 'M_FORBIDDEN'] as const;
const NOT_FOUND = [404, 'M_NOT_FOUND'] as const;
/** In no list, and no member of it is known. */
const UNKNOWN = 'delta.test' as ServerName;
const DORA = '@dora:delta.test' as UserId;

interface JoinedInPart {
  /** The server that joined without the members: Carol's. */
  readonly there: Resident;
  /** Something that Carol said there. */
  readonly said: Pdu;
  readonly close: () => Promise<void>;
}

/** Carol's server after a join that told no members, of a room of Alice's with Bob in it. */
async function joinedInPart(
  version = '11',
  state: Parameters<Resident['room']>[0] = [],
): Promise<JoinedInPart> {
  const at = await Resident.open(version, RESIDENT, { options: { smallRoomMembersMax: 0 } });
  await at.room([['m.room.name', { name: 'The room' }], ...state]);
  const answer = await at.handshake(CAROL, '?omit_members=true');
  const listed = new Set(itemsOf(answer['servers_in_room']).map((server) => leaf(server) as ServerName));
  assert.equal([...listed].sort(), [RESIDENT, MEMBER]);
  const there: Resident = await Resident.open(version, STRANGER);
  await there.takeJoin(answer, true);
  assert.is(there.engine.currentState(there.roomId).membership(BOB), undefined, 'Bob is not known there');
  assert.ok(there.engine.reader.room(there.roomId).isPartial);
  const said = await there.say(CAROL, 'hello');
  const close = async (): Promise<void> => {
    await there.close();
    await at.close();
  };
  return { there, said, close };
}

const memberOf = (user: UserId, membership: string) =>
  ({ type: 'm.room.member', sender: user, stateKey: user, content: { membership } }) as const;

test('neither makes nor sends joins, leaves and knocks: 404', async () => {
  const { there, close } = await joinedInPart();
  const { roomId } = there;
  for (const server of [MEMBER, UNKNOWN]) {
    const user = server === MEMBER ? BOB : DORA;
    for (const [make, send, membership] of [
      ['make_join', '/v2/send_join', 'join'],
      ['make_leave', '/v2/send_leave', 'leave'],
      ['make_knock', '/v1/send_knock', 'knock'],
    ] as const) {
      const made = `/v1/${make}/${encodeURIComponent(roomId)}/${user}?ver=11`;
      await there.refused(NOT_FOUND, server, 'GET', made);
      const { eventId, json } = there.build(memberOf(user, membership));
      const sent = `${send}/${encodeURIComponent(roomId)}/${encodeURIComponent(eventId)}`;
      await there.refused(NOT_FOUND, server, 'PUT', sent, json);
    }
  }
  await close();
});

test('states that rest on the join are told nobody: 403 with the code of MSC3895', async () => {
  const { there, said, close } = await joinedInPart();
  const at = encodeURIComponent(said.eventId);
  const { roomId } = there;
  for (const server of [MEMBER, RESIDENT, UNKNOWN]) {
    await there.refused(PARTIAL, server, 'GET', `${v1`state/${roomId}`}?event_id=${at}`);
    await there.refused(PARTIAL, server, 'GET', `${v1`state_ids/${roomId}`}?event_id=${at}`);
    await there.refused(PARTIAL, server, 'GET', v1`event_auth/${roomId}/${said.eventId}`);
    const nodes = { event_id: said.eventId, paths: [''] };
    await there.refused(PARTIAL, server, 'POST', ours`state_nodes/${roomId}`, nodes);
    const difference = { event_id: said.eventId, from: {} };
    await there.refused(PARTIAL, server, 'POST', ours`state_difference/${roomId}`, difference);
  }
  await close();
});

test('a server that cannot be judged is told so: 403 with the code of MSC3895, whether the event is there or not', async () => {
  const { there, said, close } = await joinedInPart();
  const { roomId } = there;
  await there.refused(PARTIAL, UNKNOWN, 'GET', v1`event/${said.eventId}`);
  for (const id of [said.eventId, '$nothing' as EventId]) {
    await there.refused(PARTIAL, UNKNOWN, 'GET', v1`event_auth/${roomId}/${id}`);
    for (const path of [v1`state/${roomId}`, v1`state_ids/${roomId}`]) {
      await there.refused(PARTIAL, UNKNOWN, 'GET', `${path}?event_id=${encodeURIComponent(id)}`);
    }
  }
  await there.refused(PARTIAL, UNKNOWN, 'GET', `${v1`timestamp_to_event/${roomId}`}?ts=0&dir=f`);
  await close();
});

for (const visibility of ['shared', 'joined']) {
  test(`history that is ${visibility}: servers of the list that came with the join get events as they are, others none`, async () => {
    const { there, said, close } = await joinedInPart('11', [
      ['m.room.history_visibility', { history_visibility: visibility }],
    ]);
    const later = await there.say(CAROL, 'and more');
    const { roomId } = there;
    const backfill = `${v1`backfill/${roomId}`}?v=${encodeURIComponent(later.eventId)}&limit=2`;
    const missing = {
      latest_events: [later.eventId],
      earliest_events: there.engine.reader.event(said.eventId).pdu.prevEvents,
    };
    const path = v1`get_missing_events/${roomId}`;
    for (const server of [MEMBER, RESIDENT]) {
      const pdus = itemsOf((await there.answer(server, 'GET', backfill))['pdus']);
      assert.equal(
        pdus.map((pdu) => leaf(pdu['content']?.['body'])),
        ['and more', 'hello'],
      );
      const events = itemsOf((await there.answer(server, 'POST', path, missing))['events']);
      assert.equal(
        events.map((pdu) => leaf(pdu['content']?.['body'])),
        ['hello'],
      );
      const [one] = itemsOf((await there.answer(server, 'GET', v1`event/${said.eventId}`))['pdus']);
      assert.is(leaf(one?.['content']?.['body']), 'hello');
      await there.answer(server, 'GET', `${v1`timestamp_to_event/${roomId}`}?ts=0&dir=f`);
    }
    await there.refused(FORBIDDEN, UNKNOWN, 'GET', backfill);
    await there.refused(FORBIDDEN, UNKNOWN, 'POST', path, missing);
    await close();
  });
}

test('without a list only the servers of members that are known are in the room', async () => {
  const at = await Resident.open('11', RESIDENT, { options: { smallRoomMembersMax: 0 } });
  await at.room();
  const there = await Resident.open('11', STRANGER);
  // Without a name the room is told with its heroes: Alice and Bob.
  await there.takeJoin(await at.handshake(CAROL, '?omit_members=true'), true);
  const { eventId } = await there.say(CAROL, 'hello');
  const backfill = `${v1`backfill/${there.roomId}`}?v=${encodeURIComponent(eventId)}&limit=1`;
  await there.answer(MEMBER, 'GET', backfill);
  await there.refused(FORBIDDEN, UNKNOWN, 'GET', backfill);
  await there.close();
  await at.close();
});

test('the access list denies as ever', async () => {
  const { there, said, close } = await joinedInPart('11', [
    ['m.room.server_acl', { allow: ['*'], deny: ['beta.test'] }],
  ]);
  const { roomId } = there;
  const at = encodeURIComponent(said.eventId);
  for (const path of [
    `${v1`backfill/${roomId}`}?v=${at}&limit=2`,
    `${v1`state_ids/${roomId}`}?event_id=${at}`,
    `${v1`make_join/${roomId}/${BOB}`}?ver=11`,
  ]) {
    await there.refused(FORBIDDEN, MEMBER, 'GET', path);
  }
  await close();
});

test('an alias of the room is told with the servers of the list', async () => {
  const { there, close } = await joinedInPart();
  await there.accounts.aliases.add('#room:gamma.test', there.roomId, CAROL);
  const path = `/v1/query/directory?room_alias=${encodeURIComponent('#room:gamma.test')}`;
  const found = await there.answer(UNKNOWN, 'GET', path);
  assert.equal(itemsOf(found['servers']).map(leaf).sort(), [RESIDENT, MEMBER, STRANGER]);
  await close();
});

test('it is in no hierarchy: others know more of it', async () => {
  const { there, close } = await joinedInPart();
  await there.refused(NOT_FOUND, MEMBER, 'GET', v1`hierarchy/${there.roomId}`);
  await close();
});

test('a user of the server is invited to it as to any other room', async () => {
  const { there, close } = await joinedInPart();
  await there.accounts.register({ username: 'guest' });
  const guest = '@guest:gamma.test';
  const invite = there.build({
    type: 'm.room.member',
    sender: BOB,
    stateKey: guest,
    content: { membership: 'invite' },
  });
  const body = { room_version: '11', event: invite.json, invite_room_state: [] };
  const signed = await there.answer(MEMBER, 'PUT', v2`invite/${there.roomId}/${invite.eventId}`, body);
  const { json } = there.pduOf(signed['event']);
  assert.equal(Object.keys(json['signatures'] as object).sort(), [MEMBER, STRANGER]);
  await close();
});

test('once all of the state is known it is a room like any other', async () => {
  const at = await Resident.open('11', RESIDENT, { options: { smallRoomMembersMax: 0 } });
  await at.room();
  const answer = await at.handshake(CAROL, '?omit_members=true');
  const there = await Resident.open('11', STRANGER);
  await there.takeJoin(answer, true);
  const join = at.pduOf(answer['event']).eventId;
  const state = [...at.engine.stateAt(join, 'before').entries()].map(({ eventId }) => eventId);
  for (const id of at.chainOf(state)) {
    await there.engine.receive(at.engine.reader.event(id).pdu.json, { from: RESIDENT, asOutlier: true });
  }
  for (const id of state) {
    await there.engine.receive(at.engine.reader.event(id).pdu.json, { from: RESIDENT, asOutlier: true });
  }
  await there.engine.completeState(join, state);
  const { eventId } = await there.say(CAROL, 'hello');
  const { roomId } = there;
  const query = `?event_id=${encodeURIComponent(eventId)}`;
  await there.answer(MEMBER, 'GET', v1`state_ids/${roomId}` + query);
  await there.answer(UNKNOWN, 'GET', `${v1`make_join/${roomId}/${DORA}`}?ver=11`);
  await there.refused(FORBIDDEN, UNKNOWN, 'GET', v1`state_ids/${roomId}` + query);
  assert.ok(there.engine.currentState(roomId).membership(ALICE));
  await there.close();
  await at.close();
});

test.run();
