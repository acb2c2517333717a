// The model that simulated servers are measured against: a room as plain maps, judged event by event.
//
// What does not depend on arrival (state before, rejected or not, state after) is computed once a room, by the
// reference resolver at every merge. What does (soft failing, extremities, current state) is computed for one
// order of arrival at a time. It shares the authorisation rules with the engine, and nothing else.
//
// Source: server-server API, "Checks performed on receipt of a PDU", 4 to 6; "Soft failure".

import type { EventId } from '../../src/event/ids.js';
import type { Pdu } from '../../src/event/pdu.js';
import type { RoomVersionRules } from '../../src/event/rules.js';
import { authStateOf, checkAuthEvents } from '../../src/room/auth/auth-events.js';
import { authorise } from '../../src/room/auth/authorise.js';
import type { AuthState } from '../../src/room/auth/verdict.js';
import { type PlainState, referenceResolve } from '../reference/resolve.js';

/** An event's place in the plain room. */
export interface PlainEvent {
  readonly event: Pdu;
  readonly isRejected: boolean;
  readonly before: PlainState;
  readonly after: PlainState;
}

/** What one server made of the events, in the order in which it got them. */
export interface PlainArrival {
  readonly verdicts: ReadonlyMap<EventId, 'accepted' | 'soft_failed' | 'rejected'>;
  readonly extremities: ReadonlySet<EventId>;
  readonly current: PlainState;
}

export class PlainRoom {
  readonly rules: RoomVersionRules;
  readonly events = new Map<EventId, Pdu>();
  readonly rejected = new Set<EventId>();
  readonly #placed = new Map<EventId, PlainEvent>();
  /** One object a state, so that states are compared and resolved by identity. */
  readonly #states = new Map<string, { readonly name: string; readonly state: PlainState }>();
  readonly #names = new Map<PlainState, string>();
  readonly #resolved = new Map<string, PlainState>();

  constructor(rules: RoomVersionRules) {
    this.rules = rules;
  }

  /** How many resolutions were needed. */
  get resolutions(): number {
    return this.#resolved.size;
  }

  at(id: EventId): PlainEvent {
    const placed = this.#placed.get(id);
    if (placed === undefined) throw new Error(`${id} has no place yet`);
    return placed;
  }

  /** Places an event whose predecessors and auth events are placed. */
  add(event: Pdu): void {
    this.events.set(event.eventId, event);
    const before = this.resolve(event.prevEvents.map((id) => this.at(id).after));
    const isRejected = event.type !== 'm.room.create' && !this.#passes(event, before);
    if (isRejected) this.rejected.add(event.eventId);
    const after = isRejected || event.stateKey === undefined ? before : this.#put(before, event);
    this.#placed.set(event.eventId, { event, isRejected, before, after });
  }

  /** The resolution of the states, done once for each set. */
  resolve(states: readonly PlainState[]): PlainState {
    const distinct = [...new Set(states)];
    const [first] = distinct;
    if (first === undefined) return this.#intern(new Map());
    if (distinct.length === 1) return first;
    const name = distinct
      .map((state) => this.#names.get(state))
      .sort()
      .join(' ');
    let resolved = this.#resolved.get(name);
    if (resolved === undefined) {
      resolved = this.#intern(referenceResolve(this, distinct));
      this.#resolved.set(name, resolved);
    }
    return resolved;
  }

  /** A server's verdicts, extremities and current state, for events in its order of arrival. */
  arrive(order: readonly EventId[]): PlainArrival {
    const verdicts = new Map<EventId, 'accepted' | 'soft_failed' | 'rejected'>();
    let extremities = new Set<EventId>();
    let current = this.resolve([]);
    for (const id of order) {
      const { event, isRejected } = this.at(id);
      const isAllowed = event.type === 'm.room.create' || authorise(event, this.#authState(current)).allowed;
      verdicts.set(id, isRejected ? 'rejected' : isAllowed ? 'accepted' : 'soft_failed');
      if (verdicts.get(id) !== 'accepted') continue;
      extremities = this.#extremities(verdicts);
      current = this.resolve([...extremities].map((extremity) => this.at(extremity).after));
    }
    return { verdicts, extremities, current };
  }

  /** Accepted events that no accepted event follows, be it through soft-failed and rejected ones. */
  #extremities(verdicts: ReadonlyMap<EventId, string>): Set<EventId> {
    const accepted = [...verdicts].filter(([, verdict]) => verdict === 'accepted').map(([id]) => id);
    const followed = new Set<EventId>();
    const follow = (id: EventId): void => {
      for (const prev of this.at(id).event.prevEvents) {
        if (followed.has(prev)) continue;
        followed.add(prev);
        if (verdicts.get(prev) !== 'accepted') follow(prev);
      }
    };
    for (const id of accepted) follow(id);
    return new Set(accepted.filter((id) => !followed.has(id)));
  }

  #passes(event: Pdu, before: PlainState): boolean {
    const cited = event.authEvents.map((id) => this.at(id).event);
    const create = this.events.get(`$${event.roomId.slice(1)}` as EventId);
    const implied = this.rules.authorisation.createIsImplied && create !== undefined ? [create] : [];
    return (
      checkAuthEvents(event, cited, (id) => this.rejected.has(id)).allowed &&
      authorise(event, authStateOf([...cited, ...implied])).allowed &&
      authorise(event, this.#authState(before)).allowed
    );
  }

  #authState(state: PlainState): AuthState {
    return {
      get: (type, stateKey) => {
        const id = state.get(JSON.stringify([type, stateKey]));
        return id === undefined ? undefined : this.events.get(id);
      },
    };
  }

  #put(state: PlainState, { type, stateKey, eventId }: Pdu): PlainState {
    return this.#intern(new Map([...state, [JSON.stringify([type, stateKey]), eventId]]));
  }

  #intern(state: PlainState): PlainState {
    const rows = JSON.stringify([...state].sort(([a], [b]) => (a < b ? -1 : 1)));
    const existing = this.#states.get(rows);
    if (existing !== undefined) return existing.state;
    const name = `s${this.#states.size}`;
    this.#states.set(rows, { name, state });
    this.#names.set(state, name);
    return state;
  }
}
