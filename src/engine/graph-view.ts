// What is known of events and rooms at this moment: decided, and perhaps not on disk yet. For who takes in what
// others send and must not ask again for what just came; what clients are shown is the reader's, and committed.

import type { Core } from '../core/core.js';
import type { EventId, RoomId } from '../event/ids.js';
import type { Pdu } from '../event/pdu.js';
import type { RoomVersionRules } from '../event/rules.js';
import { HORIZON_QUEUE, type HorizonRow } from '../room/graph/horizon.js';
import { type KnownEvent, pduOfRow, type StateFacts } from '../room/graph/known-events.js';
import type { Store } from '../store/store.js';

/** An event that waits for its place, as it came. */
export interface WaitingForPlace {
  readonly pdu: Pdu;
  readonly bytes: Uint8Array;
  /** It is history: nothing that is new follows from it. */
  readonly isHistory: boolean;
}

export class GraphView {
  readonly #core: Core;
  readonly #store: Store;

  constructor(core: Core, store: Store) {
    this.#core = core;
    this.#store = store;
  }

  /** An event that is stored or about to be, with or without a place. */
  event(eventId: EventId): KnownEvent | undefined {
    return this.#core.known.get(eventId);
  }

  /** What a state asks of it; cheaper than all of it where it came lately. */
  facts(eventId: EventId): StateFacts | undefined {
    return this.#core.known.facts(eventId);
  }

  isKnown(eventId: EventId): boolean {
    return this.#core.known.has(eventId);
  }

  /** Has it a place in its room's graph? */
  isPlaced(eventId: EventId): boolean {
    return this.#core.known.get(eventId)?.isOutlier === false;
  }

  /** Does it wait for others, for its place or to be known at all? */
  isWaiting(eventId: EventId): boolean {
    return this.#core.horizon.has(eventId);
  }

  waitsForPlace(eventId: EventId): boolean {
    return this.#core.horizon.positionOf(eventId, false) !== undefined;
  }

  /** Undefined also while it is put aside and not on disk yet. */
  waitingForPlace(eventId: EventId): WaitingForPlace | undefined {
    const position = this.#core.horizon.positionOf(eventId, false);
    const row = position === undefined ? undefined : this.#store.queued<HorizonRow>(HORIZON_QUEUE, position);
    return row && { pdu: pduOfRow(row), bytes: row.bytes, isHistory: row.backfilled === true };
  }

  /** The rules of a room whose create event is known. */
  rulesOf(roomId: RoomId): RoomVersionRules | undefined {
    return this.#core.rooms.rulesOf(roomId);
  }

  createEventOf(roomId: RoomId): EventId | undefined {
    return this.#core.rooms.find(roomId)?.createEventId;
  }
}
