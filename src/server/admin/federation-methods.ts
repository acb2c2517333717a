// What `stateroom admin federation` asks: the servers that fail, or that something waits for.

import type { Homeserver } from '../../client/homeserver.js';
import { parseServerName, type ServerName } from '../../event/ids.js';
import type { Federation } from '../../federation/federation.js';
import { compareCodePoints } from '../../lib/bytes.js';
import { AdminRequestError } from '../errors.js';
import { type Params, textOf } from './params.js';

/** One other server. Times are milliseconds since 1970. */
export interface DestinationSummary {
  readonly server: ServerName;
  /** Null where it does not fail. */
  readonly failing_since: number | null;
  /** It is tried again from then on. */
  readonly next_try: number | null;
  readonly failures: number;
  /** Null where it does not fail. */
  readonly last_error: string | null;
  /** Events and changes of devices that wait. */
  readonly queued: number;
  readonly ephemeral: number;
  readonly to_device: number;
  /** It catches up later: so many rooms had news meanwhile. */
  readonly behind: boolean;
  readonly missed_rooms: number;
}

/** Servers that fail or that something waits for, by name. */
export function listDestinations(home: Homeserver): DestinationSummary[] {
  const { destinations, sender } = federationOf(home);
  const waiting = new Map(sender.waiting().map((one) => [one.server, one]));
  const failing = new Map(destinations.allFailing());
  const servers = [...new Set([...failing.keys(), ...waiting.keys()])].sort(compareCodePoints);
  return servers.map((server) => {
    const [failure, backlog] = [failing.get(server), waiting.get(server)];
    return {
      server,
      failing_since: failure?.failingSince ?? null,
      next_try: failure?.retryAt ?? null,
      failures: failure?.failures ?? 0,
      last_error: failure?.lastError ?? null,
      queued: backlog?.queued ?? 0,
      ephemeral: backlog?.ephemeral ?? 0,
      to_device: backlog?.toDevice ?? 0,
      behind: backlog?.isBehind ?? false,
      missed_rooms: backlog?.missedRooms ?? 0,
    };
  });
}

/** Tries a server again now. @throws SERVER_ADMIN_REQUEST */
export function retryDestination(home: Homeserver, params: Params): { readonly server: ServerName } {
  const name = textOf(params, 'server');
  const server = parseServerName(name);
  if (server === undefined) throw new AdminRequestError(`${name} is no server name`);
  if (!federationOf(home).destinations.retryNow(server)) {
    throw new AdminRequestError(`${server} does not fail: there is nothing to try again`);
  }
  return { server };
}

function federationOf({ federation }: Homeserver): Federation {
  if (federation === undefined) throw new AdminRequestError('federation is switched off on this server');
  return federation;
}
