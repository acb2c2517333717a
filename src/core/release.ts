// Release: committed events go to listeners in commit order.
//
// A listener reads the store behind the watermark at its own pace, so that it needs no queue here, misses
// nothing after a crash (at least once, from the position it kept), and never holds up the writer. One that
// says how far it may lag holds up the intake instead. What was committed last is at hand, until all listeners
// have it: those that keep up read nothing.

import type { GroupEvent } from '../store/commit-group.js';
import type { EventRow } from '../store/records.js';
import type { Store } from '../store/store.js';
import type { CoreObserver } from './observer.js';

/** Events released together, in commit order. */
export interface ReleasedGroup {
  readonly seqFirst: number;
  readonly seqLast: number;
  readonly events: readonly ReleasedEvent[];
}

/** An event as it is stored at its seq. One that was released as an outlier comes again when it gets its place. */
export interface ReleasedEvent {
  readonly seq: number;
  readonly row: EventRow;
  /**
   * Its place in the room's timeline: the seq, or a negative number for history that was fetched later, which is
   * nothing new; undefined where it has none (outliers, rejected, soft failed).
   */
  readonly timelineOrder: number | undefined;
}

export interface ReleaseOptions {
  /** Deliver what was committed after this seq; 0 is everything. */
  readonly after?: number;
  /** How many events the listener may lag before intake waits for it; without it, intake never does. */
  readonly lagMax?: number;
  /** Events in one group at most. */
  readonly groupMax?: number;
  /** Leave outliers out: they come when they have a place. Who wants none costs nothing while many are taken in. */
  readonly placedOnly?: boolean;
  /** Ends the iteration. */
  readonly signal?: AbortSignal;
}

const GROUP_MAX = 500;
/** Events at hand, and their bytes, at most. */
const AT_HAND_MAX = 2_000;
const AT_HAND_BYTES_MAX = 4 * 1024 * 1024;

interface Listener {
  position: number;
  /** When the oldest commit that it was not given came; undefined when it was given all, or nobody asks. */
  behindSince: number | undefined;
  readonly lagMax: number | undefined;
  readonly placedOnly: boolean;
}

export class Release {
  readonly #store: Store;
  readonly #observer: CoreObserver | undefined;
  readonly #listeners = new Set<Listener>();
  #watermark: number;
  /** All that was committed after `#atHandAfter`, but outliers where nobody wanted any. */
  #atHand: ReleasedEvent[] = [];
  #atHandHasAll = true;
  #atHandAfter: number;
  #atHandBytes = 0;
  #closed = false;
  #wake: (() => void)[] = [];
  #moved: (() => void)[] = [];

  constructor(store: Store, watermark: number, observer?: CoreObserver) {
    this.#store = store;
    this.#observer = observer;
    this.#watermark = watermark;
    this.#atHandAfter = watermark;
  }

  /** Seq of the newest committed event. */
  get watermark(): number {
    return this.#watermark;
  }

