// The state after several events: one of their roots where they agree, else their resolution.
//
// Derived from the graph alone, never from arrival. A resolution is named by its room version and the set of
// its input roots; its record (trace and result) is stored under that name, so that it is done once, ever.
// Where the newest of the values that met does not win, that is noted: a state reset.

import type { EventId, RoomId } from '../../event/ids.js';
import type { Pdu } from '../../event/pdu.js';
import type { RoomVersionRules } from '../../event/rules.js';
import { blake3 } from '../../lib/blake3.js';
import { compareCodePoints, toHex, utf8 } from '../../lib/bytes.js';
import { assert } from '../../lib/errors.js';
import { ClockCache } from '../../lib/clock-cache.js';
import type { Store } from '../../store/store.js';
import { EMPTY_ROOT } from '../../tree/tree.js';
import type { RootRef } from '../../tree/types.js';
import { TraceDivergesError } from './errors.js';
import type { EventLookup, KnownEvent } from './known-events.js';
import type { Resolution, ResolutionTrace, TraceKey } from '../resolution/contract.js';
import { resolve } from '../resolution/resolve.js';
import type { RoomStates } from '../state/room-states.js';

/** A state and the resolution that gave it, where there was one. */
export interface ResolvedState {
  readonly root: RootRef;
  readonly traceId: string | undefined;
}

/** A key that a merge took back: the newest of the values that met did not win. */
export interface StateReset {
  readonly type: string;
  readonly stateKey: string;
  /** The deepest of the events that the branches had at the key. */
  readonly newest: EventId;
  /** What the resolution says; null where the key is lost. */
  readonly became: EventId | null;
}

/** A resolution: what went in, what came out, why, and what it took back. */
export interface TraceRecord {
  readonly roomId: RoomId;
  readonly trace: ResolutionTrace;
  readonly root: RootRef;
  /** The events whose states were merged when it was first done. */
  readonly heads: readonly EventId[];
  /** The head with the greatest depth: the newest branch. */
  readonly newest: EventId;
  readonly resets: readonly StateReset[];
}

/**
 * A resolution as it is stored. The steps are not: they follow from the inputs, and `replay` gives them; in a
 * busy room they would outweigh the events.
 */
export interface StoredTrace extends Omit<TraceRecord, 'trace'> {
  readonly inputs: readonly RootRef[];
  /** How many keys were in conflict. */
  readonly conflicts: number;
}

/** What resolution needs of a room. */
export interface ResolvedRoom {
  readonly roomId: RoomId;
  readonly rules: RoomVersionRules;
  readonly states: RoomStates;
}

/** Called once for each new resolution: to store it and to sound the state-reset alarm. */
export type OnTrace = (id: string, stored: StoredTrace, record: TraceRecord) => void;

const MEMO_ENTRIES_MAX = 4_096;

export class StateResolver {
  readonly #store: Store;
  readonly #known: EventLookup;
  readonly #onTrace: OnTrace;
  readonly #memo = new ClockCache<string, RootRef>(MEMO_ENTRIES_MAX);

  constructor(store: Store, known: EventLookup, onTrace: OnTrace) {
    this.#store = store;
    this.#known = known;
    this.#onTrace = onTrace;
  }

