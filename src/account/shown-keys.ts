// The devices of a user with their keys, as others are shown them.
//
// Source: client-server API, POST /keys/query; server-server API, "Device Management".

import type { UserId } from '../event/ids.js';
import type { JsonObject } from '../event/json.js';
import type { DeviceKeys } from './device-keys.js';
import type { Devices } from './devices.js';

/** One device that has keys. */
export interface ShownDevice {
  readonly deviceId: string;
  /** As the device signed them, with the signatures that the viewer may see. */
  readonly keys: JsonObject;
  readonly displayName: string | undefined;
}

/**
 * The devices of a user that have keys.
 * @param wanted only these; empty means all
 * @param viewer who is shown them; undefined for another server
 */
export function shownDevices(
  { devices, deviceKeys }: { readonly devices: Devices; readonly deviceKeys: DeviceKeys },
  userId: UserId,
  wanted: ReadonlySet<string>,
  viewer: UserId | undefined,
): ShownDevice[] {
  const shown: ShownDevice[] = [];
  // Through those that are there, not through those that are asked for: these can be any number.
  for (const [deviceId] of deviceKeys.list(userId)) {
    if (wanted.size > 0 && !wanted.has(deviceId)) continue;
    const keys = deviceKeys.shown(userId, deviceId, viewer);
    if (keys === undefined) continue;
    shown.push({ deviceId, keys, displayName: devices.get(userId, deviceId)?.displayName });
  }
  return shown;
}

/** Devices as `keys/query` answers with them. */
export function keysByDevice(devices: readonly ShownDevice[]): JsonObject {
  return Object.fromEntries(
    devices.map(({ deviceId, keys, displayName }) => {
      const unsigned = displayName === undefined ? {} : { device_display_name: displayName };
      return [deviceId, { ...keys, unsigned }];
    }),
  );
}
