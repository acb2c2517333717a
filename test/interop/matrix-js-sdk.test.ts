// Two people and more talk through matrix-js-sdk: what its sync, timelines, relations and receipts make of our
// answers is what any client built on it shows.

import './sdk-surroundings.js';
import {
  Direction,
  EventType,
  type MatrixEvent,
  MatrixError,
  Method,
  MsgType,
  Preset,
  ReceiptType,
  RelationType,
  type Room,
} from 'matrix-js-sdk';
import * as assert from 'uvu/assert';
import { sdkSuite } from './sdk-suite.js';
import type { SdkUser } from './sdk-user.js';

const { test, newUser, newDevice } = sdkSuite('interop: matrix-js-sdk');

/** Two users who sync, in a room of the first. */
async function talking(a: string, b: string): Promise<{ alice: SdkUser; bob: SdkUser; roomId: string }> {
  const alice = await (await newUser(a)).start();
  const bob = await (await newUser(b)).start();
  const { room_id: roomId } = await alice.client.createRoom({
    preset: Preset.PrivateChat,
    name: 'Tea',
    invite: [bob.userId],
  });
  await bob.seesRoom(roomId, 'invite');
  await bob.client.joinRoom(roomId);
  await bob.seesRoom(roomId, 'join');
  await alice.sees('the other join', () => joinedMember(alice.client.getRoom(roomId), bob.userId));
  return { alice, bob, roomId };
}

function joinedMember(room: Room | null, userId: string) {
  const member = room?.getMember(userId);
  return member?.membership === 'join' ? member : undefined;
}

function bodies(room: Room): readonly unknown[] {
  return room
    .getLiveTimeline()
    .getEvents()
    .filter((event) => event.getType() === 'm.room.message')
    .map((event) => event.getContent()['body'] as unknown);
}

test('a user registers through the stages, logs in twice and out once', async () => {
  const phone = await newUser('hana');
  const laptop = await newDevice(phone);
  assert.equal(await phone.client.whoami(), {
    user_id: '@hana:localhost',
    device_id: phone.deviceId,
    is_guest: false,
  });
  const { devices } = await phone.client.getDevices();
  assert.equal(devices.map((device) => device.device_id).sort(), [phone.deviceId, laptop.deviceId].sort());
  await laptop.client.logout(true);
  const refusal: unknown = await laptop.client.whoami().catch((error: unknown) => error);
  assert.instance(refusal, MatrixError);
  assert.is(refusal instanceof MatrixError ? refusal.errcode : '', 'M_UNKNOWN_TOKEN');
  assert.is((await phone.client.getDevices()).devices.length, 1);
});

test('two users meet by an invite and read each other', async () => {
  const { alice, bob, roomId } = await talking('ada', 'ben');
  const hello = await alice.client.sendTextMessage(roomId, 'Hello Ben');
  await bob.seesEvent(roomId, hello.event_id);
  const reply = await bob.client.sendTextMessage(roomId, 'Hello Ada');
  const room = await alice.seesRoom(roomId, 'join');
  await alice.seesEvent(roomId, reply.event_id);
  assert.equal(bodies(room), ['Hello Ben', 'Hello Ada']);
  assert.equal(bodies(await bob.seesRoom(roomId, 'join')), ['Hello Ben', 'Hello Ada']);
  assert.is(room.name, 'Tea');
  assert.is(room.getVersion(), '12');
  assert.is(room.getJoinedMemberCount(), 2);
});

test('a message is there once: the device that sent it recognises its transaction, and may send it again', async () => {
  const { alice, roomId } = await talking('cleo', 'dan');
  const sent = await alice.client.sendTextMessage(roomId, 'once', 'txn-once');
  const event = await alice.seesEvent(roomId, sent.event_id);
  await alice.sees('its own echo', () => event.getUnsigned().transaction_id);
  const room = await alice.seesRoom(roomId, 'join');
  assert.equal(bodies(room), ['once']);
  const again = await alice.client.http.authedRequest<{ event_id: string }>(
    Method.Put,
    `/rooms/${encodeURIComponent(roomId)}/send/m.room.message/txn-once`,
    undefined,
    { msgtype: MsgType.Text, body: 'once' },
  );
  assert.is(again.event_id, sent.event_id);
});

