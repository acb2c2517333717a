// A binary heap: the smallest of a changing set in O(log n). Equal items come out in no promised order.

/** Gives back its smallest item first, by the order it was made with. */
export class Heap<Item> {
  readonly #items: Item[] = [];
  readonly #compare: (a: Item, b: Item) => number;

  constructor(compare: (a: Item, b: Item) => number) {
    this.#compare = compare;
  }

  push(item: Item): void {
    const items = this.#items;
    let at = items.length;
    items.push(item);
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = items[parentAt] as Item;
      if (this.#compare(item, parent) >= 0) break;
      items[at] = parent;
      at = parentAt;
    }
    items[at] = item;
  }

  /** The smallest item, taken out; undefined when there is none. */
  pop(): Item | undefined {
    const items = this.#items;
    const top = items[0];
    const last = items.pop();
    if (items.length > 0) this.#sink(last as Item);
    return top;
  }

  /** Puts an item at the top and lets it sink to its place. */
  #sink(item: Item): void {
    const items = this.#items;
    const { length } = items;
    let at = 0;
    for (let child = 1; child < length; child = 2 * at + 1) {
      if (child + 1 < length && this.#compare(items[child + 1] as Item, items[child] as Item) < 0) child++;
      if (this.#compare(items[child] as Item, item) >= 0) break;
      items[at] = items[child] as Item;
      at = child;
    }
    items[at] = item;
  }
}
