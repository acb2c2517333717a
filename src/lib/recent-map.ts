// A map that forgets what was not used lately, when it is told to.
//
// Not by moving what is used to the end: a Map notes each move, and once it is full of notes is written anew as a
// whole. Under load that is tens of KB again and again, which live just long enough to become old: they were found to
// cost a heap of 90 MB another 300 in pages with too little room for them. So a use sets a flag, and nothing moves
// before something has to go:
//
//   first ──▶ [ a, used ] [ b ] [ c, used ] ──▶ last        a goes last and is not used any more, b is forgotten

interface Slot<Value> {
  value: Value;
  wasUsed: boolean;
}

export class RecentMap<Key, Value> {
  readonly #slots = new Map<Key, Slot<Value>>();

  get size(): number {
    return this.#slots.size;
  }

  get(key: Key): Value | undefined {
    const slot = this.#slots.get(key);
    if (slot === undefined) return undefined;
    slot.wasUsed = true;
    return slot.value;
  }

  set(key: Key, value: Value): void {
    const slot = this.#slots.get(key);
    if (slot === undefined) this.#slots.set(key, { value, wasUsed: false });
    else slot.value = value;
  }

  delete(key: Key): void {
    this.#slots.delete(key);
  }

  /**
   * Forgets the first that were not used since they were set or passed over last, until so many are left.
   * @param mayGo what it says no to stays, where need be beyond the bound
   */
  trim(sizeMax: number, mayGo: (value: Value) => boolean = () => true): void {
    for (const [key, slot] of this.#slots) {
      if (this.#slots.size <= sizeMax) return;
      // Who goes last comes by once more.
      const isPassedOver = slot.wasUsed;
      slot.wasUsed = false;
      if (!isPassedOver && !mayGo(slot.value)) continue;
      this.#slots.delete(key);
      if (isPassedOver) this.#slots.set(key, slot);
    }
  }
}
