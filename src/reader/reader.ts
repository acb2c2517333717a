// Answers from the committed store: states at events, rooms, histories of keys.
//
// It knows nothing of the writer. What it reads is what is committed; a state, once found, is a snapshot.
// The same code answers in place and in the pool's workers.

import type { EventId, RoomId } from '../event/ids.js';
import { storedRulesOf } from '../event/rules.js';
import { equalBytes, fromHex, toHex } from '../lib/bytes.js';
import { ClockCache } from '../lib/clock-cache.js';
import { type KnownEvent, KnownEvents } from '../room/graph/known-events.js';
import { replay, type StoredTrace, type TraceRecord } from '../room/graph/state-resolver.js';
import { type NodeSink, RoomStates } from '../room/state/room-states.js';
import { StoreCorruptError } from '../store/errors.js';
import type { RoomRow } from '../store/records.js';
import type { Store } from '../store/store.js';
import { NodeCache } from '../tree/cache.js';
import type { Draft } from '../tree/draft.js';
import { EMPTY_ROOT, StateTree } from '../tree/tree.js';
import type { RootRef } from '../tree/types.js';
import { positionOf } from '../room/state/key.js';
import {
  EventUnknownError,
  NoStateError,
  RoomUnknownError,
  RootUnknownError,
  TargetError,
} from './errors.js';
import { StateView } from './state-view.js';

/** Which side of an event: the state before it, or after it. */
export type Side = 'before' | 'after';

/** A read-only reader updates nothing; whoever asks it to has taken the wrong tool. */
const NO_SINK = {
  allocate(): number {
    throw new Error('a reader makes no new states');
  },
  keep(): void {
    throw new Error('a reader makes no new states');
  },
};

const NODE_CACHE_BYTES = 32 * 1024 * 1024;

/** Where a root was found: with the event at a seq, or (seq 0) as the current root of a room. */
interface RootPlace {
  readonly roomId: RoomId;
  readonly seq: number;
}

const ROOT_PLACES_KEPT = 1_024;

export class Reader {
  readonly store: Store;
  readonly tree: StateTree;
  readonly events: KnownEvents;
  readonly #rootPlaces = new ClockCache<string, RootPlace>(ROOT_PLACES_KEPT);

  /**
   * @param tree shares its node cache with whoever gave it; without one the reader has its own
   * @param sharing whose committed events, once parsed, the reader shares
   */
  constructor(store: Store, tree?: StateTree, sharing?: KnownEvents) {
    this.store = store;
    this.tree = tree ?? new StateTree(store, new NodeCache(NODE_CACHE_BYTES), positionOf);
    this.events = new KnownEvents(store, 'others', sharing);
  }

  /** @throws READER_EVENT_UNKNOWN */
  event(eventId: string): KnownEvent {
    const event = this.events.get(eventId as EventId);
    if (event === undefined)
      throw new EventUnknownError(`no event ${eventId} is stored`, { event_id: eventId });
    return event;
  }

  /** @throws READER_ROOM_UNKNOWN */
  room(roomId: string): RoomRow {
    const room = this.store.room(roomId as RoomId);
    if (room === undefined) throw new RoomUnknownError(`no room ${roomId} is stored`, { room_id: roomId });
    return room;
  }

  /** All rooms, sorted by id. */
  rooms(): AsyncGenerator<RoomRow> {
    return this.store.rooms();
  }

  /**
   * The state around an event. O(1) reads to find it, O(log n) to ask it.
   * @throws READER_EVENT_UNKNOWN, READER_NO_STATE
   */
  stateAt(eventId: string, side: Side = 'after'): StateView {
    const event = this.event(eventId);
    if (event.roots === undefined) {
      throw new NoStateError(`event ${eventId} is an outlier and has no state around it`, {
        event_id: eventId,
      });
    }
    return this.view(event.pdu.roomId, event.roots[side]);
  }

  /** The current state of a room. @throws READER_ROOM_UNKNOWN */
  currentState(roomId: string): StateView {
    const room = this.room(roomId);
    return this.viewOf(room, room.root);
  }

  /** A state of a room by its root. @throws READER_ROOM_UNKNOWN */
  view(roomId: string, root: RootRef): StateView {
    return this.viewOf(this.room(roomId), root);
  }

