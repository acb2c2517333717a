// The versions of the specification that this server speaks. Source: client-server API, "API Versions".

import type { JsonObject } from '../event/json.js';
import type { Route } from './route.js';

const MINOR_FIRST = 1;
const MINOR_LAST = 16;

const ANSWER: JsonObject = {
  versions: Array.from({ length: MINOR_LAST - MINOR_FIRST + 1 }, (_, i) => `v1.${MINOR_FIRST + i}`),
  unstable_features: {
    // `state_after` in /sync, by the name it had before it was stable.
    'org.matrix.msc4222': true,
    // Element Web sets up no cross-signing for who logs in, and shows none, without this name from before v1.1.
    'org.matrix.e2e_cross_signing': true,
  },
};

export const versionsRoutes: readonly Route[] = [
  // Clients ask before they know anything; a token, right or wrong, changes nothing.
  { method: 'GET', path: '/_matrix/client/versions', auth: 'none', rateLimit: 'none', handler: () => ANSWER },
];
