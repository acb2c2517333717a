// An incomplete state becomes whole: everything that rested on it is gone through once more, and swapped at once.
//
//   join ── e1 ── e2 ── e4 ── …          roots on the incomplete state, as clients were told
//     └──── e1'── e2'── e4'── …          the same events on the whole state, made beside them, some at a time
//                               │ swap   roots, verdicts, extremities and the record that says so: one commit group
//
// What comes meanwhile goes on building on the incomplete state, and is gone through before the swap. Verdicts come
// from the checks on receipt, on the new states: an event that was wrongly accepted is rejected, and one that was
// wrongly rejected is accepted and gets a new place at the end of the timeline, where clients see it.
//
// The events are found by their edges: all that follow the one whose state was incomplete, up to those whose own
// state was given. Costs what happened since, not the room's size, but for the one tree of the state itself.
//
// Source: MSC3902, "Resynchronisation"; server-server API, "Checks performed on receipt of a PDU".

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EventId, RoomId } from '../event/ids.js';
import type { JsonObject } from '../event/json.js';
import { equalBytes } from '../lib/bytes.js';
import { assert } from '../lib/errors.js';
import { isBackfilled, type KnownEvent } from '../room/graph/known-events.js';
import { RevisedEvents } from '../room/graph/revised-events.js';
import type { Room } from '../room/graph/room.js';
import { StateResolver } from '../room/graph/state-resolver.js';
import { keyOf } from '../room/resolution/keys.js';
import { MEMBER_TYPE } from '../room/state/key.js';
import type { StateUpdate } from '../room/state/room-states.js';
import { chainKey, eventKey, rootsKey, timelineKey } from '../store/keys.js';
import type { RowChange } from '../store/commit-group.js';
import { encodeChain, encodeEvent, encodeNumber, encodeRoots, type StoredVerdict } from '../store/records.js';
import type { Store } from '../store/store.js';
import type { RootRef } from '../tree/types.js';
import type { CommitPath } from './commit-path.js';
import { groupEvent, revisedChainOf, withRoomState } from './decision.js';
import { StateRefusedError } from './errors.js';
import { Judge } from './judge.js';
import type { RevisedEvent } from './writer.js';

/** What is to be completed. */
export interface WholeState {
  readonly roomId: RoomId;
  /** The event before which the state was incomplete. */
  readonly eventId: EventId;
  /** All of it. */
  readonly entries: ReadonlyMap<EventId, StateUpdate>;
}

/** A verdict that changed. */
export interface RevisedVerdict {
  readonly eventId: EventId;
  readonly was: StoredVerdict;
  readonly is: StoredVerdict;
}

/** An event that came while the others were gone through. */
export interface RecordedEvent {
  readonly seq: number;
  /** Its PDU: it may not be on disk. */
  readonly bytes: Uint8Array;
}

export interface CompletionParts extends Pick<CommitPath, 'known' | 'rooms' | 'writer'> {
  readonly store: Store;
  readonly numbers: {
    /** Where in the timeline an event goes that is accepted only now. */
    readonly place: (event: KnownEvent) => number;
    /** Seq for the record that says what was completed. */
    readonly record: () => number;
  };
}

/** Everything that the swap changes. */
export interface Swap {
  /** Seq for the record that says so. */
  readonly seq: number;
  readonly room: Room;
  readonly revised: readonly RevisedEvent[];
  readonly verdicts: readonly RevisedVerdict[];
  /** Keys that were told wrong, or lacking and no member's; undefined when they are very many. */
  readonly corrected: ReadonlyArray<readonly [type: string, stateKey: string]> | undefined;
}

/** Events that are gone through in one turn. */
const TURN_EVENTS = 25;
/** Corrected keys that are named; beyond that clients are told all of the state. */
const CORRECTED_MAX = 500;

export class Completion {
  readonly #parts: CompletionParts;
  readonly #whole: WholeState;
  readonly #base: KnownEvent;
  readonly #revised: RevisedEvents;
  readonly #judge: Judge;
  /** The room as it was, and becomes, on the whole state. */
  readonly #room: Room;
  readonly #giving: Generator<void, RootRef>;
  #given: RootRef | undefined;
  /** Events that are still to be gone through, in their order. */
  #left: number[];
  readonly #seen = new Set<number>();
  readonly #bytes = new Map<number, Uint8Array>();
  readonly #recorded: readonly RecordedEvent[];
  #taken = 0;

