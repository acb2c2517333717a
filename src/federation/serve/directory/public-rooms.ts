// The list of rooms that this server publishes, for other servers.
//
// Source: server-server API, GET and POST /publicRooms.

import { PAGE_MAX, publishedRooms, startOfPage } from '../../../account/published-rooms.js';
import { isArray, type JsonObject, own } from '../../../event/json.js';
import { badJson, invalidParam } from '../../errors.js';
import type { Federation } from '../../federation.js';
import type { FederationRequest, FederationRoute } from '../../route.js';
import { bodyInteger, bodyObject, bodyText, queryInteger, queryText } from '../request-fields.js';

const TERM_LENGTH_MAX = 256;

function list(request: FederationRequest, federation: Federation): JsonObject {
  const limit = queryInteger(request, 'limit');
  const start = startOf(queryText(request, 'since'));
  return page(federation, { limit: limitOf(limit), start, term: '', types: undefined });
}

function search({ body }: FederationRequest, federation: Federation): JsonObject {
  const filter = bodyObject(body, 'filter') ?? {};
  const types = own(filter, 'room_types');
  if (types !== undefined && types !== null && !isArray(types)) throw badJson('room_types is no list.');
  return page(federation, {
    limit: limitOf(bodyInteger(body, 'limit')),
    start: startOf(bodyText(body, 'since')),
    term: (bodyText(filter, 'generic_search_term') ?? '').slice(0, TERM_LENGTH_MAX),
    types: types ?? undefined,
  });
}

function page({ parts }: Federation, asked: Parameters<typeof publishedRooms>[1]): JsonObject {
  return publishedRooms({ engine: parts.engine, directory: parts.accounts.directory }, asked);
}

/** Without a limit, or with 0, as much as one page holds. */
function limitOf(limit: number | undefined): number {
  if (limit === undefined || limit === 0) return PAGE_MAX;
  if (limit < 0) throw invalidParam('limit is a count.');
  return Math.min(limit, PAGE_MAX);
}

function startOf(since: string | undefined): number {
  const start = since === undefined ? 0 : startOfPage(since);
  if (start === undefined) throw invalidParam('since is no token of this list.');
  return start;
}

const PATH = '/_matrix/federation/v1/publicRooms';

export const publicRoomRoutes: readonly FederationRoute[] = [
  { method: 'GET', path: PATH, auth: 'server', handler: list },
  { method: 'POST', path: PATH, auth: 'server', handler: search },
];
