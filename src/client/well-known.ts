// Where clients find this server. Source: client-server API, "Well-known URIs".

import type { JsonObject } from '../event/json.js';
import type { Homeserver } from './homeserver.js';
import type { Route } from './route.js';

/** What `/.well-known/matrix/client` says, and a login repeats. */
export function wellKnown(home: Homeserver): JsonObject {
  return { 'm.homeserver': { base_url: home.options.publicBaseUrl } };
}

export const wellKnownRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/.well-known/matrix/client',
    auth: 'none',
    rateLimit: 'none',
    handler: (_, home) => wellKnown(home),
  },
];
