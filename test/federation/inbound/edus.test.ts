import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId, UserId } from '../../../src/event/ids.js';
import type { JsonObject } from '../../../src/event/json.js';
import type { EduSink } from '../../../src/federation/inbound/edu-sink.js';
import { BETA, GAMMA, Subject } from '../peers.js';

const edus = suite('EDUs');

const edu = (type: string, content: JsonObject): JsonObject => ({ edu_type: type, content });

/** A sink that notes what it is told. */
function noting(): { readonly told: unknown[]; readonly sink: Partial<EduSink> } {
  const told: unknown[] = [];
  const note = (what: string) => (value: unknown) => void told.push([what, value]);
  const later = (what: string) => async (value: unknown) => void told.push([what, value]);
  return {
    told,
    sink: {
      typing: note('typing'),
      presence: note('presence'),
      deviceUpdate: later('device'),
      signingKeys: later('keys'),
    },
  };
}

edus('typing is told of members of the room that the server speaks for', async () => {
  const subject = await Subject.open();
  const { told, sink } = noting();
  subject.input.attach(sink);
  const { roomId } = subject;
  const [bob, carol] = [subject.user('bob'), subject.user('carol')];
  await subject.send(
    [],
    [
      edu('m.typing', { room_id: roomId, user_id: bob, typing: true }),
      edu('m.typing', { room_id: roomId, user_id: carol, typing: true }),
      edu('m.typing', { room_id: roomId, user_id: `@stranger:${BETA}`, typing: true }),
      edu('m.typing', { room_id: '!users', user_id: bob, typing: true }),
      edu('m.typing', { room_id: roomId, user_id: bob, typing: 'yes' }),
    ],
  );
  assert.equal(told, [['typing', { roomId, userId: bob, isTyping: true }]]);
  await subject.close();
});

edus('nothing is told of a room whose access list denies the server', async () => {
  const subject = await Subject.open();
  const { told, sink } = noting();
  subject.input.attach(sink);
  await subject.everywhere(await subject.set('m.room.server_acl', '', { allow: ['*'], deny: [BETA] }));
  const { roomId } = subject;
  const bob = subject.user('bob');
  const read = { 'm.read': { [bob]: { event_ids: ['$x'], data: { ts: 1 } } } };
  await subject.send(
    [],
    [edu('m.typing', { room_id: roomId, user_id: bob, typing: true }), edu('m.receipt', { [roomId]: read })],
  );
  assert.equal(told, []);
  assert.is(subject.accounts.receipts.get(roomId, bob, 'm.read', undefined), undefined);
  await subject.close();
});

edus('receipts of members are kept and do not go back', async () => {
  const subject = await Subject.open();
  const { roomId } = subject;
  const [bob, carol] = [subject.user('bob'), subject.user('carol')];
  const [first, second] = [await subject.say('1'), await subject.say('2')];
  await subject.send([first, second]);
  await subject.settle();
  const read = (eventId: string, ts: number, more: JsonObject = {}): JsonObject =>
    edu('m.receipt', {
      [roomId]: {
        'm.read': {
          [bob]: { event_ids: [eventId], data: { ts, ...more } },
          [carol]: { event_ids: [eventId], data: { ts } },
        },
      },
    });
  const now = (thread?: string): EventId | undefined =>
    subject.accounts.receipts.get(roomId, bob, 'm.read', thread)?.eventId;
  await subject.send([], [read(second.eventId, 20)]);
  assert.is(now(), second.eventId);
  await subject.send([], [read(first.eventId, 30)]);
  assert.is(now(), second.eventId, 'an event that is known to be older is older');
  assert.is(subject.accounts.receipts.get(roomId, carol, 'm.read', undefined), undefined, 'not hers to say');
  await subject.send([], [read('$not-here-yet', 40), read('$older', 10)]);
  assert.is(now(), '$not-here-yet');
  await subject.send([], [read(first.eventId, 50, { thread_id: first.eventId })]);
  assert.is(now(first.eventId), first.eventId);
  await subject.send([], [read(first.eventId, 50, { thread_id: '$made-up' })]);
  assert.is(now('$made-up'), undefined);
  await subject.close();
});

