// A cache bounded by the summed sizes of its values, with CLOCK eviction: as good as least-recently-used
// here, at half its cost, because a hit is one store to a flag and moves nothing.
//
//   ring  [ a ][ b ][   ][ c ][ d ]     a hand goes round: who was used since its last visit stays once more,
//                    ^ hand             another goes; what is new takes a place behind the hand

interface Slot<Key, Value> {
  readonly key: Key;
  value: Value;
  size: number;
  /** Place in the ring. */
  readonly at: number;
  wasUsed: boolean;
}

export class ClockCache<Key, Value> {
  readonly #slots = new Map<Key, Slot<Key, Value>>();
  readonly #sizeMax: number;
  #ring: (Slot<Key, Value> | undefined)[] = [];
  /** Places in the ring that hold nothing. */
  #free: number[] = [];
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

  /** Keeps a value; others go to make room. One larger than the bound is not kept. */
  set(key: Key, value: Value, size: number): void {
    const known = this.#slots.get(key);
    // In its place where it can be: a Map that keys are taken from and put into again is written anew each time that
    // it is full of what was taken.
    if (known !== undefined && this.#size - known.size + size <= this.#sizeMax) {
      this.#size += size - known.size;
      known.value = value;
      known.size = size;
      return;
    }
    this.delete(key);
    if (size > this.#sizeMax) return;
    while (this.#size + size > this.#sizeMax) this.#advance();
    const at = this.#free.pop() ?? this.#ring.length;
    const slot = { key, value, size, at, wasUsed: false };
    this.#ring[at] = slot;
    this.#slots.set(key, slot);
    this.#size += size;
  }

  delete(key: Key): void {
    const slot = this.#slots.get(key);
    if (slot !== undefined) this.#drop(slot);
  }

  clear(): void {
    this.#slots.clear();
    this.#ring = [];
    this.#free = [];
    this.#hand = 0;
    this.#size = 0;
  }

  /** Moves the hand on by one place. */
  #advance(): void {
    const slot = this.#ring[this.#hand];
    this.#hand = (this.#hand + 1) % this.#ring.length;
    if (slot === undefined) return;
    if (slot.wasUsed) slot.wasUsed = false;
    else this.#drop(slot);
  }

  #drop(slot: Slot<Key, Value>): void {
    this.#ring[slot.at] = undefined;
    this.#free.push(slot.at);
    this.#slots.delete(slot.key);
    this.#size -= slot.size;
  }
}
