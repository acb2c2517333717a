// Which state events an answer holds for a room: what a client needs to get from the state it has to the state
// there is now, when it applies these first and the timeline's state events after them.
//
//      client has            `state`              timeline
//   ───── base ─────┬──────────────────── start ─────────────── end ───▶
//                   since                                       now
//
// All three are roots; what differs is found by walking where they differ. A key whose newest value no event of
// the timeline shows (a filter took it out, or a resolution of forks chose it) gets that value at once; every
// other key that differs gets its value at the timeline's start. With `state_after` every key that differs gets
// its value at the end. So does a key that is to be corrected: what the client has of it is not what `base` says.
//
// Source: client-server API, GET /sync, `state` and `state_after`; "Lazy-loading room members".

import type { EventId } from '../../event/ids.js';
import type { StateView } from '../../reader/state-view.js';
import type { StateEntry } from '../../room/state/room-states.js';
import type { KnownEvent } from '../../room/graph/known-events.js';
import { MEMBER_TYPE } from '../../room/state/key.js';

export interface StateDeltaRequest {
  /** The state that the client has; undefined: none. */
  readonly base: StateView | undefined;
  /** The state before the timeline's first event; `end` where the timeline is empty. */
  readonly start: StateView;
  readonly end: StateView;
  readonly timeline: readonly KnownEvent[];
  readonly isStateAfter: boolean;
  /** With a full state: leave members out. Of a difference they are part in any case. */
  readonly isLazy: boolean;
  /** Keys that the client is told of in any case. */
  readonly corrected: ReadonlyArray<readonly [type: string, stateKey: string]>;
}

export class StateDelta {
  readonly #request: StateDeltaRequest;
  /** By key: the last event of the timeline that sets it. */
  readonly #shown = new Map<string, EventId>();

  constructor(request: StateDeltaRequest) {
    this.#request = request;
    for (const { pdu } of request.timeline) {
      if (pdu.stateKey !== undefined) this.#shown.set(keyName(pdu.type, pdu.stateKey), pdu.eventId);
    }
  }

  /** What the client is to be told of a key, whether it knows it already or not. */
  value(type: string, stateKey: string): EventId | undefined {
    const { start, end, isStateAfter } = this.#request;
    const now = end.get(type, stateKey);
    if (isStateAfter || this.#shown.get(keyName(type, stateKey)) !== now) return now;
    return start.get(type, stateKey);
  }

  /** Ids of all state events that the client needs. O(entries) without a base, else O(differences log n). */
  ids(): Set<EventId> {
    const { base } = this.#request;
    return base === undefined ? this.#allIds() : this.#idsSince(base);
  }

  /** The state that a client without one is told, but for the corrections. */
  get whole(): StateView {
    const { start, end, isStateAfter } = this.#request;
    return isStateAfter ? end : start;
  }

  /** Of the whole state: what is not told, and what is told in its place. O(differences log n). */
  corrections(): { readonly dropped: Set<EventId>; readonly added: Set<EventId> } {
    const { start, end, isStateAfter } = this.#request;
    const dropped = new Set<EventId>();
    const added = new Set<EventId>();
    if (isStateAfter) return { dropped, added };
    for (const { type, stateKey, before } of start.diff(end)) {
      const value = this.value(type, stateKey);
      if (value === before || this.#isLeftOut(type)) continue;
      if (before !== undefined) dropped.add(before);
      if (value !== undefined) added.add(value);
    }
    return { dropped, added };
  }

  #allIds(): Set<EventId> {
    const { dropped, added } = this.corrections();
    const ids = new Set<EventId>(added);
    for (const { eventId } of this.#entries(this.whole)) if (!dropped.has(eventId)) ids.add(eventId);
    return ids;
  }

  #idsSince(base: StateView): Set<EventId> {
    const { start, end, isStateAfter, corrected } = this.#request;
    const ids = new Set<EventId>();
    for (const [type, stateKey] of corrected) {
      const value = this.value(type, stateKey);
      if (value !== undefined) ids.add(value);
    }
    const differences = [base.diff(isStateAfter ? end : start), isStateAfter ? [] : start.diff(end)];
    for (const difference of differences) {
      for (const { type, stateKey } of difference) {
        const value = this.value(type, stateKey);
        if (value !== undefined && value !== base.get(type, stateKey)) ids.add(value);
      }
    }
    return ids;
  }

  /** The tree holds everything else before the members, so that leaving them out costs nothing. */
  *#entries(view: StateView): Generator<StateEntry> {
    for (const entry of view.entries()) {
      if (this.#isLeftOut(entry.type)) return;
      yield entry;
    }
  }

  #isLeftOut(type: string): boolean {
    return this.#request.isLazy && type === MEMBER_TYPE;
  }
}

function keyName(type: string, stateKey: string): string {
  return `${type.length}:${type}${stateKey}`;
}
