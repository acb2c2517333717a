// Orders in which to hand over inputs: all of them while they are few, else a sample that is the same in each
// run.

/** All permutations of up to 4 items; of more, 12 drawn with a seed. */
export function permutations<Item>(items: readonly Item[], seed: number): Item[][] {
  if (items.length <= 4) return allPermutations(items);
  const random = seeded(seed);
  return Array.from({ length: 12 }, () => shuffled(items, random));
}

function allPermutations<Item>(items: readonly Item[]): Item[][] {
  if (items.length <= 1) return [[...items]];
  return items.flatMap((item, i) => {
    const others = [...items.slice(0, i), ...items.slice(i + 1)];
    return allPermutations(others).map((rest) => [item, ...rest]);
  });
}

/** The items in another order. */
export function shuffled<Item>(items: readonly Item[], random: () => number): Item[] {
  const left = [...items];
  const order: Item[] = [];
  while (left.length > 0) order.push(...left.splice(Math.floor(random() * left.length), 1));
  return order;
}

/** Numbers from 0 to 1, the same for the same seed (a linear congruential generator). */
export function seeded(seed: number): () => number {
  let state = (seed * 2_654_435_761 + 12_345) >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
