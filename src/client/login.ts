// Logging in by password, and getting new tokens for old.
//
// Source: client-server API, "Login", "Refreshing access tokens".

import { fitsBytes, MAX_ID_BYTES, type UserId } from '../event/ids.js';
import { isObject, type JsonObject, own } from '../event/json.js';
import type { SessionStarted } from '../account/accounts.js';
import { KEY_USAGES } from '../account/cross-signing.js';
import { PASSWORD_BYTES_MAX } from '../account/passwords.js';
import { unknownToken } from './authenticate.js';
import { checkedPassword } from './checked-password.js';
import { badJson, forbidden, invalidParam, MatrixError, missingParam } from './errors.js';
import type { Homeserver } from './homeserver.js';
import { bodyFlag, bodyText } from './request-fields.js';
import type { AuthenticatedRequest, Route } from './route.js';
import { namedUser } from './uia.js';
import { wellKnown } from './well-known.js';

const DISPLAY_NAME_BYTES_MAX = 255;

/** What a login or a registration says of its device. */
export interface DeviceFields {
  readonly deviceId: string | undefined;
  readonly displayName: string | undefined;
  readonly lifetimeMs: number | undefined;
}

/** @throws MatrixError 400 */
export function deviceFields(home: Homeserver, body: JsonObject): DeviceFields {
  const canRefresh = bodyFlag(body, 'refresh_token') ?? false;
  return {
    deviceId: deviceIdOf(body),
    displayName: deviceNameOf(body, 'initial_device_display_name'),
    lifetimeMs: canRefresh ? home.options.accessTokenLifetimeMs : undefined,
  };
}

function deviceIdOf(body: JsonObject): string | undefined {
  const deviceId = bodyText(body, 'device_id');
  if (deviceId === undefined) return undefined;
  if (deviceId === '' || !fitsBytes(deviceId, MAX_ID_BYTES) || /\p{Cc}/u.test(deviceId)) {
    throw invalidParam(`A device id has 1 to ${MAX_ID_BYTES} bytes, none of them a control character.`);
  }
  return deviceId;
}

/** The name of a device. @throws MatrixError 400 */
export function deviceNameOf(body: JsonObject, field: string): string | undefined {
  const name = bodyText(body, field);
  if (name !== undefined && !fitsBytes(name, DISPLAY_NAME_BYTES_MAX)) {
    throw invalidParam(`The name of a device has at most ${DISPLAY_NAME_BYTES_MAX} bytes.`);
  }
  return name;
}

/** A password that is to be set. @throws MatrixError 400 */
export function newPassword(body: JsonObject, field: string): string {
  const password = bodyText(body, field);
  if (password === undefined) throw missingParam(`${field} is missing.`);
  if (password === '') throw new MatrixError(400, 'M_WEAK_PASSWORD', 'The password is empty.');
  if (!fitsBytes(password, PASSWORD_BYTES_MAX)) {
    throw invalidParam(`A password has at most ${PASSWORD_BYTES_MAX} bytes.`);
  }
  return password;
}

/** What the client is told of its session. */
export function sessionAnswer(home: Homeserver, session: SessionStarted): JsonObject {
  return {
    user_id: session.userId,
    access_token: session.accessToken,
    device_id: session.deviceId,
    home_server: home.options.serverName,
    ...(session.refreshToken === undefined ? {} : { refresh_token: session.refreshToken }),
    ...(session.expiresInMs === undefined ? {} : { expires_in_ms: session.expiresInMs }),
  };
}

function loginFlows(): JsonObject {
  return { flows: [{ type: 'm.login.password' }] };
}

async function login({ body }: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const type = own(body, 'type');
  if (type === undefined) throw missingParam('type is missing.');
  if (typeof type !== 'string') throw badJson('type is a string.');
  if (type !== 'm.login.password') {
    throw new MatrixError(400, 'M_UNKNOWN', 'This server knows the login type m.login.password only.');
  }
  const device = deviceFields(home, body);
  const password = bodyText(body, 'password');
  if (password === undefined) throw missingParam('password is missing.');
  const isTooLong = !fitsBytes(password, PASSWORD_BYTES_MAX);
  const user = await checkedPassword(home, namedUser(body) ?? '', isTooLong ? '' : password);
  if (user === undefined) throw forbidden('The user name or the password is wrong.');
  if (device.deviceId !== undefined && isCrossSigningKey(home, user.userId, device.deviceId)) {
    throw forbidden('That is the id of a cross-signing key of yours, and can be none of a device.');
  }
  const session = await home.accounts.startSession(user.userId, device);
  return { ...sessionAnswer(home, session), well_known: wellKnown(home) };
}

function isCrossSigningKey(home: Homeserver, userId: UserId, id: string): boolean {
  return KEY_USAGES.some((usage) => {
    const keys = own(home.accounts.crossSigning.get(userId, usage) ?? {}, 'keys');
    return isObject(keys) && own(keys, `ed25519:${id}`) !== undefined;
  });
}

async function refresh({ body }: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const token = bodyText(body, 'refresh_token');
  if (token === undefined) throw missingParam('refresh_token is missing.');
  const tokens = await home.accounts.tokens.refresh(token, home.options.accessTokenLifetimeMs);
  if (tokens === undefined) throw unknownToken('The refresh token is not known, or has been used.', false);
  const { accessToken, refreshToken, expiresInMs } = tokens;
  return {
    access_token: accessToken,
    ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
    ...(expiresInMs === undefined ? {} : { expires_in_ms: expiresInMs }),
  };
}

export const loginRoutes: readonly Route[] = [
  { method: 'GET', path: '/_matrix/client/v3/login', auth: 'none', rateLimit: 'other', handler: loginFlows },
  { method: 'POST', path: '/_matrix/client/v3/login', auth: 'none', rateLimit: 'login', handler: login },
  { method: 'POST', path: '/_matrix/client/v3/refresh', auth: 'none', rateLimit: 'login', handler: refresh },
];
