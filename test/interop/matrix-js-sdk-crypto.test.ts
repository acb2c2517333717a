// End-to-end encryption between real clients: matrix-js-sdk's Rust crypto makes, signs, shares and checks the
// keys; our server carries them.

import './sdk-surroundings.js';
import { EventType, type MatrixEvent, Preset } from 'matrix-js-sdk';
import { CryptoEvent } from 'matrix-js-sdk/lib/crypto-api/CryptoEvent.js';
import {
  type CryptoApi,
  type VerificationRequest,
  VerificationPhase,
  VerificationRequestEvent,
  type Verifier,
  VerifierEvent,
} from 'matrix-js-sdk/lib/crypto-api/index.js';
import * as assert from 'uvu/assert';
import { sdkSuite } from './sdk-suite.js';
import { PATIENCE_MS, type SdkUser } from './sdk-user.js';

const { test, newUser, newDevice } = sdkSuite('interop: matrix-js-sdk, encrypted');

const SAS = 'm.sas.v1';

async function encrypting(user: SdkUser): Promise<CryptoApi> {
  await user.client.initRustCrypto({ useIndexedDB: false });
  await user.start();
  return cryptoOf(user);
}

function cryptoOf(user: SdkUser): CryptoApi {
  const crypto = user.client.getCrypto();
  if (crypto === undefined) throw new Error('the client has no cryptography');
  return crypto;
}

/** An encrypted room of both. */
async function encryptedRoom(alice: SdkUser, bob: SdkUser): Promise<string> {
  const { room_id: roomId } = await alice.client.createRoom({
    preset: Preset.TrustedPrivateChat,
    is_direct: true,
    invite: [bob.userId],
    initial_state: [
      { type: EventType.RoomEncryption, state_key: '', content: { algorithm: 'm.megolm.v1.aes-sha2' } },
    ],
  });
  await bob.seesRoom(roomId, 'invite');
  await bob.client.joinRoom(roomId);
  await bob.seesRoom(roomId, 'join');
  await alice.sees(
    'the other join',
    () => alice.client.getRoom(roomId)?.getMember(bob.userId)?.membership === 'join' || undefined,
  );
  return roomId;
}

/** The event as this device decrypts it. */
async function decrypted(user: SdkUser, roomId: string, eventId: string): Promise<MatrixEvent> {
  const event = await user.seesEvent(roomId, eventId);
  await user.sees('the key', () =>
    event.isBeingDecrypted() || event.isDecryptionFailure() || event.getClearContent() === null
      ? undefined
      : true,
  );
  return event;
}

/** Cross-signing keys for the user, uploaded with the password where the server asks for it. */
async function crossSigned(user: SdkUser): Promise<void> {
  await cryptoOf(user).bootstrapCrossSigning({
    authUploadDeviceSigningKeys: async (upload) => {
      await upload({
        type: 'm.login.password',
        identifier: { type: 'm.id.user', user: user.userId },
        password: user.password,
      });
    },
  });
}

/** A client takes no request to verify from a device that it does not know yet. */
async function knows(user: SdkUser, other: SdkUser): Promise<void> {
  await user.sees(`the device ${other.deviceId}`, async () => {
    const devices = await cryptoOf(user).getUserDeviceInfo([other.userId]);
    return devices.get(other.userId)?.get(other.deviceId);
  });
}

/** The next request to verify that reaches the user. */
function received(user: SdkUser): Promise<VerificationRequest> {
  let request: VerificationRequest | undefined;
  user.client.once(CryptoEvent.VerificationRequestReceived, (next) => {
    request = next;
  });
  return user.sees('a request to verify', () => request);
}

/** Both compare emoji, and both say that they match; what each was shown. */
async function compared(asking: VerificationRequest, asked: VerificationRequest): Promise<readonly string[]> {
  await asked.accept();
  await reached(asking, VerificationPhase.Ready);
  const first = await asking.startVerification(SAS);
  await reached(asked, VerificationPhase.Started);
  const second = asked.verifier;
  assert.ok(second);
  const shown = [emojiOf(first), emojiOf(second)];
  await Promise.all([first.verify(), second.verify()]);
  return Promise.all(shown);
}

