// What users of this server may do. Source: client-server API, "Capabilities negotiation".

import type { JsonObject } from '../event/json.js';
import { ROOM_VERSIONS } from '../event/rules.js';
import type { Homeserver } from './homeserver.js';
import type { AuthenticatedRequest, Route } from './route.js';

function capabilities(_: AuthenticatedRequest, home: Homeserver): JsonObject {
  return {
    capabilities: {
      'm.change_password': { enabled: true },
      'm.room_versions': {
        default: home.options.defaultRoomVersion,
        available: Object.fromEntries(ROOM_VERSIONS.map(({ version }) => [version, 'stable'])),
      },
      'm.set_displayname': { enabled: true },
      'm.set_avatar_url': { enabled: true },
      'm.profile_fields': { enabled: true },
      'm.3pid_changes': { enabled: false },
      'm.get_login_token': { enabled: false },
      'm.forget_forced_upon_leave': { enabled: false },
    },
  };
}

export const capabilitiesRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/_matrix/client/v3/capabilities',
    auth: 'user',
    rateLimit: 'other',
    handler: capabilities,
  },
];
