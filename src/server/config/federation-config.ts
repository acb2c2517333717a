// What the settings of federation come to.

import type { ServerName } from '../../event/ids.js';
import { type HostAndPort, parseHostAndPort } from '../../federation/transport/target.js';
import type { SettingValue } from './setting.js';

export interface FederationConfig {
  readonly enabled: boolean;
  /** Server names that are reached at a `host:port`, whatever the network says. */
  readonly resolve: ReadonlyMap<string, HostAndPort>;
  readonly caFile: string | undefined;
  readonly trustedKeyServers: readonly ServerName[];
  readonly allowPrivateNetworks: readonly string[];
  /** What `.well-known/matrix/server` names. */
  readonly delegate: string | undefined;
  readonly requestsPerServer: number;
  /** Are rooms joined without their members first? */
  readonly partialJoins: boolean;
  /** Rooms with at most so many memberships are told in full to servers that join them. */
  readonly smallRoomMembersMax: number;
  /** Are servers that ask for it told the members that count, where the others are left out? */
  readonly tellsNeededMembers: boolean;
  /** What is kept of what comes in before it is worked off. */
  readonly input: { readonly queuedEventsMax: number; readonly queuedBytesMax: number };
  /** How what is missing is fetched. */
  readonly gaps: {
    readonly patienceMs: number;
    readonly fillTimeoutMs: number;
    readonly retryMs: number;
    readonly retryMsMax: number;
    readonly roomsAtOnce: number;
  };
  /** Events of one room that may wait for others. */
  readonly waitingOfRoomMax: number;
  /** Presence is told for the sake of rooms with at most so many servers; 0: not at all. */
  readonly presenceServersMax: number;
  /** Undefined: one a core. */
  readonly verifierThreads: number | undefined;
  readonly tls: {
    readonly address: string;
    readonly port: number | undefined;
    readonly certFile: string | undefined;
    readonly keyFile: string | undefined;
  };
}

/** @param values of all settings, checked */
export function federationConfig(values: ReadonlyMap<string, SettingValue>): FederationConfig {
  const of = (key: string): SettingValue => values.get(`federation.${key}`);
  const text = (key: string): string | undefined => of(key) as string | undefined;
  const number = (key: string): number => Number(of(key));
  const list = (key: string): readonly string[] => (of(key) ?? []) as readonly string[];
  return {
    enabled: of('enabled') === true,
    resolve: new Map(list('resolve').flatMap(resolved)),
    caFile: text('ca_file'),
    trustedKeyServers: list('trusted_key_servers') as readonly ServerName[],
    allowPrivateNetworks: list('allow_private_networks'),
    delegate: text('delegate'),
    requestsPerServer: number('requests_per_server'),
    partialJoins: of('partial_joins') === true,
    smallRoomMembersMax: number('small_room_members_max'),
    tellsNeededMembers: of('tells_needed_members') === true,
    input: { queuedEventsMax: number('input.events_max'), queuedBytesMax: number('input.bytes_max') },
    gaps: {
      patienceMs: number('gaps.patience_ms'),
      fillTimeoutMs: number('gaps.timeout_ms'),
      retryMs: number('gaps.retry_ms'),
      retryMsMax: number('gaps.retry_ms_max'),
      roomsAtOnce: number('gaps.rooms_at_once'),
    },
    waitingOfRoomMax: number('gaps.waiting_of_room_max'),
    presenceServersMax: of('presence') === true ? number('presence_servers_max') : 0,
    verifierThreads: of('verifier_threads') as number | undefined,
    tls: {
      address: text('tls.address') ?? '',
      port: of('tls.port') as number | undefined,
      certFile: text('tls.cert_file'),
      keyFile: text('tls.key_file'),
    },
  };
}

/** An entry of `federation.resolve`: `example.org=127.0.0.1:8448`. */
function resolved(entry: string): Array<readonly [server: string, place: HostAndPort]> {
  const [server = '', place = ''] = entry.split('=');
  const parsed = parseHostAndPort(place);
  return parsed === undefined ? [] : [[server, parsed]];
}
