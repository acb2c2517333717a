// A user's devices. To take one away, the user shows their password once more.
//
// Source: client-server API, "Device Management".

import type { Device } from '../account/devices.js';
import { isArray, type JsonObject, own } from '../event/json.js';
import { badJson, missingParam, notFound } from './errors.js';
import type { Homeserver } from './homeserver.js';
import { deviceNameOf } from './login.js';
import { param } from './request-fields.js';
import type { AuthenticatedRequest, Route } from './route.js';
import { interactively, PASSWORD_FLOWS } from './uia.js';

const DELETED_AT_ONCE_MAX = 1_000;

function list({ user }: AuthenticatedRequest, home: Homeserver): JsonObject {
  return { devices: home.accounts.devices.list(user.userId).map(clientDevice) };
}

function get(request: AuthenticatedRequest, home: Homeserver): JsonObject {
  return clientDevice(knownDevice(request, home));
}

async function rename(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const { deviceId } = knownDevice(request, home);
  const name = deviceNameOf(request.body, 'display_name');
  if (name !== undefined) await home.accounts.devices.rename(request.user.userId, deviceId, name);
  return {};
}

async function deleteOne(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  return deleteDevices(request, home, [param(request, 'deviceId')]);
}

async function deleteMany(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const devices = own(request.body, 'devices');
  if (devices === undefined) throw missingParam('devices is missing.');
  if (!isArray(devices) || devices.length > DELETED_AT_ONCE_MAX) {
    throw badJson(`devices is a list of at most ${DELETED_AT_ONCE_MAX} device ids.`);
  }
  const deviceIds = devices.filter((deviceId) => typeof deviceId === 'string');
  if (deviceIds.length < devices.length) throw badJson('devices is a list of device ids.');
  return deleteDevices(request, home, deviceIds);
}

async function deleteDevices(
  request: AuthenticatedRequest,
  home: Homeserver,
  deviceIds: readonly string[],
): Promise<JsonObject> {
  const { userId } = request.user;
  const purpose = JSON.stringify(['delete devices', userId, [...deviceIds].sort()]);
  await interactively(home, request, { flows: PASSWORD_FLOWS, purpose, userId });
  await home.accounts.removeDevices(userId, deviceIds);
  return {};
}

function knownDevice(request: AuthenticatedRequest, home: Homeserver): Device {
  const device = home.accounts.devices.get(request.user.userId, param(request, 'deviceId'));
  if (device === undefined) throw notFound('You have no such device.');
  return device;
}

function clientDevice({ deviceId, displayName, lastSeenAt, lastSeenIp }: Device): JsonObject {
  return {
    device_id: deviceId,
    ...(displayName === undefined ? {} : { display_name: displayName }),
    ...(lastSeenAt === undefined ? {} : { last_seen_ts: lastSeenAt }),
    ...(lastSeenIp === undefined ? {} : { last_seen_ip: lastSeenIp }),
  };
}

const ONE = '/_matrix/client/v3/devices/:deviceId';

export const deviceRoutes: readonly Route[] = [
  { method: 'GET', path: '/_matrix/client/v3/devices', auth: 'user', rateLimit: 'other', handler: list },
  { method: 'GET', path: ONE, auth: 'user', rateLimit: 'other', handler: get },
  { method: 'PUT', path: ONE, auth: 'user', rateLimit: 'other', handler: rename },
  { method: 'DELETE', path: ONE, auth: 'user', rateLimit: 'login', handler: deleteOne },
  {
    method: 'POST',
    path: '/_matrix/client/v3/delete_devices',
    auth: 'user',
    rateLimit: 'login',
    handler: deleteMany,
  },
];
