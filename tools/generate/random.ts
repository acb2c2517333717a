// The generator's randomness: the same seed gives the same numbers on every machine.
//
// xoshiro128** 1.1 (Blackman and Vigna, "Scrambled Linear Pseudorandom Number Generators", 2018), seeded with
// SHA-256. Each purpose draws from a stream of its own, so that a change in one leaves the others as they were.

import { createHash } from 'node:crypto';

import { assert } from '../../src/lib/errors.js';

const tokenAlphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** 32 bytes for a purpose under a seed: also the seed of a server's signing key. */
export function seedBytes(seed: string, purpose: string): Uint8Array {
  return createHash('sha256')
    .update(JSON.stringify(['stateroom generate', seed, purpose]))
    .digest();
}

/** One stream of pseudorandom numbers. Not for secrets. */
export class Random {
  readonly #state = new Uint32Array(4);

  constructor(seed: string, purpose: string) {
    const bytes = seedBytes(seed, purpose);
    const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
    for (let i = 0; i < 4; i++) this.#state[i] = view.getUint32(4 * i, true);
  }

  /** An integer from 0 to `limit` - 1, for limits up to 2^32, each with equal chance. */
  below(limit: number): number {
    assert(limit >= 1 && limit <= 2 ** 32, 'a random limit lies within 1 and 2^32');
    const fair = 2 ** 32 - (2 ** 32 % limit);
    let drawn = this.#next();
    while (drawn >= fair) drawn = this.#next();
    return drawn % limit;
  }

  /** An integer from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** True once in `times` draws. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  /** One of a list that is not empty. */
  pick<T>(list: readonly T[]): T {
    const picked = list[this.below(list.length)];
    assert(picked !== undefined, 'a random pick is from a list without holes');
    return picked;
  }

  /** Takes one out of a list that is not empty; the list's order changes. */
  take<T>(list: T[]): T {
    const index = this.below(list.length);
    const taken = list[index];
    const last = list.pop();
    assert(taken !== undefined && last !== undefined, 'a random take is from a list without holes');
    if (index < list.length) list[index] = last;
    return taken;
  }

  /** Letters, as servers use them in media ids and opaque ids. */
  token(length: number): string {
    let token = '';
    for (let i = 0; i < length; i++) token += tokenAlphabet[this.below(tokenAlphabet.length)];
    return token;
  }

  #next(): number {
    const state = this.#state;
    const [a, b, c, d] = [state[0] as number, state[1] as number, state[2] as number, state[3] as number];
    const drawn = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    const e = c ^ a;
    const f = d ^ b;
    state[1] = b ^ e;
    state[0] = a ^ f;
    state[2] = e ^ (b << 9);
    state[3] = rotate(f, 11);
    return drawn;
  }
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
