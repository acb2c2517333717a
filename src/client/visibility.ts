// Who may see what of a room: history visibility at each event, and which state a user may ask for.
//
// Default deny: whoever is not in the room, was not, and may not peek, gets 403 and learns nothing, not even
// that the room exists. Everything here is point reads of roots; no state is ever loaded whole.
//
// Source: client-server API, "Room History Visibility", "Server behaviour". Decisions where it leaves room:
// - A user's own membership events are always theirs to see: `/sync` shows invites and bans anyhow.
// - What another branch of the graph says of a user who has left counts up to the leave, as committed here.

import type { Accounts } from '../account/accounts.js';
import type { Engine } from '../engine/engine.js';
import { parseHashRoomId, parseRoomId, type EventId, type UserId } from '../event/ids.js';
import { own } from '../event/json.js';
import type { Pdu } from '../event/pdu.js';
import { INTERNAL_VERSION } from '../event/rules.js';
import { equalBytes } from '../lib/bytes.js';
import {
  type HistoryVisibility,
  historyVisibilityAt,
  powerLevelsAt as powerLevelsIn,
  stateEventAt,
} from '../reader/room-facts.js';
import type { StateView } from '../reader/state-view.js';
import type { PowerLevels } from '../room/auth/power-levels.js';
import { type KnownEvent, orderOf } from '../room/graph/known-events.js';
import type { Membership } from '../room/state/value.js';
import type { RoomRow } from '../store/records.js';
import type { RootRef } from '../tree/types.js';
import { forbidden } from './errors.js';

/** What who may not know of a room is told, whether it is there or not. */
export const NOT_IN_ROOM = 'You are not in this room, or there is no such room.';

/** Changes of one membership that are looked back on to find when a user was joined last. */
const MEMBERSHIP_CHANGES_MAX = 1_000;

/** A room of the store that clients may name; internal rooms and malformed ids are none. */
export function clientRoom(engine: Engine, roomId: string): RoomRow | undefined {
  const parsed = parseRoomId(roomId) ?? parseHashRoomId(roomId);
  const room = parsed === undefined ? undefined : engine.store.room(parsed);
  return room === undefined || room.version === INTERNAL_VERSION ? undefined : room;
}

/** The history visibility that a state sets; `shared` where it sets none that is understood. */
export function historyVisibility(engine: Engine, view: StateView): HistoryVisibility {
  return historyVisibilityAt(engine.reader, view);
}

/** The event at a key of a state. */
export function stateEvent(engine: Engine, view: StateView, type: string, stateKey = ''): Pdu | undefined {
  return stateEventAt(engine.reader, view, type, stateKey);
}

/** The power levels in force in a state. */
export function powerLevelsAt(engine: Engine, view: StateView): PowerLevels {
  return powerLevelsIn(engine.reader, view);
}

/** The state of a room as this server saw it right after an event of its timeline. */
export function stateAfter(view: StateView, event: KnownEvent): StateView {
  return event.roots === undefined ? view : view.at(event.roots.room ?? event.roots.after);
}

/** What one side of an event says about one user. */
interface Sight {
  readonly root: RootRef;
  readonly visibility: HistoryVisibility;
  readonly membership: Membership | undefined;
}

/** One user's eyes on one room, as of one moment. */
export class RoomViewer {
  readonly userId: UserId;
  /** The room's state at that moment. */
  readonly view: StateView;
  readonly membership: Membership | undefined;
  /** Place of the leave or ban in force; Infinity when there is none. */
  readonly departedAt: number;
  /** The event that ended the user's last time in the room; undefined while joined, and if never. */
  readonly departure: KnownEvent | undefined;
  /** Its place; Infinity while joined, -Infinity if never. */
  readonly joinedUntil: number;
  readonly #engine: Engine;
  #sight: Sight | undefined;
  #joinedSince: number | undefined;

  /** @param view the room's current state, or an earlier one to see with the eyes of then */
  constructor(engine: Engine, view: StateView, userId: UserId) {
    this.#engine = engine;
    this.view = view;
    this.userId = userId;
    this.membership = view.membership(userId);
    const isDeparted = this.membership === 'leave' || this.membership === 'ban';
    this.departedAt = isDeparted ? placeOf(this.#own(), 0) : Number.POSITIVE_INFINITY;
    this.departure = this.membership === 'join' ? undefined : this.#lastDeparture();
    this.joinedUntil =
      this.membership === 'join'
        ? Number.POSITIVE_INFINITY
        : placeOf(this.departure, Number.NEGATIVE_INFINITY);
  }

  /** Is the user joined? */
  get isJoined(): boolean {
    return this.membership === 'join';
  }

  /** Seq of the event that began the user's last time in the room, profile changes passed over; Infinity if never. */
  get joinedSince(): number {
    this.#joinedSince ??= this.#lastArrival();
    return this.#joinedSince;
  }

  /**
   * May the user see this event? False for what is in no timeline: rejected, soft failed, outliers.
   * Costs two point queries, none in a run of messages.
   * @param order the event's place in the timeline
   */
  canSee(event: KnownEvent, order = orderOf(event)): boolean {
    const { pdu, roots } = event;
    if (event.verdict !== 'accepted' || event.isOutlier || roots === undefined) return false;
    if (pdu.roomId !== this.view.roomId) return false;
    if (pdu.type === 'm.room.member' && pdu.stateKey === this.userId) return true;
    if (this.#allows(this.#sightAt(roots.after), order)) return true;
    if (pdu.type !== 'm.room.history_visibility' || pdu.stateKey !== '') return false;
    return this.#allows(this.#sightAt(roots.before), order);
  }

  /** The user's membership at an event, changes by it included: `leave` where there was none. */
  membershipAt(event: KnownEvent): string {
    if (event.roots === undefined) return 'leave';
    const { membership } = this.#sightAt(event.roots.after);
    return membership === undefined || membership === 'none' ? 'leave' : membership;
  }

  #allows({ visibility, membership }: Sight, order: number): boolean {
    if (visibility === 'world_readable') return true;
    if (order <= this.joinedUntil && (membership === 'join' || visibility === 'shared')) return true;
    return membership === 'invite' && visibility === 'invited' && order <= this.departedAt;
  }

  #sightAt(root: RootRef): Sight {
    if (this.#sight !== undefined && equalBytes(this.#sight.root.hash, root.hash)) return this.#sight;
    const view = this.view.at(root);
    this.#sight = {
      root,
      visibility: historyVisibility(this.#engine, view),
      membership: view.membership(this.userId),
    };
    return this.#sight;
  }

  #own(view: StateView = this.view): KnownEvent | undefined {
    const id = view.get('m.room.member', this.userId);
    return id === undefined ? undefined : this.#engine.reader.events.get(id);
  }

