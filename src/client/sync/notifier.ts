// Wakes long polls, those concerned and no others, and holds what syncs keep in memory.
//
// It follows what is committed, in order. An event of a room wakes the users of this server who are in it, and
// the one whose membership it sets; a record of this server's own wakes its user, or the users of its room.
//
//   released ──▶ note in RoomMoments ──▶ who is concerned? ──▶ wake their listeners
//   ephemeral changes ─────────────────────────┘

import type { Accounts } from '../../account/accounts.js';
import { DEVICE_LIST } from '../../account/device-lists.js';
import { userRoom } from '../../account/parts.js';
import { RECEIPT, receiptOf, roomOfReceipts } from '../../account/receipts.js';
import { PARTIAL_ROOM, roomOfPartial } from '../../core/partial-states.js';
import type { ReleasedGroup } from '../../core/release.js';
import type { Engine } from '../../engine/engine.js';
import { Follower } from '../../engine/follower.js';
import type { RoomId, UserId } from '../../event/ids.js';
import { isRemoval } from '../../event/internal.js';
import type { EndSignal } from '../../lib/end-signal.js';
import type { Pdu } from '../../event/pdu.js';
import { INTERNAL_VERSION } from '../../event/rules.js';
import { MEMBER_TYPE } from '../../room/state/key.js';
import { isBackfilled, type KnownEvent } from '../../room/graph/known-events.js';
import type { Ephemeral, EphemeralChange } from '../ephemeral.js';
import { RoomMoments } from './room-moments.js';
import { SentMembers } from './sent-members.js';
import { Summaries } from './summary.js';
import { UnreadCounts } from './unread.js';

/** How often what runs out by itself (typing, presence) is looked at. */
const SWEEP_EVERY_MS = 5_000;
/** Users of one room that are woken for somebody's presence. */
const PRESENCE_WAKES_MAX = 100;

/** Records of a user's room that no sync tells of. */
const UNTOLD: ReadonlySet<string> = new Set([
  'stateroom.txn',
  'stateroom.filter',
  'stateroom.device_seen',
  'stateroom.password',
  'stateroom.forgotten',
]);

const TO_DEVICE = 'stateroom.to_device';

export interface NotifierParts {
  readonly engine: Engine;
  readonly accounts: Accounts;
  readonly ephemeral: Ephemeral;
}

/** Whom a group of events concerns: everybody in these rooms, and these users. */
interface Concerned {
  readonly rooms: Set<RoomId>;
  readonly users: Set<UserId>;
}

/** One long poll. */
export class Listener {
  readonly #stop: (listener: Listener) => void;
  #isWoken = false;
  #isEnded = false;
  #onWake: (() => void) | undefined;

  constructor(stop: (listener: Listener) => void) {
    this.#stop = stop;
  }

  wake(): void {
    this.#isWoken = true;
    this.#onWake?.();
  }

  /** There will be nothing more: whoever waits is to answer now. */
  end(): void {
    this.#isEnded = true;
    this.#onWake?.();
  }