function reached(request: VerificationRequest, phase: VerificationPhase): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (fault?: string): void => {
      clearTimeout(timer);
      request.off(VerificationRequestEvent.Change, look);
      if (fault === undefined) resolve();
      else reject(new Error(fault));
    };
    const look = (): void => {
      if (request.phase === VerificationPhase.Cancelled) settle(`cancelled: ${request.cancellationCode}`);
      else if (request.phase >= phase) settle();
    };
    const timer = setTimeout(() => settle(`the verification stayed in phase ${request.phase}`), PATIENCE_MS);
    request.on(VerificationRequestEvent.Change, look);
    look();
  });
}

/** What a person would compare; says at once that it matches. */
function emojiOf(verifier: Verifier): Promise<string> {
  return new Promise((resolve, reject) => {
    verifier.on(VerifierEvent.Cancel, reject);
    verifier.on(VerifierEvent.ShowSas, (shown) => {
      resolve(shown.sas.emoji?.map(([emoji]) => emoji).join(' ') ?? '');
      shown.confirm().catch(reject);
    });
  });
}

test('two users read each other, and the server has only ciphertext', async () => {
  const alice = await newUser('anna');
  const bob = await newUser('bert');
  await encrypting(alice);
  await encrypting(bob);
  const roomId = await encryptedRoom(alice, bob);

  const { event_id: question } = await alice.client.sendTextMessage(roomId, 'can you read this?');
  assert.is((await decrypted(bob, roomId, question)).getContent()['body'], 'can you read this?');
  const { event_id: answer } = await bob.client.sendTextMessage(roomId, 'every word');
  assert.is((await decrypted(alice, roomId, answer)).getContent()['body'], 'every word');

  const stored = await alice.client.fetchRoomEvent(roomId, question);
  assert.is(stored.type, EventType.RoomMessageEncrypted);
  assert.not.match(JSON.stringify(stored), 'can you read this?');
});

test('a second device is verified by emoji, gets the cross-signing keys and reads what comes', async () => {
  const phone = await newUser('carla');
  const friend = await newUser('dora');
  const phoneCrypto = await encrypting(phone);
  await encrypting(friend);
  await crossSigned(phone);
  assert.ok(await phoneCrypto.isCrossSigningReady());
  const roomId = await encryptedRoom(phone, friend);

  const laptop = await newDevice(phone);
  const laptopCrypto = await encrypting(laptop);
  await laptop.sees('the user to have cross-signing keys', async () =>
    (await laptopCrypto.userHasCrossSigningKeys(laptop.userId, true)) ? true : undefined,
  );
  await knows(phone, laptop);
  const incoming = received(phone);
  const [shownHere, shownThere] = await compared(
    await laptopCrypto.requestOwnUserVerification(),
    await incoming,
  );
  assert.ok(shownHere);
  assert.is(shownHere, shownThere);
  await laptop.sees('the private keys', async () =>
    (await laptopCrypto.isCrossSigningReady()) ? true : undefined,
  );
  for (const [crypto, other] of [
    [phoneCrypto, laptop],
    [laptopCrypto, phone],
  ] as const) {
    const status = await crypto.getDeviceVerificationStatus(other.userId, other.deviceId);
    assert.is(status?.crossSigningVerified, true);
  }

  const { event_id: told } = await friend.client.sendTextMessage(roomId, 'to both of you');
  for (const device of [phone, laptop]) {
    assert.is((await decrypted(device, roomId, told)).getContent()['body'], 'to both of you');
  }
});

test('two users verify each other in their room, and with that all devices they signed', async () => {
  const alice = await newUser('elsa');
  const bob = await newUser('fred');
  const aliceCrypto = await encrypting(alice);
  await encrypting(bob);
  await crossSigned(alice);
  await crossSigned(bob);
  const roomId = await encryptedRoom(alice, bob);
  await alice.sees('their keys', async () =>
    (await aliceCrypto.userHasCrossSigningKeys(bob.userId, true)) ? true : undefined,
  );

  await knows(bob, alice);
  const incoming = received(bob);
  const [shownHere, shownThere] = await compared(
    await aliceCrypto.requestVerificationDM(bob.userId, roomId),
    await incoming,
  );
  assert.is(shownHere, shownThere);
  for (const [user, other] of [
    [alice, bob],
    [bob, alice],
  ] as const) {
    await user.sees('the other user as verified', async () => {
      const status = await cryptoOf(user).getUserVerificationStatus(other.userId);
      return status.isCrossSigningVerified() || undefined;
    });
    const device = await cryptoOf(user).getDeviceVerificationStatus(other.userId, other.deviceId);
    assert.is(device?.crossSigningVerified, true);
  }
});

test.run();
