// Numbers by seq, 8 bytes each, in pages: seqs are dense but for what was purged.

const PAGE = 4096;

export class SeqNumbers {
  readonly #pages = new Map<number, Float64Array>();
  #size = 0;

  /** How many are not 0. */
  get size(): number {
    return this.#size;
  }

  /** The number of a seq; 0 when none was set. */
  get(seq: number): number {
    return this.#pages.get(Math.floor(seq / PAGE))?.[seq % PAGE] ?? 0;
  }

  /** @param number not 0 */
  set(seq: number, number: number): void {
    const at = Math.floor(seq / PAGE);
    let page = this.#pages.get(at);
    if (page === undefined) {
      page = new Float64Array(PAGE);
      this.#pages.set(at, page);
    }
    if (page[seq % PAGE] === 0) this.#size++;
    page[seq % PAGE] = number;
  }

  *entries(): Generator<readonly [seq: number, number: number]> {
    for (const [at, page] of this.#pages) {
      for (let i = 0; i < PAGE; i++) {
        const number = page[i] as number;
        if (number !== 0) yield [at * PAGE + i, number];
      }
    }
  }
}