  /**
   * Calls back once, in a turn of its own if the listener was woken since it was made or since it last waited: with
   * false when the time is over, the signal aborted or the server closes, with true when there may be something to tell.
   */
  wait(timeoutMs: number, signal: EndSignal, onEnd: (isWoken: boolean) => void): void {
    if (this.#isWoken || this.#isEnded || timeoutMs <= 0 || signal.aborted) {
      queueMicrotask(() => onEnd(this.#taken(signal)));
      return;
    }
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      this.#onWake = undefined;
      // Whoever wakes many goes on first.
      queueMicrotask(() => onEnd(this.#taken(signal)));
    };
    const timer = setTimeout(done, timeoutMs);
    signal.addEventListener('abort', done);
    this.#onWake = done;
  }

  /** Is there something to tell to somebody who is there? Asked once for each time that it is woken. */
  #taken(signal: EndSignal): boolean {
    const isWoken = this.#isWoken;
    this.#isWoken = false;
    return isWoken && !this.#isEnded && !signal.aborted;
  }

  /** Stops listening. */
  close(): void {
    this.#stop(this);
  }
}

export class Notifier {
  readonly moments: RoomMoments;
  readonly sentMembers = new SentMembers();
  readonly summaries: Summaries;
  readonly unread: UnreadCounts;
  readonly #parts: NotifierParts;
  readonly #listeners = new Map<UserId, Set<Listener>>();
  /** Users who listen, by their internal room. */
  readonly #usersByRoom = new Map<RoomId, UserId>();
  readonly #unsubscribe: () => void;
  readonly #sweeper: NodeJS.Timeout;
  readonly #follower: Follower;

  /** Follows the engine from now on, until it is closed. Close it before the accounts. */
  constructor(parts: NotifierParts) {
    this.#parts = parts;
    this.moments = new RoomMoments(parts.engine);
    this.summaries = new Summaries(parts.engine, this.moments);
    this.unread = new UnreadCounts(parts.engine, parts.accounts, this.moments);
    this.#unsubscribe = parts.ephemeral.subscribe((change) => this.#onEphemeral(change));
    this.#sweeper = setInterval(() => parts.ephemeral.sweep(), SWEEP_EVERY_MS).unref();
    this.#follower = new Follower(parts.engine, parts.engine.watermark, (group) => this.#take(group));
    void this.#follower.ended().then(() => this.#endAll());
  }

  /** Long polls that are open. */
  get listeners(): number {
    let count = 0;
    for (const listeners of this.#listeners.values()) count += listeners.size;
    return count;
  }

  /** Listens for what concerns a user, from now on. To be closed by the caller. */
  listen(userId: UserId): Listener {
    const listeners = this.#listeners.get(userId) ?? new Set<Listener>();
    const listener = new Listener((closed) => {
      listeners.delete(closed);
      if (listeners.size > 0 || this.#listeners.get(userId) !== listeners) return;
      this.#listeners.delete(userId);
      this.#usersByRoom.delete(userRoom(userId));
    });
    if (this.#follower.isEnding) listener.end();
    listeners.add(listener);
    this.#listeners.set(userId, listeners);
    this.#usersByRoom.set(userRoom(userId), userId);
    return listener;
  }

  /** Wakes the long polls of a user. */
  wake(userId: UserId): void {
    for (const listener of this.#listeners.get(userId) ?? []) listener.wake();
  }

  /** Resolves when everything up to a seq was followed: whoever saw it committed finds it told. */
  async reached(seq: number): Promise<void> {
    await this.#parts.accounts.memberships.caughtUp();
    await this.#follower.reached(seq);
  }

  /** Answers everybody who waits, and ends. */
  async close(): Promise<void> {
    clearInterval(this.#sweeper);
    this.#unsubscribe();
    await this.#follower.close();
  }

  async #take({ events }: ReleasedGroup): Promise<void> {
    const { engine, accounts } = this.#parts;
    await accounts.memberships.caughtUp();
    const concerned = { rooms: new Set<RoomId>(), users: new Set<UserId>() };
    for (const { seq, row } of events) {
      const event = engine.reader.events.at(seq);
      if (event === undefined) continue;
      this.moments.note(event);
      if (row.roomVersion === INTERNAL_VERSION) await this.#addOfRecord(event, concerned);
      else this.#addOfEvent(event, concerned);
    }
    for (const roomId of concerned.rooms) this.wakeRoom(roomId);
    for (const userId of concerned.users) this.wake(userId);
  }

  /** There is nothing more to wait for. */
  #endAll(): void {
    for (const listeners of this.#listeners.values()) for (const listener of listeners) listener.end();
  }

  #addOfEvent(event: KnownEvent, { rooms, users }: Concerned): void {
    if (event.verdict !== 'accepted' || event.isOutlier || isBackfilled(event)) return;
    const { type, stateKey, roomId } = event.pdu;
    rooms.add(roomId);
    if (type === MEMBER_TYPE && stateKey !== undefined) users.add(stateKey as UserId);
  }

  async #addOfRecord({ pdu }: KnownEvent, { rooms, users }: Concerned): Promise<void> {
    const { roomId, type, stateKey, content } = pdu;
    if (roomId === PARTIAL_ROOM) this.#addPartial(roomOfPartial(content), { rooms, users });
    else if (type === RECEIPT && stateKey !== undefined) {
      const receipt = receiptOf(stateKey, content);
      users.add(receipt.userId);
      const read = receipt.type === 'm.read' ? roomOfReceipts(roomId) : undefined;
      if (read !== undefined) rooms.add(read);
    } else if (type === DEVICE_LIST && stateKey !== undefined) {
      users.add(stateKey as UserId);
      for (const shared of await this.#parts.accounts.memberships.rooms(stateKey as UserId, 'join'))
        rooms.add(shared);
    } else {
      const userId = this.#usersByRoom.get(roomId);
      if (userId !== undefined && !UNTOLD.has(type) && !isAcknowledged(pdu)) users.add(userId);
    }
  }

  /** The state of a room is known in part, or whole now: whoever has to do with it may be told something else. */
  #addPartial(roomId: RoomId | undefined, { rooms, users }: Concerned): void {
    if (roomId === undefined) return;
    this.moments.completed(roomId);
    rooms.add(roomId);
    for (const userId of this.#parts.accounts.memberships.ofRoom(roomId).keys()) users.add(userId);
  }

  /**
   * Wakes the users of this server who are in the room: going through those who listen, or those in the room,
   * whoever are fewer.
   */
  wakeRoom(roomId: RoomId): void {
    const members = this.#parts.accounts.memberships.ofRoom(roomId);
    const users = members.size < this.#listeners.size ? members.keys() : this.#listeners.keys();
    for (const userId of users) if (members.get(userId)?.membership === 'join') this.wake(userId);
  }

  #onEphemeral(change: EphemeralChange): void {
    if (change.kind === 'typing') {
      this.wakeRoom(change.roomId);
      return;
    }
    this.wake(change.userId);
    // It fails where the memberships cannot be followed any more, of which the next sync is told.
    this.#wakeWhoShares(change.userId).catch(() => undefined);
  }

  async #wakeWhoShares(userId: UserId): Promise<void> {
    this.wakeForPresence(await this.#parts.accounts.memberships.rooms(userId, 'join'));
  }

  /** In a room of thousands presence waits for the next answer: each would wake all, all the time. */
  wakeForPresence(rooms: Iterable<RoomId>): void {
    const { memberships } = this.#parts.accounts;
    for (const roomId of rooms)
      if (memberships.ofRoom(roomId).size <= PRESENCE_WAKES_MAX) this.wakeRoom(roomId);
  }
}

/** A message to a device that is taken away: its device knows. */
function isAcknowledged(pdu: Pdu): boolean {
  return pdu.type === TO_DEVICE && isRemoval(pdu);
}
