// The accounts: the one face of everything that this server keeps for its users. What belongs together (a user
// with a password, a device with its tokens) is written in one commit group.

import { randomBytes } from 'node:crypto';
import type { Engine } from '../engine/engine.js';
import type { ServerName, UserId } from '../event/ids.js';
import { AccountData } from './account-data.js';
import { Aliases } from './aliases.js';
import { CrossSigning } from './cross-signing.js';
import { DeviceKeys } from './device-keys.js';
import { DeviceLists } from './device-lists.js';
import { Devices } from './devices.js';
import { Directory } from './directory.js';
import { ErasedUsers } from './erased.js';
import { UserUnknownError } from './errors.js';
import { Filters } from './filters.js';
import { KeyBackup } from './key-backup.js';
import { KeySignatures } from './key-signatures.js';
import { Memberships } from './memberships.js';
import { OneTimeKeys } from './one-time-keys.js';
import { OpenIdTokens } from './openid-tokens.js';
import { OutsideRooms } from './outside.js';
import type { AccountParts, DeviceRemoval } from './parts.js';
import { PASSWORD_COST, type PasswordCost, Passwords } from './passwords.js';
import { Profiles } from './profiles.js';
import { PushRules } from './push-rules.js';
import { Receipts } from './receipts.js';
import { ToDevice } from './to-device.js';
import { type IssuedTokens, Tokens } from './tokens.js';
import { SentEvents } from './sent-events.js';
import { Transactions } from './transactions.js';
import { type User, Users } from './users.js';

export interface AccountsOptions {
  readonly engine: Engine;
  readonly serverName: ServerName;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  readonly randomBytes?: (length: number) => Uint8Array;
  /** What hashing a password costs; cheaper for tests only. */
  readonly passwordCost?: PasswordCost;
}

export interface NewUser {
  /** The wished-for part of the user id before the server. */
  readonly username: string;
  /** Without one nobody can log in by password. */
  readonly password?: string;
  readonly isAdmin?: boolean;
}

/** How to log a device in. */
export interface NewSession {
  /** A device that is there is used again, and its other tokens end; without one, a new device is made. */
  readonly deviceId?: string | undefined;
  /** For a new device only. */
  readonly displayName?: string | undefined;
  /** Lifetime of the access token where the client can refresh it; without one it does not expire. */
  readonly lifetimeMs?: number | undefined;
}

export interface SessionStarted extends IssuedTokens {
  readonly userId: UserId;
  readonly deviceId: string;
}

/** Parts that others rest on. */
interface Opened {
  readonly users: Users;
  readonly passwords: Passwords;
  readonly outside: OutsideRooms;
  readonly memberships: Memberships;
}

export class Accounts {
  readonly users: Users;
  readonly passwords: Passwords;
  readonly devices: Devices;
  readonly tokens: Tokens;
  readonly openId: OpenIdTokens;
  readonly profiles: Profiles;
  readonly accountData: AccountData;
  readonly filters: Filters;
  readonly pushRules: PushRules;
  readonly receipts: Receipts;
  readonly aliases: Aliases;
  readonly directory: Directory;
  readonly sentEvents: SentEvents;
  readonly transactions: Transactions;
  readonly memberships: Memberships;
  /** What users have to do with rooms that this server is not in. */
  readonly outside: OutsideRooms;
  readonly deviceLists: DeviceLists;
  readonly deviceKeys: DeviceKeys;
  readonly oneTimeKeys: OneTimeKeys;
  readonly crossSigning: CrossSigning;
  readonly keyBackup: KeyBackup;
  readonly toDevice: ToDevice;
  readonly erased: ErasedUsers;
  readonly #parts: AccountParts;
  /** What goes with a device, part by part. */
  readonly #deviceRemovals: readonly DeviceRemoval[];