  /** A state of a room that was read already. */
  viewOf({ roomId, version }: Pick<RoomRow, 'roomId' | 'version'>, root: RootRef): StateView {
    const rules = storedRulesOf(version);
    if (rules === undefined) {
      throw new StoreCorruptError(`room ${roomId} has the unknown version ${version}`, { room_id: roomId });
    }
    return new StateView(roomId, rules, new RoomStates(this.tree, rules, NO_SINK), root);
  }

  /**
   * The state that a name stands for: an event's id, a room's id (its current state), or a root in hex.
   * @param checkpoint called while a root is looked for; throws to end the search
   * @throws READER_TARGET_INVALID, READER_EVENT_UNKNOWN, READER_ROOM_UNKNOWN, READER_ROOT_UNKNOWN
   */
  async state(target: string, side: Side = 'after', checkpoint: () => void = () => {}): Promise<StateView> {
    if (target.startsWith('$')) return this.stateAt(target, side);
    if (target.startsWith('!')) return this.currentState(target);
    const hash = fromHex(target);
    if (hash?.length === EMPTY_ROOT.hash.length) return this.#stateOfRoot(hash, checkpoint);
    throw new TargetError(`${target} is no event id, room id or root`, { target });
  }

  /**
   * Looks for a root among all that are stored: costs a scan, for people who hold a root and nothing else.
   * Where it was found is remembered, so that its further pages cost no other.
   */
  async #stateOfRoot(hash: Uint8Array, checkpoint: () => void): Promise<StateView> {
    const name = toHex(hash);
    const remembered = this.#rootPlaces.get(name);
    const kept = remembered === undefined ? undefined : this.#rootAt(remembered, hash);
    if (remembered !== undefined && kept !== undefined) return this.view(remembered.roomId, kept);
    for await (const place of this.#allRootPlaces()) {
      checkpoint();
      const root = place.roots.find((candidate) => equalBytes(candidate.hash, hash));
      const roomId = place.roomId ?? (root && this.store.event(place.seq)?.roomId);
      if (root === undefined || roomId === undefined) continue;
      this.#rootPlaces.set(name, { roomId, seq: place.seq }, 1);
      return this.view(roomId, root);
    }
    throw new RootUnknownError(`no stored state has the root ${name}`, { root: name });
  }

  /** A room's current root may be no event's: with several forward extremities it is their resolution. */
  async *#allRootPlaces() {
    for await (const { roomId, root } of this.store.rooms()) yield { roomId, seq: 0, roots: [root] };
    for await (const [seq, { after, before }] of this.store.allRoots()) {
      yield { roomId: undefined, seq, roots: [after, before] };
    }
  }

  /** Is the root still where it was? A room moves on; records may be written anew. */
  #rootAt({ roomId, seq }: RootPlace, hash: Uint8Array): RootRef | undefined {
    const row = this.store.roots(seq);
    const roots = seq === 0 ? [this.store.room(roomId)?.root] : [row?.after, row?.before];
    return roots.find((root) => root !== undefined && equalBytes(root.hash, hash));
  }

  /** Every event that set or tried to set a key (or any key of a type), in commit order. */
  async *history(roomId: string, type: string, stateKey?: string): AsyncGenerator<KnownEvent> {
    for await (const seq of this.store.versions(this.room(roomId).number, type, stateKey)) {
      const event = this.events.at(seq);
      if (event !== undefined) yield event;
    }
  }

  /**
   * A resolution with all its steps, done again from its stored inputs; undefined when there is none.
   * @throws ROOM_TRACE_DIVERGES when it gives another state than it gave
   */
  trace(traceId: string): TraceRecord | undefined {
    const stored = this.storedTrace(traceId);
    if (stored === undefined) return undefined;
    const { rules } = this.view(stored.roomId, stored.root);
    const drafts: Draft[] = [];
    const states = new RoomStates(this.tree, rules, scratchSink(drafts));
    try {
      return replay(stored, { roomId: stored.roomId, rules, states }, this.events);
    } finally {
      for (const draft of drafts) draft.discard();
    }
  }

  /** A resolution as it is stored: inputs, output, heads and resets, without its steps. */
  storedTrace(traceId: string): StoredTrace | undefined {
    return this.store.trace<StoredTrace>(traceId);
  }
}

/** Numbers for records that are never written, far above those that are. */
let scratchRecord = 2 ** 40;

/** Takes new nodes to be thrown away again. */
function scratchSink(drafts: Draft[]): NodeSink {
  return { allocate: () => ++scratchRecord, keep: (draft) => drafts.push(draft) };
}
