// Whose access token it is. Source: client-server API, "GET /account/whoami".

import type { JsonObject } from '../event/json.js';
import type { AuthenticatedRequest, Route } from './route.js';

function whoami({ user }: AuthenticatedRequest): JsonObject {
  return { user_id: user.userId, device_id: user.deviceId, is_guest: false };
}

export const whoamiRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/_matrix/client/v3/account/whoami',
    auth: 'user',
    rateLimit: 'other',
    handler: whoami,
  },
];
