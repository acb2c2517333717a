// Filters kept by id. Source: client-server API, "Filtering".

import type { JsonObject } from '../event/json.js';
import { notFound } from './errors.js';
import type { Homeserver } from './homeserver.js';
import { ownUserId } from './own-data.js';
import { param } from './request-fields.js';
import type { AuthenticatedRequest, Route } from './route.js';
import { storable } from './stored-json.js';
import { SyncFilter } from './sync/filter.js';

const FILTER_BYTES_MAX = 65_536;

async function upload(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const userId = ownUserId(request);
  const filter = storable(request.body, FILTER_BYTES_MAX);
  // What cannot be read is refused now, not at every sync.
  void new SyncFilter(filter);
  return { filter_id: await home.accounts.filters.add(userId, filter) };
}

function get(request: AuthenticatedRequest, home: Homeserver): JsonObject {
  const filter = home.accounts.filters.get(ownUserId(request), param(request, 'filterId'));
  if (filter === undefined) throw notFound('There is no filter with this id.');
  return filter;
}

export const filterRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: '/_matrix/client/v3/user/:userId/filter',
    auth: 'user',
    rateLimit: 'other',
    handler: upload,
  },
  {
    method: 'GET',
    path: '/_matrix/client/v3/user/:userId/filter/:filterId',
    auth: 'user',
    rateLimit: 'other',
    handler: get,
  },
];
