import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { UserId } from '../../../src/event/ids.js';
import type { JsonObject } from '../../../src/event/json.js';
import { UnsureMembers } from '../../../src/federation/inbound/unsure-members.js';
import { ALPHA, member } from '../outbound/alpha.js';
import { PartialRoom } from '../outbound/partial-room.js';

const test = suite('EDUs about rooms with an incomplete state');

const BETA = 'beta.test';
const DELTA = 'delta.test';

const user = (name: string, server = BETA): UserId => `@${name}:${server}` as UserId;

const typing = ({ roomId }: PartialRoom, userId: UserId): JsonObject => ({
  edu_type: 'm.typing',
  content: { room_id: roomId, user_id: userId, typing: true },
});

const receipt = ({ roomId }: PartialRoom, userId: UserId): JsonObject => ({
  edu_type: 'm.receipt',
  content: { [roomId]: { 'm.read': { [userId]: { event_ids: ['$read'], data: { ts: 1 } } } } },
});

let transactions = 0;

async function send(room: PartialRoom, name: string, edus: readonly JsonObject[]): Promise<void> {
  const path = `/_matrix/federation/v1/send/${++transactions}`;
  const body = { origin: name, pdus: [], edus };
  const { status } = await room.other(name).stranger.ask(ALPHA, 'PUT', path, body);
  assert.is(status, 200);
}

const typingIn = ({ at, roomId }: PartialRoom): string[] => [
  ...at.harness.home.ephemeral.typing(roomId).users,
];

const hasRead = ({ at, roomId }: PartialRoom, userId: UserId): boolean =>
  at.harness.home.accounts.receipts.get(roomId, userId, 'm.read', undefined) !== undefined;

test('a server of the list speaks for users of whom it is not known that they are in the room', async () => {
  const room = await PartialRoom.open({ members: [BETA, DELTA], listed: [BETA] });
  const [bob, delta] = [user('bob'), user('bob', DELTA)];
  await send(room, BETA, [typing(room, bob), receipt(room, bob)]);
  await send(room, DELTA, [typing(room, delta), receipt(room, delta)]);
  assert.equal(typingIn(room), [bob]);
  assert.equal([hasRead(room, bob), hasRead(room, delta)], [true, false]);
  await room.close();
});

test('not for those who were seen to leave, and no more once it is known who is in the room', async () => {
  const room = await PartialRoom.open({ members: [BETA] });
  await room.everywhere(member(user('bob'), 'leave'));
  await send(room, BETA, [typing(room, user('bob')), receipt(room, user('bob'))]);
  await room.complete();
  await send(room, BETA, [typing(room, user('stranger')), receipt(room, user('stranger'))]);
  assert.equal(typingIn(room), []);
  assert.equal([hasRead(room, user('bob')), hasRead(room, user('stranger'))], [false, false]);
  await room.close();
});

test('of the users that a server makes up only some are listened to', async () => {
  const room = await PartialRoom.open({ members: [BETA, DELTA] });
  const { engine } = room.at.harness.home;
  const unsure = new UnsureMembers(engine, { ofServerMax: 2, usersMax: 3 });
  const admits = (userId: UserId): boolean => unsure.admits(room.roomId, userId);
  assert.equal(
    ['a', 'b', 'c', 'a'].map((name) => admits(user(name))),
    [true, true, false, true],
  );
  assert.equal(
    ['a', 'b'].map((name) => admits(user(name, DELTA))),
    [true, false],
    'in all',
  );
  assert.not(unsure.admits(room.at.roomId, user('a')), 'a room that is all known');
  await room.complete();
  assert.not(admits(user('a')), 'all is known');
  await room.close();
});

test.run();