test('an edit, a reaction and a redaction reach the other user', async () => {
  const { alice, bob, roomId } = await talking('eve', 'finn');
  const { event_id: original } = await alice.client.sendTextMessage(roomId, 'helo');
  const seen = await bob.seesEvent(roomId, original);
  await alice.client.sendMessage(roomId, {
    msgtype: MsgType.Text,
    body: '* hello',
    'm.new_content': { msgtype: MsgType.Text, body: 'hello' },
    'm.relates_to': { rel_type: RelationType.Replace, event_id: original },
  });
  await bob.sees('the edit', () => seen.replacingEvent());
  assert.is(seen.getContent()['body'], 'hello');

  const { event_id: reaction } = await bob.client.sendEvent(roomId, EventType.Reaction, {
    'm.relates_to': { rel_type: RelationType.Annotation, event_id: original, key: '👍' },
  });
  const reactions = (): ReadonlyArray<[string, number]> =>
    (
      alice.client
        .getRoom(roomId)
        ?.relations.getChildEventsForEvent(original, RelationType.Annotation, EventType.Reaction)
        ?.getSortedAnnotationsByKey() ?? []
    ).map(([key, events]): [string, number] => [key, events.size]);
  await alice.sees('the reaction', () => (reactions().length > 0 ? true : undefined));
  assert.equal(reactions(), [['👍', 1]]);

  await bob.client.redactEvent(roomId, reaction, undefined, { reason: 'a slip' });
  await alice.sees('the redaction', () => (reactions().some(([, count]) => count > 0) ? undefined : true));
  const redacted = alice.client.getRoom(roomId)?.findEventById(reaction);
  assert.ok(redacted === undefined || redacted.isRedacted());

  await alice.client.redactEvent(roomId, original);
  await bob.sees('the redacted message', () => seen.isRedacted() || undefined);
  const fetched = await bob.client.fetchRoomEvent(roomId, original);
  assert.equal(fetched.content, {});
});

test('read receipts, unread counts and typing are seen', async () => {
  const { alice, bob, roomId } = await talking('gus', 'hope');
  const { event_id: question } = await alice.client.sendTextMessage(roomId, 'are you there?');
  const seen = await bob.seesEvent(roomId, question);
  const bobsRoom = await bob.seesRoom(roomId, 'join');
  await bob.sees('one unread message', () => bobsRoom.getUnreadNotificationCount() === 1 || undefined);

  await bob.client.sendReadReceipt(seen, ReceiptType.Read, true);
  const room = await alice.seesRoom(roomId, 'join');
  await alice.sees('the receipt', () => room.hasUserReadEvent(bob.userId, question) || undefined);
  await bob.sees('nothing unread', () => bobsRoom.getUnreadNotificationCount() === 0 || undefined);

  await bob.client.setRoomReadMarkers(roomId, question, seen);
  const marker = await bob.sees('the read marker', () => bobsRoom.getAccountData(EventType.FullyRead));
  assert.is(marker.getContent()['event_id'], question);

  await bob.client.sendTyping(roomId, true, 30_000);
  await alice.sees('typing', () => room.getMember(bob.userId)?.typing || undefined);
  await bob.client.sendTyping(roomId, false, 0);
  await alice.sees('no typing', () => room.getMember(bob.userId)?.typing === false || undefined);
});

test('members are loaded lazily: who spoke at first, all when asked', async () => {
  const owner = await newUser('ida');
  const { room_id: roomId } = await owner.client.createRoom({ preset: Preset.PublicChat });
  const crowd: SdkUser[] = [];
  for (let i = 0; i < 9; i++) {
    const user = await newUser(`member${i}`);
    await user.client.joinRoom(roomId);
    crowd.push(user);
  }
  const [first, speaker] = crowd;
  assert.ok(first);
  assert.ok(speaker);
  await speaker.client.sendTextMessage(roomId, 'I speak');
  await first.start({ initialSyncLimit: 1 });
  const room = await first.seesRoom(roomId, 'join');
  assert.is(room.getJoinedMemberCount(), 10);
  assert.ok(joinedMember(room, first.userId));
  assert.ok(joinedMember(room, speaker.userId));
  const known = room.currentState.getMembers().length;
  assert.ok(known < 10, `all ${known} members were sent`);
  await room.loadMembersIfNeeded();
  assert.is(room.currentState.getMembers().filter(({ membership }) => membership === 'join').length, 10);
});

