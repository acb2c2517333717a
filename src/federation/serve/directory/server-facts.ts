// What this server is, and what it has not: media.
//
// Source: server-server API, GET /version; "Content Repository".

import type { JsonObject } from '../../../event/json.js';
import { packageVersion } from '../../../lib/package-version.js';
import { notFound } from '../../errors.js';
import type { FederationRoute } from '../../route.js';

function version(): JsonObject {
  return { server: { name: 'stateroom', version: packageVersion() } };
}

/** There is no media repository, so that no media is known. */
function noMedia(): never {
  throw notFound('There is no such media on this server.');
}

const V1 = '/_matrix/federation/v1';

export const serverFactRoutes: readonly FederationRoute[] = [
  { method: 'GET', path: `${V1}/version`, auth: 'none', handler: version },
  { method: 'GET', path: `${V1}/media/download/:mediaId`, auth: 'server', handler: noMedia },
  { method: 'GET', path: `${V1}/media/thumbnail/:mediaId`, auth: 'server', handler: noMedia },
];
