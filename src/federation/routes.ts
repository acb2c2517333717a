// Every endpoint for other servers that this server has; what is not here answers M_UNRECOGNIZED.

import { keyRoutes } from './identity/key-routes.js';
import { inboundRoutes } from './inbound/routes.js';
import type { FederationRoute } from './route.js';
import { serveRoutes } from './serve/routes.js';

export const federationRoutes: readonly FederationRoute[] = [...keyRoutes, ...inboundRoutes, ...serveRoutes];
