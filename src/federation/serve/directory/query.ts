// Questions of other servers about users and aliases of this one.
//
// Source: server-server API, "Querying for information".

import { fitsBytes, MAX_ID_BYTES, parseServerName, type ServerName } from '../../../event/ids.js';
import type { JsonObject } from '../../../event/json.js';
import { invalidParam, notFound } from '../../errors.js';
import type { Federation } from '../../federation.js';
import type { FederationRequest, FederationRoute } from '../../route.js';
import { localUser, queryText, requiredQuery } from '../request-fields.js';
import { namedRoom } from '../rooms.js';
import { servingOf } from '../serving.js';

/** Servers that are named with an alias, ours first. */
const SERVERS_MAX = 50;

function profile(request: FederationRequest, { parts }: Federation): JsonObject {
  const { accounts, serverName } = parts;
  const userId = localUser(requiredQuery(request, 'user_id'), serverName);
  if (!accounts.users.isActive(userId)) throw notFound('There is no such user.');
  const field = queryText(request, 'field');
  if (field === undefined) return accounts.profiles.all(userId);
  if (!fitsBytes(field, MAX_ID_BYTES)) throw invalidParam('field is no name of a field.');
  const value = accounts.profiles.get(userId, field);
  if (value === undefined) throw notFound('The profile has no such field.');
  return Object.fromEntries([[field, value]]);
}

function directory(request: FederationRequest, federation: Federation): JsonObject {
  const { accounts, engine, serverName } = federation.parts;
  const alias = requiredQuery(request, 'room_alias');
  if (!isAliasOf(alias, serverName)) throw invalidParam('The alias is none of this server: #name:server.');
  const roomId = accounts.aliases.get(alias)?.roomId;
  const row = roomId === undefined ? undefined : namedRoom(engine, roomId);
  if (row === undefined) throw notFound('There is no such alias.');
  const servers = new Set<ServerName>();
  const inRoom = servingOf(engine).members.of(engine.currentState(row.roomId));
  if (inRoom.has(serverName)) servers.add(serverName);
  for (const server of [...inRoom.joined(), ...(engine.partial.serversIn(row.roomId) ?? [])]) {
    if (servers.size >= SERVERS_MAX) break;
    servers.add(server);
  }
  return { room_id: row.roomId, servers: [...servers] };
}

function isAliasOf(alias: string, serverName: ServerName): boolean {
  const colon = alias.indexOf(':');
  if (!alias.startsWith('#') || colon < 2) return false;
  return parseServerName(alias.slice(colon + 1)) === serverName;
}

const V1 = '/_matrix/federation/v1';

export const queryRoutes: readonly FederationRoute[] = [
  { method: 'GET', path: `${V1}/query/profile`, auth: 'server', handler: profile },
  { method: 'GET', path: `${V1}/query/directory`, auth: 'server', handler: directory },
];
