// The settings of federation.

import { parseServerName } from '../../event/ids.js';
import { GAP_OPTIONS } from '../../federation/gaps/options.js';
import { INPUT_OPTIONS } from '../../federation/inbound/options.js';
import { FEDERATION_OPTIONS } from '../../federation/options.js';
import { SENDER_OPTIONS } from '../../federation/outbound/options.js';
import { parseHostAndPort } from '../../federation/transport/target.js';
import { notEmpty, port, networks, wholeBetween, type Setting, type SettingValue } from './setting.js';

export const FEDERATION_SETTINGS: readonly Setting[] = [
  {
    key: 'federation.enabled',
    kind: 'flag',
    fallback: true,
    doc: 'Are there rooms shared with other servers?',
  },
  {
    key: 'federation.delegate',
    kind: 'text',
    fallback: undefined,
    example: 'matrix.example.org:443',
    doc: 'Where other servers reach this one, told to them at /.well-known/matrix/server of the server name.',
    fault: (value) =>
      parseServerName(String(value)) === undefined ? 'is a host name, perhaps with a port' : undefined,
  },
  {
    key: 'federation.tls.port',
    kind: 'number',
    fallback: undefined,
    example: '8448',
    doc: 'A port with TLS for other servers and clients. Without it a reverse proxy brings requests to listen.port.',
    fault: port,
  },
  {
    key: 'federation.tls.address',
    kind: 'text',
    fallback: '::',
    doc: 'Where that port is listened on; :: is all addresses.',
    fault: notEmpty,
  },
  {
    key: 'federation.tls.cert_file',
    kind: 'text',
    fallback: undefined,
    example: '/etc/stateroom/fullchain.pem',
    doc: 'The certificate of the server name, with those that lead to its authority, PEM.',
    fault: notEmpty,
  },
  {
    key: 'federation.tls.key_file',
    kind: 'text',
    fallback: undefined,
    example: '/etc/stateroom/privkey.pem',
    doc: "The certificate's private key, PEM.",
    fault: notEmpty,
  },
  {
    key: 'federation.ca_file',
    kind: 'text',
    fallback: undefined,
    example: '/etc/stateroom/our-ca.pem',
    doc: 'Authorities whose certificates are believed beside the well-known ones, PEM: for networks of your own.',
    fault: notEmpty,
  },
  {
    key: 'federation.resolve',
    kind: 'list',
    fallback: [],
    doc: 'Servers that are reached at a given place instead of where the network says: example.org=10.0.0.7:8448.',
    fault: resolveFault,
  },
  {
    key: 'federation.allow_private_networks',
    kind: 'list',
    fallback: [],
    doc: 'Private networks that other servers may be in, such as 10.0.0.0/8 or ::1. Others are never connected to.',
    fault: networks,
  },
  {
    key: 'federation.trusted_key_servers',
    kind: 'list',
    fallback: [],
    doc: 'Servers that are asked for the keys of servers that do not give them themselves, such as matrix.org.',
    fault: (value) =>
      (value as readonly string[]).every((name) => parseServerName(name) !== undefined)
        ? undefined
        : 'are server names',
  },
  {
    key: 'federation.partial_joins',
    kind: 'flag',
    fallback: true,
    doc: 'Are rooms of other servers joined without their members first, which are fetched in the background?',
  },
  {
    key: 'federation.small_room_members_max',
    kind: 'number',
    fallback: FEDERATION_OPTIONS.smallRoomMembersMax,
    doc: 'Other servers that join a room with more memberships than this may leave them for later; 0: any room.',
    fault: wholeBetween(0, 1_000_000),
  },
  {
    key: 'federation.tells_needed_members',
    kind: 'flag',
    fallback: FEDERATION_OPTIONS.tellsNeededMembers,
    doc: 'Are such servers, if they ask for it, told at once of moderators, bans and one member of each server?',
  },
  {
    key: 'federation.requests_per_server',
    kind: 'number',
    fallback: 64,
    doc: 'Requests of one server that are worked on at once.',
    fault: wholeBetween(1, 100_000),
  },
  {
    key: 'federation.presence',
    kind: 'flag',
    fallback: true,
    doc: 'Is the presence of users told to other servers? presence.enabled switches all of it off.',
  },
  {
    key: 'federation.presence_servers_max',
    kind: 'number',
    fallback: SENDER_OPTIONS.presenceServersMax,
    doc: 'Presence is not told for the sake of rooms with more other servers than this.',
    fault: wholeBetween(1, 1_000_000),
  },
  {
    key: 'federation.input.events_max',
    kind: 'number',
    fallback: INPUT_OPTIONS.queuedEventsMax,
    doc: 'Events of other servers that wait to be worked off; beyond that they are told to come back.',
    fault: wholeBetween(100, 10_000_000),
  },
  {
    key: 'federation.input.bytes_max',
    kind: 'number',
    fallback: INPUT_OPTIONS.queuedBytesMax,
    doc: 'Bytes of such events. They lie on disk.',
    fault: wholeBetween(4 * 1024 * 1024, 1024 * 1024 * 1024 * 1024),
  },
  {
    key: 'federation.gaps.patience_ms',
    kind: 'number',
    fallback: GAP_OPTIONS.patienceMs,
    doc: 'How long an event that others refer to is waited for before another server is asked for it.',
    fault: wholeBetween(0, 60_000),
  },
  {
    key: 'federation.gaps.timeout_ms',
    kind: 'number',
    fallback: GAP_OPTIONS.fillTimeoutMs,
    doc: 'How long filling the gaps of a room may take before it is left for later.',
    fault: wholeBetween(1_000, 3_600_000),
  },
  {
    key: 'federation.gaps.retry_ms',
    kind: 'number',
    fallback: GAP_OPTIONS.retryMs,
    doc: 'When what could not be had is tried again the first time; doubled each time.',
    fault: wholeBetween(1_000, 86_400_000),
  },
  {
    key: 'federation.gaps.retry_ms_max',
    kind: 'number',
    fallback: GAP_OPTIONS.retryMsMax,
    doc: 'Up to this.',
    fault: wholeBetween(1_000, 7 * 86_400_000),
  },
  {
    key: 'federation.gaps.rooms_at_once',
    kind: 'number',
    fallback: GAP_OPTIONS.roomsAtOnce,
    doc: 'Rooms whose gaps are filled at once.',
    fault: wholeBetween(1, 10_000),
  },
  {
    key: 'federation.gaps.waiting_of_room_max',
    kind: 'number',
    fallback: 2_000,
    doc: 'Events of one room that may wait for others; more are turned away.',
    fault: wholeBetween(10, 100_000),
  },
  {
    key: 'federation.verifier_threads',
    kind: 'number',
    fallback: undefined,
    example: '4',
    doc: 'Threads that check the signatures of events; 0 checks them in place. Without it: one a core.',
    fault: wholeBetween(0, 256),
  },
];

function resolveFault(value: SettingValue): string | undefined {
  const areAll = (value as readonly string[]).every((entry) => {
    const [server = '', place = '', ...rest] = entry.split('=');
    return (
      parseServerName(server) !== undefined && parseHostAndPort(place) !== undefined && rest.length === 0
    );
  });
  return areAll ? undefined : 'are server names and places, such as example.org=10.0.0.7:8448';
}