  /**
   * The state after all of these events: what stands before an event that has them as `prev_events`, or the
   * room's current state when they are its forward extremities.
   *
   * @param near a state that this one is likely near; it bears on the cost alone
   * @throws ROOM_RESOLUTION_TOO_LARGE when it would take more work than is allowed
   */
  after(room: ResolvedRoom, heads: readonly KnownEvent[], near?: RootRef): ResolvedState {
    const [head] = heads;
    if (head === undefined) return { root: EMPTY_ROOT, traceId: undefined };
    if (heads.length === 1) return { root: rootAfter(head), traceId: undefined };
    const byHash = distinctRoots(heads);
    const roots = [...byHash.values()];
    const [first] = roots;
    if (first !== undefined && roots.length === 1) return { root: first, traceId: undefined };

    const traceId = traceIdOf(room.rules, byHash.keys());
    const done = this.#memo.get(traceId) ?? this.#store.trace<StoredTrace>(traceId)?.root;
    if (done !== undefined) {
      this.#memo.set(traceId, done, 1);
      return { root: done, traceId };
    }
    const options = near === undefined ? {} : { near };
    const resolution = resolve(room.rules, roots, room.states, this.#known, options);
    this.#memo.set(traceId, resolution.root, 1);
    const record = this.#record(room, heads, resolution);
    this.#onTrace(traceId, stored(record, roots), record);
    return { root: resolution.root, traceId };
  }

  #record(
    room: ResolvedRoom,
    heads: readonly KnownEvent[],
    { root, trace }: Resolution<RootRef>,
  ): TraceRecord {
    return {
      roomId: room.roomId,
      trace,
      root,
      heads: heads.map(({ pdu }) => pdu.eventId).sort(compareCodePoints),
      newest: newestOf(heads.map(({ pdu }) => pdu)).eventId,
      resets: trace.keys.flatMap((key) => resetOf(key, this.#known) ?? []),
    };
  }
}

function stored({ trace, ...rest }: TraceRecord, inputs: readonly RootRef[]): StoredTrace {
  const refs = inputs.map(({ hash, record, index, count, joined }) => ({
    hash,
    record,
    index,
    count,
    joined,
  }));
  const { hash, record, index, count, joined } = rest.root;
  return {
    ...rest,
    root: { hash, record, index, count, joined },
    inputs: refs,
    conflicts: trace.keys.length,
  };
}

/**
 * A stored resolution with all its steps, by doing it again.
 * @throws ROOM_TRACE_DIVERGES when it does not give what it gave: stored data or rules have changed
 */
export function replay(record: StoredTrace, room: ResolvedRoom, known: EventLookup): TraceRecord {
  const { trace } = resolve(room.rules, record.inputs, room.states, known);
  if (trace.output !== toHex(record.root.hash)) {
    throw new TraceDivergesError(
      `a resolution in ${record.roomId} gives another state than it gave; run \`stateroom fsck\``,
      {
        room_id: record.roomId,
        stored: toHex(record.root.hash),
        replayed: trace.output,
      },
    );
  }
  const { roomId, root, heads, newest, resets } = record;
  return { roomId, trace, root, heads, newest, resets };
}

function resetOf(key: TraceKey, known: EventLookup): StateReset | undefined {
  // Most states hold the same, and neighbours do: asked for once each, not once a state.
  const ids = new Set(key.candidates.filter((id, i, all) => id !== all[i - 1]));
  const candidates = [...ids].flatMap((id) => (id === null ? [] : (known.pdu(id) ?? [])));
  if (candidates.length === 0) return undefined;
  const newest = newestOf(candidates).eventId;
  if (newest === key.winner) return undefined;
  return { type: key.type, stateKey: key.stateKey, newest, became: key.winner };
}

/** The event of greatest depth; among equals the later by its own clock, then the greater id. */
function newestOf(events: readonly Pdu[]): Pdu {
  const [first] = events;
  assert(first !== undefined, 'there is an event to choose');
  return events.reduce((newest, event) => (isNewer(event, newest) ? event : newest), first);
}

function isNewer(a: Pdu, b: Pdu): boolean {
  const order =
    a.depth - b.depth || a.originServerTs - b.originServerTs || compareCodePoints(a.eventId, b.eventId);
  return order > 0;
}

/** The different states after these events by hash, in the order of their hashes. */
function distinctRoots(heads: readonly KnownEvent[]): Map<string, RootRef> {
  const byHash = new Map<string, RootRef>();
  for (const head of heads) {
    const root = rootAfter(head);
    const hash = toHex(root.hash);
    if (!byHash.has(hash)) byHash.set(hash, root);
  }
  return new Map([...byHash].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function rootAfter(event: KnownEvent): RootRef {
  assert(event.roots !== undefined, `event ${event.pdu.eventId} has a place in the graph`);
  return event.roots.after;
}

/** A resolution's name: a hash of the room version and the set of its input roots. */
function traceIdOf(rules: RoomVersionRules, hashes: Iterable<string>): string {
  return toHex(blake3(utf8([rules.version, ...hashes].join(' ')))).slice(0, 32);
}
