// The answers to beat, as small models in memory: how state is kept where it is not a tree.
//
//   walk back     events know their predecessor; a key is looked for from the event backwards
//   full copy     every state event has a map of all of its state
//   delta chain   every state event has its change and its predecessor, every hundredth a full copy (as Synapse
//                 keeps `state_groups`): a key is looked for along the chain to the next full copy
//
// They are kind to themselves: nothing is read from a disk, no row is decoded, no message lies in between.

import { assert } from '../src/lib/errors.js';
import type { Key } from './rooms.js';

/** Synapse's limit on the length of a chain. */
export const CHAIN_LENGTH_MAX = 100;

/** What a row about one entry takes beside its type, state key and event id. */
const ROW_OVERHEAD_BYTES = 12;
const EVENT_ID_BYTES = 44;

interface WalkedEvent extends Key {
  readonly eventId: string;
  readonly previous: WalkedEvent | undefined;
}

/** A room as its events alone. */
export class WalkBack {
  readonly tip: WalkedEvent | undefined;

  constructor(keys: readonly Key[]) {
    for (const key of keys) this.tip = { ...key, eventId: eventIdOf(key), previous: this.tip };
  }

  get({ type, stateKey }: Key): string | undefined {
    for (let event = this.tip; event !== undefined; event = event.previous) {
      if (event.stateKey === stateKey && event.type === type) return event.eventId;
    }
    return undefined;
  }
}

/** A map of the whole state for each event. */
export class FullCopy {
  readonly state: Map<string, string>;

  constructor(keys: readonly Key[]) {
    this.state = new Map(keys.map((key) => [nameOf(key), eventIdOf(key)]));
  }

  get(key: Key): string | undefined {
    return this.state.get(nameOf(key));
  }

  /** The state after one more event. */
  put(key: Key): Map<string, string> {
    const state = new Map(this.state);
    state.set(nameOf(key), `${eventIdOf(key)}2`);
    return state;
  }

  static bytesPerEvent(keys: readonly Key[]): number {
    return keys.reduce((sum, key) => sum + rowBytes(key), 0);
  }
}

interface StateGroup {
  readonly changed: ReadonlyMap<string, string>;
  /** Undefined where `changed` is all of the state. */
  readonly previous: StateGroup | undefined;
}

/** Changes, each leading to the one before, with a full copy now and then. */
export class DeltaChain {
  #group: StateGroup;
  #length = 0;

  constructor(keys: readonly Key[]) {
    this.#group = { changed: new Map(keys.map((key) => [nameOf(key), eventIdOf(key)])), previous: undefined };
  }

  get(key: Key): string | undefined {
    const name = nameOf(key);
    for (let group: StateGroup | undefined = this.#group; group !== undefined; group = group.previous) {
      const eventId = group.changed.get(name);
      if (eventId !== undefined) return eventId;
    }
    return undefined;
  }

  put(key: Key): void {
    const changed = new Map([[nameOf(key), `${eventIdOf(key)}2`]]);
    if (++this.#length < CHAIN_LENGTH_MAX) {
      this.#group = { changed, previous: this.#group };
      return;
    }
    this.#length = 0;
    this.#group = { changed: new Map([...this.#whole(), ...changed]), previous: undefined };
  }

  #whole(): Map<string, string> {
    const deltas: StateGroup[] = [];
    let group = this.#group;
    while (group.previous !== undefined) {
      deltas.push(group);
      group = group.previous;
    }
    const whole = new Map(group.changed);
    for (const { changed } of deltas.reverse()) for (const [name, id] of changed) whole.set(name, id);
    return whole;
  }

  static bytesPerEvent(keys: readonly Key[]): number {
    const [delta] = keys.slice(-1);
    assert(delta !== undefined, 'a room has state');
    return rowBytes(delta) + FullCopy.bytesPerEvent(keys) / CHAIN_LENGTH_MAX;
  }
}

function nameOf({ type, stateKey }: Key): string {
  return `${type}\0${stateKey}`;
}

function eventIdOf({ stateKey }: Key): string {
  return `$of ${stateKey}`;
}

function rowBytes({ type, stateKey }: Key): number {
  return type.length + stateKey.length + EVENT_ID_BYTES + ROW_OVERHEAD_BYTES;
}
