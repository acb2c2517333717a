// An echo bot on matrix-bot-sdk, the other library that things are built on: it joins where it is invited,
// answers what it hears, and after a pause goes on from the sync token it kept.
//
// The package of its cryptography downloads a native library while it is installed; `overrides` in package.json
// put another in its place, since this bot encrypts nothing.

import './sdk-surroundings.js';
import { once } from 'node:events';
import {
  AutojoinRoomsMixin,
  LogLevel,
  LogService,
  MatrixAuth,
  MatrixClient,
  MemoryStorageProvider,
} from 'matrix-bot-sdk';
import { Preset } from 'matrix-js-sdk';
import * as assert from 'uvu/assert';
import { sdkSuite } from './sdk-suite.js';
import type { SdkUser } from './sdk-user.js';

LogService.setLevel(LogLevel.ERROR);
// It takes it for an error that there is no account data of a type yet.
LogService.muteModule('MatrixHttpClient');

const { test, newUser, server } = sdkSuite('interop: matrix-bot-sdk');

interface Heard {
  readonly sender: string;
  readonly event_id: string;
  readonly content: { readonly body?: string; readonly msgtype?: string };
}

/** Answers each text with the same text. What goes wrong in it is kept. */
function echoBot(
  address: string,
  token: string,
  storage: MemoryStorageProvider,
  faults: unknown[],
): MatrixClient {
  const bot = new MatrixClient(address, token, storage);
  AutojoinRoomsMixin.setupOnClient(bot);
  bot.on('room.message', (roomId: string, heard: Heard) => {
    answer(bot, roomId, heard).catch((error: unknown) => faults.push(error));
  });
  return bot;
}

async function answer(
  bot: MatrixClient,
  roomId: string,
  { sender, content, event_id: id }: Heard,
): Promise<void> {
  if (content.msgtype !== 'm.text' || sender === (await bot.getUserId())) return;
  await bot.sendReadReceipt(roomId, id);
  await bot.replyText(roomId, { event_id: id, sender, content }, `echo: ${content.body}`);
}

function echoes(person: SdkUser, roomId: string, text: string) {
  return person.sees(`the echo of ${text}`, () =>
    person.client
      .getRoom(roomId)
      ?.getLiveTimeline()
      .getEvents()
      .find((event) => String(event.getContent()['body']).endsWith(`echo: ${text}`)),
  );
}

test('an echo bot joins by an invite, answers, and after a pause answers what it missed once', async () => {
  const person = await (await newUser('paula')).start();
  const account = await newUser('echo');
  const { address } = await server();
  const signedIn = await new MatrixAuth(address).passwordLogin('echo', account.password, 'bot');
  const storage = new MemoryStorageProvider();
  const faults: unknown[] = [];
  const bot = echoBot(address, signedIn.accessToken, storage, faults);
  const joined = once(bot, 'room.join');
  await bot.start();

  const { room_id: roomId } = await person.client.createRoom({
    preset: Preset.PrivateChat,
    name: 'Canyon',
    invite: [account.userId],
  });
  const [joinedRoom]: unknown[] = await joined;
  assert.is(joinedRoom, roomId);
  assert.equal(await bot.getJoinedRooms(), [roomId]);
  await person.client.sendTextMessage(roomId, 'halloo');
  const echo = await echoes(person, roomId, 'halloo');
  assert.is(echo.getSender(), account.userId);

  // `stop` does not call back the long poll that is under way: what it brings is not to be answered by both.
  bot.stop();
  bot.removeAllListeners('room.message');
  const kept = new MemoryStorageProvider();
  kept.setSyncToken(storage.getSyncToken());
  await person.client.sendTextMessage(roomId, 'still there?');
  const again = echoBot(address, signedIn.accessToken, kept, faults);
  await again.start();
  await echoes(person, roomId, 'still there?');
  await person.client.sendTextMessage(roomId, 'good');
  await echoes(person, roomId, 'good');
  again.stop();

  const room = await person.seesRoom(roomId, 'join');
  const answers = room
    .getLiveTimeline()
    .getEvents()
    .filter((event) => event.getType() === 'm.room.message' && event.getSender() === account.userId);
  assert.is(answers.length, 3);
  assert.equal(faults, []);
});

test.run();
