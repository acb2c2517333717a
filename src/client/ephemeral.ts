// What lives in memory only: who is typing where, and who is present.
//
// Every change takes the next `position` of one counter, which sync tokens carry. After a restart the counter
// begins anew; the `epoch` in the token tells, and whoever comes from another epoch is told all there is.
// Nothing here has a clock or timers of its own: deadlines are looked at when somebody asks, and by `sweep`,
// which the notifier calls every few seconds.
//
// Source: client-server API, "Typing Notifications", "Presence".

import { randomBytes } from 'node:crypto';
import type { RoomId, UserId } from '../event/ids.js';

export type PresenceState = 'online' | 'unavailable' | 'offline';

/** What is known of one user's presence. */
export interface Presence {
  readonly state: PresenceState;
  readonly statusMessage: string | undefined;
  /** Milliseconds since 1970. */
  readonly lastActiveAt: number;
  /** Of the change that made it so. */
  readonly position: number;
}

/** What changed, for those who wake the users concerned. */
export type EphemeralChange =
  | { readonly kind: 'typing'; readonly roomId: RoomId }
  | { readonly kind: 'presence'; readonly userId: UserId };

/** Longest time that one request may claim to be typing. */
const TYPING_MS_MAX = 120_000;
/** Somebody present who has done nothing for so long is idle. */
export const IDLE_AFTER_MS = 5 * 60_000;
/** Somebody whose last sync is so long over is gone. */
const OFFLINE_AFTER_MS = 60_000;
/** Somebody of another server of whom nothing was heard for so long is gone. */
const REMOTE_OFFLINE_AFTER_MS = 30 * 60_000;
/** Users typing in one room, and users whose presence is kept: more are not remembered. */
const TYPING_USERS_MAX = 200;
const PRESENT_USERS_MAX = 100_000;

interface TypingRoom {
  /** Until when, milliseconds since 1970. */
  readonly until: Map<UserId, number>;
  position: number;
}

interface PresentUser extends Presence {
  /** Long polls of the user that are open. */
  readonly polls: number;
  /** When the last poll ended or was seen. */
  readonly seenAt: number;
  /** The user asked to be shown so, whatever their polls say. */
  readonly isPinned: boolean;
  /** Of another server, which says how they are. */
  readonly isRemote: boolean;
}

export class Ephemeral {
  /** Names this run of the server in sync tokens. */
  readonly epoch = randomBytes(6).toString('hex');
  readonly #now: () => number;
  readonly #hasPresence: boolean;
  readonly #typing = new Map<RoomId, TypingRoom>();
  readonly #present = new Map<UserId, PresentUser>();
  readonly #listeners = new Set<(change: EphemeralChange) => void>();
  #position = 0;
  /** Before that nothing runs out. */
  #nextDeadline = Number.POSITIVE_INFINITY;

  /** @param options `now`: milliseconds since 1970; `hasPresence`: false where nobody's is kept or shown */
  constructor(options: { readonly now: () => number; readonly hasPresence?: boolean }) {
    this.#now = options.now;
    this.#hasPresence = options.hasPresence ?? true;
  }

  /** Of the newest change. */
  get position(): number {
    return this.#position;
  }

