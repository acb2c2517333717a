// Keeps the device lists of other servers' users right, from the first time that somebody asks for their keys until
// they share no room with anybody here.
//
// An update names those before it. When it follows on what is known it is taken in; else something was missed, and
// the whole list is asked for: again, when its server is back, until there is an answer. Clients are told of a
// change once the keys they will ask for are those that changed.
//
// While the state of a room is not all known, it may not be known who shares one. What is kept of such a user is
// then not relied on, and what is told of them is noted; once it is known, those who share a room have changed.
//
// Source: server-server API, "Device Management"; MSC3902.

import type { InternalRecord } from '../../core/internal.js';
import { serverOf, type ServerName, type UserId } from '../../event/ids.js';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { toError } from '../../lib/errors.js';
import { Gate } from '../../lib/gate.js';
import { isRemoteFailure } from '../errors.js';
import type { RemoteDeviceUpdate, RemoteSigningKeys } from '../inbound/edu-sink.js';
import type { UsersContext } from './context.js';
import { deviceKeysOf, listedUser, signingKeyOf } from './key-answers.js';
import type { KeptKeys } from './remote-devices.js';
import { UnsureChanges } from './unsure-changes.js';

/** A list that is being asked for. */
interface Asking {
  /** By so many at once. */
  count: number;
  /** A change came meanwhile, so that the answers may not have it. */
  isTooOld: boolean;
}

/** Does a user share a room with somebody here? */
type Sharing = 'shared' | 'unsure' | 'none';

/** Users that are sorted out in one turn, and one write. */
const SORTED_AT_ONCE = 100;

export class DeviceTracking {
  readonly #context: UsersContext;
  readonly #unsure: UnsureChanges;
  readonly #gate: Gate;
  readonly #asking = new Map<UserId, Asking>();
  readonly #resyncs = new Map<UserId, Promise<void>>();
  readonly #retries = new Map<ServerName, () => void>();
  readonly #listeners = new Set<(userId: UserId) => void>();
  readonly #unsubscribe: readonly (() => void)[];
  #sorting: Promise<void> | undefined;
  #isSortingDue = false;
  /** All that is kept is to be looked through too. */
  #isLeaving = false;
  #isClosed = false;

  constructor(context: UsersContext) {
    this.#context = context;
    this.#unsure = new UnsureChanges(context.engine, context.options);
    this.#gate = new Gate(context.options.resyncsMax);
    this.#unsubscribe = [
      context.destinations.onRecovered((server) => this.#retry(server)),
      context.roomServers.subscribe({
        memberLeft: (_, userId) => this.#memberLeft(userId),
        membersKnown: () => this.#sortOut(),
        // Nobody here is in the room any more: its members' servers tell of no further change.
        left: (_, server) => {
          if (server !== context.serverName) return;
          this.#isLeaving = true;
          this.#sortOut();
        },
      }),
    ];
  }

  /** Forgets those who left while nobody looked, and asks for what was missed. */
  async start(): Promise<void> {
    const { devices, roomServers } = this.#context;
    const unshared = devices.kept().filter((userId) => !roomServers.sharesRoom(userId));
    await this.#write(unshared.flatMap((userId) => this.#unsharedRecords(userId)));
    this.#sortOut();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const stop of [...this.#unsubscribe, ...this.#retries.values()]) stop();
    await this.settled();
  }

