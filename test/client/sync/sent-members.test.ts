import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Device, SentMembers } from '../../../src/client/sync/sent-members.js';
import type { EventId, RoomId, UserId } from '../../../src/event/ids.js';

const test = suite('SentMembers');

const ROOM = '!room' as RoomId;
const device = (name: string): Device => ({ userId: `@${name}:here` as UserId, deviceId: 'D' });
const event = (n: number): EventId => `$event${n}` as EventId;

/** An answer with some events, and the client that comes back with its token. */
function send(sent: SentMembers, to: Device, seq: number, events: readonly EventId[]): void {
  for (const id of events) sent.add(to, id, seq);
  sent.received(to, seq);
}

test('what a device came back with the token of counts as sent, for that device alone', () => {
  const sent = new SentMembers();
  sent.add(device('a'), event(1), 5);
  assert.not(sent.has(device('a'), ROOM, event(1), 5), 'the answer may be lost');
  sent.received(device('a'), 5);
  assert.ok(sent.has(device('a'), ROOM, event(1), 5));
  assert.not(sent.has(device('a'), ROOM, event(1), 4), 'with an older token it has it not');
  assert.not(sent.has(device('b'), ROOM, event(1), 5));
});

test('who begins anew has nothing, and who comes back into a room nothing of that room', () => {
  const sent = new SentMembers();
  send(sent, device('a'), 5, [event(1)]);
  sent.enter(device('a'), ROOM, 8);
  assert.not(sent.has(device('a'), ROOM, event(1), 9));
  assert.ok(sent.has(device('a'), '!other' as RoomId, event(1), 9));
  sent.restart(device('a'));
  assert.not(sent.has(device('a'), '!other' as RoomId, event(1), 9));
});

test('a device with much makes others forgotten, and one with too much is forgotten itself', () => {
  const sent = new SentMembers(100_000);
  send(sent, device('a'), 1, [event(1)]);
  send(
    sent,
    device('large'),
    1,
    Array.from({ length: 780 }, (_, i) => event(i)),
  );
  assert.ok(sent.has(device('large'), ROOM, event(7), 1));
  send(
    sent,
    device('b'),
    1,
    Array.from({ length: 100 }, (_, i) => event(i)),
  );
  assert.not(sent.has(device('a'), ROOM, event(1), 1) && sent.has(device('large'), ROOM, event(7), 1));
  send(
    sent,
    device('too large'),
    1,
    Array.from({ length: 1_000 }, (_, i) => event(i)),
  );
  assert.not(sent.has(device('too large'), ROOM, event(7), 1));
});

test('of one device the events that came first are forgotten first, and all of it where rooms are too many', () => {
  const sent = new SentMembers();
  for (let seq = 1; seq <= 21; seq++) {
    send(
      sent,
      device('a'),
      seq,
      Array.from({ length: 1_000 }, (_, i) => event(seq * 1_000 + i)),
    );
  }
  assert.not(sent.has(device('a'), ROOM, event(1_000), 21));
  assert.ok(sent.has(device('a'), ROOM, event(21_999), 21));
  for (let n = 0; n <= 20_000; n++) sent.enter(device('a'), `!room${n}` as RoomId, 22);
  assert.not(sent.has(device('a'), ROOM, event(21_999), 22));
});

test.run();
