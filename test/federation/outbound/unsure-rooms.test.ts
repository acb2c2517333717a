import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ServerName, UserId } from '../../../src/event/ids.js';
import { ALPHA, member } from './alpha.js';
import { PartialRoom } from './partial-room.js';

const test = suite('federation outbound unsure rooms');

const BETA = 'beta.test' as ServerName;
const GAMMA = 'gamma.test' as ServerName;
const DELTA = 'delta.test' as ServerName;
const BOB = '@bob:beta.test' as UserId;

test('servers of the list count as in the room until its state is whole, and listeners are told', async () => {
  const room = await PartialRoom.open({ members: [BETA, GAMMA], listed: [BETA, DELTA, ALPHA] });
  const { roomServers } = room.at.federation;
  assert.equal(roomServers.serversOf(room.roomId).sort(), [BETA, DELTA, 'resident.test']);
  assert.ok(roomServers.isIn(DELTA, room.roomId));
  assert.equal([...roomServers.roomsOf(DELTA)], [room.roomId]);
  const told: string[] = [];
  roomServers.subscribe({
    entered: (_, server) => told.push(`+${server}`),
    left: (_, server) => told.push(`-${server}`),
    membersKnown: () => told.push('known'),
  });
  await room.complete();
  await roomServers.caughtUp();
  assert.equal(told.slice(0, 2).sort(), [`+${GAMMA}`, `-${DELTA}`]);
  assert.equal(told.slice(2), ['known']);
  assert.equal(roomServers.serversOf(room.roomId).sort(), [BETA, GAMMA, 'resident.test']);
  assert.is(roomServers.roomsOf(DELTA).size, 0);
  await room.close();
});

test('a user of a server of the list may share the room, until it is known whether they do', async () => {
  const room = await PartialRoom.open({ members: [BETA, GAMMA], listed: [BETA] });
  const { roomServers } = room.at.federation;
  assert.not(roomServers.sharesRoom(BOB));
  assert.equal([...roomServers.maybeSharedRooms(BOB)], [room.roomId]);
  assert.ok(roomServers.isUnsure(BETA));
  const carol = '@carol:gamma.test' as UserId;
  assert.not(roomServers.mayShareRoom(carol), 'their server is not said to be there');
  await room.everywhere(member('@dora:beta.test' as UserId, 'join'));
  await roomServers.caughtUp();
  assert.ok(roomServers.sharesRoom('@dora:beta.test' as UserId));
  assert.not(roomServers.mayShareRoom('@dora:beta.test' as UserId), 'it is known that they do');
  await room.everywhere(member(BOB, 'leave'));
  await roomServers.caughtUp();
  assert.not(roomServers.mayShareRoom(BOB), 'it is known that they do not');
  await room.complete();
  await roomServers.caughtUp();
  assert.not(roomServers.isUnsure(BETA));
  assert.ok(roomServers.sharesRoom('@bob:gamma.test' as UserId));
  await room.close();
});

test('a room that we left is shared with nobody, whoever was said to be in it', async () => {
  const room = await PartialRoom.open({ members: [BETA] });
  const { roomServers } = room.at.federation;
  let isKnown = false;
  roomServers.subscribe({ membersKnown: () => (isKnown = true) });
  await room.at.harness.home.engine.send(room.roomId, member(room.at.alice.userId, 'leave'));
  await roomServers.caughtUp();
  assert.not(roomServers.mayShareRoom(BOB));
  assert.ok(isKnown);
  await room.close();
});

test('the list of a join whose state is whole counts no more, also when other history is missing', async () => {
  const room = await PartialRoom.open({ members: [BETA], listed: [BETA, DELTA] });
  await room.complete();
  const { engine } = room.at.harness.home;
  const said = { type: 'm.room.message', sender: room.rosa, content: { body: 'x' } };
  await room.there(said);
  const { json, eventId } = await room.there(said);
  const givenState = [...room.engine.stateAt(eventId, 'before').entries()].map((entry) => entry.eventId);
  await engine.receive(json, { from: 'resident.test', givenState, isPartial: true });
  assert.ok(engine.partial.isPartial(room.roomId));
  const { roomServers } = room.at.federation;
  await roomServers.caughtUp();
  assert.equal(roomServers.serversOf(room.roomId).sort(), [BETA, 'resident.test']);
  await room.close();
});

test('the list is known after a restart', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'stateroom-'));
  try {
    const room = await PartialRoom.open({ folder, members: [BETA], listed: [BETA, DELTA] });
    await room.at.restart();
    const { roomServers } = room.at.federation;
    assert.equal(roomServers.serversOf(room.roomId).sort(), [BETA, DELTA, 'resident.test']);
    assert.ok(roomServers.mayShareRoom(BOB));
    await room.close();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test.run();
