// Registration by who knows a secret of the server, as Synapse has it: for scripts that make users.
//
//   GET  /_synapse/admin/v1/register    { nonce }
//   POST /_synapse/admin/v1/register    { nonce, username, password, admin, mac } -> as a login
//
// `mac` is the hex HMAC-SHA1, keyed by the secret, of nonce, username, password and `admin` or `notadmin` with a
// NUL between each, and of `user_type` where one is given (it changes nothing here). A nonce is good once and for a minute. Source: Synapse's documentation, "Shared-Secret
// Registration".

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { Type } from 'typebox';
import { StateroomError } from '../lib/errors.js';
import { type JsonObject, type JsonValue, own } from '../event/json.js';
import { invalidParam, MatrixError } from '../client/errors.js';
import type { Homeserver } from '../client/homeserver.js';
import type { ClientRequest, Route } from '../client/route.js';

const PATH = '/_synapse/admin/v1/register';
const NONCE_LIFETIME_MS = 60_000;
const NONCES_MAX = 10_000;
const PASSWORD_LENGTH_MAX = 512;

const BODY = Type.Object({
  nonce: Type.String(),
  username: Type.String({ minLength: 1 }),
  password: Type.String({ minLength: 1, maxLength: PASSWORD_LENGTH_MAX }),
  mac: Type.String(),
  admin: Type.Optional(Type.Boolean()),
  user_type: Type.Optional(Type.String()),
  displayname: Type.Optional(Type.String({ maxLength: 256 })),
});

/** The two endpoints; where there is no secret, they are not mounted. */
export function sharedSecretRoutes(secret: string): readonly Route[] {
  /** When each nonce ends, oldest first. */
  const nonces = new Map<string, number>();
  const issue = (home: Homeserver): JsonObject => {
    for (const [nonce, endsAt] of nonces) {
      if (endsAt > home.now() && nonces.size < NONCES_MAX) break;
      nonces.delete(nonce);
    }
    const nonce = randomBytes(32).toString('hex');
    nonces.set(nonce, home.now() + NONCE_LIFETIME_MS);
    return { nonce };
  };
  const register = async ({ body }: ClientRequest, home: Homeserver): Promise<JsonObject> => {
    const text = (name: string): string => textOf(own(body, name));
    const endsAt = nonces.get(text('nonce'));
    nonces.delete(text('nonce'));
    if (endsAt === undefined || endsAt <= home.now()) throw invalidParam('The nonce is not known, or over.');
    const isAdmin = own(body, 'admin') === true;
    const userType = own(body, 'user_type');
    const signed = [
      text('nonce'),
      text('username'),
      text('password'),
      isAdmin ? 'admin' : 'notadmin',
      ...(typeof userType === 'string' ? [userType] : []),
    ];
    if (signed.some((part) => part.includes('\0'))) throw invalidParam('There is a NUL in it.');
    const mac = createHmac('sha1', secret).update(signed.join('\0')).digest();
    const claimed = Buffer.from(text('mac'), 'hex');
    if (claimed.length !== mac.length || !timingSafeEqual(claimed, mac)) {
      throw new MatrixError(403, 'M_FORBIDDEN', 'The HMAC is wrong.');
    }
    return registered(home, text('username'), text('password'), isAdmin, text('displayname'));
  };
  return [
    { method: 'GET', path: PATH, auth: 'none', rateLimit: 'register', handler: (_, home) => issue(home) },
    { method: 'POST', path: PATH, auth: 'none', rateLimit: 'register', body: BODY, handler: register },
  ];
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : '';
}

async function registered(
  home: Homeserver,
  username: string,
  password: string,
  isAdmin: boolean,
  displayName: string,
): Promise<JsonObject> {
  const { accounts } = home;
  try {
    const userId = await accounts.register({ username, password, isAdmin });
    if (displayName !== '') await accounts.profiles.set(userId, 'displayname', displayName);
    const { accessToken, deviceId } = await accounts.startSession(userId);
    return {
      user_id: userId,
      access_token: accessToken,
      device_id: deviceId,
      home_server: home.options.serverName,
    };
  } catch (error) {
    if (!(error instanceof StateroomError)) throw error;
    const errcode = ERRCODES.get(error.code);
    throw errcode === undefined ? error : new MatrixError(400, errcode, error.message);
  }
}

const ERRCODES: ReadonlyMap<string, string> = new Map([
  ['ACCOUNT_USER_IN_USE', 'M_USER_IN_USE'],
  ['ACCOUNT_INVALID_USERNAME', 'M_INVALID_USERNAME'],
]);
