// State after every event of a room, with a resolution wherever branches meet: what the engine does, in
// small.

import type { EventId } from '../../../src/event/ids.js';
import type { Pdu } from '../../../src/event/pdu.js';
import { resolve } from '../../../src/room/resolution/resolve.js';
import type { MapRoot, MapStates } from './map-states.js';
import type { TestRoom } from './test-room.js';

/** The states of a room at its events, computed when first asked for. */
export class Replay {
  readonly #room: TestRoom;
  readonly #states: MapStates;
  readonly #after = new Map<EventId, MapRoot>();

  constructor(room: TestRoom, states: MapStates) {
    this.#room = room;
    this.#states = states;
  }

  /** State after an event; the states after its prev events must have been asked for before. */
  after(event: Pdu): MapRoot {
    const known = this.#after.get(event.eventId);
    if (known !== undefined) return known;
    const before = this.resolved(this.inputsOf(event));
    const { type, stateKey } = event;
    const after = stateKey === undefined ? before : this.#states.update(before, [{ type, stateKey, event }]);
    this.#after.set(event.eventId, after);
    return after;
  }

  /** The states that meet at an event. */
  inputsOf(event: Pdu): MapRoot[] {
    return event.prevEvents.map((id) => this.after(this.#room.event(id)));
  }

  resolved(roots: readonly MapRoot[]): MapRoot {
    return resolve(this.#room.rules, roots, this.#states, this.#room.graph).root;
  }
}