  /** Resolves when nothing is being asked for. */
  async settled(): Promise<void> {
    while (this.#resyncs.size > 0 || this.#sorting !== undefined) {
      await Promise.all([...this.#resyncs.values(), this.#sorting]);
    }
  }

  /** Calls back when a user's keys changed, once that is committed; returns how to stop that. */
  subscribe(listener: (userId: UserId) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A device of a user changed, says their server. Durable when it resolves. */
  async deviceUpdate(update: RemoteDeviceUpdate): Promise<void> {
    const { userId, streamId } = update;
    const { devices } = this.#context;
    if (!(await this.#isShared(userId))) return;
    const kept = this.#toChange(userId);
    if (kept === undefined) return this.#changed(userId, []);
    if (kept.streamId === streamId) return;
    const next = follows(kept, update) ? this.#with(kept, update) : undefined;
    if (next !== undefined) return this.#changed(userId, devices.records(userId, next));
    return this.#missed(userId);
  }

  /** A user has other cross-signing keys, says their server. Durable when it resolves. */
  async signingKeys({ userId, masterKey, selfSigningKey }: RemoteSigningKeys): Promise<void> {
    const { devices, options } = this.#context;
    if (!(await this.#isShared(userId))) return;
    const kept = this.#toChange(userId);
    if (kept === undefined) return this.#changed(userId, []);
    const master = signingKeyOf(masterKey, userId, 'master', options.keyBytesMax);
    const selfSigning = signingKeyOf(selfSigningKey, userId, 'self_signing', options.keyBytesMax);
    if (master === undefined && selfSigning === undefined) return;
    const next = { ...kept, master: master ?? kept.master, selfSigning: selfSigning ?? kept.selfSigning };
    return this.#changed(userId, devices.records(userId, next));
  }

  /** A list is about to be asked for. */
  began(userId: UserId): void {
    const asking = this.#asking.get(userId);
    if (asking === undefined) this.#asking.set(userId, { count: 1, isTooOld: false });
    else asking.count++;
  }

  /**
   * It was answered, or not.
   * @param answer is kept, unless a change came meanwhile or the user shares no room
   */
  ended(userId: UserId, answer: KeptKeys | undefined): InternalRecord[] {
    const asking = this.#asking.get(userId);
    const isTooOld = asking?.isTooOld === true;
    if (asking !== undefined && --asking.count === 0) this.#asking.delete(userId);
    const { devices, roomServers } = this.#context;
    if (answer === undefined || isTooOld || !roomServers.sharesRoom(userId)) return [];
    return devices.records(userId, answer);
  }

  /** What is kept of a user and may be changed; undefined where the next who asks will ask their server. */
  #toChange(userId: UserId): KeptKeys | undefined {
    const { devices } = this.#context;
    const asking = this.#asking.get(userId);
    if (asking !== undefined) asking.isTooOld = true;
    return devices.isStale(userId) ? undefined : devices.get(userId);
  }

  #with(kept: KeptKeys, { userId, deviceId, streamId, isDeleted, keys, displayName }: RemoteDeviceUpdate) {
    const { options } = this.#context;
    const devices = new Map(kept.devices);
    const known = keys && deviceKeysOf(keys, userId, deviceId, options.keyBytesMax);
    if (isDeleted || known === undefined) devices.delete(deviceId);
    else devices.set(deviceId, { keys: known, displayName });
    return devices.size > options.devicesMax ? undefined : { ...kept, streamId, devices };
  }

  async #missed(userId: UserId): Promise<void> {
    await this.#write(this.#context.devices.staleRecords(userId));
    this.#resync(userId);
  }

  async #changed(userId: UserId, records: readonly InternalRecord[]): Promise<void> {
    const { accounts, devices } = this.#context;
    await this.#write([...records, accounts.deviceLists.changedRecord(userId)]);
    for (const listener of this.#listeners) listener(userId);
    if (devices.isStale(userId)) this.#resync(userId);
  }

  #resyncShared(userId: UserId): void {
    if (this.#context.roomServers.sharesRoom(userId)) this.#resync(userId);
  }

  #resync(userId: UserId): void {
    if (this.#resyncs.has(userId) || this.#isClosed) return;
    const running = this.#askForList(userId)
      .catch((error: unknown) => {
        this.#context.log.warn(
          { user: userId, err: toError(error) },
          'a device list was not brought up to date',
        );
      })
      .finally(() => this.#resyncs.delete(userId));
    this.#resyncs.set(userId, running);
  }

  async #askForList(userId: UserId): Promise<void> {
    const { remote, options, devices } = this.#context;
    const server = serverOf(userId);
    await this.#gate.enter(1);
    this.began(userId);
    let list: KeptKeys | undefined;
    try {
      if (this.#isClosed || !devices.isStale(userId)) return;
      list = listedUser(await remote.userDevices(server, userId), userId, options);
    } catch (error) {
      if (!isRemoteFailure(error)) throw error;
    } finally {
      this.#gate.leave(1);
      if (list === undefined) this.ended(userId, undefined);
    }
    if (list === undefined) {
      this.#retryLater(server);
      return;
    }
    const records = this.ended(userId, list);
    if (records.length > 0) await this.#changed(userId, records);
    else if (this.#sharingNow(userId) === 'shared') this.#retryLater(server);
    else await this.#write(this.#unsharedRecords(userId));
  }

  /** When the server may be asked again; at once when it is heard before. */
  #retryLater(server: ServerName): void {
    const { destinations, now, after, options } = this.#context;
    if (this.#retries.has(server) || this.#isClosed) return;
    const ms = Math.max((destinations.failing(server)?.retryAt ?? 0) - now(), options.keysTimeoutMs);
    this.#retries.set(
      server,
      after(ms, () => this.#retry(server)),
    );
  }

  #retry(server: ServerName): void {
    const cancel = this.#retries.get(server);
    if (cancel === undefined) return;
    cancel();
    this.#retries.delete(server);
    for (const userId of this.#context.devices.stale()) {
      if (serverOf(userId) === server) this.#resyncShared(userId);
    }
  }

  #memberLeft(userId: UserId): void {
    const records = this.#unsharedRecords(userId);
    if (records.length === 0) return;
    this.#write(records).catch((error: unknown) => {
      const { log } = this.#context;
      log.warn({ user: userId, err: toError(error) }, 'the keys of a user who left were not forgotten');
    });
  }

  /** What is kept of a user who shares no room is forgotten, or relied on no more while they may share one. */
  #unsharedRecords(userId: UserId): InternalRecord[] {
    const { devices } = this.#context;
    const removal = devices.removalRecords(userId);
    if (removal.length === 0) return [];
    const sharing = this.#sharingNow(userId);
    if (sharing === 'none') return removal;
    return sharing === 'unsure' ? devices.staleRecords(userId) : [];
  }

