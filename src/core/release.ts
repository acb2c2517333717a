// Release: committed events go to listeners in commit order.
//
// A listener reads the store behind the watermark at its own pace, so that it needs no queue here, misses
// nothing after a crash (at least once, from the position it kept), and never holds up the writer. One that
// says how far it may lag holds up the intake instead.

import type { EventRow } from '../store/records.js';
import type { Store } from '../store/store.js';

/** Events released together, in commit order. */
export interface ReleasedGroup {
  readonly seqFirst: number;
  readonly seqLast: number;
  readonly events: ReadonlyArray<{ readonly seq: number; readonly row: EventRow }>;
}

export interface ReleaseOptions {
  /** Deliver what was committed after this seq; 0 is everything. */
  readonly after?: number;
  /** How many events the listener may lag before intake waits for it; without it, intake never does. */
  readonly lagMax?: number;
  /** Events in one group at most. */
  readonly groupMax?: number;
  /** Ends the iteration. */
  readonly signal?: AbortSignal;
}

const GROUP_MAX = 500;

interface Listener {
  position: number;
  readonly lagMax: number | undefined;
}

export class Release {
  readonly #store: Store;
  readonly #listeners = new Set<Listener>();
  #watermark: number;
  #closed = false;
  #wake: (() => void)[] = [];
  #moved: (() => void)[] = [];

  constructor(store: Store, watermark: number) {
    this.#store = store;
    this.#watermark = watermark;
  }

  /** Seq of the newest committed event. */
  get watermark(): number {
    return this.#watermark;
  }

  /** The writer committed up to this seq. */
  advance(seq: number): void {
    this.#watermark = seq;
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
    const listener: Listener = { position: options.after ?? 0, lagMax: options.lagMax };
    this.#listeners.add(listener);
    const wake = (): void => this.#wakeAll();
    options.signal?.addEventListener('abort', wake);
    try {
      while (options.signal?.aborted !== true) {
        if (listener.position < this.#watermark) {
          yield await this.#group(listener.position, options.groupMax ?? GROUP_MAX, (seq) => {
            listener.position = seq;
          });
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

  async #group(after: number, max: number, deliver: (seq: number) => void): Promise<ReleasedGroup> {
    const events: { seq: number; row: EventRow }[] = [];
    const to = Math.min(this.#watermark, after + max);
    for await (const [seq, row] of this.#store.events(after + 1, to + 1)) events.push({ seq, row });
    deliver(to);
    return { seqFirst: after + 1, seqLast: to, events };
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
