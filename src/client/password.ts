// A new password. Who is logged in shows the old one; who is not shows it with their name.
//
// Source: client-server API, "POST /account/password".

import type { UserId } from '../event/ids.js';
import { isObject, type JsonObject, own } from '../event/json.js';
import type { Homeserver } from './homeserver.js';
import { newPassword } from './login.js';
import { bodyFlag } from './request-fields.js';
import type { AuthenticatedRequest, Route } from './route.js';
import { interactively, namedUser, PASSWORD_FLOWS } from './uia.js';

async function changePassword(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const { body, requester } = request;
  const password = newPassword(body, 'new_password');
  const logsOut = bodyFlag(body, 'logout_devices') ?? true;
  const userId = await confirmedUser(request, home, 'password');
  const others = home.accounts.devices
    .list(userId)
    .map(({ deviceId }) => deviceId)
    .filter((deviceId) => deviceId !== requester?.deviceId);
  await home.accounts.setPassword(userId, password, logsOut ? others : []);
  return {};
}

/**
 * The user who has shown their password: the one logged in, or the one whom the authentication names.
 * @param deed what is to be done
 * @throws MatrixError 401 while it has not been shown
 */
export async function confirmedUser(
  request: AuthenticatedRequest,
  home: Homeserver,
  deed: string,
): Promise<UserId> {
  const userId = request.requester?.userId ?? namedInAuth(request, home);
  const purpose = JSON.stringify([deed, request.requester?.userId ?? '']);
  await interactively(home, request, { flows: PASSWORD_FLOWS, purpose, userId });
  return userId;
}

/** Nobody is `''`: a password is asked for, and none is right. */
function namedInAuth({ body }: AuthenticatedRequest, home: Homeserver): UserId {
  const auth = own(body, 'auth');
  const name = isObject(auth) ? namedUser(auth) : undefined;
  return (name === undefined ? undefined : home.accounts.users.find(name)?.userId) ?? ('' as UserId);
}

export const passwordRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: '/_matrix/client/v3/account/password',
    auth: 'optional',
    rateLimit: 'login',
    handler: changePassword,
  },
];