  /** The writer committed up to this seq, these events after what it committed before. */
  advance(seq: number, events: readonly GroupEvent[]): void {
    this.#watermark = seq;
    if (this.#listeners.size > 0) this.#putAtHand(events);
    else this.#dropAtHand();
    if (this.#observer !== undefined) {
      const now = performance.now();
      for (const listener of this.#listeners) listener.behindSince ??= now;
    }
    this.#wakeAll();
  }

  /** Ends every iteration once it has delivered what is committed. */
  close(): void {
    this.#closed = true;
    this.#wakeAll();
    for (const moved of this.#moved.splice(0)) moved();
  }

  /** Resolves when no listener lags more than it may. */
  async caughtUp(): Promise<void> {
    while (!this.#closed && this.#isBlocked()) {
      await new Promise<void>((resolve) => this.#moved.push(resolve));
    }
  }

  /** Commit groups after a position, in order, for ever: until closed, aborted or left by the caller. */
  async *released(options: ReleaseOptions = {}): AsyncGenerator<ReleasedGroup> {
    const listener: Listener = {
      position: options.after ?? 0,
      behindSince: undefined,
      lagMax: options.lagMax,
      placedOnly: options.placedOnly === true,
    };
    this.#listeners.add(listener);
    const wake = (): void => this.#wakeAll();
    options.signal?.addEventListener('abort', wake);
    try {
      while (options.signal?.aborted !== true) {
        if (listener.position < this.#watermark) {
          yield await this.#group(listener, options.groupMax ?? GROUP_MAX, (seq) => {
            listener.position = seq;
            this.#delivered(listener);
          });
          if (this.#atHandAfter < this.#watermark && this.#haveAll()) this.#dropAtHand();
          this.#notifyMoved();
        } else if (this.#closed) return;
        else await new Promise<void>((resolve) => this.#wake.push(resolve));
      }
    } finally {
      options.signal?.removeEventListener('abort', wake);
      this.#listeners.delete(listener);
      this.#notifyMoved();
    }
  }

  async #group(
    { position: after, placedOnly }: Listener,
    max: number,
    deliver: (seq: number) => void,
  ): Promise<ReleasedGroup> {
    const to = Math.min(this.#watermark, after + max);
    const events =
      this.#eventsAtHand(after, to, placedOnly) ?? (await this.#eventsOfStore(after, to, placedOnly));
    deliver(to);
    return { seqFirst: after + 1, seqLast: to, events };
  }

  /** Undefined where the store must be asked. An outlier that got its place since comes where that is. */
  #eventsAtHand(after: number, to: number, placedOnly: boolean): ReleasedEvent[] | undefined {
    if (after < this.#atHandAfter || !(placedOnly || this.#atHandHasAll)) return undefined;
    const events = this.#atHand.filter(({ seq }) => seq > after && seq <= to);
    if (placedOnly) return events.filter(({ row }) => !row.isOutlier);
    const placed = new Set(events.flatMap(({ row }) => row.outlierSeq ?? []));
    return placed.size === 0 ? events : events.filter(({ seq }) => !placed.has(seq));
  }

  async #eventsOfStore(after: number, to: number, placedOnly: boolean): Promise<ReleasedEvent[]> {
    const events: ReleasedEvent[] = [];
    const rows = placedOnly ? this.#store.eventLog(after + 1, to + 1) : this.#store.events(after + 1, to + 1);
    for await (const [seq, row] of rows) {
      if (!placedOnly || !row.isOutlier) events.push(releasedEvent(seq, row));
    }
    return events;
  }

  #putAtHand(events: readonly GroupEvent[]): void {
    const isWanted = [...this.#listeners].some(({ placedOnly }) => !placedOnly);
    for (const { seq, row } of events) {
      if (row.isOutlier && !isWanted) {
        this.#atHandHasAll = false;
        continue;
      }
      this.#atHand.push(releasedEvent(seq, row));
      this.#atHandBytes += row.bytes.length;
    }
    if (this.#atHand.length > AT_HAND_MAX || this.#atHandBytes > AT_HAND_BYTES_MAX) this.#dropAtHand();
  }

  /** Whoever does not have it yet reads it from the store. */
  #dropAtHand(): void {
    this.#atHand = [];
    this.#atHandHasAll = true;
    this.#atHandAfter = this.#watermark;
    this.#atHandBytes = 0;
  }

  #haveAll(): boolean {
    for (const { position } of this.#listeners) if (position < this.#watermark) return false;
    return true;
  }

  #delivered(listener: Listener): void {
    if (listener.behindSince === undefined) return;
    const now = performance.now();
    this.#observer?.phase('release', now - listener.behindSince);
    listener.behindSince = listener.position < this.#watermark ? now : undefined;
  }

  #isBlocked(): boolean {
    for (const { position, lagMax } of this.#listeners) {
      if (lagMax !== undefined && this.#watermark - position > lagMax) return true;
    }
    return false;
  }

  #wakeAll(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }

  #notifyMoved(): void {
    if (this.#moved.length > 0 && !this.#isBlocked()) for (const moved of this.#moved.splice(0)) moved();
  }
}

function releasedEvent(seq: number, row: EventRow): ReleasedEvent {
  const isShown = row.verdict === 'accepted' && !row.isOutlier;
  return { seq, row, timelineOrder: isShown ? (row.timelineOrder ?? seq) : undefined };
}
