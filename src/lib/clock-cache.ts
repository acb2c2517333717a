// A cache bounded by the summed sizes of its values, with CLOCK eviction: as good as least-recently-used
// here, at half its cost, because a hit is one store to a flag and moves nothing.

/** Slots that are gone may take so much of the ring beside half of it. */
const RING_SLACK = 64;

interface Slot<Key, Value> {
  readonly key: Key;
  readonly value: Value;
  readonly size: number;
  wasUsed: boolean;
  isGone: boolean;
}

export class ClockCache<Key, Value> {
  readonly #slots = new Map<Key, Slot<Key, Value>>();
  /** All slots in the order in which they came, those that are gone among them until the hand passes. */
  #ring: Slot<Key, Value>[] = [];
  readonly #sizeMax: number;
  #hand = 0;
  #size = 0;

  /** @param sizeMax bound on the sum of the sizes given to `set`, in the caller's unit */
  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax;
  }

  /** The sum of the sizes held. */
  get size(): number {
    return this.#size;
  }

  get(key: Key): Value | undefined {
    const slot = this.#slots.get(key);
    if (slot === undefined) return undefined;
    slot.wasUsed = true;
    return slot.value;
  }

  has(key: Key): boolean {
    return this.#slots.has(key);
  }

  /** Keeps a value; others are dropped while the sizes exceed the bound. */
  set(key: Key, value: Value, size: number): void {
    this.delete(key);
    const slot = { key, value, size, wasUsed: false, isGone: false };
    this.#slots.set(key, slot);
    this.#ring.push(slot);
    this.#size += size;
    while (this.#size > this.#sizeMax) this.#advance();
    if (this.#ring.length > 2 * this.#slots.size + RING_SLACK) this.#compact();
  }

  delete(key: Key): void {
    const slot = this.#slots.get(key);
    if (slot !== undefined) this.#drop(slot);
  }

  clear(): void {
    this.#slots.clear();
    this.#ring = [];
    this.#hand = 0;
    this.#size = 0;
  }

  /** Moves the hand on by one: a slot used since the last round stays once more, another goes. */
  #advance(): void {
    if (this.#hand >= this.#ring.length) this.#hand = 0;
    const slot = this.#ring[this.#hand];
    if (slot === undefined) return;
    if (slot.wasUsed && !slot.isGone) {
      slot.wasUsed = false;
      this.#hand++;
      return;
    }
    if (!slot.isGone) this.#drop(slot);
    const last = this.#ring.pop();
    if (last !== undefined && last !== slot) this.#ring[this.#hand] = last;
  }

  #drop(slot: Slot<Key, Value>): void {
    slot.isGone = true;
    this.#slots.delete(slot.key);
    this.#size -= slot.size;
  }

  #compact(): void {
    this.#ring = this.#ring.filter(({ isGone }) => !isGone);
    this.#hand = 0;
  }
}
