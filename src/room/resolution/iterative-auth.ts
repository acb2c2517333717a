// Iterative auth checks: events are tried one after another, and each that is allowed takes its key.
//
// Source: rooms/v2, "Iterative auth checks". What the rules ask for is looked up in the state so far; where
// that has nothing, among the event's own auth events. Rejected events never authorise others and never take
// a key: the text would let one back in that passes now, but no server does, and rooms must agree.

import type { EventId } from '../../event/ids.js';
import { authorise } from '../auth/authorise.js';
import { authEventKeys } from '../auth/selection.js';
import type { AuthState } from '../auth/verdict.js';
import type { TraceStep } from './contract.js';
import type { EventReader, StateEvent } from './event-reader.js';
import { keyOf } from './keys.js';

/** An event in its place, with what put it there. */
export interface OrderedEvent {
  readonly event: StateEvent;
  readonly order: TraceStep['order'];
}

/** The partially resolved state: what was applied so far, over what it started from. */
export class PartialState {
  readonly #base: (type: string, stateKey: string) => EventId | undefined;
  readonly #applied = new Map<string, StateEvent>();

  /** @param base the state to start from, a key at a time: the unconflicted state map, or nothing */
  constructor(base: (type: string, stateKey: string) => EventId | undefined) {
    this.#base = base;
  }

  get(type: string, stateKey: string): EventId | undefined {
    return this.#applied.get(keyOf(type, stateKey))?.eventId ?? this.#base(type, stateKey);
  }

  apply(event: StateEvent): void {
    this.#applied.set(keyOf(event.type, event.stateKey), event);
  }

  /** What was applied, by `keyOf`. */
  get applied(): ReadonlyMap<string, StateEvent> {
    return this.#applied;
  }
}

/** Tries the events in order, applies those allowed, and says of each what was decided. */
export function iterativeAuthChecks(
  phase: 'power' | 'mainline',
  ordered: Iterable<OrderedEvent>,
  state: PartialState,
  events: EventReader,
): TraceStep[] {
  const steps: TraceStep[] = [];
  for (const { event, order } of ordered) {
    const { eventId, type, stateKey } = event;
    const verdict = events.isRejected(eventId)
      ? REJECTED
      : authorise(event, authStateFor(event, state, events));
    if (verdict.allowed) state.apply(event);
    const { allowed, rule, reason } = verdict;
    steps.push({ eventId, type, stateKey, phase, allowed, rule, reason, order });
  }
  return steps;
}

const REJECTED = {
  allowed: false,
  rule: 'rejected',
  reason: 'the event was rejected when it was received, and stays so',
};

function authStateFor(event: StateEvent, state: PartialState, events: EventReader): AuthState {
  const required = new Set<string>();
  for (const [type, stateKey] of authEventKeys(event)) required.add(keyOf(type, stateKey));
  let cited: Map<string, StateEvent> | undefined;
  return {
    get(type, stateKey) {
      const key = keyOf(type, stateKey);
      const current = required.has(key) ? state.get(type, stateKey) : undefined;
      if (current !== undefined && !events.isRejected(current)) return events.get(current);
      cited ??= citedState(event, events);
      return cited.get(key);
    },
  };
}

function citedState(event: StateEvent, events: EventReader): Map<string, StateEvent> {
  const cited = new Map<string, StateEvent>();
  for (const id of events.authEventsOf(event)) {
    const auth = events.find(id);
    if (auth !== undefined && !events.isRejected(id)) cited.set(keyOf(auth.type, auth.stateKey), auth);
  }
  return cited;
}
