// A lane: a room's arrivals in the order in which they came, each with an evaluation under way.
//
// Evaluations overlap; their results are taken in order, one at a time, so that within a room the order of
// arrival is the order of decision. Lanes know nothing of each other: a slow one stalls no other room.

/** What a lane is told to do. */
export interface LaneActions<Arrival> {
  /** Takes the next arrival; must not throw for what an event holds. */
  readonly take: (arrival: Arrival) => void;
  /** A promise to wait for before this one is taken. */
  readonly ready: (arrival: Arrival) => Promise<unknown> | undefined;
  /** Nothing is left. */
  readonly idle: () => void;
}

interface Waiting<Arrival> {
  readonly arrival: Promise<Arrival> | Arrival;
  readonly fail: (error: unknown) => void;
}

/** The head of the queue is cut off once so many have gone. */
const QUEUE_CUT = 1_024;

export class Lane<Arrival> {
  readonly #actions: LaneActions<Arrival>;
  readonly #queue: Waiting<Arrival>[] = [];
  #head = 0;
  #isRunning = false;
  #running: Promise<void> = Promise.resolve();

  constructor(actions: LaneActions<Arrival>) {
    this.#actions = actions;
  }

  /** Arrivals whose turn has not come. */
  get waiting(): number {
    return this.#queue.length - this.#head;
  }

  /** Adds an arrival at the end; `fail` gets what its evaluation, or taking it, throws. */
  add(arrival: Promise<Arrival> | Arrival, fail: (error: unknown) => void): void {
    // A rejection must not count as unhandled while it waits for its turn.
    if (arrival instanceof Promise) arrival.catch(() => undefined);
    this.#queue.push({ arrival, fail });
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#running = this.#run();
  }

  /** Resolves when nothing is left. */
  async done(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    await Promise.resolve();
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      try {
        const arrival = next.arrival instanceof Promise ? await next.arrival : next.arrival;
        const ready = this.#actions.ready(arrival);
        if (ready !== undefined) await ready;
        this.#actions.take(arrival);
      } catch (error) {
        next.fail(error);
      }
    }
    this.#isRunning = false;
    this.#actions.idle();
  }

  /** Takes from the head; the array is cut now and then, because `shift` on a long one costs its length. */
  #next(): Waiting<Arrival> | undefined {
    const next = this.#queue[this.#head];
    if (next === undefined) {
      this.#queue.length = 0;
      this.#head = 0;
      return undefined;
    }
    this.#head++;
    if (this.#head === QUEUE_CUT) {
      this.#queue.splice(0, this.#head);
      this.#head = 0;
    }
    return next;
  }
}
