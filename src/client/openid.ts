// OpenID tokens: how a user proves to a service who they are.
//
// Source: client-server API, "OpenID".

import type { JsonObject } from '../event/json.js';
import { forbidden } from './errors.js';
import type { Homeserver } from './homeserver.js';
import { param } from './request-fields.js';
import type { AuthenticatedRequest, Route } from './route.js';

async function requestToken(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const { userId } = request.user;
  if (param(request, 'userId') !== userId) throw forbidden('A token tells who you are, nobody else.');
  const { token, expiresInMs } = await home.accounts.openId.issue(userId);
  return {
    access_token: token,
    token_type: 'Bearer',
    matrix_server_name: home.options.serverName,
    expires_in: Math.floor(expiresInMs / 1_000),
  };
}

export const openIdRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: '/_matrix/client/v3/user/:userId/openid/request_token',
    auth: 'user',
    rateLimit: 'other',
    handler: requestToken,
  },
];
