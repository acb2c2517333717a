// What the soak holds to be true of the server: its rooms, who is in them, and what was sent to whom.
//
// In a tame room memberships change one at a time while nobody sends, so that every answer is certain. In a wild
// one everything races with everything, and who is refused may have come too late.

import { RoomLock } from './room-lock.js';

export type Membership = 'join' | 'invite' | 'leave' | 'ban';

export class SoakRoom {
  readonly roomId: string;
  readonly creator: string;
  readonly isPublic: boolean;
  readonly isWild: boolean;
  readonly members = new Map<string, Membership>();
  /** Ids of the newest messages, with their senders. */
  readonly messages: Array<{ readonly id: string; readonly sender: string }> = [];
  readonly #lock = new RoomLock();

  constructor(
    roomId: string,
    creator: string,
    kind: { readonly isPublic: boolean; readonly isWild: boolean },
  ) {
    this.roomId = roomId;
    this.creator = creator;
    this.isPublic = kind.isPublic;
    this.isWild = kind.isWild;
    this.members.set(creator, 'join');
  }

  membership(userId: string): Membership {
    return this.members.get(userId) ?? 'leave';
  }

  usersWith(membership: Membership): string[] {
    return [...this.members].filter(([, has]) => has === membership).map(([userId]) => userId);
  }

  talking<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.isWild ? work() : this.#lock.shared(work);
  }

  changing<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.isWild ? work() : this.#lock.exclusive(work);
  }

  /** What may come of what the rules allow, as far as the soak knows. */
  get ifAllowed(): readonly string[] {
    return this.isWild ? ['200', '403 M_FORBIDDEN'] : ['200'];
  }
}

/** A message to a device that the server took. */
export interface SentToDevice {
  readonly id: string;
  readonly sender: string;
  readonly userId: string;
  readonly deviceId: string;
}

export class World {
  readonly rooms: SoakRoom[] = [];
  readonly sentToDevices: SentToDevice[] = [];
}
