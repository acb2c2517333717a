// What every section of the benchmarks is given: how hard to look, where to store, and rooms to share.

import { EngineRoom } from './engine-room.js';
import type { Effort } from './measure.js';
import { StateRoom } from './rooms.js';
import { storeOpener, type StoreKind } from './stores.js';

/** The room version that servers make rooms of. */
export const DEFAULT_VERSION = '12';

const QUICK_MEMBERS_MAX = 5_000;

export class BenchContext {
  readonly store: StoreKind;
  readonly isQuick: boolean;
  /** Room sizes of the curves. */
  readonly sizes: readonly number[];
  readonly effort: Effort;
  /** Says on the way what is being done. */
  readonly say: (text: string) => void;
  readonly #engineRooms = new Map<string, Promise<EngineRoom>>();

  readonly #membersMax: number;

  /** @param membersMax larger rooms are left out; a target that speaks of one is measured on the largest left, and says so */
  constructor(store: StoreKind, isQuick: boolean, membersMax: number, say: (text: string) => void) {
    this.store = store;
    this.isQuick = isQuick;
    this.#membersMax = isQuick ? Math.min(membersMax, QUICK_MEMBERS_MAX) : membersMax;
    const sizes = isQuick ? [100, 1_000, QUICK_MEMBERS_MAX] : [100, 1_000, 10_000, 30_000, 100_000];
    this.sizes = sizes.filter((size) => size <= this.#membersMax);
    this.effort = isQuick ? { rounds: 3, timeMs: 10 } : { rounds: 7, timeMs: 40 };
    this.say = say;
  }

  /** Are rooms of this size part of the run? */
  has(members: number): boolean {
    return members <= this.#membersMax;
  }

  /** The room size closest to the one a target speaks of that this run has time for. */
  size(wanted: number): number {
    return Math.min(wanted, this.#membersMax);
  }

  stateRoom(members: number): Promise<StateRoom> {
    this.say(`building a state of ${members} members`);
    return StateRoom.build(members, storeOpener(this.store));
  }

  /** A room in an engine; made once, shared by the sections, left with one forward extremity by each. */
  engineRoom(members: number, version: string = DEFAULT_VERSION): Promise<EngineRoom> {
    const name = `${members} ${version}`;
    const made = this.#engineRooms.get(name);
    if (made !== undefined) return made;
    this.say(`receiving a room of ${members} members, version ${version}`);
    const room = EngineRoom.build(members, version, this.store);
    this.#engineRooms.set(name, room);
    return room;
  }

  async close(): Promise<void> {
    for (const room of this.#engineRooms.values()) await (await room).close();
  }
}