  /** Goes back from membership to membership until one followed on a join. */
  #lastDeparture(): KnownEvent | undefined {
    let event = this.#own();
    for (let changes = 0; event?.roots !== undefined && changes < MEMBERSHIP_CHANGES_MAX; changes++) {
      const before = this.view.at(event.roots.before);
      if (before.membership(this.userId) === 'join') return event;
      event = this.#own(before);
    }
    return undefined;
  }

  /** Goes back from membership to membership until one that did not follow on a join made the last join. */
  #lastArrival(): number {
    let arrival = Number.POSITIVE_INFINITY;
    let event = this.#own();
    for (let changes = 0; event?.roots !== undefined && changes < MEMBERSHIP_CHANGES_MAX; changes++) {
      const before = this.view.at(event.roots.before);
      if (own(event.pdu.content, 'membership') === 'join') arrival = event.seq;
      if (arrival !== Number.POSITIVE_INFINITY && before.membership(this.userId) !== 'join') break;
      event = this.#own(before);
    }
    return arrival;
  }
}

function placeOf(event: KnownEvent | undefined, otherwise: number): number {
  return event === undefined ? otherwise : orderOf(event);
}

/** What is asked for all this: the homeserver is one, but nothing here needs the rest of it. */
export interface HomeParts {
  readonly engine: Engine;
  readonly accounts: Accounts;
}

/** What a user may read of a room. */
export interface RoomAccess {
  readonly room: RoomRow;
  readonly viewer: RoomViewer;
  /** The state they may ask for: the current one, or that of when they left. */
  readonly view: StateView;
  /** The last place of the timeline where something may be theirs to see. */
  readonly until: number;
}

/** A user's eyes on a room as it is now; undefined where there is no such room. */
export function viewerOf(home: HomeParts, roomId: string, userId: UserId): RoomViewer | undefined {
  const room = clientRoom(home.engine, roomId);
  if (room === undefined) return undefined;
  return new RoomViewer(home.engine, home.engine.reader.viewOf(room, room.root), userId);
}

/**
 * What a user may read of a room: all while joined, what was until they left, or as much as anyone may.
 * @throws MatrixError 403 for strangers, and for those who forgot the room
 */
export function readableRoom(home: HomeParts, roomId: string, userId: UserId): RoomAccess {
  const { engine, accounts } = home;
  const room = clientRoom(engine, roomId);
  if (room === undefined) throw forbidden(NOT_IN_ROOM);
  const viewer = new RoomViewer(engine, engine.reader.viewOf(room, room.root), userId);
  const isOpen = viewer.isJoined || historyVisibility(engine, viewer.view) === 'world_readable';
  if (isOpen) return { room, viewer, view: viewer.view, until: Number.POSITIVE_INFINITY };
  const { departure } = viewer;
  if (departure === undefined || accounts.memberships.isForgotten(userId, room.roomId)) {
    throw forbidden(NOT_IN_ROOM);
  }
  return { room, viewer, view: stateAfter(viewer.view, departure), until: viewer.departedAt };
}

/** A room that the user is joined to. @throws MatrixError 403 */
export function joinedRoom(home: HomeParts, roomId: string, userId: UserId): RoomAccess {
  const room = clientRoom(home.engine, roomId);
  const viewer = room && new RoomViewer(home.engine, home.engine.currentState(roomId), userId);
  if (room === undefined || viewer?.isJoined !== true) throw forbidden(NOT_IN_ROOM);
  return { room, viewer, view: viewer.view, until: Number.POSITIVE_INFINITY };
}

/** An event of a room that the user may see, or undefined. */
export function visibleEvent(home: HomeParts, access: RoomAccess, eventId: string): KnownEvent | undefined {
  const event = home.engine.reader.events.get(eventId as EventId);
  return event !== undefined && access.viewer.canSee(event) ? event : undefined;
}
