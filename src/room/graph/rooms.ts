// The rooms by id: read from their rows when first asked for, begun by their create events.

import type { RoomId } from '../../event/ids.js';
import type { Pdu } from '../../event/pdu.js';
import { type RoomVersionRules, storedRulesOf } from '../../event/rules.js';
import { RecentMap } from '../../lib/recent-map.js';
import { StoreCorruptError } from '../../store/errors.js';
import type { RoomRow } from '../../store/records.js';
import type { Store } from '../../store/store.js';
import type { RoomStates } from '../state/room-states.js';
import type { EventLookup } from './known-events.js';
import { newRoomRow, Room } from './room.js';
import type { StateResolver } from './state-resolver.js';

/** Makes a room's view of the state tree, its new nodes going into records of this room. */
export type StatesOf = (rules: RoomVersionRules, roomNumber: number) => RoomStates;

/** Rooms kept in memory. */
const ROOMS_MAX = 2_048;

export class Rooms {
  readonly #store: Store;
  readonly #known: EventLookup;
  readonly #resolver: StateResolver;
  readonly #statesOf: StatesOf;
  readonly #nextNumber: () => number;
  readonly #open = new RecentMap<RoomId, Room>();

  constructor(
    store: Store,
    known: EventLookup,
    resolver: StateResolver,
    statesOf: StatesOf,
    nextNumber: () => number,
  ) {
    this.#store = store;
    this.#known = known;
    this.#resolver = resolver;
    this.#statesOf = statesOf;
    this.#nextNumber = nextNumber;
  }

  /** The room, or undefined when no create event of it is known. */
  find(roomId: RoomId): Room | undefined {
    const open = this.#open.get(roomId);
    if (open !== undefined) return open;
    const row = this.#store.roomRow(roomId);
    return row === undefined ? undefined : this.#hold(row);
  }

  /**
   * Forgets rooms that were not asked for lately, when there are many. Only while nothing is decided that is not
   * committed: then their rows say all that they know.
   */
  trim(roomsMax: number = ROOMS_MAX): void {
    // Some more than need be, so that it is not done again for the next one.
    if (this.#open.size > roomsMax) this.#open.trim(roomsMax - (roomsMax >> 4));
  }

  /** The version of a room that is known. */
  rulesOf(roomId: RoomId): RoomVersionRules | undefined {
    return this.find(roomId)?.rules;
  }

  /** Begins the room of a create event that is about to be accepted, with or without a place. */
  begin(create: Pdu): Room {
    return this.#hold(newRoomRow(create, this.#nextNumber()));
  }

  #hold(row: RoomRow): Room {
    const rules = storedRulesOf(row.version);
    if (rules === undefined) {
      throw new StoreCorruptError(`room ${row.roomId} has the unknown version ${row.version}`, {
        room_id: row.roomId,
      });
    }
    const states = this.#statesOf(rules, row.number);
    const room = new Room(row, rules, states, this.#known, this.#resolver);
    this.#open.set(row.roomId, room);
    return room;
  }
}