  /** Calls back on every change; returns how to stop that. */
  subscribe(listener: (change: EphemeralChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  // Typing.

  /** A user types in a room, for so long; 0 is: no longer. */
  setTyping(roomId: RoomId, userId: UserId, forMs: number): void {
    const room = this.#typing.get(roomId) ?? { until: new Map<UserId, number>(), position: 0 };
    const wasTyping = room.until.has(userId);
    if (forMs <= 0) room.until.delete(userId);
    else if (wasTyping || room.until.size < TYPING_USERS_MAX) {
      const until = this.#now() + Math.min(forMs, TYPING_MS_MAX);
      room.until.set(userId, until);
      this.#nextDeadline = Math.min(this.#nextDeadline, until);
    }
    if (wasTyping === room.until.has(userId)) return;
    this.#typing.set(roomId, room);
    room.position = this.#change({ kind: 'typing', roomId });
  }

  /** Who types in a room, in the order in which they began, and the position since when that is so. */
  typing(roomId: RoomId): { readonly users: readonly UserId[]; readonly position: number } {
    this.sweep();
    const room = this.#typing.get(roomId);
    return { users: [...(room?.until.keys() ?? [])], position: room?.position ?? 0 };
  }

  // Presence.

  /** What is known of a user; undefined when nothing ever was. */
  presence(userId: UserId): Presence | undefined {
    this.sweep();
    return this.#present.get(userId);
  }

  /** Users whose presence changed after a position. */
  *presentSince(position: number): Generator<readonly [userId: UserId, presence: Presence]> {
    if (position >= this.#position) return;
    for (const entry of this.#present) if (entry[1].position > position) yield entry;
  }

  /** The user says how they are to be shown; counts as activity. */
  setPresence(userId: UserId, state: PresenceState, statusMessage: string | undefined): void {
    const now = this.#now();
    this.#put(userId, { state, statusMessage, lastActiveAt: now, seenAt: now, isPinned: state !== 'online' });
  }

  /** How a user of another server is, as their server says. */
  setRemotePresence(userId: UserId, presence: Omit<Presence, 'position'>): void {
    this.#put(userId, { ...presence, seenAt: this.#now(), isPinned: true, isRemote: true });
  }

  /** The user did something: sent, read, typed. */
  active(userId: UserId): void {
    const now = this.#now();
    const isPinned = this.#present.get(userId)?.isPinned ?? false;
    this.#put(userId, { lastActiveAt: now, seenAt: now, ...(isPinned ? {} : { state: 'online' }) });
  }

  /**
   * A sync of the user begins. A first one shows them online; later ones keep whatever is.
   * @returns to be called when it has been answered
   */
  poll(userId: UserId, state: PresenceState): () => void {
    if (state === 'offline') return () => undefined;
    const user = this.#present.get(userId);
    const now = this.#now();
    const polls = (user?.polls ?? 0) + 1;
    if (user?.isPinned === true) this.#put(userId, { polls, seenAt: now });
    else if (state === 'unavailable') this.#put(userId, { polls, seenAt: now, state });
    else if (user === undefined || user.state === 'offline') {
      this.#put(userId, { polls, seenAt: now, lastActiveAt: now, state });
    } else this.#put(userId, { polls, seenAt: now });
    return () => {
      const polling = this.#present.get(userId);
      if (polling !== undefined) this.#put(userId, { polls: polling.polls - 1, seenAt: this.#now() });
    };
  }

  /** Ends what has run out: typing, activity, presence. Costs nothing before the first deadline. */
  sweep(): void {
    const now = this.#now();
    if (now < this.#nextDeadline) return;
    this.#nextDeadline = Number.POSITIVE_INFINITY;
    for (const [roomId, room] of this.#typing) {
      const before = room.until.size;
      for (const [userId, until] of room.until) {
        if (until <= now) room.until.delete(userId);
        else this.#nextDeadline = Math.min(this.#nextDeadline, until);
      }
      if (room.until.size < before) room.position = this.#change({ kind: 'typing', roomId });
    }
    for (const [userId, user] of this.#present) {
      if (deadlineOf(user) > now) this.#nextDeadline = Math.min(this.#nextDeadline, deadlineOf(user));
      else if (user.isRemote) this.#put(userId, { state: 'offline' });
      else if (user.polls === 0 && user.seenAt + OFFLINE_AFTER_MS <= now)
        this.#put(userId, { state: 'offline' });
      else this.#put(userId, { state: 'unavailable' });
    }
  }

  #put(userId: UserId, change: Partial<PresentUser>): void {
    const user = this.#present.get(userId);
    if (!this.#hasPresence || (user === undefined && this.#present.size >= PRESENT_USERS_MAX)) return;
    const now = this.#now();
    const before = user ?? {
      state: 'offline' as const,
      statusMessage: undefined,
      lastActiveAt: now,
      position: 0,
      polls: 0,
      seenAt: now,
      isPinned: false,
      isRemote: false,
    };
    const after = { ...before, ...change };
    const isNews =
      user === undefined || after.state !== before.state || after.statusMessage !== before.statusMessage;
    this.#nextDeadline = Math.min(this.#nextDeadline, deadlineOf(after));
    if (!isNews) {
      this.#present.set(userId, after);
      return;
    }
    this.#present.set(userId, { ...after, position: this.#position + 1 });
    this.#change({ kind: 'presence', userId });
  }

  #change(change: EphemeralChange): number {
    const position = ++this.#position;
    for (const listener of this.#listeners) listener(change);
    return position;
  }
}

/** When a user's presence changes by itself, if nothing else happens. */
function deadlineOf({ state, isPinned, isRemote, polls, seenAt, lastActiveAt }: PresentUser): number {
  if (state === 'offline') return Number.POSITIVE_INFINITY;
  if (isRemote) return seenAt + REMOTE_OFFLINE_AFTER_MS;
  if (isPinned) return Number.POSITIVE_INFINITY;
  const offlineAt = polls === 0 ? seenAt + OFFLINE_AFTER_MS : Number.POSITIVE_INFINITY;
  const idleAt = state === 'online' ? lastActiveAt + IDLE_AFTER_MS : Number.POSITIVE_INFINITY;
  return Math.min(offlineAt, idleAt);
}
