// What is told of keys: our own, and as a notary those of other servers, signed by us too.
//
// Source: server-server API, "Publishing Keys", "Querying Keys Through Another Server".

import { parseServerName, type ServerName } from '../../event/ids.js';
import { isObject, JsonNumber, type JsonObject, type JsonValue, own } from '../../event/json.js';
import { signJson } from '../../event/signing.js';
import { badJson, FederationError, invalidParam } from '../errors.js';
import type { Federation } from '../federation.js';
import type { FederationRequest, FederationRoute } from '../route.js';

/** Servers in one question: each may have to be asked. */
const SERVERS_MAX = 100;
const KEYS_MAX = 100;

export const keyRoutes: readonly FederationRoute[] = [
  { method: 'GET', path: '/_matrix/key/v2/server', auth: 'none', handler: ownKeys },
  // Deprecated: all keys are told anyway.
  { method: 'GET', path: '/_matrix/key/v2/server/:keyId', auth: 'none', handler: ownKeys },
  { method: 'GET', path: '/_matrix/key/v2/query/:serverName', auth: 'none', handler: oneServer },
  {
    method: 'POST',
    path: '/_matrix/key/v2/query',
    auth: 'none',
    bodyBytesMax: 256 * 1024,
    handler: manyServers,
  },
];

function ownKeys(_request: FederationRequest, federation: Federation): JsonObject {
  return federation.ownKeys.answer();
}

function oneServer({ params, query }: FederationRequest, federation: Federation): Promise<JsonObject> {
  const server = parseServerName(params['serverName'] ?? '');
  if (server === undefined) throw invalidParam('That is no server name.');
  const text = query['minimum_valid_until_ts'];
  if (text !== undefined && (typeof text !== 'string' || !/^[0-9]{1,16}$/.test(text))) {
    throw invalidParam('minimum_valid_until_ts is a time in milliseconds.');
  }
  return answers(federation, new Map([[server, text === undefined ? undefined : Number(text)]]));
}

async function manyServers({ body }: FederationRequest, federation: Federation): Promise<JsonObject> {
  const asked = own(body, 'server_keys');
  if (!isObject(asked)) throw badJson('server_keys is missing.');
  const names = Object.entries(asked);
  if (names.length > SERVERS_MAX) {
    throw new FederationError(400, 'M_TOO_LARGE', `At most ${SERVERS_MAX} servers are asked for at once.`);
  }
  const servers = new Map<ServerName, number | undefined>();
  for (const [name, keys] of names) {
    const server = parseServerName(name);
    if (server !== undefined) servers.set(server, latestOf(keys));
  }
  return answers(federation, servers);
}

/** The latest `minimum_valid_until_ts` of a server's keys. */
function latestOf(keys: JsonValue): number | undefined {
  if (!isObject(keys)) return undefined;
  const times = Object.values(keys)
    .slice(0, KEYS_MAX)
    .map((criteria) => (isObject(criteria) ? own(criteria, 'minimum_valid_until_ts') : undefined))
    .map((time) => (time instanceof JsonNumber ? time.value : time))
    .filter((time) => typeof time === 'number');
  return times.length === 0 ? undefined : Math.max(...times);
}

/** What those servers say of their keys, signed by us: asked anew where what we know is too old. */
async function answers(
  federation: Federation,
  servers: ReadonlyMap<ServerName, number | undefined>,
): Promise<JsonObject> {
  const { keyRing, ownKeys: own_, parts } = federation;
  const { serverName, signingKey } = parts;
  const found = await Promise.all(
    Array.from(servers, async ([server, minimum]) => {
      if (server === serverName) return own_.answer();
      const isStale = !isFresh(keyRing.answerOf(server)?.json, minimum ?? parts.now());
      if (isStale && !federation.destinations.isBackingOff(server)) await keyRing.refresh(server);
      const kept = keyRing.answerOf(server);
      return kept === undefined ? undefined : signJson(kept.json, serverName, signingKey);
    }),
  );
  return { server_keys: found.filter((answer) => answer !== undefined) };
}

function isFresh(answer: JsonObject | undefined, until: number): boolean {
  const validUntilTs = answer === undefined ? undefined : own(answer, 'valid_until_ts');
  return typeof validUntilTs === 'number' && validUntilTs >= until;
}
