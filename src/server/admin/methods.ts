// What `stateroom admin` may ask of a running server.

import { randomBytes } from 'node:crypto';
import { leaveEverything } from '../../client/deactivate.js';
import type { Homeserver } from '../../client/homeserver.js';
import type { UserId } from '../../event/ids.js';
import { AdminRequestError } from '../errors.js';
import { packageVersion } from '../version.js';
import { listDestinations, retryDestination } from './federation-methods.js';
import { joinAs, listPartial, progressOfRoom, resyncRoom } from './join-methods.js';
import { type Params, textOf } from './params.js';
import { listRooms } from './room-methods.js';

interface AdminMethod {
  /** It changes something, and is logged. */
  readonly isChange: boolean;
  readonly run: (home: Homeserver, params: Params) => unknown;
}

/** A user as `admin user list` shows one. */
export interface UserSummary {
  readonly user_id: UserId;
  readonly admin: boolean;
  readonly deactivated: boolean;
  readonly created_ts: number;
  readonly devices: number;
}

/** What a command that sets a password tells: the password, where the server made it. */
export interface PasswordSet {
  readonly user_id: UserId;
  readonly password?: string;
}

const PASSWORD_LENGTH_MAX = 512;
/** Of passwords made here: 18 bytes are 24 characters, and beyond all guessing. */
const PASSWORD_BYTES = 18;

export const ADMIN_METHODS: ReadonlyMap<string, AdminMethod> = new Map<string, AdminMethod>([
  ['status', { isChange: false, run: status }],
  ['user.list', { isChange: false, run: list }],
  ['user.create', { isChange: true, run: create }],
  ['user.deactivate', { isChange: true, run: deactivate }],
  ['user.reset_password', { isChange: true, run: resetPassword }],
  ['user.make_admin', { isChange: true, run: makeAdmin }],
  ['room.list', { isChange: false, run: listRooms }],
  ['room.join', { isChange: true, run: joinAs }],
  ['room.progress', { isChange: false, run: progressOfRoom }],
  ['room.partial', { isChange: false, run: listPartial }],
  ['room.resync', { isChange: true, run: resyncRoom }],
  ['federation.list', { isChange: false, run: listDestinations }],
  ['federation.retry', { isChange: true, run: retryDestination }],
  ['signing_key.rotate', { isChange: true, run: rotateSigningKey }],
]);

async function status(home: Homeserver) {
  const { engine, options, accounts, notifier } = home;
  let rooms = 0;
  for await (const room of engine.reader.rooms()) if (room.version !== 'stateroom.internal') rooms++;
  return {
    server_name: options.serverName,
    public_base_url: options.publicBaseUrl,
    version: packageVersion(),
    pid: process.pid,
    uptime_ms: Math.round(process.uptime() * 1_000),
    registration: options.isRegistrationOpen ? 'open' : 'closed',
    users: accounts.users.list().filter(({ isDeactivated }) => !isDeactivated).length,
    rooms,
    seq: engine.watermark,
    sync_waiters: notifier.listeners,
    unwritten: engine.core.writer.pending,
    memory_bytes: process.memoryUsage.rss(),
    writes: engine.core.writer.failure === undefined ? 'ok' : engine.core.writer.failure.message,
  };
}

function list({ accounts }: Homeserver): UserSummary[] {
  return accounts.users.list().map(({ userId, isAdmin, isDeactivated, createdAt }) => ({
    user_id: userId,
    admin: isAdmin,
    deactivated: isDeactivated,
    created_ts: createdAt,
    devices: accounts.devices.list(userId).length,
  }));
}

async function create({ accounts }: Homeserver, params: Params): Promise<PasswordSet> {
  const { password, made } = passwordOf(params);
  const userId = await accounts.register({
    username: textOf(params, 'user_id').replace(/^@([^:]*).*$/, '$1'),
    password,
    isAdmin: params['admin'] === true,
  });
  return { user_id: userId, ...made };
}

async function deactivate(home: Homeserver, params: Params): Promise<{ readonly user_id: UserId }> {
  const userId = userOf(home, params);
  await home.accounts.deactivate(userId, { erase: params['erase'] === true });
  await leaveEverything(home, userId);
  return { user_id: userId };
}

async function resetPassword(home: Homeserver, params: Params): Promise<PasswordSet> {
  const userId = userOf(home, params);
  const { password, made } = passwordOf(params);
  const { accounts } = home;
  const removed =
    params['keep_devices'] === true ? [] : accounts.devices.list(userId).map(({ deviceId }) => deviceId);
  await accounts.setPassword(userId, password, removed);
  return { user_id: userId, ...made };
}

async function makeAdmin(home: Homeserver, params: Params) {
  const userId = userOf(home, params);
  const isAdmin = params['admin'] !== false;
  await home.accounts.users.setAdmin(userId, isAdmin);
  return { user_id: userId, admin: isAdmin };
}

/** A new signing key; the one before is told to other servers as an old one. */
async function rotateSigningKey({
  rotateSigningKey: rotate,
}: Homeserver): Promise<{ readonly key_id: string }> {
  if (rotate === undefined) throw new AdminRequestError('this server keeps no file of signing keys');
  return { key_id: await rotate() };
}

/** An active user, by id or by the part of it before the server. */
function userOf({ accounts, options }: Homeserver, params: Params): UserId {
  const name = textOf(params, 'user_id');
  const user = accounts.users.find(name);
  if (user === undefined) throw new AdminRequestError(`there is no user ${name} on ${options.serverName}`);
  if (user.isDeactivated) throw new AdminRequestError(`${user.userId} is deactivated`);
  return user.userId;
}

function passwordOf(params: Params): {
  readonly password: string;
  readonly made: { readonly password?: string };
} {
  if (params['password'] === undefined) {
    const password = randomBytes(PASSWORD_BYTES).toString('base64url');
    return { password, made: { password } };
  }
  const password = textOf(params, 'password');
  if (password.length > PASSWORD_LENGTH_MAX) throw new AdminRequestError('the password is too long');
  return { password, made: {} };
}
