// A room's lock: many may talk in it at once, or one may change who is in it.
//
// It makes what is to be expected certain: whoever the soak holds for a member when it sends is one.

export class RoomLock {
  #sharing = 0;
  #isExclusive = false;
  readonly #waiting: Array<() => boolean> = [];

  shared<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.#with(
      () => {
        if (this.#isExclusive) return false;
        this.#sharing++;
        return true;
      },
      () => void this.#sharing--,
      work,
    );
  }

  exclusive<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.#with(
      () => {
        if (this.#isExclusive || this.#sharing > 0) return false;
        this.#isExclusive = true;
        return true;
      },
      () => void (this.#isExclusive = false),
      work,
    );
  }

  async #with<Result>(enter: () => boolean, leave: () => void, work: () => Promise<Result>): Promise<Result> {
    if (this.#waiting.length > 0 || !enter()) {
      await new Promise<void>((resolve) =>
        this.#waiting.push(() => {
          if (!enter()) return false;
          resolve();
          return true;
        }),
      );
    }
    try {
      return await work();
    } finally {
      leave();
      while (this.#waiting[0]?.() === true) this.#waiting.shift();
    }
  }
}
