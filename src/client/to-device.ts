// Messages from device to device.
//
// Source: client-server API, "Send-to-Device messaging".

import type { ToDeviceMessage } from '../account/to-device.js';
import { serverOf, type UserId } from '../event/ids.js';
import { isObject, type JsonObject, own } from '../event/json.js';
import { badJson, MatrixError, missingParam } from './errors.js';
import type { Homeserver } from './homeserver.js';
import { bodyObject, param, userIdOf } from './request-fields.js';
import type { AuthenticatedRequest, Route } from './route.js';
import { storable, storableName } from './stored-json.js';

const ALL_DEVICES = '*';
/** Users, and devices, that one request reaches. */
const DEVICES_MAX = 5_000;
/** As large as an event may be. */
const CONTENT_BYTES_MAX = 64 * 1024;
const BODY_BYTES_MAX = 4 * 1024 * 1024;

async function send(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const { userId, deviceId } = request.user;
  const type = storableName(param(request, 'eventType'), 'The event type');
  const txnId = storableName(param(request, 'txnId'), 'The transaction id');
  const { accounts, engine } = home;
  const endpoint = `sendToDevice/${type}`;
  return accounts.transactions.once({ userId, deviceId, endpoint, txnId }, async (recordOf) => {
    const { here, elsewhere } = messagesOf(request, home, type);
    // Handed over in one turn: all of it is kept, or nothing.
    await Promise.all([
      engine.internal.write([...accounts.toDevice.records(here), ...recordOf({})]),
      elsewhere.size === 0 ? undefined : home.federation?.sender.sendToDevice(userId, type, elsewhere),
    ]);
    return {};
  });
}

interface Messages {
  /** One for each device of this server that is there. */
  readonly here: readonly ToDeviceMessage[];
  /** As they are, `*` among them: their servers know which devices there are. */
  readonly elsewhere: ReadonlyMap<UserId, ReadonlyMap<string, JsonObject>>;
}

/** Who or what is not there, nobody is told. */
function messagesOf({ user, body }: AuthenticatedRequest, home: Homeserver, type: string): Messages {
  if (own(body, 'messages') === undefined) throw missingParam('messages is missing.');
  const messages: ToDeviceMessage[] = [];
  const elsewhere = new Map<UserId, ReadonlyMap<string, JsonObject>>();
  let remote = 0;
  const users = Object.entries(bodyObject(body, 'messages') ?? {});
  checkNumber(users.length);
  for (const [text, byDevice] of users) {
    const userId = userIdOf(text);
    if (!isObject(byDevice)) throw badJson('messages holds an object for each user.');
    const devices = new Map<string, JsonObject>();
    for (const [deviceId, content] of Object.entries(byDevice)) {
      if (!isObject(content)) throw badJson('A message is an object.');
      storable(content, CONTENT_BYTES_MAX);
      if (deviceId !== ALL_DEVICES) devices.set(deviceId, content);
    }
    checkNumber(devices.size);
    if (serverOf(userId) !== home.options.serverName) {
      const forAll = own(byDevice, ALL_DEVICES);
      if (isObject(forAll)) devices.set(ALL_DEVICES, forAll);
      for (const deviceId of devices.keys()) storableName(deviceId, 'A device id');
      if (devices.size > 0) elsewhere.set(userId, devices);
      checkNumber((remote += devices.size));
      continue;
    }
    for (const [deviceId, content] of everyDevice(home, userId, byDevice, devices)) {
      messages.push({ userId, deviceId, type, sender: user.userId, content });
    }
    checkNumber(messages.length);
  }
  return { here: messages, elsewhere };
}

function checkNumber(reached: number): void {
  if (reached <= DEVICES_MAX) return;
  throw new MatrixError(413, 'M_TOO_LARGE', `At most ${DEVICES_MAX} users and devices are reached at once.`);
}

/** The devices that are there, and what each is sent: its own message before the one for all. */
function everyDevice(
  { accounts }: Homeserver,
  userId: ToDeviceMessage['userId'],
  byDevice: JsonObject,
  named: ReadonlyMap<string, JsonObject>,
): (readonly [deviceId: string, content: JsonObject])[] {
  const forAll = own(byDevice, ALL_DEVICES);
  if (isObject(forAll)) {
    return accounts.devices
      .list(userId)
      .map(({ deviceId }) => [deviceId, named.get(deviceId) ?? forAll] as const);
  }
  return [...named].filter(([deviceId]) => accounts.devices.get(userId, deviceId) !== undefined);
}

export const toDeviceRoutes: readonly Route[] = [
  {
    method: 'PUT',
    path: '/_matrix/client/v3/sendToDevice/:eventType/:txnId',
    auth: 'user',
    rateLimit: 'message',
    bodyBytesMax: BODY_BYTES_MAX,
    handler: send,
  },
];
