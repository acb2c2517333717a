// Check 5 while the state before an event is known to be incomplete: members were left out of a join's answer.
//
// The event is asked of the resolution of two states: the incomplete one, and the same with the event's auth events
// put in. What the incomplete state lacks its auth events bring, as far as the rules allow them; where both have a
// value the specification's algorithm chooses, so that an old membership or old power levels do not count.
//
// Source: server-server API, "Checks performed on receipt of a PDU", 5; MSC3706, MSC3902, "Authorising events".

import type { EventId } from '../event/ids.js';
import type { Pdu } from '../event/pdu.js';
import { toHex } from '../lib/bytes.js';
import type { RootRef } from '../tree/types.js';
import { authorise } from './auth/authorise.js';
import type { Check } from './checks.js';
import type { EventLookup } from './graph/known-events.js';
import type { States, StateVariance } from './resolution/contract.js';
import { keyOf } from './resolution/keys.js';
import { resolve } from './resolution/resolve.js';
import type { RoomStates, StateEntry } from './state/room-states.js';

/** Auth events: so many read by one check at most, with all that they rest on. */
const EVENTS_MAX = 10_000;

/**
 * The check of an event against an incomplete state of its room. Makes no nodes.
 * @param authEvents the events that `event.authEvents` names, none of them rejected
 * @throws ROOM_RESOLUTION_TOO_LARGE when the auth events would take more work than allowed
 */
export function checkByPartialState(
  event: Pdu,
  states: RoomStates,
  root: RootRef,
  authEvents: readonly Pdu[],
  known: EventLookup,
): Check {
  const patched = new PatchedStates(states, root);
  const both = [patched.base, patched.update(patched.base, authEvents.flatMap(updateOf))];
  const { root: resolved } = resolve(event.rules, both, patched, known, { eventsMax: EVENTS_MAX });
  const verdict = authorise(event, {
    get(type, stateKey) {
      const id = patched.get(resolved, type, stateKey);
      return id === undefined ? undefined : known.pdu(id);
    },
  });
  return { check: 'auth_by_state_before', verdict, root: toHex(root.hash) };
}

interface Update {
  readonly type: string;
  readonly stateKey: string;
  readonly event: Pdu | undefined;
}

function updateOf(event: Pdu): Update[] {
  const { type, stateKey } = event;
  return stateKey === undefined ? [] : [{ type, stateKey, event }];
}

/** A state as what it says otherwise than one that is stored. */
type Patch = ReadonlyMap<string, Omit<StateEntry, 'eventId'> & { readonly eventId: EventId | undefined }>;

/** States that differ from a stored one in a few keys, held in memory. */
class PatchedStates implements States<Patch> {
  /** Told apart by what it is, not by what it says: it has none of the stored state's keys either. */
  readonly empty: Patch = new Map();
  /** The stored state. */
  readonly base: Patch = new Map();
  readonly #states: RoomStates;
  readonly #root: RootRef;

  constructor(states: RoomStates, root: RootRef) {
    this.#states = states;
    this.#root = root;
  }

  hash(patch: Patch): string {
    if (patch === this.empty) return 'empty';
    const entries = [...patch].map(([key, { eventId }]) => `${key} ${eventId ?? ''}`);
    return `patched ${entries.sort().join('\n')}`;
  }

  get(patch: Patch, type: string, stateKey: string): EventId | undefined {
    const key = keyOf(type, stateKey);
    if (patch === this.empty) return undefined;
    const found = patch.get(key);
    return found === undefined ? this.#states.get(this.#root, type, stateKey) : found.eventId;
  }

  *diffMany(patches: readonly Patch[]): Generator<StateVariance> {
    const keys = new Map(patches.flatMap((patch) => [...patch]));
    for (const { type, stateKey } of keys.values()) {
      const [rest, ...values] = patches.map((patch) => this.get(patch, type, stateKey));
      const byValue = new Map<EventId | undefined, number[]>();
      for (const [i, value] of values.entries()) {
        if (value !== rest) byValue.set(value, [...(byValue.get(value) ?? []), i + 1]);
      }
      const others = [...byValue].map(([eventId, at]) => ({ eventId, states: at }));
      if (others.length > 0) yield { type, stateKey, rest, others };
    }
  }

  *entries(patch: Patch): Generator<StateEntry> {
    if (patch === this.empty) return;
    for (const entry of this.#states.entries(this.#root)) {
      if (!patch.has(keyOf(entry.type, entry.stateKey))) yield entry;
    }
    for (const { type, stateKey, eventId } of patch.values()) {
      if (eventId !== undefined) yield { type, stateKey, eventId };
    }
  }

  update(patch: Patch, changes: Iterable<Update>): Patch {
    const updated = new Map(patch);
    for (const { type, stateKey, event } of changes) {
      updated.set(keyOf(type, stateKey), { type, stateKey, eventId: event?.eventId });
    }
    return updated;
  }
}
