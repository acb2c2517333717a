// What the parts of this folder are given.

import type { Destinations } from '../destinations.js';
import type { RoomServers } from '../outbound/room-servers.js';
import type { FederationParts } from '../parts.js';
import type { RemoteServers } from '../requests.js';
import type { RemoteUsersOptions } from './options.js';
import type { RemoteDevices } from './remote-devices.js';

export interface RemoteUsersParts
  extends Pick<FederationParts, 'engine' | 'accounts' | 'serverName' | 'now' | 'after' | 'log'> {
  readonly destinations: Destinations;
  readonly remote: RemoteServers;
  readonly roomServers: RoomServers;
  readonly limits?: Partial<RemoteUsersOptions>;
}

/** What the parts of this folder share. */
export interface UsersContext extends RemoteUsersParts {
  readonly options: RemoteUsersOptions;
  readonly devices: RemoteDevices;
}