  /**
   * @param seqs what `eventsToRevise` found
   * @param recorded what is decided in the room meanwhile, in order; it may grow until `swap`
   */
  constructor(
    parts: CompletionParts,
    whole: WholeState,
    seqs: readonly number[],
    recorded: readonly RecordedEvent[] = [],
  ) {
    this.#parts = parts;
    this.#whole = whole;
    const { known, rooms, store, writer } = parts;
    const room = rooms.find(whole.roomId);
    const base = known.get(whole.eventId);
    assert(room !== undefined && base?.isPartial === true, `the state before ${whole.eventId} is incomplete`);
    this.#base = base;
    this.#revised = new RevisedEvents(known);
    const resolver = new StateResolver(store, this.#revised, (id, stored) => writer.keepTrace(id, stored));
    this.#judge = new Judge(this.#revised, rooms, resolver);
    this.#room = room.rewound(this.#revised, resolver);
    this.#giving = wholeRoot(room, whole.entries);
    this.#left = [...seqs];
    this.#recorded = recorded;
  }

  /**
   * Goes through all that there is to go through but for a few that may have come last, in turns.
   * @throws CORE_STATE_REFUSED, ROOM_RESOLUTION_TOO_LARGE
   */
  async prepare(): Promise<void> {
    while (this.#given === undefined) {
      this.#give();
      await nextTurn();
    }
    do {
      this.#step(TURN_EVENTS);
      await nextTurn();
    } while (this.#left.length + this.#recorded.length - this.#taken > TURN_EVENTS);
  }

  /**
   * Goes through what is left and makes the events known as they are now, and the room with them. What is returned
   * must be written in this turn.
   * @throws CORE_STATE_REFUSED, ROOM_RESOLUTION_TOO_LARGE: then nothing has changed
   */
  swap(): Swap {
    this.#step(Number.POSITIVE_INFINITY);
    const { rooms, known, numbers } = this.#parts;
    const room = rooms.find(this.#whole.roomId);
    assert(room !== undefined, 'the room is still there');
    const before = room.current().root;
    if (this.#base.rewrites) room.adopt(this.#room);
    const placed = this.#placed(room);
    // After the places that were given out: who is told of the record is told of these.
    const seq = numbers.record();
    const revised: RevisedEvent[] = [];
    const verdicts: RevisedVerdict[] = [];
    for (const made of placed) {
      const revisions = made.revisions.map((it) => (it.revisedAt === 0 ? { ...it, revisedAt: seq } : it));
      const event = { ...made, revisions };
      const was = known.get(event.pdu.eventId);
      assert(was !== undefined, 'what is revised is known');
      if (was.verdict !== event.verdict) {
        room.revise(was.verdict, event);
        verdicts.push({ eventId: event.pdu.eventId, was: was.verdict, is: event.verdict });
      }
      revised.push(this.#rowsOf(event, was, room));
    }
    return { seq, room, revised, verdicts, corrected: correctedKeys(room, before, room.current().root) };
  }

  /** Another slice of the whole state. */
  #give(): void {
    const step = this.#giving.next();
    if (step.done === true) this.#given = step.value;
  }

  #step(events: number): void {
    while (this.#given === undefined) this.#give();
    for (let done = 0; done < events; done++) {
      let seq = this.#left.shift();
      if (seq === undefined) {
        const recorded = this.#recorded[this.#taken];
        if (recorded === undefined) return;
        this.#taken++;
        seq = recorded.seq;
        this.#bytes.set(seq, recorded.bytes);
      }
      const event = this.#parts.known.at(seq);
      if (event === undefined || event.isOutlier || this.#seen.has(seq)) continue;
      this.#seen.add(seq);
      this.#take(event);
    }
  }

  #take(event: KnownEvent): void {
    const isBase = event.pdu.eventId === this.#base.pdu.eventId;
    const rests = isBase || (event.isPartial && !event.hasGivenState);
    const made = rests ? this.#judged(event, isBase) : event;
    // History has no say in what the room is now, nor has what was known before it was joined.
    const isHistory = !this.#base.rewrites || made.seq < this.#base.seq || isBackfilled(made);
    if (isHistory) {
      if (rests) this.#revised.set(made);
      return;
    }
    const roots = made.roots === undefined ? undefined : { ...made.roots, room: undefined };
    const placed = { ...made, roots };
    this.#revised.set(placed);
    this.#room.add(placed, placed);
    this.#revised.set(withRoomState(placed, this.#room));
  }

  #judged(event: KnownEvent, isBase: boolean): KnownEvent {
    const isHistory = !this.#base.rewrites || isBackfilled(event);
    const judgement = this.#judge.revise(event, this.#room, isHistory, isBase ? this.#given : undefined);
    const { verdict, code, reason, roots } = judgement;
    if (isBase && verdict !== event.verdict) {
      const { roomId, eventId } = event.pdu;
      const fields = { room_id: roomId, event_id: eventId, cause: code };
      throw new StateRefusedError(
        `the state that was given before ${eventId} does not allow it: ${reason}`,
        fields,
      );
    }
    const isPartial = roots?.isPartial === true;
    if (verdict === event.verdict) return { ...event, roots, isPartial };
    const { verdict: was, code: codeWas, reason: reasonWas, revisions } = event;
    // The seq of the record is not known yet.
    const revision = { verdict: was, code: codeWas, reason: reasonWas, revisedAt: 0 };
    return { ...event, verdict, code, reason, roots, isPartial, revisions: [...revisions, revision] };
  }

  /** All of them; those that are accepted only now with a place where clients see them. */
  #placed(room: Room): KnownEvent[] {
    const { known, numbers } = this.#parts;
    const all = [...this.#revised.all];
    const isNew = (event: KnownEvent): boolean =>
      event.verdict === 'accepted' && known.get(event.pdu.eventId)?.verdict !== 'accepted';
    // History goes before what the room has, in its order.
    let historyAt = room.timelineFirst - all.filter(isNew).length;
    return all.map((event) => {
      if (!isNew(event)) return event;
      if (!this.#base.rewrites) return { ...event, timelineOrder: historyAt++ };
      return withRoomState({ ...event, timelineOrder: numbers.place(event) }, room);
    });
  }

  #rowsOf(event: KnownEvent, was: KnownEvent, room: Room): RevisedEvent {
    const { known, store } = this.#parts;
    const { seq } = event;
    const bytes = this.#bytes.get(seq) ?? store.event(seq)?.bytes ?? NO_BYTES;
    const rows: RowChange[] = [];
    if (event.roots !== undefined) rows.push({ key: rootsKey(seq), value: encodeRoots(event.roots) });
    let chain: RevisedEvent['chain'];
    if (event.verdict !== was.verdict) {
      const outlier = event.outlierSeq === undefined ? undefined : store.event(event.outlierSeq)?.verdict;
      chain = revisedChainOf(event, outlier, known);
      const { row, timelineOrder } = groupEvent(event, bytes, room.number, undefined, undefined);
      rows.push({ key: eventKey(seq), value: encodeEvent(row) });
      if (was.verdict === 'accepted') {
        rows.push({ key: timelineKey(room.number, was.timelineOrder ?? seq), value: undefined });
      }
      if (timelineOrder !== undefined) {
        rows.push({ key: timelineKey(room.number, timelineOrder), value: encodeNumber(seq) });
      }
      if (chain !== undefined)
        rows.push({ key: chainKey(event.outlierSeq ?? seq), value: encodeChain(chain) });
    }
    known.addPending(event, chain);
    return { known: event, bytes: bytes.length, rows, chain };
  }
}

const NO_BYTES = new Uint8Array();

/** The whole state, made from the current one, with which it shares what has not changed. */
function wholeRoot(room: Room, entries: ReadonlyMap<EventId, StateUpdate>): Generator<void, RootRef> {
  const { root } = room.current();
  const updates = new Map<string, StateUpdate>();
  const has = new Set<EventId>();
  for (const { type, stateKey, eventId } of room.states.entries(root)) {
    if (entries.has(eventId)) has.add(eventId);
    else updates.set(keyOf(type, stateKey), { type, stateKey, event: undefined });
  }
  for (const [id, entry] of entries) if (!has.has(id)) updates.set(keyOf(entry.type, entry.stateKey), entry);
  return room.states.updateInSlices(root, updates.values());
}

/**
 * What the clients that know one state must be told of another: what they have wrong, and what they lack but for
 * members, of whom they are told as they come up. Costs the entries of the first, and those of the second that are
 * no members.
 */
function correctedKeys(room: Room, before: RootRef, after: RootRef): Swap['corrected'] {
  const { states } = room;
  const keys: (readonly [type: string, stateKey: string])[] = [];
  if (equalBytes(before.hash, after.hash)) return keys;
  for (const { type, stateKey, eventId } of states.entries(before)) {
    if (states.get(after, type, stateKey) !== eventId) keys.push([type, stateKey]);
    if (keys.length > CORRECTED_MAX) return undefined;
  }
  for (const { type, stateKey } of states.entries(after)) {
    // The members are the second half of the tree.
    if (type === MEMBER_TYPE) break;
    if (states.get(before, type, stateKey) === undefined) keys.push([type, stateKey]);
    if (keys.length > CORRECTED_MAX) return undefined;
  }
  return keys;
}

/**
 * Seqs of the committed events that rest on an incomplete state, and of those that the room's extremities depend on
 * since, in order.
 * @param base the event before which the state is incomplete
 * @param to nothing after this seq
 */
export async function eventsToRevise(
  { store, known }: Pick<CompletionParts, 'store' | 'known'>,
  base: KnownEvent,
  roomNumber: number,
  to: number,
): Promise<number[]> {
  const resting = new Set([base.seq]);
  const open = [base.pdu.eventId];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    for await (const referrer of store.edges(id, 'prev')) {
      const next = known.at(referrer);
      if (next?.isPartial !== true || next.hasGivenState || resting.has(next.seq)) continue;
      resting.add(next.seq);
      open.push(next.pdu.eventId);
    }
  }
  if (base.rewrites)
    for await (const [, seq] of store.timeline(roomNumber, { from: base.seq })) resting.add(seq);
  return [...resting].filter((seq) => seq <= to).sort((a, b) => a - b);
}

/** What the record of a completed state says. */
export function completedRecord(
  content: JsonObject,
  { verdicts, corrected }: Swap,
  completedTs: number,
): JsonObject {
  const revised = verdicts.map(({ eventId, was, is }) => ({ event_id: eventId, was, is }));
  return {
    ...content,
    completed: true,
    completed_ts: completedTs,
    revised: revised.slice(0, CORRECTED_MAX),
    revised_count: revised.length,
    ...(corrected === undefined ? {} : { corrected: corrected.map(([type, stateKey]) => [type, stateKey]) }),
  };
}
