// A counting gate: at most so many inside, the others wait in the order in which they came.

/** Bounds how many are at work at once. */
export class Gate {
  readonly #max: number;
  readonly #waiting: (() => void)[] = [];
  #inside = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** How many are inside. */
  get inside(): number {
    return this.#inside;
  }

  /** Resolves when there is room inside; every `enter` is followed by one `leave`. */
  async enter(): Promise<void> {
    if (this.#inside < this.#max) {
      this.#inside++;
      return;
    }
    // Whoever leaves hands over its place, so the count does not change.
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#inside--;
    else next();
  }
}
