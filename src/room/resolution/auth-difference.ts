// The auth difference: events in the auth chain of some of the states, but not of all.
//
// Source: rooms/v2, "Auth difference". A state event counts as part of its own auth chain; the text leaves
// that open, and other servers do so.
//
// The chains of what the states agree on are in all of them and are never walked. From the conflicted values
// we walk down, each event with one bit for each state that it was reached from, newest first, so that all
// bits of an event are known when its turn comes. An event with all bits, or below something agreed
// (common-chain.ts), is in every chain, and so is all below it: the walk stops there.

import type { EventId } from '../../event/ids.js';
import { CommonChain } from './common-chain.js';
import type { ResolutionContext } from './context.js';
import { Heap } from './heap.js';

/** The auth difference, exactly. Costs the size of the conflict, save when the budget is exceeded. */
export function authDifference<Root>(context: ResolutionContext<Root>): Set<EventId> {
  return walkConflict(context) ?? walkWholeChains(context);
}

/** Events to visit, newest first, with the bits of the states that reach them. */
class Frontier {
  readonly #heap = new Heap<{ readonly id: EventId; readonly order: number }>((a, b) => b.order - a.order);
  readonly #bits = new Map<EventId, bigint>();
  readonly #order: (id: EventId) => number;
  readonly #all: bigint;
  /** How many waiting events lack a bit. */
  partial = 0;

  constructor(order: (id: EventId) => number, all: bigint) {
    this.#order = order;
    this.#all = all;
  }

  add(id: EventId, bits: bigint): void {
    const before = this.#bits.get(id);
    const after = (before ?? 0n) | bits;
    if (after === before) return;
    this.#bits.set(id, after);
    if (before === undefined) {
      this.#heap.push({ id, order: this.#order(id) });
      if (after !== this.#all) this.partial++;
    } else if (after === this.#all) this.partial--;
  }

  next(): { readonly id: EventId; readonly bits: bigint } | undefined {
    const top = this.#heap.pop();
    if (top === undefined) return undefined;
    const bits = this.#bits.get(top.id) ?? 0n;
    if (bits !== this.#all) this.partial--;
    // A visited event takes no more bits: in a graph with a loop the walk must end all the same.
    this.#bits.set(top.id, this.#all);
    return { id: top.id, bits };
  }
}

/** The walk that reads the conflict only; undefined when its budget ran out. */
function walkConflict<Root>(context: ResolutionContext<Root>): Set<EventId> | undefined {
  const { conflicts, events } = context;
  const all = (1n << BigInt(conflicts.roots.length)) - 1n;
  const common = new CommonChain(context);
  const difference = new Set<EventId>();
  const frontier = new Frontier((id) => events.order(id), all);
  for (const [id, bits] of conflicts.values) frontier.add(id, bits);
  for (let next = frontier.next(); next !== undefined; next = frontier.next()) {
    const { id, bits } = next;
    if (bits === all) {
      common.add(id);
      continue;
    }
    const event = events.find(id);
    if (event === undefined) continue;
    const isCommon = common.has(id);
    if (isCommon === undefined) return undefined;
    if (isCommon) continue;
    difference.add(id);
    for (const cited of events.authEventsOf(event)) frontier.add(cited, bits);
  }
  return difference;
}

/** The plain walk: from everything in every state, until nothing is left that some state lacks. */
function walkWholeChains<Root>(context: ResolutionContext<Root>): Set<EventId> {
  const { conflicts, events, unconflicted } = context;
  const all = (1n << BigInt(conflicts.roots.length)) - 1n;
  const difference = new Set<EventId>();
  const frontier = new Frontier((id) => events.order(id), all);
  for (const [id, bits] of conflicts.values) frontier.add(id, bits);
  for (const id of unconflicted.ids()) frontier.add(id, all);
  while (frontier.partial > 0) {
    const next = frontier.next();
    if (next === undefined) break;
    const event = events.find(next.id);
    if (event === undefined) continue;
    if (next.bits !== all) difference.add(next.id);
    for (const cited of events.authEventsOf(event)) frontier.add(cited, next.bits);
  }
  return difference;
}
