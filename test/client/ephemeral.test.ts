import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Ephemeral } from '../../src/client/ephemeral.js';
import type { RoomId, UserId } from '../../src/event/ids.js';

const test = suite('client/ephemeral');

const ALICE = '@alice:example.org' as UserId;
const BOB = '@bob:elsewhere.org' as UserId;
const ROOM = '!room:example.org' as RoomId;

test('where presence is switched off nobody is there, and nobody is told; typing goes on', () => {
  const heard: string[] = [];
  const ephemeral = new Ephemeral({ now: () => 1_000, hasPresence: false });
  ephemeral.subscribe(({ kind }) => heard.push(kind));
  ephemeral.setPresence(ALICE, 'online', 'here');
  ephemeral.active(ALICE);
  ephemeral.poll(ALICE, 'online')();
  ephemeral.setRemotePresence(BOB, { state: 'online', statusMessage: undefined, lastActiveAt: 0 });
  assert.equal(
    [ALICE, BOB].map((userId) => ephemeral.presence(userId)),
    [undefined, undefined],
  );
  assert.equal([...ephemeral.presentSince(0)], []);
  assert.equal(heard, []);
  ephemeral.setTyping(ROOM, ALICE, 10_000);
  assert.equal(ephemeral.typing(ROOM).users, [ALICE]);
  assert.equal(heard, ['typing']);
});

test('where it is on, who syncs is there', () => {
  const ephemeral = new Ephemeral({ now: () => 1_000 });
  ephemeral.poll(ALICE, 'online');
  assert.is(ephemeral.presence(ALICE)?.state, 'online');
});

test.run();
