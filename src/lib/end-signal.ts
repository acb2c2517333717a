// Says that somebody waits no longer. It is what an AbortSignal is to most of its users, at a tenth of the memory:
// thousands of requests may wait at once, each with one.

/** An AbortSignal is one too. */
export interface EndSignal {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

export class EndController implements EndSignal {
  #isEnded = false;
  #listeners: readonly (() => void)[] = [];

  get aborted(): boolean {
    return this.#isEnded;
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners = [...this.#listeners, listener];
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners = this.#listeners.filter((other) => other !== listener);
  }

  /** Tells all listeners, once. */
  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    for (const listener of this.#listeners) listener();
    this.#listeners = [];
  }
}
