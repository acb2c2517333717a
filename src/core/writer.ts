// The single writer: takes every decision that is ready, builds one atomic batch, writes it, lets it out.
//
// While a batch is on its way to disk further decisions gather, and go together in the next: group commit.
// Order of decision is order of commit. When a batch cannot be written, everything decided since is void: the
// writer fails for good, callers get the error, and what was acknowledged before is in the store.

import { assert, toError } from '../lib/errors.js';
import { chainSeqOf, type KnownEvent, type KnownEvents } from '../room/graph/known-events.js';
import type { Room } from '../room/graph/room.js';
import type { StoredTrace } from '../room/graph/state-resolver.js';
import {
  type CommitGroup,
  countChanges,
  type GroupEvent,
  type QueueChange,
  type RecordChange,
  type RowChange,
} from '../store/commit-group.js';
import type { ChainRow, Counters } from '../store/records.js';
import { recordHeader } from '../store/node-records.js';
import type { Store } from '../store/store.js';
import type { Draft } from '../tree/draft.js';
import type { CoreObserver } from './observer.js';

/** One decision on its way to the store. */
export interface Decision {
  /** The event and its rows, when one is stored. */
  readonly stored: { readonly known: KnownEvent; readonly row: GroupEvent } | undefined;
  /** The room it changes. */
  readonly room: Room | undefined;
  readonly queues: readonly QueueChange[];
  /** Older records of nodes that change with it. */
  readonly changedRecords?: readonly RecordChange[];
  /** Events of the room that go, or lose their place, with it. */
  readonly collected?: CollectedEvents;
  /** Events of the room that are known better with it. */
  readonly revised?: readonly RevisedEvent[];
  /** Resolves when the bytes of the event are whole; its group is written then. */
  readonly signed?: Promise<void>;
  /** Called once it is committed, or with the error that prevented it. */
  readonly settle: (error?: unknown) => void;
}

/** What a decision changes beside an event. */
export type WithoutEvent = Partial<Omit<Decision, 'stored' | 'signed' | 'settle'>>;

/** An event whose roots, and perhaps verdict, change because the state it rested on was completed. */
export interface RevisedEvent {
  readonly known: KnownEvent;
  /** Length of its PDU. */
  readonly bytes: number;
  readonly rows: readonly RowChange[];
  /** Present where it may be cited only now. */
  readonly chain: ChainRow | undefined;
}

/** What becomes of events that are collected. */
export interface CollectedEvents {
  readonly rows: readonly RowChange[];
  /** How many go, and how many of them are state events. */
  readonly events: number;
  readonly stateEvents: number;
}

/** Told of each group with events: everything up to this seq is committed, these events last. */
export type CommitListener = (seq: number, events: readonly GroupEvent[]) => void;

/** New nodes of one room's state. */
interface KeptDraft {
  readonly roomNumber: number;
  readonly draft: Draft;
}

export class Writer {
  readonly #store: Store;
  readonly #known: KnownEvents;
  readonly #onCommit: CommitListener;
  readonly #observer: CoreObserver | undefined;
  readonly #counters: { -readonly [Name in keyof Counters]: Counters[Name] };
  #decisions: Decision[] = [];
  #drafts: KeptDraft[] = [];
  #traces: { id: string; value: StoredTrace }[] = [];
  #running: Promise<void> | undefined;
  #failure: Error | undefined;
  #onTaken: (() => void)[] = [];
  /** Signatures that are being made of events handed over. */
  readonly #unsigned = new Set<Promise<void>>();
  /** Commit groups written, and events in them. */
  readonly stats = { groups: 0, events: 0, groupEventsMax: 0 };

  constructor(store: Store, known: KnownEvents, onCommit: CommitListener, observer?: CoreObserver) {
    this.#store = store;
    this.#known = known;
    this.#onCommit = onCommit;
    this.#observer = observer;
    this.#counters = store.counters();
  }

  // Numbers are given out in the order of decisions; those of a failed group are never seen.

  nextSeq(): number {
    return ++this.#counters.seq;
  }

  nextRecord(): number {
    return ++this.#counters.record;
  }

  nextRoomNumber(): number {
    return ++this.#counters.rooms;
  }

  nextQueuePosition(): number {
    return ++this.#counters.queuePosition;
  }

  /** The greatest seq that was given out. */
  get lastSeq(): number {
    return this.#counters.seq;
  }

  /** Takes the seq that an event has already: for replaying stored events, in their order. */
  takeSeq(seq: number): void {
    assert(seq > this.#counters.seq, 'stored events are replayed in the order of seq');
    this.#counters.seq = seq;
  }

  /** Goes on after a seq that was given out before, if its event is stored or not. */
  skipSeqs(seqLast: number): void {
    this.#counters.seq = Math.max(this.#counters.seq, seqLast);
  }

  /** The error that ended the writer, or undefined while it works. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Decisions that are not yet on disk. */
  get pending(): number {
    return this.#decisions.length;
  }

  /** Takes nodes that the next group must hold. */
  keepDraft(roomNumber: number, draft: Draft): void {
    this.#drafts.push({ roomNumber, draft });
  }

  /** Takes a resolution's record that the next group must hold. */
  keepTrace(id: string, value: StoredTrace): void {
    this.#traces.push({ id, value });
  }

  /** Hands over a decision; its `settle` is called after its group is committed. */
  submit(decision: Decision): void {
    if (this.#failure !== undefined) {
      decision.settle(this.#failure);
      return;
    }
    this.#decisions.push(decision);
    if (decision.signed !== undefined) this.#awaitSignature(decision.signed);
    this.#running ??= this.#run();
  }

  /** Changes older records of nodes in the next group. @throws STORE_WRITE_FAILED */
  changeRecords(changedRecords: readonly RecordChange[]): Promise<void> {
    return this.written({ changedRecords });
  }

  /** Submits what stores no event, and resolves when it and all before it is on disk. @throws STORE_WRITE_FAILED */
  written(decision: WithoutEvent = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (error?: unknown): void => {
        if (error === undefined) resolve();
        else reject(toError(error));
      };
      this.submit({ stored: undefined, room: undefined, queues: [], ...decision, settle });
    });
  }

