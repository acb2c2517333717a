// Logging out: the device goes, with its tokens and all that was kept for it.
//
// Source: client-server API, "POST /logout", "POST /logout/all".

import type { JsonObject } from '../event/json.js';
import type { Homeserver } from './homeserver.js';
import type { AuthenticatedRequest, Route } from './route.js';

async function logout({ user }: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  await home.accounts.removeDevices(user.userId, [user.deviceId]);
  return {};
}

async function logoutAll({ user: { userId } }: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const { accounts } = home;
  await accounts.removeDevices(
    userId,
    accounts.devices.list(userId).map(({ deviceId }) => deviceId),
  );
  return {};
}

export const logoutRoutes: readonly Route[] = [
  { method: 'POST', path: '/_matrix/client/v3/logout', auth: 'user', rateLimit: 'other', handler: logout },
  {
    method: 'POST',
    path: '/_matrix/client/v3/logout/all',
    auth: 'user',
    rateLimit: 'other',
    handler: logoutAll,
  },
];