  private constructor(parts: AccountParts, opened: Opened) {
    this.#parts = parts;
    this.passwords = opened.passwords;
    this.memberships = opened.memberships;
    this.outside = opened.outside;
    this.users = opened.users;
    const { memberships } = opened;
    this.tokens = new Tokens(parts);
    this.openId = new OpenIdTokens(parts, this.users);
    this.profiles = new Profiles(parts);
    this.accountData = new AccountData(parts);
    this.filters = new Filters(parts);
    this.pushRules = new PushRules(parts);
    this.receipts = new Receipts(parts);
    this.aliases = new Aliases(parts);
    this.directory = new Directory(parts);
    this.transactions = new Transactions(parts);
    this.deviceLists = new DeviceLists(parts, memberships);
    const signatures = new KeySignatures(parts);
    this.deviceKeys = new DeviceKeys(parts, this.deviceLists, signatures);
    this.devices = new Devices(parts, this.deviceKeys);
    this.sentEvents = new SentEvents(parts, this.devices);
    this.oneTimeKeys = new OneTimeKeys(parts);
    const { devices, deviceKeys, deviceLists } = this;
    this.crossSigning = new CrossSigning(parts, { devices, deviceKeys, deviceLists, signatures });
    this.keyBackup = new KeyBackup(parts);
    this.toDevice = new ToDevice(parts);
    this.erased = new ErasedUsers(parts);
    this.#deviceRemovals = [
      this.tokens.removalRecords,
      this.transactions.removalRecords,
      this.deviceKeys.removalRecords,
      this.oneTimeKeys.removalRecords,
      this.toDevice.removalRecords,
      this.devices.removalRecords,
    ];
  }

  /** The accounts of an engine. Close them before it. */
  static async open(options: AccountsOptions): Promise<Accounts> {
    const parts: AccountParts = {
      engine: options.engine,
      serverName: options.serverName,
      now: options.now ?? Date.now,
      randomBytes: options.randomBytes ?? randomBytes,
    };
    const passwords = new Passwords(parts, options.passwordCost ?? PASSWORD_COST);
    const users = new Users(parts);
    const outside = OutsideRooms.open(parts, users);
    const memberships = await Memberships.open(parts, outside);
    return new Accounts(parts, { users, passwords, outside, memberships });
  }

  async close(): Promise<void> {
    await this.memberships.close();
  }

  /**
   * Makes a user. Of several who ask for one name at once, one gets it.
   * @throws ACCOUNT_INVALID_USERNAME, ACCOUNT_USER_IN_USE
   */
  async register({ username, password, isAdmin = false }: NewUser): Promise<UserId> {
    const userId = this.users.idOf(username);
    this.users.assertFree(userId);
    const hash = password === undefined ? undefined : await this.passwords.hash(password);
    // From here to the writing nothing is awaited: whoever comes second is refused by `newRecord`.
    const records = [this.users.newRecord(userId, { isAdmin })];
    if (hash !== undefined) records.push(this.passwords.record(userId, hash));
    await this.#parts.engine.internal.write(records);
    return userId;
  }

  /** Who it is, if the password is theirs. As slow for nobody as for somebody. */
  async checkPassword(name: string, password: string): Promise<User | undefined> {
    const user = this.users.find(name);
    const isActive = user?.isDeactivated === false;
    const matches = await this.passwords.verify(isActive ? user.userId : undefined, password);
    return matches && user !== undefined && this.users.isActive(user.userId) ? user : undefined;
  }

  /** Logs a device in. @throws ACCOUNT_USER_UNKNOWN when the user is not there, or no more */
  async startSession(userId: UserId, session: NewSession = {}): Promise<SessionStarted> {
    this.#assertActive(userId);
    const deviceId = session.deviceId ?? this.devices.newId(userId);
    const { tokens, records } = this.tokens.issue(userId, deviceId, session.lifetimeMs);
    await this.#parts.engine.internal.write([
      ...this.devices.newRecords(userId, deviceId, session.displayName),
      ...records,
    ]);
    return { userId, deviceId, ...tokens };
  }

  /** Takes devices away with their tokens and all that was kept for them; those not there are passed over. */
  async removeDevices(userId: UserId, deviceIds: readonly string[]): Promise<void> {
    const records = this.#removalsOf(userId, deviceIds);
    if (records.length > 0) await this.#parts.engine.internal.write(records);
  }

  /**
   * Sets a new password, and takes devices away.
   * @param removed devices that are logged out with it
   */
  async setPassword(userId: UserId, password: string, removed: readonly string[] = []): Promise<void> {
    const hash = await this.passwords.hash(password);
    this.#assertActive(userId);
    await this.#parts.engine.internal.write([
      this.passwords.record(userId, hash),
      ...this.#removalsOf(userId, removed),
    ]);
  }

  /**
   * The user leaves for good: no password, no device, no profile; the id is never given out again.
   * @param options.erase take the account data away too, and show what they said to nobody who comes later
   */
  async deactivate(userId: UserId, options: { readonly erase: boolean }): Promise<void> {
    await this.#parts.engine.internal.write([
      this.users.deactivatedRecord(userId, options),
      this.passwords.record(userId, undefined),
      ...this.#removalsOf(
        userId,
        this.devices.list(userId).map(({ deviceId }) => deviceId),
      ),
      ...this.crossSigning.removalRecords(userId),
      ...this.profiles.removalRecords(userId),
      ...(options.erase ? [...this.accountData.removalRecords(userId), ...this.erased.records(userId)] : []),
    ]);
    await this.keyBackup.removeAll(userId);
  }

  #removalsOf(userId: UserId, deviceIds: readonly string[]) {
    return [...new Set(deviceIds)].flatMap((deviceId) =>
      this.#deviceRemovals.flatMap((removal) => removal(userId, deviceId)),
    );
  }

  #assertActive(userId: UserId): void {
    if (!this.users.isActive(userId)) {
      throw new UserUnknownError(`there is no user ${userId}`, { user_id: userId });
    }
  }
}
