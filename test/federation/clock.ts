// A clock that stands still until a test moves it; timers fire on the way, in their order.

const START = Date.UTC(2026, 0, 1);

interface Timer {
  readonly at: number;
  readonly work: () => void;
}

export class TestClock {
  #now = START;
  readonly #timers = new Set<Timer>();

  get now(): number {
    return this.#now;
  }

  set now(time: number) {
    this.advance(time - this.#now);
  }

  /** Timers that have not fired. */
  get pending(): number {
    return this.#timers.size;
  }

  readonly after = (ms: number, work: () => void): (() => void) => {
    const timer = { at: this.#now + Math.max(0, ms), work };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  };

  /** Lets time pass. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.work();
    }
    this.#now = Math.max(this.#now, end);
  }

  #next(end: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.at <= end && (first === undefined || timer.at < first.at)) first = timer;
    }
    return first;
  }
}
