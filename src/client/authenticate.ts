// Who makes a request: by its access token, before the handler is called.
//
// Source: client-server API, "Using access tokens", "Soft logout".

import type { Homeserver } from './homeserver.js';
import { MatrixError } from './errors.js';
import type { Requester, Route } from './route.js';

/** Longer ones were never given out. */
const TOKEN_LENGTH_MAX = 512;

/**
 * The user of an `Authorization: Bearer` header's token.
 *
 * @param auth what the route asks for: with `optional` a missing token is no fault, a wrong one is
 * @throws MatrixError 401 M_MISSING_TOKEN, M_UNKNOWN_TOKEN (with `soft_logout` where only the token ran out)
 */
export function authenticate(
  home: Homeserver,
  accessToken: string | undefined,
  auth: Route['auth'],
  ip: string,
): Requester | undefined {
  if (auth === 'none') return undefined;
  if (accessToken === undefined || accessToken === '') {
    if (auth === 'optional') return undefined;
    throw new MatrixError(401, 'M_MISSING_TOKEN', 'This request needs an access token.');
  }
  const { accounts } = home;
  const check =
    accessToken.length > TOKEN_LENGTH_MAX
      ? ({ kind: 'unknown' } as const)
      : accounts.tokens.check(accessToken);
  if (check.kind === 'expired') throw unknownToken('The access token has expired.', true);
  if (check.kind === 'unknown') throw unknownToken('The access token is not known.', false);
  const { userId, deviceId, tokenHash } = check.owner;
  const user = accounts.users.get(userId);
  if (user === undefined || user.isDeactivated) throw unknownToken('The user is gone.', false);
  // When it was seen is told to the user only; the request does not wait for it to be written.
  accounts.devices.seen(userId, deviceId, ip)?.catch(() => undefined);
  return { userId, deviceId, tokenHash, isAdmin: user.isAdmin };
}

/** The refusal of a token. @param isSoft the device may log in again and keep what it knows */
export function unknownToken(message: string, isSoft: boolean): MatrixError {
  return new MatrixError(401, 'M_UNKNOWN_TOKEN', message, { soft_logout: isSoft });
}