  /**
   * Takes note when it is not known whether the user shares a room.
   * @returns whether it is known that they do
   */
  async #isShared(userId: UserId): Promise<boolean> {
    await this.#context.roomServers.caughtUp();
    const sharing = this.#sharingNow(userId);
    // They may be known to share one before an answer comes that does not have this change.
    if (sharing !== 'shared') this.#toChange(userId);
    if (sharing === 'unsure') await this.#write(this.#unsure.records(userId));
    return sharing === 'shared';
  }

  #sharingNow(userId: UserId): Sharing {
    const { roomServers } = this.#context;
    if (roomServers.sharesRoom(userId)) return 'shared';
    return roomServers.mayShareRoom(userId) ? 'unsure' : 'none';
  }

  /** It is known of a room who is in it: so it may be of users that something was noted of. */
  #sortOut(): void {
    this.#isSortingDue = true;
    if (this.#sorting !== undefined) return;
    this.#sorting = this.#sortOutAll()
      .catch((error: unknown) => {
        this.#context.log.warn({ err: toError(error) }, 'changes that were noted were not looked through');
      })
      .finally(() => {
        this.#sorting = undefined;
        // What came in the very turn in which it ended.
        if (this.#isSortingDue && !this.#isClosed) this.#sortOut();
      });
  }

  async #sortOutAll(): Promise<void> {
    const { devices } = this.#context;
    while (this.#isSortingDue && !this.#isClosed) {
      this.#isSortingDue = false;
      const old = this.#isLeaving ? devices.kept() : devices.stale();
      this.#isLeaving = false;
      const marked = new Set(this.#unsure.servers());
      const ofMarked = marked.size === 0 ? [] : devices.kept().filter((id) => marked.has(serverOf(id)));
      const noted = new Set([...this.#unsure.users(), ...ofMarked]);
      const rest = old.filter((userId) => !noted.has(userId));
      const changed: UserId[] = [];
      await this.#inParts(noted, (userId) => this.#sortedOut(userId, changed));
      await this.#inParts(rest, (userId) => this.#unsharedRecords(userId));
      for (const userId of changed) for (const listener of this.#listeners) listener(userId);
      const known = [...marked].filter((server) => !this.#context.roomServers.isUnsure(server));
      await this.#write(known.map((server) => this.#unsure.removalRecord(server)));
      for (const userId of devices.stale()) this.#resyncShared(userId);
    }
  }

  async #inParts(userIds: Iterable<UserId>, recordsOf: (userId: UserId) => InternalRecord[]): Promise<void> {
    const left = [...userIds];
    for (let at = 0; at < left.length && !this.#isClosed; at += SORTED_AT_ONCE) {
      await nextTurn();
      const part = left.slice(at, at + SORTED_AT_ONCE);
      await this.#write(part.flatMap(recordsOf));
    }
  }

  /**
   * Of a user whose keys changed while it was not known whether they share a room.
   * @param changed those that clients are to be told of at once are added
   */
  #sortedOut(userId: UserId, changed: UserId[]): InternalRecord[] {
    const { accounts, devices } = this.#context;
    const sharing = this.#sharingNow(userId);
    if (sharing === 'unsure') return [];
    const known = this.#unsure.has(userId) ? [this.#unsure.removalRecord(userId)] : [];
    if (sharing === 'none') return [...known, ...devices.removalRecords(userId)];
    // Where something is kept clients are told once it is right again.
    if (devices.get(userId) !== undefined) return [...known, ...devices.staleRecords(userId)];
    changed.push(userId);
    return [...known, accounts.deviceLists.changedRecord(userId)];
  }

  async #write(records: readonly InternalRecord[]): Promise<void> {
    if (records.length > 0) await this.#context.engine.internal.write(records);
  }
}

/** Is what is kept the list just before the update? */
function follows({ streamId }: KeptKeys, { prevIds }: RemoteDeviceUpdate): boolean {
  return streamId !== undefined && prevIds.length > 0 && prevIds.every((previous) => previous === streamId);
}