edus(
  'a message to a device arrives once, in whatever transaction it comes again, also after a restart',
  async () => {
    const subject = await Subject.open();
    const { accounts } = subject;
    const alice = await accounts.register({ username: 'alice' });
    for (const deviceId of ['ONE', 'TWO']) await accounts.startSession(alice, { deviceId });
    const message = (
      messageId: string,
      messages: JsonObject,
      sender: string = subject.user('bob'),
    ): JsonObject => edu('m.direct_to_device', { sender, type: 'm.test', message_id: messageId, messages });
    const inbox = (deviceId: string): unknown[] =>
      accounts.toDevice
        .after(alice, deviceId, 0, 100)
        .map(({ content, sender, type }) => [content, sender, type]);
    const toAll = message('id1', { [alice]: { '*': { n: 1 }, TWO: { n: 2 } } });
    await Promise.all([
      subject.send([], [toAll, toAll], { txnId: 'a' }),
      subject.send([], [toAll], { txnId: 'b' }),
    ]);
    await subject.stop();
    await subject.start();
    await subject.send([], [toAll], { txnId: 'c' });
    const bob: UserId = subject.user('bob');
    assert.equal(inbox('ONE'), [[{ n: 1 }, bob, 'm.test']]);
    assert.equal(inbox('TWO'), [[{ n: 2 }, bob, 'm.test']]);
    await subject.send(
      [],
      [
        message('id2', { [alice]: { ONE: { n: 3 } } }, subject.user('carol')),
        message('id3', { [alice]: { ONE: 'no object', THREE: { n: 3 } } }),
        message('id4', { [`@other:${GAMMA}`]: { '*': { n: 3 } } }),
        message('x'.repeat(200), { [alice]: { ONE: { n: 3 } } }),
        message('id5', { [alice]: { ONE: { body: 'x'.repeat(70_000) } } }),
      ],
    );
    assert.is(inbox('ONE').length, 1, 'what is forged, malformed or too much is passed over');
    await subject.send([], [message('id1', { [alice]: { ONE: { n: 9 } } }, subject.user('carol'))], {
      origin: GAMMA,
    });
    assert.is(inbox('ONE').length, 2, 'ids are of each server');
    await subject.close();
  },
);

edus('device lists, signing keys and presence of its own users are told as they are', async () => {
  const subject = await Subject.open();
  const { told, sink } = noting();
  subject.input.attach(sink);
  const bob = subject.user('bob');
  const presence = { user_id: bob, presence: 'online', last_active_ago: 5, currently_active: true };
  await subject.send(
    [],
    [
      edu('m.device_list_update', {
        user_id: bob,
        device_id: 'D',
        stream_id: 4,
        prev_id: [3, 'x'],
        keys: { a: 1 },
      }),
      edu('m.device_list_update', { user_id: bob, device_id: 'D' }),
      edu('m.signing_key_update', { user_id: bob, master_key: { keys: {} } }),
      edu('m.signing_key_update', { user_id: subject.user('carol') }),
      edu('m.presence', { push: [presence, { ...presence, user_id: subject.user('carol') }, 7] }),
      edu('m.presence', { push: 'x' }),
    ],
  );
  const update = { userId: bob, deviceId: 'D', streamId: 4, prevIds: [3], isDeleted: false };
  assert.equal(told, [
    ['device', { ...update, displayName: undefined, keys: { a: 1 } }],
    ['keys', { userId: bob, masterKey: { keys: {} }, selfSigningKey: undefined }],
    [
      'presence',
      { userId: bob, state: 'online', statusMessage: undefined, lastActiveAgoMs: 5, isCurrentlyActive: true },
    ],
  ]);
  await subject.close();
});

edus('whatever else comes is passed over', async () => {
  const subject = await Subject.open();
  const { told, sink } = noting();
  subject.input.attach(sink);
  const deep = JSON.parse(`${'{"a":'.repeat(200)}1${'}'.repeat(200)}`) as JsonObject;
  const contents: JsonObject[] = [{}, { room_id: 1 }, { push: [[]] }, { user_id: '@x' }, deep];
  const types = [
    'm.typing',
    'm.presence',
    'm.receipt',
    'm.direct_to_device',
    'm.device_list_update',
    'toString',
  ];
  for (const type of types) {
    await subject.send(
      [],
      contents.map((content) => edu(type, content)),
    );
  }
  await subject.send([], [{ edu_type: 'm.typing' }, { content: {} }]);
  assert.equal(told, []);
  await subject.close();
});

edus.run();
