// Users of other servers: their keys, devices and profiles.

import type { KeyWanted } from '../../account/one-time-keys.js';
import type { UserId } from '../../event/ids.js';
import type { JsonObject } from '../../event/json.js';
import type { EduSink } from '../inbound/edu-sink.js';
import type { RemoteUsersParts } from './context.js';
import { DeviceTracking } from './device-tracking.js';
import { REMOTE_USERS_OPTIONS } from './options.js';
import { RemoteDevices } from './remote-devices.js';
import { type ClaimedKeys, type QueriedKeys, RemoteKeys } from './remote-keys.js';
import { RemoteProfiles } from './remote-profiles.js';

export class RemoteUsers {
  readonly #tracking: DeviceTracking;
  readonly #keys: RemoteKeys;
  readonly #profiles: RemoteProfiles;
  /** Takes what other servers tell of their users' keys. */
  readonly sink: Pick<EduSink, 'deviceUpdate' | 'signingKeys'>;

  private constructor(parts: RemoteUsersParts) {
    const devices = new RemoteDevices(parts.engine);
    const context = { ...parts, options: { ...REMOTE_USERS_OPTIONS, ...parts.limits }, devices };
    const tracking = new DeviceTracking(context);
    this.#tracking = tracking;
    this.#keys = new RemoteKeys(context, tracking);
    this.#profiles = new RemoteProfiles(context);
    this.sink = {
      deviceUpdate: (update) => tracking.deviceUpdate(update),
      signingKeys: (keys) => tracking.signingKeys(keys),
    };
    parts.accounts.crossSigning.remoteMaster = (userId) => devices.get(userId)?.master;
  }

  /** Close it before the engine. */
  static async open(parts: RemoteUsersParts): Promise<RemoteUsers> {
    const users = new RemoteUsers(parts);
    await users.#tracking.start();
    return users;
  }

  close(): Promise<void> {
    return this.#tracking.close();
  }

  /** Resolves when no device list is being asked for. */
  settled(): Promise<void> {
    return this.#tracking.settled();
  }

  /** Keys of users of other servers: what is kept, or what their servers say in time. */
  queryKeys(userIds: Iterable<UserId>): Promise<QueriedKeys> {
    return this.#keys.query(userIds);
  }

  /** One-time keys of devices of users of other servers. */
  claimKeys(wanted: readonly KeyWanted[]): Promise<ClaimedKeys> {
    return this.#keys.claim(wanted);
  }

  /**
   * The profile of a user of another server; undefined where there is none.
   * @throws FEDERATION_UNREACHABLE, FEDERATION_REFUSED, FEDERATION_BAD_ANSWER, FEDERATION_BACKING_OFF
   */
  profile(userId: UserId): Promise<JsonObject | undefined> {
    return this.#profiles.get(userId);
  }

  /** Calls back when the keys of a user of another server changed; returns how to stop that. */
  onKeysChanged(listener: (userId: UserId) => void): () => void {
    return this.#tracking.subscribe(listener);
  }
}
