// Limits of what is asked about users of other servers, and of what is kept of them.

export interface RemoteUsersOptions {
  /** Milliseconds for a server to answer what a client waits for. */
  readonly keysTimeoutMs: number;
  readonly profileTimeoutMs: number;
  /** Users that one request asks for. */
  readonly usersInRequestMax: number;
  /** Devices that are kept of a user, and bytes of one's keys. */
  readonly devicesMax: number;
  readonly keyBytesMax: number;
  /** Device lists that are asked for at once, over all servers. */
  readonly resyncsMax: number;
  /** Users of whom a change is noted while it is not known whether they share a room: in all, and of one server. */
  readonly unsureMax: number;
  readonly unsureOfServerMax: number;
  /** How long a profile is taken for current, and what those kept may take in memory, about. */
  readonly profileKeptMs: number;
  readonly profilesBytesMax: number;
  readonly profileBytesMax: number;
}

export const REMOTE_USERS_OPTIONS: RemoteUsersOptions = {
  keysTimeoutMs: 10_000,
  profileTimeoutMs: 10_000,
  usersInRequestMax: 250,
  devicesMax: 500,
  keyBytesMax: 16 * 1024,
  resyncsMax: 16,
  unsureMax: 20_000,
  unsureOfServerMax: 1_000,
  profileKeptMs: 60_000,
  profilesBytesMax: 4 * 1024 * 1024,
  profileBytesMax: 128 * 1024,
};
