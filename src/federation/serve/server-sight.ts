// What another server may see of a room: its history visibility, read for a server instead of a user.
//
// A server that is in the room may see what any of its users may: everything where history is shared, else what
// was sent while one of them was joined (or invited). A server that is not in it any more sees what was sent
// while it was: it may need that to understand how it was put out. Events that it may not see still hold the
// graph together, so they are given in redacted form.
//
// A state that lacks members says nothing of those who are not in it. A server that was in the room when it was
// joined so counts as joined in every state that rests on that join: else it would get events for good that are
// redacted for no reason.
//
// Source: client-server API, "Room History Visibility", "Server behaviour".

import { type EventId, parseUserId, serverOf, type ServerName, type UserId } from '../../event/ids.js';
import type { Reader } from '../../reader/reader.js';
import { historyVisibilityAt } from '../../reader/room-facts.js';
import type { StateView } from '../../reader/state-view.js';
import type { KnownEvent } from '../../room/graph/known-events.js';
import { MEMBER_TYPE } from '../../room/state/key.js';
import type { Membership } from '../../room/state/value.js';
import { equalBytes } from '../../lib/bytes.js';
import type { RootRef } from '../../tree/types.js';

/** What one state lets the server see. */
interface Sight {
  readonly root: RootRef;
  readonly isJoined: boolean;
  readonly isVisible: boolean;
}

/** What a room's current state says of a server. */
interface KnownOfServer {
  /** Somebody of it is joined. */
  readonly isInRoom: boolean;
  /** Not all members are known, and it was said to be in the room when this server joined it. */
  readonly wasAtPartialJoin: boolean;
  /** Those of it that ever were members. */
  readonly users: Iterable<UserId>;
}

/** One server's eyes on one room, as it is now. */
export class ServerSight {
  readonly server: ServerName;
  /** The room's current state. */
  readonly view: StateView;
  /** Is somebody of the server joined now, as far as is known? */
  readonly isInRoom: boolean;
  readonly #reader: Reader;
  readonly #users: UserId[];
  readonly #wasAtPartialJoin: boolean;
  #last: Sight | undefined;

  constructor(reader: Reader, view: StateView, server: ServerName, known: KnownOfServer) {
    this.#reader = reader;
    this.view = view;
    this.server = server;
    this.isInRoom = known.isInRoom || known.wasAtPartialJoin;
    this.#users = [...known.users];
    this.#wasAtPartialJoin = known.wasAtPartialJoin;
  }

  /** Was somebody of the server joined right before the event, or by it? */
  wasInRoomAt(event: KnownEvent): boolean {
    const { roots, pdu } = event;
    if (roots === undefined || pdu.roomId !== this.view.roomId) return false;
    if (event.isPartial && this.#wasAtPartialJoin) return true;
    return this.#sightAt(roots.after).isJoined || this.#sightAt(roots.before).isJoined;
  }

  /** May the server ask for what hangs on this event: the state there, its auth chain, what came before it? */
  mayAskAt(event: KnownEvent): boolean {
    return this.isInRoom || this.wasInRoomAt(event);
  }

  /** May the server have the event as it is? Outliers have no state that says so: their state events are no secret. */
  canSee(event: KnownEvent): boolean {
    const { pdu, roots } = event;
    if (pdu.roomId !== this.view.roomId) return false;
    if (roots === undefined) return pdu.stateKey !== undefined;
    if (event.isPartial && this.#wasAtPartialJoin) return true;
    if (pdu.type === MEMBER_TYPE && isUserOf(pdu.stateKey, this.server)) return true;
    if (this.#sightAt(roots.after).isVisible) return true;
    const isBorder = pdu.stateKey !== undefined && !equalBytes(roots.before.hash, roots.after.hash);
    return isBorder && this.#sightAt(roots.before).isVisible;
  }

  /** The events of these that it may not have as they are. */
  hidden(events: Iterable<KnownEvent>): ReadonlySet<EventId> {
    const hidden = new Set<EventId>();
    for (const event of events) if (!this.canSee(event)) hidden.add(event.pdu.eventId);
    return hidden;
  }

  #sightAt(root: RootRef): Sight {
    if (this.#last !== undefined && equalBytes(this.#last.root.hash, root.hash)) return this.#last;
    const view = this.view.at(root);
    const isJoined = this.#hasUser(view, 'join');
    this.#last = { root, isJoined, isVisible: isJoined || this.#isOpen(view) };
    return this.#last;
  }

  /** Who is found goes to the front: most likely they are there at the next event too. */
  #hasUser(view: StateView, membership: Membership): boolean {
    const at = this.#users.findIndex((userId) => view.membership(userId) === membership);
    const [first, found] = [this.#users[0], this.#users[at]];
    if (first === undefined || found === undefined) return false;
    this.#users[0] = found;
    this.#users[at] = first;
    return true;
  }

  #isOpen(view: StateView): boolean {
    switch (historyVisibilityAt(this.#reader, view)) {
      case 'world_readable':
        return true;
      case 'shared':
        return this.isInRoom;
      case 'invited':
        return this.#hasUser(view, 'invite');
      case 'joined':
        return false;
    }
  }
}

function isUserOf(stateKey: string | undefined, server: ServerName): boolean {
  const userId = stateKey === undefined ? undefined : parseUserId(stateKey);
  return userId !== undefined && serverOf(userId) === server;
}
