// Whose OpenID token is this? Asked by services that somebody showed one to; they are no Matrix servers and sign
// nothing.
//
// Source: server-server API, "OpenID".

import type { JsonObject } from '../../../event/json.js';
import { FederationError } from '../../errors.js';
import type { Federation } from '../../federation.js';
import type { FederationRequest, FederationRoute } from '../../route.js';
import { queryText } from '../request-fields.js';

function userInfo(request: FederationRequest, { parts: { accounts } }: Federation): JsonObject {
  const token = queryText(request, 'access_token');
  if (token === undefined) throw new FederationError(401, 'M_MISSING_TOKEN', 'access_token is missing.');
  const userId = accounts.openId.check(token);
  if (userId === undefined) {
    throw new FederationError(401, 'M_UNKNOWN_TOKEN', 'The token is not known, or has expired.');
  }
  return { sub: userId };
}

export const openIdRoutes: readonly FederationRoute[] = [
  {
    method: 'GET',
    path: '/_matrix/federation/v1/openid/userinfo',
    auth: 'none',
    handler: userInfo,
  },
];