  /** A promise of the signatures that are being made of events handed over, where there are any. */
  signing(): Promise<unknown> | undefined {
    return this.#unsigned.size === 0 ? undefined : Promise.allSettled(this.#unsigned);
  }

  /** Resolves when nothing is left to write. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  /** Resolves when the writer has taken what is pending now into a group. */
  async taken(): Promise<void> {
    if (this.#decisions.length > 0) await new Promise<void>((resolve) => this.#onTaken.push(resolve));
  }

  async #run(): Promise<void> {
    while (this.#decisions.length > 0) {
      // What else arrives in this turn of the event loop goes along: a group costs a wait for the disk.
      await new Promise((resolve) => setImmediate(resolve));
      await this.#commit(this.#take());
    }
    this.#running = undefined;
  }

  #awaitSignature(signed: Promise<void>): void {
    const made = (): void => void this.#unsigned.delete(signed);
    this.#unsigned.add(signed);
    signed.then(made, made);
  }

  #take(): Decision[] {
    for (const taken of this.#onTaken.splice(0)) taken();
    return this.#decisions.splice(0);
  }

  async #commit(decisions: readonly Decision[]): Promise<void> {
    const drafts = this.#drafts.splice(0);
    let group: CommitGroup;
    const start = performance.now();
    try {
      group = this.#group(decisions, drafts);
      for (const { signed } of decisions) if (signed !== undefined) await signed;
      await this.#store.write(group);
    } catch (error) {
      this.#fail(error, decisions);
      return;
    }
    this.#observer?.phase('commit', performance.now() - start);
    for (const { draft } of drafts) draft.committed();
    for (const { stored, revised = [] } of decisions) {
      if (stored !== undefined) this.#known.committed(stored.known, stored.row.row.bytes.length);
      for (const { known, bytes } of revised) this.#known.committed(known, bytes);
    }
    this.stats.groups++;
    this.stats.events += group.events.length;
    this.stats.groupEventsMax = Math.max(this.stats.groupEventsMax, group.events.length);
    const last = group.events.at(-1);
    if (last !== undefined) this.#onCommit(last.seq, group.events);
    for (const { settle } of decisions) settle();
  }

  #group(decisions: readonly Decision[], drafts: readonly KeptDraft[]): CommitGroup {
    const events = decisions.flatMap(({ stored }) => stored?.row ?? []);
    const nodes = drafts.flatMap(({ roomNumber, draft }) => draft.seal(recordHeader(roomNumber)));
    const rooms = new Set(decisions.flatMap(({ room }) => room ?? []));
    const cited = citedIn(decisions);
    for (let i = 1; i < events.length; i++) {
      assert((events[i - 1]?.seq ?? 0) < (events[i]?.seq ?? 0), 'a commit group is in the order of seq');
    }
    const changedRecords = decisions.flatMap((decision) => decision.changedRecords ?? []);
    const counters = this.#counters;
    const collected = decisions.flatMap((decision) => decision.collected ?? []);
    const { nodeRecords, nodeBytes } = countChanges(counters, changedRecords);
    const isNew = events.filter(({ row }) => row.outlierSeq === undefined);
    counters.events += isNew.length;
    counters.stateEvents += isNew.filter(({ stateKey }) => stateKey !== undefined).length;
    for (const gone of collected) {
      counters.events -= gone.events;
      counters.stateEvents -= gone.stateEvents;
    }
    counters.nodeRecords = nodeRecords + nodes.length;
    counters.nodeBytes = nodes.reduce((sum, { bytes }) => sum + bytes.length, nodeBytes);
    return {
      events,
      nodes,
      changedRecords,
      changedRows: [
        ...collected.flatMap(({ rows }) => rows),
        ...decisions.flatMap(({ revised = [] }) => revised.flatMap(({ rows }) => rows)),
      ],
      rooms: [...rooms].map((room) => room.toRow()),
      traces: this.#traces.splice(0),
      cited: [...cited],
      queues: decisions.flatMap(({ queues }) => queues),
      counters: { ...counters },
    };
  }

  #fail(error: unknown, decisions: readonly Decision[]): void {
    this.#failure = toError(error);
    for (const { settle } of [...decisions, ...this.#take()]) settle(error);
  }
}

/** For each event newly cited the last one that cites it, in the order of the decisions. */
function citedIn(decisions: readonly Decision[]): Map<number, number> {
  const cited = new Map<number, number>();
  const add = (citer: number, chain: ChainRow | undefined): void => {
    for (const auth of chain?.authSeqs ?? []) cited.set(auth, citer);
  };
  for (const { stored, revised = [] } of decisions) {
    if (stored !== undefined) add(chainSeqOf(stored.known), stored.row.chain);
    for (const { known, chain } of revised) add(chainSeqOf(known), chain);
  }
  return cited;
}
