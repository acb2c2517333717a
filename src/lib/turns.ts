// Work that waits for its turn: one after another for the same key, side by side for different ones.

export class Turns<Key> {
  readonly #last = new Map<Key, Promise<unknown>>();

  /** Does the work once all that was asked for before under this key has ended, well or not. */
  async in<Result>(key: Key, work: () => Promise<Result>): Promise<Result> {
    const turn = (this.#last.get(key) ?? Promise.resolve()).then(work);
    const settled = turn.catch(() => undefined);
    this.#last.set(key, settled);
    try {
      return await turn;
    } finally {
      if (this.#last.get(key) === settled) this.#last.delete(key);
    }
  }
}
