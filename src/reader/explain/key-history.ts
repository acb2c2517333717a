// One key of one room through the graph: who claimed it, what each claim replaced, and where each one ended.
//
// A claim is followed forwards, from event to event, as long as the key has its value:
//
//     claim ── · ── · ── X         X claims the key itself: the claim is replaced
//               \
//                · ── M            M merges branches, and another value stands before it: the claim is lost
//               /
//     other ── ·
//
// So the cost is the life of the claims in question, a point query for each event of it; not the room's history.

import type { EventId } from '../../event/ids.js';
import type { KnownEvent } from '../../room/graph/known-events.js';
import type { RoomRow } from '../../store/records.js';
import type { RootRef } from '../../tree/types.js';
import type { Reader } from '../reader.js';
import type { StateView } from '../state-view.js';

/** Where a claim ended on one of its branches. */
export interface Ending {
  /** `replaced`: a later event on the branch claims the key. `lost`: a merge decided for another value, or for none. */
  readonly kind: 'replaced' | 'lost';
  /** The event that replaced it, or the merge event; undefined for the merge of the room's forward extremities. */
  readonly at: KnownEvent | undefined;
  /** What the key has instead; undefined where it has nothing. */
  readonly became: EventId | undefined;
  /** The resolution that decided, where one did. */
  readonly traceId: string | undefined;
}

/** Where a claim ended, on all of its branches, in commit order. */
export interface Endings {
  readonly endings: readonly Ending[];
  /** The walk was given up: there may be more. */
  readonly isTruncated: boolean;
}

/** How a soft-failed claim came in. */
export interface Entry {
  /** The first accepted event whose state before has it. */
  readonly accepted: KnownEvent | undefined;
  /** The first merge that took it rather than what another branch had. */
  readonly merge: Ending | undefined;
  /** What that branch had. */
  readonly over: EventId | undefined;
}

/** Events that a walk visits at most. */
const WALK_MAX = 250_000;
/** Claims that a lineage holds at most. */
const LINEAGE_MAX = 10_000;

export class KeyHistory {
  readonly #reader: Reader;
  readonly #room: RoomRow;
  readonly #get: (root: RootRef) => EventId | undefined;
  readonly #lineages = new Map<EventId, ReadonlySet<EventId>>();

  /** @param view any state of the room */
  constructor(reader: Reader, room: RoomRow, view: StateView, type: string, stateKey: string) {
    this.#reader = reader;
    this.#room = room;
    this.#get = (root) => view.at(root).get(type, stateKey);
  }

  /** What the key has now. */
  current(): EventId | undefined {
    return this.#get(this.#room.root);
  }

  before({ roots }: KnownEvent): EventId | undefined {
    return roots === undefined ? undefined : this.#get(roots.before);
  }

  after({ roots }: KnownEvent): EventId | undefined {
    return roots === undefined ? undefined : this.#get(roots.after);
  }

  /** A claim, what it replaced on its own branch, what that had replaced, and so on to the first. */
  lineage(id: EventId): ReadonlySet<EventId> {
    const known = this.#lineages.get(id);
    if (known !== undefined) return known;
    const lineage = new Set<EventId>();
    for (let at: EventId | undefined = id; at !== undefined && !lineage.has(at); ) {
      lineage.add(at);
      if (lineage.size >= LINEAGE_MAX) break;
      const event = this.#reader.events.get(at);
      at = event === undefined ? undefined : this.before(event);
    }
    this.#lineages.set(id, lineage);
    return lineage;
  }

  /** Where a claim ended. A merge with a branch that had replaced it already is no end of its own. */
  async endings(claim: KnownEvent): Promise<Endings> {
    const id = claim.pdu.eventId;
    const found: Ending[] = [];
    const visited = new Set<EventId>([id]);
    const extremities = new Set<EventId>(this.#room.forwardExtremities);
    let isLast = false;
    if (this.after(claim) !== id) return { endings: [], isTruncated: false };
    for (const at of visited) {
      if (visited.size > WALK_MAX) return { endings: inOrder(found), isTruncated: true };
      isLast ||= extremities.has(at);
      for await (const seq of this.#reader.store.edges(at, 'prev')) {
        const child = this.#reader.events.at(seq);
        if (child?.roots === undefined || visited.has(child.pdu.eventId)) continue;
        const ending = this.#endingAt(child, id);
        if (ending === undefined) visited.add(child.pdu.eventId);
        else if (ending !== 'overtaken') found.push(ending);
      }
    }
    const current = this.current();
    if (isLast && current !== id && !this.#hasReplaced(current, id)) {
      found.push({ kind: 'lost', at: undefined, became: current, traceId: this.#room.traceId });
    }
    return { endings: inOrder(found), isTruncated: false };
  }

  /** What an event that follows a holder of `id` does to it; undefined where it still has the key afterwards. */
  #endingAt(child: KnownEvent, id: EventId): Ending | 'overtaken' | undefined {
    const before = this.before(child);
    if (before !== id) {
      if (this.#hasReplaced(before, id)) return 'overtaken';
      return { kind: 'lost', at: child, became: before, traceId: child.roots?.traceId };
    }
    const after = this.after(child);
    if (after === id) return undefined;
    return { kind: 'replaced', at: child, became: after, traceId: undefined };
  }

  #hasReplaced(later: EventId | undefined, earlier: EventId): boolean {
    return later !== undefined && this.lineage(later).has(earlier);
  }

  /** How a claim that soft failed got into the room's state all the same. */
  async entry(claim: KnownEvent): Promise<Entry> {
    const id = claim.pdu.eventId;
    const visited = new Set<EventId>([id]);
    let accepted: KnownEvent | undefined;
    let merge: Ending | undefined;
    let over: EventId | undefined;
    for (const at of visited) {
      if (visited.size > WALK_MAX) break;
      for await (const seq of this.#reader.store.edges(at, 'prev')) {
        const child = this.#reader.events.at(seq);
        if (child === undefined || visited.has(child.pdu.eventId) || this.before(child) !== id) continue;
        visited.add(child.pdu.eventId);
        if (child.verdict === 'accepted' && child.seq < (accepted?.seq ?? Infinity)) accepted = child;
        const other = child.seq < (merge?.at?.seq ?? Infinity) ? this.#otherValue(child, id) : undefined;
        if (other === undefined) continue;
        over = other;
        merge = { kind: 'lost', at: child, became: id, traceId: child.roots?.traceId };
      }
    }
    return { accepted, merge, over };
  }

  /** What another of the branches that an event merges has at the key. */
  #otherValue({ pdu }: KnownEvent, id: EventId): EventId | undefined {
    for (const prev of pdu.prevEvents) {
      const event = this.#reader.events.get(prev);
      const value = event === undefined ? undefined : this.after(event);
      if (value !== undefined && value !== id) return value;
    }
    return undefined;
  }
}

function inOrder(endings: readonly Ending[]): Ending[] {
  const seen = new Set<number>();
  return endings
    .filter(({ at }) => {
      const seq = at?.seq ?? Infinity;
      return !seen.has(seq) && seen.add(seq) !== undefined;
    })
    .sort((a, b) => (a.at?.seq ?? Infinity) - (b.at?.seq ?? Infinity) || 0);
}