test('scrolling back reaches the creation of the room, nothing twice and nothing missed', async () => {
  const owner = await newUser('jon');
  const { room_id: roomId } = await owner.client.createRoom({ preset: Preset.PrivateChat });
  const sent: string[] = [];
  for (let i = 0; i < 25; i++) {
    sent.push(`message ${i}`);
    await owner.client.sendTextMessage(roomId, `message ${i}`);
  }
  await owner.start({ initialSyncLimit: 4 });
  const room = await owner.seesRoom(roomId, 'join');
  const timeline = room.getLiveTimeline();
  assert.is(timeline.getEvents().length, 4);
  const isCreation = (event: MatrixEvent | undefined): boolean => event?.getType() === EventType.RoomCreate;
  for (let pages = 0; pages < 20 && !isCreation(timeline.getEvents()[0]); pages++) {
    await owner.client.scrollback(room, 7);
  }
  assert.ok(isCreation(timeline.getEvents()[0]));
  assert.equal(bodies(room), sent);
  const ids = timeline.getEvents().map((event) => event.getId());
  assert.is(new Set(ids).size, ids.length);
});

test('a gap after a pause is filled from both sides', async () => {
  const { alice, bob, roomId } = await talking('kim', 'leo');
  const { event_id: before } = await alice.client.sendTextMessage(roomId, 'before');
  await bob.seesEvent(roomId, before);
  bob.stop();
  for (let i = 0; i < 12; i++) await alice.client.sendTextMessage(roomId, `while away ${i}`);
  await alice.client.setRoomTopic(roomId, 'changed meanwhile');
  const later = await newDevice(bob);
  await later.start({ initialSyncLimit: 3 });
  const room = await later.seesRoom(roomId, 'join');
  const context = await later.client.getEventTimeline(room.getUnfilteredTimelineSet(), before);
  assert.ok(context);
  assert.ok(context.getEvents().some((event) => event.getId() === before));
  await later.client.paginateEventTimeline(context, { backwards: false, limit: 30 });
  assert.ok(context.getEvents().length > 1);
  assert.is(context.getState(Direction.Forward)?.roomId, roomId);
  const topic = room.currentState.getStateEvents(EventType.RoomTopic, '');
  assert.is(topic?.getContent()['topic'], 'changed meanwhile');
});

test('profiles, tags and account data follow a user to another device', async () => {
  const { alice, bob, roomId } = await talking('mia', 'ned');
  await alice.client.setDisplayName('Mia M.');
  const room = await bob.seesRoom(roomId, 'join');
  await bob.sees(
    'the new name',
    () => room.getMember(alice.userId)?.rawDisplayName === 'Mia M.' || undefined,
  );
  assert.equal(await bob.client.getProfileInfo(alice.userId), { displayname: 'Mia M.' });

  await alice.client.setRoomTag(roomId, 'm.favourite', { order: 0.25 });
  await alice.client.setAccountData(EventType.Direct, { [bob.userId]: [roomId] });
  const laptop = await newDevice(alice);
  await laptop.start();
  const there = await laptop.seesRoom(roomId, 'join');
  await laptop.sees('the tag', () => there.tags['m.favourite']);
  assert.equal(there.tags, { 'm.favourite': { order: 0.25 } });
  assert.equal(laptop.client.getAccountData(EventType.Direct)?.getContent(), { [bob.userId]: [roomId] });
});

test('kicks, bans, ignored users and leaving are what both sides see', async () => {
  const { alice, bob, roomId } = await talking('ora', 'pat');
  await alice.client.kick(roomId, bob.userId, 'for the test');
  await bob.seesRoom(roomId, 'leave');
  const { room_id: other } = await alice.client.createRoom({ preset: Preset.PublicChat });
  await bob.client.joinRoom(other);
  await bob.seesRoom(other, 'join');
  await bob.client.setIgnoredUsers([alice.userId]);
  await bob.sees('the ignored user', () => bob.client.isUserIgnored(alice.userId) || undefined);
  await alice.client.sendTextMessage(other, 'unheard');
  const { event_id: own } = await bob.client.sendTextMessage(other, 'heard');
  const room = await bob.seesRoom(other, 'join');
  await bob.sees('the own message', () => room.findEventById(own)?.getUnsigned().transaction_id);
  assert.equal(bodies(room), ['heard']);
  await alice.client.ban(other, bob.userId);
  await bob.seesRoom(other, 'ban');
  const refusal: unknown = await bob.client.joinRoom(other).catch((error: unknown) => error);
  assert.is(refusal instanceof MatrixError ? refusal.errcode : '', 'M_FORBIDDEN');
  await alice.client.leave(roomId);
  await alice.seesRoom(roomId, 'leave');
  await alice.client.forget(roomId);
  assert.is(alice.client.getRoom(roomId), null);
});

test.run();
