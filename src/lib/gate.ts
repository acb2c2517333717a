// A gate that lets in so much at once; the rest waits in the order in which it came.

/** Bounds what is under way at once, by the summed costs of those inside. */
export class Gate {
  readonly #costMax: number;
  readonly #waiting: Array<{ readonly cost: number; readonly enter: () => void }> = [];
  #cost = 0;

  /** @param costMax bound on the sum, in the unit of the costs given to `enter` */
  constructor(costMax: number) {
    this.#costMax = costMax;
  }

  /** Resolves once there is room; one alone always has room. Every `enter` is followed by one `leave`. */
  async enter(cost: number): Promise<void> {
    if (this.#waiting.length === 0 && this.#fits(cost)) {
      this.#cost += cost;
      return;
    }
    await new Promise<void>((enter) => this.#waiting.push({ cost, enter }));
  }

  /** Leaves, with the cost it entered with. */
  leave(cost: number): void {
    this.#cost -= cost;
    for (let next = this.#waiting[0]; next !== undefined && this.#fits(next.cost); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#cost += next.cost;
      next.enter();
    }
  }

  #fits(cost: number): boolean {
    return this.#cost === 0 || this.#cost + cost <= this.#costMax;
  }
}
