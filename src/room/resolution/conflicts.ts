// What the states to be resolved disagree on, found by one walk over all of them: no whole state is read.
//
// Source: rooms/v2, "Unconflicted state map and conflicted state set". A key that is missing from one state
// is conflicted, even when all states that have it agree.

import type { EventId } from '../../event/ids.js';
import { compareCodePoints } from '../../lib/bytes.js';
import type { States, StateVariance } from './contract.js';
import { compareKeys, keyOf } from './keys.js';

/** One conflicted key: what `rest` and `others` of the states, in the order of their roots, hold there. */
export type ConflictedKey = StateVariance;

/** The states and all that they disagree on. */
export interface Conflicts<Root> {
  /** Distinct, sorted by hash: so that the order in which they were given cannot matter. */
  readonly roots: readonly [Root, ...Root[]];
  readonly hashes: readonly string[];
  /** By `keyOf`, in the order of type and state key. */
  readonly keys: ReadonlyMap<string, ConflictedKey>;
  /** The conflicted state set: each value, with one bit for each state that holds it at a conflicted key. */
  readonly values: ReadonlyMap<EventId, bigint>;
  /** Is one of the states empty? Then no event is in the auth chains of all. */
  readonly hasEmpty: boolean;
}

/**
 * The conflicted keys of the states.
 * Cost: that of what differs, however many states there are.
 */
export function findConflicts<Root>(states: States<Root>, given: readonly Root[]): Conflicts<Root> {
  const { roots, hashes } = distinctRoots(states, given);
  const found = new Map<string, ConflictedKey>();
  for (const variance of states.diffMany(roots)) {
    found.set(keyOf(variance.type, variance.stateKey), variance);
  }
  const keys = new Map([...found].sort(([, a], [, b]) => compareKeys(a, b)));
  return {
    roots,
    hashes,
    keys,
    values: valuesOf(keys.values(), roots.length),
    hasEmpty: hashes.includes(states.hash(states.empty)),
  };
}

/** What each of `count` states holds at a key, in their order; null where it is absent. */
export function candidatesOf({ rest, others }: ConflictedKey, count: number): (EventId | null)[] {
  const candidates = new Array<EventId | null>(count).fill(rest ?? null);
  for (const { eventId, states } of others) for (const state of states) candidates[state] = eventId ?? null;
  return candidates;
}

/** The distinct states, sorted by hash; one empty state when there are none. */
function distinctRoots<Root>(
  states: States<Root>,
  roots: readonly Root[],
): { readonly roots: readonly [Root, ...Root[]]; readonly hashes: readonly string[] } {
  const byHash = new Map<string, Root>();
  for (const root of roots) byHash.set(states.hash(root), root);
  const sorted = [...byHash].sort(([a], [b]) => compareCodePoints(a, b));
  const [first, ...rest] = sorted;
  if (first === undefined) return { roots: [states.empty], hashes: [states.hash(states.empty)] };
  return { roots: [first[1], ...rest.map(([, root]) => root)], hashes: sorted.map(([hash]) => hash) };
}

function valuesOf(keys: Iterable<ConflictedKey>, count: number): Map<EventId, bigint> {
  const bits = Array.from({ length: count }, (_, i) => 1n << BigInt(i));
  const all = (1n << BigInt(count)) - 1n;
  const values = new Map<EventId, bigint>();
  const add = (id: EventId | undefined, held: bigint): void => {
    if (id !== undefined) values.set(id, (values.get(id) ?? 0n) | held);
  };
  for (const { rest, others } of keys) {
    // Most states hold the same: those that do not are taken off, which is one step a difference.
    let left = all;
    for (const { eventId, states } of others) {
      let held = 0n;
      for (const state of states) held |= bits[state] as bigint;
      left ^= held;
      add(eventId, held);
    }
    add(rest, left);
  }
  return values;
}

/** The unconflicted state map: what all states agree on, read from the first, a key at a time. */
export class UnconflictedState<Root> {
  readonly #states: States<Root>;
  readonly #conflicts: Conflicts<Root>;
  readonly #read = new Map<string, EventId | undefined>();

  constructor(states: States<Root>, conflicts: Conflicts<Root>) {
    this.#states = states;
    this.#conflicts = conflicts;
  }

  get(type: string, stateKey: string): EventId | undefined {
    const key = keyOf(type, stateKey);
    if (this.#conflicts.keys.has(key)) return undefined;
    const cached = this.#read.get(key);
    if (cached !== undefined || this.#read.has(key)) return cached;
    const id = this.#states.get(this.#conflicts.roots[0], type, stateKey);
    this.#read.set(key, id);
    return id;
  }

  /** All of it, at the price of the room's size. */
  *ids(): Generator<EventId> {
    for (const { type, stateKey, eventId } of this.#states.entries(this.#conflicts.roots[0])) {
      if (!this.#conflicts.keys.has(keyOf(type, stateKey))) yield eventId;
    }
  }
}
